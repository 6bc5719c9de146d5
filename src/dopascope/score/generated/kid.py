"""Kernel distance (KID when the features are InceptionV3's): squared MMD with a polynomial kernel, unbiased.

It depends on the scale of the features; 0 says that the first three moments agree, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dopascope.score.generated.kernel_sums import kernel_sums
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, feature_sets, positive_count

SUBSETS: Final = 100
LARGEST_SUBSET: Final = 1000
LEAST: Final = 4


@dataclass(frozen=True)
class KernelDistance(Result):
    """Unbiased; it can be below 0, and is 0 on average where both sets are of one distribution."""

    value: Measured
    subset_mean: float
    subset_sd: float
    """Over random subsets, as papers report it: no standard error of `value`."""
    subsets: int
    subset_size: int
    n_real: int
    n_generated: int
    features: int


def kernel_distance(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    subsets: int = SUBSETS,
    subset_size: int | None = None,
    seed: int = 1,
) -> KernelDistance:
    """Squared MMD with the kernel (x.y / D + 1)^3: of all images with a jackknife range, and over subsets.

    Args:
        real: (N, D) features, one image a person.
        generated: (M, D) features by the same function.
        subsets: how many.
        subset_size: images of each set in a subset; 1,000 or half of the smaller set where that is less.
        seed: of the subsets.

    Raises:
        UsageError: see `sets.feature_sets`; or subsets larger than the smaller set.
        UnsuitableError: see `sets.feature_sets` (4 images of each set).

    Source: Binkowski et al. 2018, ICLR (arXiv 1801.01401), section 3.
    """
    one, other = feature_sets(real, generated, least=LEAST)
    smaller = min(len(one), len(other))
    size = positive_count(
        min(LARGEST_SUBSET, smaller // 2) if subset_size is None else subset_size, "subset_size", most=smaller
    )
    rng = np.random.default_rng(seed)
    drawn = [
        _value(one[rng.choice(len(one), size, replace=False)], other[rng.choice(len(other), size, replace=False)])
        for _ in range(positive_count(subsets, "subsets"))
    ]
    return KernelDistance(
        method="unbiased squared MMD, kernel (x.y / D + 1)^3; range by the jackknife over images; "
        f"{subsets} subsets of {size} of each set",
        value=kernel_sums(polynomial_kernel, one, other).measured(),
        subset_mean=float(np.mean(drawn)),
        subset_sd=float(np.std(drawn)),
        subsets=subsets,
        subset_size=size,
        n_real=len(one),
        n_generated=len(other),
        features=one.shape[1],
    )


def kernel_distance_value(real: ArrayLike, generated: ArrayLike) -> float:
    """The value of `kernel_distance` alone.

    Raises:
        UsageError, UnsuitableError: see `kernel_distance`.
    """
    return _value(*feature_sets(real, generated, least=LEAST))


def polynomial_kernel(rows: Array, columns: Array) -> Array:
    """(x.y / D + 1)^3 of rows (R, D) and columns (C, D): (R, C)."""
    linear: Array = rows @ columns.T / rows.shape[1] + 1
    return linear * linear * linear  # a general power takes three times as long


def _value(one: Array, other: Array) -> float:
    return float(kernel_sums(polynomial_kernel, one, other).statistics()[0])
