"""A scan made ready for fitting: blurred, on a coarse lattice, with its slopes, to be looked up at any point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.volume import Volume

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]

_CUT_SHARE: Final = 0.3
"""A plane next to an empty one that holds this share of the scan's bright level is a cut, not the end of the head."""

_LEAST_WEIGHT: Final = 1e-9
"""Of a Gaussian's peak: less adds nothing in single precision, and denormal numbers slow a processor many times."""


@dataclass(frozen=True)
class Lattice:
    """A blurred scan on a lattice along its own axes.

    `table` is `(nodes, 8)`: value, then slope in RAS mm, of the node and again of its neighbour above (along the last
    axis), so that a look-up fetches four rows and not eight. `to_node` maps RAS mm to fractional node indices.
    """

    table: Floats
    shape: tuple[int, int, int]
    to_node: geometry.Affine

    @property
    def values(self) -> Floats:
        """The blurred scan, `(i, j, k)` nodes."""
        return self.table[:, 0].reshape(self.shape)

    def look_up(self, points: NDArray[np.float64], matrix: geometry.Affine) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Values `(N,)`, slopes `(N, 3)` and whether seen `(N,)`, at `matrix` times homogeneous points `(N, 4)`.

        Trilinear; a point outside the field takes the nearest edge value and counts as not seen.
        """
        at = points @ (self.to_node @ matrix)[:3].T
        top = np.array(self.shape) - 1
        seen = np.asarray(((at >= -0.5) & (at <= top + 0.5)).all(axis=1))
        np.clip(at, 0, top, out=at)
        low = np.minimum(at.astype(np.int32), np.maximum(top - 1, 0).astype(np.int32))
        part = (at - low).astype(np.float32)
        first = (low[:, 0] * self.shape[1] + low[:, 1]) * self.shape[2] + low[:, 2]
        along_x = self.shape[1] * self.shape[2] if top[0] else 0
        along_y = self.shape[2] if top[1] else 0
        x, y = part[:, 0], part[:, 1]
        found = self.table.take(first, axis=0)
        found *= ((1 - x) * (1 - y))[:, None]
        for corner, share in ((along_x, x * (1 - y)), (along_y, (1 - x) * y), (along_x + along_y, x * y)):
            row = self.table.take(first + corner, axis=0)
            row *= share[:, None]
            found += row
        both = found[:, :4] + part[:, 2:] * (found[:, 4:] - found[:, :4])
        return both[:, 0], both[:, 1:], seen


def smoothed(
    data: Floats, step_mm: tuple[float, float, float], *, sigma_mm: float, nodes_mm: Sequence[NDArray[np.floating]]
) -> Floats:
    """`data` blurred by a Gaussian of `sigma_mm` and read at `nodes_mm` along each axis: three matrix products.

    Positions count from the first voxel in mm. Rows of weights sum to 1 over the voxels there are, so that the edge of
    the field does not darken.
    """
    i, j, k = (_weights(n, s, sigma_mm, at) for n, s, at in zip(data.shape, step_mm, nodes_mm, strict=True))
    turned = j @ (data @ k.T)
    turned = (i @ turned.reshape(len(turned), -1)).reshape(-1, *turned.shape[1:])
    return np.asarray(turned, np.float32)


def _weights(size: int, step_mm: float, sigma_mm: float, at_mm: NDArray[np.floating]) -> Floats:
    sigma = max(sigma_mm, 0.5 * step_mm)  # narrower than the voxels a Gaussian no longer interpolates
    weights = np.exp(-0.5 * ((at_mm[:, None] - np.arange(size) * step_mm) / sigma) ** 2)
    weights[weights < _LEAST_WEIGHT] = 0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def build_lattice(volume: Volume, *, sigma_mm: float, spacing_mm: float) -> Lattice:
    """`volume` blurred by a Gaussian of `sigma_mm`, every `spacing_mm` along its own axes."""
    grid = volume.grid
    x, y, z = (
        np.arange(max(int((n - 1) * step / spacing_mm) + 1, 1)) * spacing_mm
        for n, step in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    data = smoothed(volume.data, grid.spacing_mm, sigma_mm=sigma_mm, nodes_mm=(x, y, z))
    to_node = np.linalg.inv(grid.affine @ np.diag([*(spacing_mm / np.array(grid.spacing_mm)), 1.0]))
    along = [np.gradient(data, axis=a) if data.shape[a] > 1 else np.zeros_like(data) for a in range(3)]
    slopes = np.stack(along, axis=-1).reshape(-1, 3) @ to_node[:3, :3].astype(np.float32)
    here = np.concatenate([data[..., None], slopes.reshape(*data.shape, 3)], axis=-1)
    above = np.concatenate([here[:, :, 1:], here[:, :, -1:]], axis=2)
    table = np.concatenate([here, above], axis=-1).reshape(-1, 8).astype(np.float32, copy=False)
    return Lattice(table, (data.shape[0], data.shape[1], data.shape[2]), np.asarray(to_node, np.float64))


def measured_field(volume: Volume) -> tuple[slice, slice, slice]:
    """The part of the array that the camera measured: without constant end planes that cut off a bright one.

    Some systems pad a short axial field with zeros; taken as measured, the padding would look like air. Constant
    planes beside a dark one are air and stay.
    """
    data = volume.data
    bright = float(np.percentile(data[::2, ::2, ::2], 95))
    found = []
    for axis in range(3):
        planes = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
        constant = planes.max(axis=1) == planes.min(axis=1)
        inside = np.flatnonzero(~constant)
        first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (0, len(planes) - 1)
        level = np.percentile(planes[[first, last]], 90, axis=1)
        found.append(
            slice(
                first if level[0] > _CUT_SHARE * bright else 0,
                last + 1 if level[1] > _CUT_SHARE * bright else len(planes),
            )
        )
    return found[0], found[1], found[2]
