"""Fidelity and variety by nearest neighbours: improved precision and recall, density and coverage.

Each real image has a ball that reaches to its k-th nearest real image; generated images have theirs among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.score.generated.distances import distances
from dopascope.score.generated.jackknife import GROUPS, normal_range, without_groups
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, feature_sets, positive_count

K: Final = 5
"""Naeem et al. 2020; Kynkaanniemi et al. 2019 take 3 with 50,000 images."""
LEAST: Final = 4


@dataclass(frozen=True)
class Coverage(Result):
    """Shares of images and one mean count; two sets of one distribution do not give 1 (see `expected_coverage`)."""

    precision: Measured
    """Share of generated images inside a real image's ball. One outlier among the real images has a large ball."""
    recall: Measured
    """Share of real images inside a generated image's ball."""
    density: Measured
    """Real balls that hold a generated image, on average, over k: 1 expected of one distribution, and may be more."""
    coverage: Measured
    """Share of real images whose ball holds a generated image."""
    expected_coverage: float
    """Of as many images of the real distribution."""
    k: int
    n_real: int
    n_generated: int
    features: int


def coverage(real: ArrayLike, generated: ArrayLike, *, k: int = K, seed: int = 1) -> Coverage:
    """Precision, recall, density and coverage, each with a jackknife range.

    A ball is open: its border, the k-th neighbour, does not count. Memory: the three matrices of distances.

    Args:
        real: (N, D) features, one image a person.
        generated: (M, D) features by the same function.
        k: which nearest neighbour a ball reaches to.
        seed: of the jackknife's groups.

    Raises:
        UsageError: see `sets.feature_sets`; or k is not below nine tenths of the smaller set, so that a group cannot be
            left out.
        UnsuitableError: see `sets.feature_sets` (4 images of each set).

    Source: Kynkaanniemi et al. 2019 (arXiv 1904.06991), equations 1 and 2; Naeem et al. 2020 (arXiv 2002.09797), the
    definitions of density and coverage, and its reference implementation (prdc) for open balls.
    """
    one, other = feature_sets(real, generated, least=LEAST)
    n, m = len(one), len(other)
    smaller = min(n, m)
    positive_count(k, "k", most=smaller - 1 - -(-smaller // min(GROUPS, smaller)))
    among_real, among_generated, across = distances(one, one), distances(other, other), distances(one, other)

    def figures(i: NDArray[np.int_], j: NDArray[np.int_]) -> Array:
        return _figures(among_real[np.ix_(i, i)], among_generated[np.ix_(j, j)], across[np.ix_(i, j)], k)

    values = figures(np.arange(n), np.arange(m))
    left_out = without_groups(figures, n, m, groups=GROUPS, seed=seed)
    ranges = [normal_range(float(value), [one[:, c] for one in left_out]) for c, value in enumerate(values)]
    most = (1.0, 1.0, np.inf, 1.0)
    measured = [
        Measured(one.value, max(0.0, one.low), min(top, one.high)) for one, top in zip(ranges, most, strict=True)
    ]
    return Coverage(
        method=f"open balls to the {k}th nearest neighbour, Euclidean; ranges by the jackknife over {GROUPS} groups",
        precision=measured[0],
        recall=measured[1],
        density=measured[2],
        coverage=measured[3],
        expected_coverage=expected_coverage(n, m, k),
        k=k,
        n_real=n,
        n_generated=m,
        features=one.shape[1],
    )


def outside(real: ArrayLike, generated: ArrayLike, *, k: int = K) -> float:
    """Share of generated images outside all real images' balls: 1 less precision.

    Raises:
        UsageError, UnsuitableError: see `coverage`.
    """
    return float(1 - _alone(real, generated, k)[0])


def uncovered(real: ArrayLike, generated: ArrayLike, *, k: int = K) -> float:
    """Share of real images whose ball holds no generated image: 1 less coverage.

    Raises:
        UsageError, UnsuitableError: see `coverage`.
    """
    return float(1 - _alone(real, generated, k)[3])


def expected_coverage(n: int, m: int, k: int) -> float:
    """Mean coverage of n real images by m others of the same distribution.

    Of an image's n - 1 + m neighbours the k nearest are then all real with chance
    (n-1)(n-2)...(n-k) / ((n+m-1)(n+m-2)...(n+m-k)). Source: Naeem et al. 2020, on
    coverage of identical distributions.
    """
    steps = np.arange(1, k + 1)
    return float(1 - np.prod((n - steps) / (n + m - steps)))


def _alone(real: ArrayLike, generated: ArrayLike, k: int) -> Array:
    one, other = feature_sets(real, generated, least=LEAST)
    positive_count(k, "k", most=min(len(one), len(other)) - 1)
    return _figures(distances(one, one), distances(other, other), distances(one, other), k)


def _figures(among_real: Array, among_generated: Array, across: Array, k: int) -> Array:
    """(4,) precision, recall, density, coverage."""
    real_reach = np.partition(among_real, k, axis=1)[:, k]  # place 0 is the image itself
    generated_reach = np.partition(among_generated, k, axis=1)[:, k]
    inside_real = across < real_reach[:, None]
    inside_generated = across < generated_reach[None]
    return np.array(
        [
            inside_real.any(0).mean(),
            inside_generated.any(1).mean(),
            inside_real.sum(0).mean() / k,
            inside_real.any(1).mean(),
        ]
    )
