"""Maximum mean discrepancy with a Gaussian kernel, and the permutation test of no difference.

What it says depends on the kernel's bandwidth and on the features, so the result states both; a bare value means
nothing without that of real images against real ones (`floors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated.distances import median_distance, squared_distances
from dopascope.score.generated.kernel_sums import Kernel, KernelSums, kernel_sums
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, feature_sets, positive_count

PERMUTATIONS: Final = 999
LEAST: Final = 3


@dataclass(frozen=True)
class MMD(Result):
    """Unbiased squared MMD; it can be below 0, and is 0 on average where both sets are of one distribution."""

    squared: Measured
    p: float
    """Of the permutation test that real and generated images are of one distribution."""
    bandwidths: tuple[float, ...]
    """Standard deviations of the Gaussian kernels, in units of the features."""
    permutations: int
    n_real: int
    n_generated: int
    features: int


def mmd(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    bandwidths: Sequence[float] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 1,
) -> MMD:
    """Unbiased squared MMD with its p value and a jackknife range; counts may differ.

    A set against itself gives -(2/n)(1 - mean kernel of different images), just below 0.

    Args:
        real: (N, D) features, one image a person.
        generated: (M, D) features by the same function.
        bandwidths: of the kernel; several are averaged. Without them the median distance of all images.
        permutations: random relabellings; what was seen counts as one more, so p is never 0.
        seed: of the permutations.

    Raises:
        UsageError: see `sets.feature_sets`; or bandwidths or permutations that are not positive.
        UnsuitableError: see `sets.feature_sets` (3 images of each set); or half of all pairs are equal, so that the
            median distance is 0.

    Source: Gretton et al. 2012, J Mach Learn Res 13:723, equation 3 and section 8; p value with what was seen among the
    permutations, Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39.
    """
    one, other = feature_sets(real, generated, least=LEAST)
    widths, words = _widths(one, other, bandwidths)
    sums = _sums(one, other, widths, positive_count(permutations, "permutations"), seed)
    statistics = sums.statistics()
    slack = 1e-10 * max(1.0, float(np.abs(statistics).max()))  # rounding must not break ties
    reached = int((statistics[1:] >= statistics[0] - slack).sum())
    return MMD(
        method=f"unbiased squared MMD, Gaussian kernel, {words}; range by the jackknife over images, p by "
        f"{permutations} permutations",
        squared=sums.measured(),
        p=(1 + reached) / (1 + permutations),
        bandwidths=widths,
        permutations=permutations,
        n_real=len(one),
        n_generated=len(other),
        features=one.shape[1],
    )


def mmd_squared(real: ArrayLike, generated: ArrayLike, *, bandwidths: Sequence[float] | None = None) -> float:
    """The value of `mmd` alone. Fix the bandwidths where values are to be compared with each other.

    Raises:
        UsageError, UnsuitableError: see `mmd`.
    """
    one, other = feature_sets(real, generated, least=LEAST)
    widths, _ = _widths(one, other, bandwidths)
    return float(_sums(one, other, widths, 0, 1).statistics()[0])


def gaussian_kernel(bandwidths: Sequence[float]) -> Kernel:
    """Mean over bandwidths of exp(-distance^2 / (2 bandwidth^2)): 1 for equal images."""

    def kernel(rows: Array, columns: Array) -> Array:
        squares = squared_distances(rows, columns)
        return np.asarray(sum(np.exp(squares / (-2 * width**2)) for width in bandwidths) / len(bandwidths))

    return kernel


def _sums(one: Array, other: Array, widths: tuple[float, ...], permutations: int, seed: int) -> KernelSums:
    centre = one.mean(0)  # the kernel does not see it, rounding does
    return kernel_sums(gaussian_kernel(widths), one - centre, other - centre, permutations=permutations, seed=seed)


def _widths(one: Array, other: Array, given: Sequence[float] | None) -> tuple[tuple[float, ...], str]:
    if given is not None:
        widths = tuple(float(width) for width in given)
        if not widths or not all(0 < width < np.inf for width in widths):
            raise UsageError(
                "These are no bandwidths.",
                where="bandwidths",
                found=list(given),
                expected="one or more positive numbers, in units of the features",
                fix="Leave them out to have the median distance.",
            )
        kind = "bandwidth" if len(widths) == 1 else "mean over bandwidths"
        return widths, f"{kind} {', '.join(f'{width:.4g}' for width in widths)}"
    width = median_distance(np.concatenate([one, other]))
    if not width > 0:
        raise UnsuitableError(
            "The median distance of images is 0.",
            where="real, generated",
            found="half of all pairs have the same features, or more",
            expected="features that differ between most images",
            fix="Give bandwidths, or leave out copies.",
        )
    return (width,), f"bandwidth {width:.4g} (median distance of all images)"
