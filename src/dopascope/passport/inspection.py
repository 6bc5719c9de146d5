"""All checks of one image, cheapest first, ending where nothing further can be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dopascope.passport.header import grid_checks, header_checks
from dopascope.passport.result import Check, Passport, issue
from dopascope.passport.voxels import voxel_checks
from dopascope.volume import SliceImage, Volume

if TYPE_CHECKING:
    from dopascope.space import Registration


def inspect(image: Volume | SliceImage, registration: Registration | None = None) -> Passport:
    """The passport of an image on the DaT route.

    Args:
        image: a scan in any axis order, or a picture of one slice.
        registration: of this scan to MNI, where it has been made; its scale, tilt and quality are then checked too.

    Returns:
        A verdict (as bad as the worst check), reasons, and every check with its value and what was expected.
    """
    checks: list[Check] = []
    if isinstance(image, Volume):
        checks += [*header_checks(image.source, image.acquisition), *grid_checks(image.grid)]
        checks += voxel_checks(image.data)
    return issue(checks)
