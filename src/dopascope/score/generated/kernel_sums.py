"""Unbiased squared maximum mean discrepancy from sums of a kernel matrix that is made once, block by block.

With z (N,) of 1 for real and 0 for generated images among all N, K the kernel matrix and its diagonal left out, the
three sums of the statistic are z'Kz, (1-z)'K(1-z) and z'K(1-z). Another labelling needs another z, not another K, so
all permutations of a test are columns of one matrix that each block of rows of K is multiplied with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dopascope.score.generated.distances import ENTRIES
from dopascope.score.generated.jackknife import normal_range
from dopascope.score.generated.result import Measured
from dopascope.score.generated.sets import Array

Kernel = Callable[[Array, Array], Array]
"""From (R, D) and (N, D) to (R, N)."""


@dataclass(frozen=True)
class KernelSums:
    """Sums of the kernel over pairs of different images, for P labellings of N images of which n are real."""

    real: Array
    """(P,) over ordered pairs of two real images."""
    generated: Array
    """(P,) over ordered pairs of two generated images."""
    across: Array
    """(P,) over pairs of a real and a generated image."""
    to_real: Array
    """(N,) of each image with the other real ones, in the first labelling."""
    to_generated: Array
    """(N,) of each image with the other generated ones, in the first labelling."""
    n: int
    m: int

    def statistics(self) -> Array:
        """(P,) unbiased squared MMD of each labelling. Source: Gretton et al. 2012, equation 3."""
        return np.asarray(mean_discrepancy(self.real, self.generated, self.across, self.n, self.m))

    def measured(self) -> Measured:
        """The first labelling's statistic with a range by the delete-one jackknife over images of both sets.

        Near equality the statistic is degenerate and the range is a rough one; the permutation test is exact.
        """
        real, generated, across = float(self.real[0]), float(self.generated[0]), float(self.across[0])
        n, m = self.n, self.m
        less_real = mean_discrepancy(real - 2 * self.to_real[:n], generated, across - self.to_generated[:n], n - 1, m)
        less_generated = mean_discrepancy(
            real, generated - 2 * self.to_generated[n:], across - self.to_real[n:], n, m - 1
        )
        value = float(self.statistics()[0])
        return normal_range(value, [np.asarray(less_real), np.asarray(less_generated)])


def mean_discrepancy(
    real: Array | float, generated: Array | float, across: Array | float, n: int, m: int
) -> Array | float:
    """Mean over real pairs plus mean over generated pairs less twice the mean across."""
    return real / (n * (n - 1)) + generated / (m * (m - 1)) - 2 * across / (n * m)


def kernel_sums(kernel: Kernel, real: Array, generated: Array, *, permutations: int = 0, seed: int = 1) -> KernelSums:
    """Sums for the labelling as it is, first, and for random permutations of it.

    Args:
        kernel: symmetric.
        real: (n, D), n of 3 or more.
        generated: (m, D), m of 3 or more.
        permutations: how many labellings beside the first.
        seed: of the permutations.
    """
    points = np.concatenate([real, generated])
    labels = np.zeros((len(points), 1 + permutations))
    labels[: len(real)] = 1
    rng = np.random.default_rng(seed)
    labels[:, 1:] = rng.permuted(labels[:, 1:], axis=0)
    within = np.zeros(1 + permutations)  # z'Kz, the diagonal left out
    row_sums, to_real = np.empty(len(points)), np.empty(len(points))
    step = max(1, ENTRIES // len(points))
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        block = kernel(points[rows], points)
        np.fill_diagonal(block[:, rows], 0)
        products = block @ labels
        within += np.einsum("ij,ij->j", labels[rows], products)
        to_real[rows] = products[:, 0]
        row_sums[rows] = block.sum(1)
    real_to_any = labels.T @ row_sums
    across = real_to_any - within
    return KernelSums(
        real=within,
        generated=row_sums.sum() - real_to_any - across,
        across=across,
        to_real=to_real,
        to_generated=row_sums - to_real,
        n=len(real),
        m=len(generated),
    )
