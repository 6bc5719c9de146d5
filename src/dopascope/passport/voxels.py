"""Checks of the numbers themselves: not finite, negative, saturated, constant, counts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.passport.result import Check, within
from dopascope.volume import Volume

MAX_NEGATIVE_SHARE: Final = (0.05, 0.35)
"""Usual and possible share of the summed magnitude that is negative. Filtered back-projection undershoots near
edges by a few percent; iterative reconstruction is never negative. Our assumption."""

MAX_SATURATED_SHARE: Final = (2e-4, 2e-3)
"""Usual and possible share of voxels at the very maximum. A sound maximum is one voxel or few; clipping makes a
plateau. Our assumption."""

MIN_LEVELS: Final = 64
"""Distinct values below which a scan is a label map or coarsely quantised. Our assumption."""


def sound_checks(data: NDArray[np.float32]) -> list[Check]:
    """Is every value finite, and is there anything at all? Where not, nothing further can be said."""
    finite = _finite(data)
    return [finite] if finite.verdict == "refused" else [finite, _constant(data)]


def amount_checks(volume: Volume) -> list[Check]:
    """Checks of the values of a sound scan: negative, saturated, coarse, and how many counts there are."""
    data = volume.data
    return [_negative(data), _saturated(data), levels_check(data), _counts(volume)]


def _finite(data: NDArray[np.float32]) -> Check:
    count = int(data.size - np.count_nonzero(np.isfinite(data)))
    return Check(
        "not_finite",
        float(count),
        "voxels",
        "refused" if count else "in-distribution",
        "0 voxels",
        "NaN or infinite voxels spoil every mean they enter; find out where they come from.",
    )


def _constant(data: NDArray[np.float32]) -> Check:
    low, high = float(data.min()), float(data.max())
    empty = high <= 0 or low == high
    return Check(
        "maximum",
        high,
        "",
        "refused" if empty else "in-distribution",
        "above 0, and not every voxel the same",
        "The image is empty." if empty else f"Values run from {low:g} to {high:g}.",
    )


def _negative(data: NDArray[np.float32]) -> Check:
    share = float(-np.minimum(data, 0).sum(dtype=float) / np.abs(data).sum(dtype=float))
    usual, possible = MAX_NEGATIVE_SHARE
    return within(
        "negative_share",
        share,
        "",
        usual=(0.0, usual),
        possible=(0.0, possible),
        explanation="Sum of negative values over the sum of magnitudes; counts are not negative.",
    )


def _saturated(data: NDArray[np.float32]) -> Check:
    share = float(np.count_nonzero(data == data.max())) / data.size
    usual, possible = MAX_SATURATED_SHARE
    return within(
        "saturated_share",
        share,
        "",
        usual=(0.0, max(usual, 4 / data.size)),
        possible=(0.0, max(possible, 8 / data.size)),
        explanation="Voxels at the very maximum: a clipped scan has lost its striatal peaks.",
    )


def _counts(volume: Volume) -> Check:
    """Sum of a scan whose values are whole numbers and whose header does not speak of other units."""
    data = volume.data
    counted = volume.acquisition.units in (None, "CNTS") and not np.any(data[::2, ::2, ::2] % 1)
    return Check(
        "total_counts",
        float(data.sum(dtype=float)) / 1e6 if counted else None,
        "million",
        "not stated",
        "whole numbers in counts",
        "Sum over the reconstruction; its scale is the vendor's, so it is compared with nothing. The noise says more.",
    )


def levels_check(data: NDArray[np.float32]) -> Check:
    """Are there enough distinct values for an image?"""
    step = max(1, data.size // 200_000)
    levels = np.unique(data.ravel(order="K")[::step]).size
    return within(
        "distinct_values",
        float(levels),
        "",
        usual=(MIN_LEVELS, float("inf")),
        possible=(16, float("inf")),
        explanation="Few distinct values mean labels or coarse rounding.",
    )
