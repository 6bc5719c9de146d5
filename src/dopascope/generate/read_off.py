"""What can be read off a picture of each modality, of real and synthetic images alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.batch.t1 import ZSCORE
from dopascope.batch.viewing import T1_LIFT
from dopascope.space.views import VIEWS
from dopascope.volume import MNI_2MM, Volume

if TYPE_CHECKING:
    from dopascope.generate.frames import Frame

Floats = NDArray[np.float64]
REFERENCE: Final = "whole_brain"
SIDES: Final = ("left", "right")
PUTAMEN: Final = ("anterior_putamen", "posterior_putamen")
OUTSIDE: Final = -3.0
"""z-score of a T1 below which a voxel is not brain."""
FLUID: Final = -1.5
WHITE: Final = 0.7
"""z-scores below and above which brain is called fluid and white matter here: a coarse reading, the same for all."""


@dataclass(frozen=True)
class Modality:
    """How images of one kind of scan are scaled and read."""

    name: str
    intensity: str
    top: float
    """Units of the intensity scale that become 1."""
    scale: str
    """The unit, in words."""
    quantities: Mapping[str, str]
    """Name -> in words; the first two are compared class by class."""
    how: str
    """How they are read off, in words."""
    conditions: tuple[str, ...]
    """What may be asked of an image beside its class."""
    read: Callable[[Frame, Floats], dict[str, Floats]]


def _ratios(frame: Frame, images: Floats) -> dict[str, Floats]:
    """Ratios of regions of the atlas as the view shows them, mean over mean of the reference less 1.

    `putamen` and `caudate`: of the lower side; `putamen_asymmetry`: 100 (left - right) / mean of both;
    `caudate_to_putamen`: of the side with the lower putamen. They are no binding ratios of a scan.
    """
    flat = images.reshape(len(images), -1)
    means = {name: flat @ weight for name, weight in _weights(frame.sight.view, frame.sight.crop).items()}
    reference = np.maximum(means["reference"], 1e-6)
    ratio = {name: mean / reference - 1 for name, mean in means.items()}
    putamen = np.stack([ratio[f"putamen_{side}"] for side in SIDES])
    caudate = np.stack([ratio[f"caudate_{side}"] for side in SIDES])
    low = putamen.argmin(0), np.arange(len(flat))
    middle = np.maximum(putamen.mean(0), 0.05)
    return {
        "putamen": putamen[low],
        "caudate": caudate.min(0),
        "putamen_asymmetry": 100 * (putamen[0] - putamen[1]) / middle,
        "caudate_to_putamen": caudate[low] / np.maximum(putamen[low], 0.05),
    }


@lru_cache(maxsize=16)
def _weights(view: str, crop: tuple[tuple[int, int], ...]) -> dict[str, Floats]:
    """Regions as the view shows them, each with a sum of 1, flattened; every view here is linear."""
    parts = atlas.striatum_weights()
    regions: dict[str, NDArray[np.float32]] = {"reference": atlas.reference_mask(REFERENCE).astype(np.float32)}
    for side in SIDES:
        regions[f"caudate_{side}"] = parts[f"caudate_{side}"]
        regions[f"putamen_{side}"] = np.sum([parts[f"{part}_{side}"] for part in PUTAMEN], axis=0)
    cut = tuple(slice(*ends) for ends in crop)
    found = {}
    for region, weight in regions.items():
        seen = VIEWS[view].take(Volume(weight, MNI_2MM))[(slice(None), *cut)].astype(np.float64)
        found[region] = seen.reshape(-1) / seen.sum()
    return found


def _tissues(frame: Frame, images: Floats) -> dict[str, Floats]:
    """Brain in the image (ml), its shares of fluid and white matter (%), and 100 (left - right) / mean of both."""
    z = images * frame.top - T1_LIFT
    brain = z > OUTSIDE
    axes = tuple(range(1, images.ndim))
    count = np.maximum(brain.sum(axes), 1)
    x = frame.grid.to_world(np.stack([np.arange(frame.grid.shape[0]), *[np.zeros(frame.grid.shape[0])] * 2], 1))[:, 0]
    across = brain.sum(tuple(axis for axis in axes if axis != 2))
    left, right = across[:, x < -1e-3].sum(1), across[:, x > 1e-3].sum(1)
    return {
        "brain": brain.sum(axes) * frame.grid.voxel_ml,
        "fluid": 100 * (brain & (z < FLUID)).sum(axes) / count,
        "white": 100 * (z > WHITE).sum(axes) / count,
        "sides": 200 * (left - right) / np.maximum(left + right, 1),
    }


DAT: Final = Modality(
    "dat",
    "p75_nonstriatal",
    10.0,
    "the 75th percentile outside the striatum",
    {
        "putamen": "lower putamen, ratio",
        "caudate": "lower caudate, ratio",
        "putamen_asymmetry": "asymmetry of the putamen, %",
        "caudate_to_putamen": "caudate to putamen, worse side",
    },
    "Ratios are read off the pictures by the atlas regions as the view shows them, of real and synthetic images alike; "
    "they are no binding ratios of a scan",
    ("age", "sbr"),
    _ratios,
)
"""10 is where exported pictures end."""
T1: Final = Modality(
    "t1",
    ZSCORE,
    2 * T1_LIFT,
    f"the spread of the brain's own voxels, {T1_LIFT:g} above their mean's zero; the brain alone",
    {
        "brain": "brain in the image, ml",
        "fluid": "fluid, % of the brain",
        "white": "white matter, % of the brain",
        "sides": "left less right, % of their mean",
    },
    f"Tissues are read off by fixed z-scores (brain above {OUTSIDE:g}, fluid below {FLUID:g}, white matter above "
    f"{WHITE:g}), of real and synthetic images alike; they are no volumes of a scan",
    ("age",),
    _tissues,
)
"""2 * `T1_LIFT` is as far above the mean as the outside is below it."""
