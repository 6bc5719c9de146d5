"""All checks of one image, cheapest first, ending where nothing further can be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dopascope.passport.header import grid_checks, header_checks
from dopascope.passport.likeness import likeness_checks
from dopascope.passport.picture import picture_checks
from dopascope.passport.pose import pose_checks
from dopascope.passport.result import Check, Passport, issue
from dopascope.passport.voxels import amount_checks, sound_checks
from dopascope.volume import SliceImage, Volume

if TYPE_CHECKING:
    from dopascope.space import Registration


def inspect(image: Volume | SliceImage, registration: Registration | None = None) -> Passport:
    """The passport of an image on the DaT route.

    Args:
        image: a scan in any axis order, or a picture of one slice.
        registration: of this scan to MNI, where it has been made; its quality, tilt and scale are then checked too.

    Returns:
        A verdict (as bad as the worst check), reasons, and every check with its value and what was expected. A picture
        is at best unusual, since it has no geometry.
    """
    if isinstance(image, SliceImage):
        return issue(_picture(image))
    return issue(_scan(image, registration))


def _picture(image: SliceImage) -> list[Check]:
    checks = sound_checks(image.data)
    return checks if _refused(checks) else [*checks, *picture_checks(image)]


def _scan(volume: Volume, registration: Registration | None) -> list[Check]:
    checks = [*header_checks(volume.source, volume.acquisition), *grid_checks(volume.grid)]
    sound = sound_checks(volume.data)
    checks += sound
    if _refused(sound):
        return checks
    checks += [*amount_checks(volume), *likeness_checks(volume)]
    if registration is not None:
        checks += pose_checks(registration)
    return checks


def _refused(checks: list[Check]) -> bool:
    return any(one.verdict == "refused" for one in checks)
