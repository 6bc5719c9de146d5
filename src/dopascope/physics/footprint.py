"""Which bins, and at which blur, each voxel column meets in each view: the projector's sparse matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope.physics.blur import KERNEL_SIGMAS, PointSpread, band, kernel, nodes_between, shares
from dopascope.physics.gather import Gather, both_ways
from dopascope.physics.orbit import Geometry


@dataclass(frozen=True, eq=False)
class Blur:
    """The last step of a blurred projection: every node's Gaussian, and the sum over nodes."""

    axial: torch.Tensor
    """(nodes, nz, nz), symmetric."""
    across: Gather
    """(nodes * inner bins) -> bins."""
    across_back: Gather

    def to(self, device: torch.device) -> Blur:
        """The same on another device."""
        return Blur(self.axial.to(device), self.across.to(device), self.across_back.to(device))


@dataclass(frozen=True, eq=False)
class Footprints:
    """Matrices of a geometry and a point spread, shared by every projector of the same two."""

    views: tuple[tuple[Gather, Gather], ...]
    """Of each view: voxel columns -> (nodes * inner bins), and its transpose."""
    blur: Blur | None


@lru_cache(maxsize=3)
def footprints(geometry: Geometry, spread: PointSpread | None) -> Footprints:
    """Build the matrices on the CPU; some 0.3 s for 120 views of 128 x 128, so kept for the next projector.

    A voxel column is a box; its shadow on the detector is the convolution of two boxes, and a bin gets the part of
    the shadow that it covers (strip integrals, exact for an image of boxes). The value of a bin is the mean over the
    bin of the line integral in mm.
    """
    nodes, inner = None, geometry.nu
    if spread is not None:
        face = geometry.radius_mm
        low, high = spread.variance(np.array([face - geometry.reach_mm, face + geometry.reach_mm]))
        nodes = nodes_between(float(low), float(high), geometry.bin_width)
        inner = _inner_bins(geometry, math.sqrt(high))
    views = tuple(_view(geometry, angle, inner, spread, nodes) for angle in geometry.angles_deg)
    return Footprints(views, None if nodes is None else _blur(geometry, nodes, inner))


def _inner_bins(geometry: Geometry, sigma_mm: float) -> int:
    """Bins before the blur: as many as the support's shadow needs, at most those whose counts reach the detector."""
    width = geometry.bin_width
    shadow = 2 * math.ceil((2 * geometry.reach_mm + math.hypot(*geometry.voxel_mm[:2])) / 2 / width + 1)
    shadow += (shadow - geometry.nu) % 2
    return min(shadow, geometry.nu + 2 * (math.ceil(KERNEL_SIGMAS * sigma_mm / width) + 1))


def _view(
    geometry: Geometry, angle_deg: float, inner: int, spread: PointSpread | None, nodes: NDArray[np.float64] | None
) -> tuple[Gather, Gather]:
    angle = math.radians(angle_deg)
    x, y = (axis[geometry.support] for axis in geometry.centres_mm())
    u = y * math.cos(angle) - x * math.sin(angle)
    bins, weights = shadow(u, angle, geometry, inner)
    columns = np.broadcast_to(np.arange(len(u)), bins.shape)
    weights = np.where((bins >= 0) & (bins < inner), weights, 0.0)
    bins = np.clip(bins, 0, inner - 1)
    if spread is None or nodes is None:
        return both_ways(bins.ravel(), columns.ravel(), weights.ravel(), (inner, len(u)))
    distance = geometry.radius_mm - (x * math.cos(angle) + y * math.sin(angle))
    lower, upper_share = shares(spread.variance(distance), nodes)
    upper = np.minimum(lower + 1, len(nodes) - 1)
    rows = np.stack([lower * inner + bins, upper * inner + bins])
    both = np.stack([weights * (1 - upper_share), weights * upper_share])
    return both_ways(
        rows.ravel(), np.broadcast_to(columns, rows.shape).ravel(), both.ravel(), (len(nodes) * inner, len(u))
    )


def shadow(
    u: NDArray[np.float64], angle: float, geometry: Geometry, inner: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bins (m, n) of n voxel columns at `u` mm, and the area of each over the bin's width, in mm.

    Bins are counted from the first of `inner` bins that share the detector's middle.
    """
    vx, vy = geometry.voxel_mm[:2]
    width = geometry.bin_width
    sides = np.maximum([vx * abs(math.sin(angle)), vy * abs(math.cos(angle))], 1e-6 * max(vx, vy))
    half = sides.sum() / 2
    first = np.floor((u - half) / width + inner / 2).astype(np.int64)
    count = math.ceil(2 * half / width) + 1
    bins = first + np.arange(count)[:, None]
    edges = (first + np.arange(count + 1)[:, None] - inner / 2) * width - u
    return bins, np.diff(_covered(edges, float(sides[0]), float(sides[1])), axis=0) * (vx * vy / width)


def _covered(t: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Share below `t` of two boxes of widths a and b convolved, middle at 0: the integral of a trapezium."""
    outer, top = (a + b) / 2, abs(a - b) / 2
    t = np.clip(t, -outer, outer)
    ramps = [np.maximum(t + s, 0.0) ** 2 for s in (outer, top, -top)]
    share: NDArray[np.float64] = (ramps[0] - ramps[1] - ramps[2]) / (2 * a * b)
    return share


def _blur(geometry: Geometry, nodes: NDArray[np.float64], inner: int) -> Blur:
    nz, nu = geometry.shape[2], geometry.nu
    axial = np.stack([band(kernel(n, geometry.voxel_mm[2]), nz, nz, 0) for n in nodes])
    first = (nu - inner) // 2
    across = np.concatenate([band(kernel(n, geometry.bin_width), nu, inner, first) for n in nodes], axis=1)
    rows, columns = np.nonzero(across)
    forward, back = both_ways(rows, columns, across[rows, columns], across.shape)
    return Blur(torch.from_numpy(axial.astype(np.float32)), forward, back)
