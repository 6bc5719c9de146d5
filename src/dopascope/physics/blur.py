"""How far a collimator spreads a point, and the few Gaussians from which every depth's spread is mixed.

A plane at distance d is blurred by a Gaussian of variance s(d)^2. Blurring each plane apart would cost most of a
projection. Here a voxel's counts are instead shared between the two of a few fixed variances (nodes) that enclose
its own, in the shares that keep the variance exact; each node's sum over depths is blurred once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UsageError

FWHM_PER_SIGMA: Final = math.sqrt(8 * math.log(2))
NODE_STEP: Final = 0.22
"""Nodes are this far apart relative to their variance plus `NODE_FLOOR` bins squared."""
NODE_FLOOR: Final = 0.2
KERNEL_SIGMAS: Final = 4.5
_SMALLEST_BINS2: Final = 1e-4


@dataclass(frozen=True)
class PointSpread:
    """Gaussian spread of a parallel-hole collimator and its detector.

    sigma(d)^2 = (sigma0_mm + slope d)^2 + intrinsic_mm^2 at distance d in mm from the collimator's face: the
    geometric part grows with distance (Anger 1964; Metz, Atkins and Beck 1980, Phys Med Biol 25:1059).
    All are standard deviations, not FWHM.
    """

    sigma0_mm: float
    slope: float
    intrinsic_mm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("sigma0_mm", "slope", "intrinsic_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(
                    "A point spread cannot be meant.",
                    where=f"PointSpread.{name}",
                    found=value,
                    expected="a finite number, at least 0",
                    fix="Give standard deviations in mm; divide a FWHM by 2.355.",
                )

    @classmethod
    def from_holes(cls, hole_mm: float, effective_length_mm: float, intrinsic_fwhm_mm: float) -> PointSpread:
        """Of holes `hole_mm` wide; `effective_length_mm` is their length less 2 / mu of lead.

        Collimator FWHM at z from the face is d + d z / L (Cherry, Sorenson, Phelps, eq. 14-2).
        """
        sigma0 = hole_mm / FWHM_PER_SIGMA
        return cls(sigma0, sigma0 / effective_length_mm, intrinsic_fwhm_mm / FWHM_PER_SIGMA)

    def variance(self, distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """sigma^2 in mm^2 at distances from the face; in front of it, as at the face."""
        geometric = self.sigma0_mm + self.slope * np.maximum(distance_mm, 0.0)
        return geometric**2 + self.intrinsic_mm**2


def nodes_between(low: float, high: float, bin_mm: float) -> NDArray[np.float64]:
    """Variances in mm^2, rising, from `low` to `high`, closer together where they are small."""
    floor = NODE_FLOOR * bin_mm**2
    count = 1 + math.ceil(math.log((high + floor) / (low + floor)) / math.log1p(NODE_STEP))
    if count == 1:
        return np.array([low])
    nodes = np.geomspace(low + floor, high + floor, count) - floor
    nodes[[0, -1]] = low, high
    return nodes


def shares(variance: NDArray[np.float64], nodes: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The lower node of each variance and the share of the upper one: their mean variance is `variance`."""
    if len(nodes) == 1:
        return np.zeros(variance.shape, np.int64), np.zeros(variance.shape)
    lower = np.clip(np.searchsorted(nodes, variance, side="right") - 1, 0, len(nodes) - 2)
    share = (variance - nodes[lower]) / (nodes[lower + 1] - nodes[lower])
    return lower, np.clip(share, 0.0, 1.0)


def kernel(variance_mm2: float, step_mm: float) -> NDArray[np.float64]:
    """A Gaussian on steps of `step_mm`: (2 r + 1,), sum 1, symmetric, its variance exactly `variance_mm2`.

    A sampled Gaussian narrower than a bin has too little variance; the width sampled is chosen so that it has not.
    """
    wanted = variance_mm2 / step_mm**2
    if wanted < _SMALLEST_BINS2:
        return np.ones(1)
    radius = math.ceil(KERNEL_SIGMAS * math.sqrt(wanted)) + 1
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    low, high = 1e-3, 4.0 * wanted + 1.0
    for _ in range(60):
        middle = (low + high) / 2
        weights = np.exp(-(offsets**2) / (2 * middle))
        weights /= weights.sum()
        low, high = (middle, high) if (weights * offsets**2).sum() < wanted else (low, middle)
    return weights


def band(weights: NDArray[np.float64], outputs: int, inputs: int, first: int) -> NDArray[np.float64]:
    """(outputs, inputs) matrix of the symmetric kernel; input 0 lies at output `first`. What leaves is lost."""
    radius = len(weights) // 2
    offset = np.arange(inputs)[None] + first - np.arange(outputs)[:, None] + radius
    return np.where((offset >= 0) & (offset < len(weights)), weights[np.clip(offset, 0, len(weights) - 1)], 0.0)
