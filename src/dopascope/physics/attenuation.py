"""What tissue lets through: attenuation factors from voxel to collimator in every view, and Chang's correction."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dopascope.physics.gather import Gather
from dopascope.physics.orbit import Geometry


class Transmission:
    """exp(-integral of mu from a voxel's centre to the collimator), view by view.

    The map is turned into the view by bilinear interpolation on a grid as fine as the image, summed along the rays
    (half of the own sample, all of those nearer to the camera) and looked up at the voxel centres.
    """

    def __init__(self, mu: Tensor, geometry: Geometry, *, keep: bool = True) -> None:
        """`mu` (B, nx, ny, nz) in 1/mm. With `keep`, each view's factors are stored once computed."""
        self.geometry = geometry
        self.batch = mu.shape[0]
        self._columns = mu.permute(1, 2, 0, 3).reshape(geometry.shape[0] * geometry.shape[1], -1).contiguous()
        self._kept: dict[int, Tensor] | None = {} if keep else None

    def factors(self, view: int) -> Tensor:
        """(support columns, B, nz) of one view, from 0 to 1."""
        if self._kept is not None and view in self._kept:
            return self._kept[view]
        turn, look_up, planes = _turned(self.geometry, self.geometry.angles_deg[view])
        sampled = turn.to(self._columns.device)(self._columns).view(planes, -1)
        # Plane 0 is nearest to the camera; half of the own plane has still to be crossed.
        depth = torch.cumsum(sampled, 0).sub_(sampled, alpha=0.5)
        found = look_up.to(self._columns.device)(depth.view(-1, self._columns.shape[1]))
        factors = found.neg_().exp_().view(found.shape[0], self.batch, -1)
        if self._kept is not None:
            self._kept[view] = factors
        return factors


def _turned(geometry: Geometry, angle_deg: float) -> tuple[Gather, Gather, int]:
    """Image columns -> (planes * across) of a turned grid scaled by its step; turned grid -> support columns."""
    angle = math.radians(angle_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    step = min(geometry.voxel_mm[:2])
    half = math.hypot(geometry.shape[0] * geometry.voxel_mm[0], geometry.shape[1] * geometry.voxel_mm[1]) / 2
    half = min(half, max(geometry.radius_mm, geometry.reach_mm) + step)
    count = 2 * math.ceil(half / step) + 1
    line = (np.arange(count) - count // 2) * step
    toward, along = np.meshgrid(-line, line, indexing="ij")
    x, y = toward * cos - along * sin, toward * sin + along * cos
    turn = _bilinear(
        x.ravel() / geometry.voxel_mm[0] + (geometry.shape[0] - 1) / 2,
        y.ravel() / geometry.voxel_mm[1] + (geometry.shape[1] - 1) / 2,
        (geometry.shape[0], geometry.shape[1]),
        step,
    )
    x, y = (axis[geometry.support] for axis in geometry.centres_mm())
    plane = count // 2 - (x * cos + y * sin) / step
    return turn, _bilinear(plane, (y * cos - x * sin) / step + count // 2, (count, count), 1.0), count


def _bilinear(i: NDArray[np.float64], j: NDArray[np.float64], shape: tuple[int, int], scale: float) -> Gather:
    """Samples at (i, j) of a plane of `shape`, times `scale`; 0 outside."""
    low_i, low_j = np.floor(i), np.floor(j)
    columns = np.empty((len(i), 4), np.int32)
    weights = np.empty((len(i), 4), np.float32)
    for corner, (di, dj) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        at_i, at_j = low_i + di, low_j + dj
        inside = (at_i >= 0) & (at_i < shape[0]) & (at_j >= 0) & (at_j < shape[1])
        columns[:, corner] = np.where(inside, at_i * shape[1] + at_j, 0)
        weights[:, corner] = np.where(inside, (1 - np.abs(i - at_i)) * (1 - np.abs(j - at_j)) * scale, 0.0)
    starts = torch.arange(0, columns.size + 1, 4, dtype=torch.int32)
    return Gather(starts, torch.from_numpy(columns.ravel()), torch.from_numpy(weights.ravel()))


def chang_factors(mu: Tensor, geometry: Geometry) -> Tensor:
    """Chang's first-order correction (B, nx, ny, nz): 1 over the mean transmission of the views, 1 outside the support.

    `mu` (B, nx, ny, nz) in 1/mm, commonly one value inside an outline. Chang 1978, IEEE Trans Nucl Sci 25:638, eq. 6.
    """
    transmission = Transmission(mu, geometry, keep=False)
    mean = torch.stack([transmission.factors(v) for v in range(geometry.views)]).mean(0)
    factors = torch.ones(mu.shape, dtype=mu.dtype, device=mu.device)
    inside = torch.from_numpy(geometry.support).to(mu.device)
    factors[:, inside] = mean.reciprocal_().permute(1, 0, 2)
    return factors
