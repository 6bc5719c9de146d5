"""Is this scan fit to be read as a T1-weighted MRI of a head? Before the brain was found, and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dopascope.passport.brain import BrainFound, brain_checks
from dopascope.passport.header import orientation_check, shear_check
from dopascope.passport.pose import pose_checks
from dopascope.passport.result import Check, CheckVerdict, Passport, issue, within
from dopascope.passport.voxels import levels_check, sound_checks
from dopascope.volume import Acquisition, Grid, Volume

INF: Final = float("inf")

USUAL_PIXEL_MM: Final = (0.4, 2.05)
POSSIBLE_PIXEL_MM: Final = (0.2, 2.6)
"""Shortest voxel edge: from 7 T research scans to 2 mm, which public sets are thinned to. Our assumption."""

MAX_THICKNESS_MM: Final = (2.05, 6.0)
"""Usual and possible longest voxel edge. 3-D scans have 0.7 to 1.5 mm; slices of older 2-D scans are 3 to 6 mm thick,
and a caudate is a few of them. Our assumption."""

MIN_FIELD_MM: Final = (150.0, 120.0)
"""Usual and possible shortest edge of the field: a brain is 140 mm wide and 110 mm high. Our assumption."""

MAX_FIELD_MM: Final = (330.0, 600.0)


def inspect_t1(volume: Volume, brain: BrainFound | None = None) -> Passport:
    """The passport of a scan on the T1 route.

    Args:
        volume: in any axis order.
        brain: once it was found: the mask, the scan without shading, the registration. Then the field of view, what is
            around the brain, and the order of grey and white matter are checked too.

    Returns:
        A verdict (as bad as the worst check), reasons, and every check with its value and what was expected.
    """
    checks = [orientation_check(volume.source), _modality(volume.acquisition), *_grid_checks(volume.grid)]
    sound = sound_checks(volume.data)
    checks += sound
    if any(one.verdict == "refused" for one in sound):
        return issue(checks)
    checks.append(levels_check(volume.data))
    if brain is not None:
        checks += brain_checks(volume, brain)
        if brain.registration is not None:
            checks += pose_checks(brain.registration)
    return issue(checks)


def _modality(acquisition: Acquisition) -> Check:
    said = acquisition.modality
    verdict: CheckVerdict = "not stated" if said is None else "in-distribution" if said == "MR" else "refused"
    return Check("modality", said, "", verdict, "MR", "Grey and white matter are told apart in T1-weighted MRI alone.")


def _grid_checks(grid: Grid) -> Iterator[Check]:
    edges = " x ".join(f"{s:.2f}" for s in grid.spacing_mm)
    yield within(
        "pixel",
        min(grid.spacing_mm),
        "mm",
        usual=USUAL_PIXEL_MM,
        possible=POSSIBLE_PIXEL_MM,
        explanation=f"Shortest voxel edge; voxels measure {edges} mm.",
    )
    usual, possible = MAX_THICKNESS_MM
    yield within(
        "slice_thickness",
        max(grid.spacing_mm),
        "mm",
        usual=(0.0, usual),
        possible=(0.0, possible),
        explanation="Longest voxel edge, gaps between slices included: what is thinner is lost.",
    )
    short, long = min(grid.extent_mm), max(grid.extent_mm)
    field = " x ".join(f"{s:.0f}" for s in grid.extent_mm)
    yield within(
        "field_of_view",
        short if short < MIN_FIELD_MM[0] else long,
        "mm",
        usual=(MIN_FIELD_MM[0], MAX_FIELD_MM[0]),
        possible=(MIN_FIELD_MM[1], MAX_FIELD_MM[1]),
        explanation=f"The field measures {field} mm; a brain needs about {MIN_FIELD_MM[0]:.0f}.",
    )
    yield shear_check(grid)
