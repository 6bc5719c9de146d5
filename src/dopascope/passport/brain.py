"""Checks of the brain in a T1-weighted MRI: whole, of a brain's size, in a head, white matter brighter than grey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dopascope import atlas
from dopascope.passport.result import Check, within
from dopascope.space import resample
from dopascope.space.brain_registration import BrainRegistration
from dopascope.volume import MNI_2MM, LabelMap, Volume

INF: Final = float("inf")

USUAL_ML: Final = (1000.0, 1950.0)
POSSIBLE_ML: Final = (600.0, 2500.0)
"""Whole brain with the fluid around it: adults have 1,100 to 1,900 ml. Our assumption."""

SHELL_MM: Final = (6.0, 20.0)
"""So far around the brain a head has scalp and face."""
SHELL_STEP_MM: Final = 2.5
SHELL_SIGNAL: Final = 0.1
"""Of the brain's median; what is darker there counts as nothing."""
MIN_AROUND: Final = 0.15
"""Usual least share of the shell with signal. Scalp fills a third of it; a brain without its skull has nothing there.
Our assumption."""

MAX_CLIPPED: Final = (0.005, 0.1)
"""Usual and possible share of brain voxels at the scan's very maximum. Our assumption."""

PURE: Final = 0.8
"""Probability from which on a template voxel counts as one tissue."""
MIN_WHITE: Final = (10.0, 3.0)
MAX_FLUID: Final = (-10.0, 5.0)
"""Usual and possible: white matter less grey matter at least, fluid less grey matter at most, in percent of the brain's
range. T1: white above grey above fluid. T2 and an inverted scan have the reverse, FLAIR has white below grey. Our
measurement (docs/methods.md)."""


@dataclass(frozen=True, eq=False)
class BrainFound:
    """What is known of a scan once its brain was found."""

    mask: LabelMap
    """Brain above 0, on the scan's grid."""
    whole: bool
    """Whether the field of view holds the whole brain."""
    even: Volume
    """The scan without its coil's shading."""
    registration: BrainRegistration | None
    """None where the template could not be placed."""


def brain_checks(volume: Volume, brain: BrainFound) -> Iterator[Check]:
    """Checks of a scan whose brain was found."""
    yield Check(
        "whole_brain",
        "yes" if brain.whole else "no",
        "",
        "in-distribution" if brain.whole else "unusual",
        "yes",
        "Whether the field of view holds the whole brain; volumes of a brain that is cut are too small.",
    )
    inside = brain.mask.data > 0
    yield within(
        "brain_volume",
        float(inside.sum()) * brain.mask.grid.voxel_ml,
        "ml",
        usual=USUAL_ML,
        possible=POSSIBLE_ML,
        explanation="Brain with the fluid around it. A wrong size means another object or wrong voxel spacing.",
    )
    yield _around(volume, brain)
    usual, possible = MAX_CLIPPED
    yield within(
        "clipped",
        float((volume.data[inside] >= volume.data.max()).mean()),
        "",
        usual=(0.0, usual),
        possible=(0.0, possible),
        explanation="Share of the brain at the scan's very maximum: what was clipped has lost its contrast.",
    )
    if brain.registration is not None:
        yield from _contrast(brain.even, brain.mask, brain.registration)


def _around(volume: Volume, brain: BrainFound) -> Check:
    """Is there a head around the brain?"""
    from scipy import ndimage

    step = tuple(slice(None, None, max(1, round(SHELL_STEP_MM / s))) for s in volume.grid.spacing_mm)
    inside, data = brain.mask.data[step] > 0, volume.data[step]
    spacing = [s * (part.step or 1) for s, part in zip(volume.grid.spacing_mm, step, strict=True)]
    away = ndimage.distance_transform_edt(~inside, sampling=spacing)
    shell = data[(away > SHELL_MM[0]) & (away <= SHELL_MM[1])]
    ground = float(np.percentile(data, 1))
    middle = float(np.median(data[inside])) - ground
    share = float((shell - ground > SHELL_SIGNAL * middle).mean()) if shell.size else 0.0
    return Check(
        "head_around",
        100 * share,
        "%",
        "in-distribution" if share >= MIN_AROUND else "unusual",
        f"at least {100 * MIN_AROUND:g} %",
        "Share with signal of what lies 6 to 20 mm outside the brain: little where the skull was taken off before.",
    )


def _contrast(even: Volume, mask: LabelMap, registration: BrainRegistration) -> Iterator[Check]:
    """The order of grey matter, white matter and fluid, where the template has them."""
    seen = resample(even, MNI_2MM, to_image=registration.mni_to_scan).data
    within_brain = resample(LabelMap((mask.data > 0).astype(np.uint8), mask.grid), MNI_2MM,
                            to_image=registration.mni_to_scan).data > 0  # fmt: skip
    low, high = np.percentile(seen[within_brain], (1, 99))
    middle = {
        name: float(np.median(seen[within_brain & (atlas.tissue(name).data >= PURE)]))
        for name in ("grey", "white", "csf")
    }
    span = max(float(high - low), 1e-9)
    usual, possible = MIN_WHITE
    yield within(
        "white_over_grey",
        100 * (middle["white"] - middle["grey"]) / span,
        "% of the brain's range",
        usual=(usual, INF),
        possible=(possible, INF),
        explanation="White less grey matter: above 0 in T1-weighted MRI; below 0 in T2, FLAIR and inverted scans.",
    )
    usual, possible = MAX_FLUID
    yield within(
        "fluid_over_grey",
        100 * (middle["csf"] - middle["grey"]) / span,
        "% of the brain's range",
        usual=(-INF, usual),
        possible=(-INF, possible),
        explanation="Fluid less grey matter: below 0 in T1-weighted MRI; above 0 in T2 and inverted scans.",
    )
