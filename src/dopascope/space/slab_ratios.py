"""Ratios read off the 12 mm slab: what an editor is told of a picture, and what is read off its answer.

They are no binding ratios: means of the atlas's regions as the slab shows them over the mean of the reference
region in the same slab, less 1. Blur and the six slices lower them alike before and after a change.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope import atlas
from dopascope.errors import UsageError
from dopascope.space.views import VIEWS, slab_12mm
from dopascope.volume import MNI_2MM, Volume

Floats = NDArray[np.float64]
REGIONS: Final = ("caudate_left", "caudate_right", "putamen_left", "putamen_right")
REFERENCE: Final = "whole_brain"
LEAST_MEAN: Final = 1e-6
"""Of the reference, so that an empty picture has a ratio."""
_PUTAMEN: Final = ("anterior_putamen", "posterior_putamen")


def slab_ratios(slabs: ArrayLike) -> Floats:
    """Ratios `(N, 4)` in the order of `REGIONS`.

    Args:
        slabs: (N, 91, 109) of `views.slab_12mm`, in any unit.

    Raises:
        UsageError: another shape.
    """
    values = np.asarray(slabs, np.float64)
    shape = VIEWS["slab_12mm"].shape[1:]
    if values.shape[1:] != shape:
        raise UsageError(
            "These are not slabs of 12 mm.",
            where="slabs",
            found=f"shape {values.shape}",
            expected=f"shape (N, {shape[0]}, {shape[1]})",
            fix="Take them with space.views.slab_12mm.",
        )
    means = values.reshape(len(values), -1) @ _weights()
    ratios: Floats = means[:, 1:] / np.maximum(means[:, :1], LEAST_MEAN) - 1
    return ratios


@lru_cache(maxsize=1)
def _weights() -> Floats:
    """Columns of sum 1: the reference, then `REGIONS`, as the slab shows them."""
    parts = atlas.striatum_weights()
    regions = [atlas.reference_mask(REFERENCE).astype(np.float32)]
    for name in REGIONS:
        structure, side = name.split("_")
        of = _PUTAMEN if structure == "putamen" else (structure,)
        regions.append(np.sum([parts[f"{one}_{side}"] for one in of], axis=0).astype(np.float32))
    seen = np.stack([slab_12mm(Volume(one, MNI_2MM)).reshape(-1).astype(np.float64) for one in regions], axis=1)
    weights: Floats = seen / seen.sum(0)
    return weights
