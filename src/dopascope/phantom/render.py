"""The noise-free image of a head: activity averaged over small cells, then one separable sum onto the camera's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.phantom.anatomy import Head
from dopascope.phantom.camera import Camera
from dopascope.phantom.shading import left_by_attenuation
from dopascope.volume import Grid

FWHM_PER_SIGMA: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))
HEAD_BOX_MM: Final = ((-96.0, -135.0, -180.0), (96.0, 98.0, 98.0))
"""Box in aligned mm that holds head and neck; the neck goes on below every field of view."""
STRIATUM_BOX_MM: Final = ((-52.0, -42.0, -34.0), (52.0, 44.0, 42.0))
"""Box in aligned mm that holds every person's striata and accumbens."""
CELLS_PER_FWHM: Final = 3.5
"""Cells within the camera's FWHM: the image then lies within 1 % of its peak of what far smaller cells give."""
LARGEST_CELL_MM: Final = 4.0
SUBPOINT_MM: Final = 1.0
"""Largest distance of the points at which striatal borders are counted."""
REACH_SIGMAS: Final = 3.5
"""Where the camera's blur ends."""
HAZE_CELL_MM: Final = 8.0
SHADING_CELL_MM: Final = 8.0
"""Haze and shading are smooth: coarse lattices do."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Activity (I, J, K) averaged over the cells of an axis-aligned lattice in scan mm."""

    activity: NDArray[np.float32]
    first: NDArray[np.float64]
    """Centre (3,) of the first cell."""
    size: NDArray[np.float64]
    """Edges (3,) of a cell."""

    def joined(self, times: int) -> Cells:
        """The same on cells that hold `times` cubed of these, empty ones added at the end."""
        shape = -(-np.array(self.activity.shape) // times)
        room = np.zeros(shape * times, np.float32)
        i, j, k = self.activity.shape
        room[:i, :j, :k] = self.activity
        split = [n for count in shape for n in (count, times)]
        first = self.first + (times - 1) / 2 * self.size
        return Cells(room.reshape(split).mean(axis=(1, 3, 5)), first, times * self.size)


def image_of(head: Head, matrix: geometry.Affine, grid: Grid, camera: Camera) -> NDArray[np.float32]:
    """The noise-free scan of `head` by `camera` on an axis-aligned RAS `grid`, grey matter near 1: float32 (I, J, K).

    C(x) [blur(a; fwhm) + haze blur(a; haze_fwhm)](x): `a` the activity, C what attenuation leaves (`shade`).
    `matrix` (4, 4) maps aligned mm to scan mm. Haze comes from the whole head and neck, in the field of view or not.
    """
    cells = _cells(head, matrix, grid, camera.fwhm_mm, whole=camera.haze > 0)
    image = _onto(cells, grid, _shares(cells, grid, camera.fwhm_mm, boxed=True))
    if camera.haze:
        coarse = cells.joined(max(1, round(HAZE_CELL_MM / float(cells.size[0]))))
        image += camera.haze * _onto(coarse, grid, _shares(coarse, grid, camera.haze_fwhm_mm, boxed=False))
    if camera.attenuation_per_cm:
        image *= shade(matrix, grid, camera.attenuation_per_cm)
    return image


def render(head: Head, matrix: geometry.Affine, grid: Grid, fwhm_mm: float) -> NDArray[np.float32]:
    """`head` blurred by `fwhm_mm` on an axis-aligned RAS `grid`, without haze, shading or noise: float32 (I, J, K).

    `matrix` (4, 4) maps aligned mm to scan mm.
    """
    cells = _cells(head, matrix, grid, fwhm_mm, whole=False)
    return _onto(cells, grid, _shares(cells, grid, fwhm_mm, boxed=True))


def activity_on(head: Head, matrix: geometry.Affine, grid: Grid) -> NDArray[np.float32]:
    """Activity (I, J, K) of `head` averaged over the voxels of an axis-aligned RAS `grid`: no camera, grey matter 1.

    `matrix` (4, 4) maps aligned mm to scan mm.
    """
    return _activity(head, matrix, grid.affine[:3, 3], np.array(grid.spacing_mm), np.array(grid.shape))


def _cells(head: Head, matrix: geometry.Affine, grid: Grid, fwhm_mm: float, *, whole: bool) -> Cells:
    """Small cells of the whole head, or of as much as reaches the image and of the striata in any case.

    They lie on multiples of their size, so that a cut scan has the same ones.
    """
    size = np.full(3, min(fwhm_mm / CELLS_PER_FWHM, LARGEST_CELL_MM))
    low, high = _box(matrix, HEAD_BOX_MM)
    if not whole:
        reach = REACH_SIGMAS * fwhm_mm / FWHM_PER_SIGMA + np.array(grid.spacing_mm) / 2 + size
        inner_low, inner_high = _box(matrix, STRIATUM_BOX_MM)
        low = np.minimum(np.maximum(low, grid.to_world((0, 0, 0)) - reach), inner_low)
        high = np.maximum(np.minimum(high, grid.to_world(np.array(grid.shape) - 1) + reach), inner_high)
    first = np.floor(low / size) * size
    shape = np.ceil((high - first) / size).astype(int) + 1
    return Cells(_activity(head, matrix, first, size, shape), first, size)


def _box(
    matrix: geometry.Affine, box_mm: tuple[tuple[float, ...], tuple[float, ...]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (3,), scan mm, of the upright box around a box in aligned mm."""
    corners = np.array([[box_mm[bit][a] for a, bit in enumerate(bits)] for bits in np.ndindex(2, 2, 2)])
    placed = geometry.apply_affine(matrix, corners)
    return placed.min(0), placed.max(0)


def _activity(
    head: Head,
    matrix: geometry.Affine,
    first: NDArray[np.float64],
    size: NDArray[np.float64],
    shape: NDArray[np.int_],
) -> NDArray[np.float32]:
    """Activity averaged over the cells of a scan lattice whose first cell's centre is `first`."""
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    aligned = _affine_points(back, first, size, shape)
    activity = np.zeros(tuple(shape), np.float32)
    filled = np.flatnonzero(head.in_head(aligned))
    aligned = aligned.reshape(-1, 3)[filled]
    template = head.to_template(aligned)
    values = head.background(template, float(size.mean()))
    near = np.flatnonzero(head.near_striatum(template, float(size.max())))
    shares = mean_shares(head, aligned[near], template[near], back[:3, :3] * size)
    values[near] = values[near] * (1 - shares.sum(1)) + head.bound(shares)
    activity.reshape(-1)[filled] = values
    return activity


def mean_shares(
    head: Head,
    aligned: NDArray[np.float32],
    template: NDArray[np.floating],
    edges: NDArray[np.float64],
    apart_mm: float = SUBPOINT_MM,
) -> NDArray[np.float32]:
    """Share (N, 8) of each region in cells around points (N, 3), counted at most `apart_mm` apart.

    `aligned` and `template` are the same points in both spaces; `edges` (3, 3) has a cell's edges, aligned mm, as
    columns.
    """
    halves = [(edge / 2).astype(np.float32) for edge in edges.T]
    mapped = np.stack([head.to_template(aligned + half) - head.to_template(aligned - half) for half in halves], 1)
    i, j, k = (int(n) for n in np.ceil(np.linalg.norm(edges, axis=0) / apart_mm))
    return head.mean_fractions(template, mapped, (i, j, k))


def _affine_points(
    back: geometry.Affine, first: NDArray[np.float64], size: NDArray[np.float64], shape: NDArray[np.int_]
) -> NDArray[np.float32]:
    """Lattice points through `back`: float32 (I, J, K, 3), summed from three axes to save time."""
    origin = geometry.apply_affine(back, first)
    i, j, k = ((np.arange(shape[a])[:, None] * (back[:3, a] * size[a])).astype(np.float32) for a in range(3))
    points: NDArray[np.float32] = i[:, None, None] + j[None, :, None] + (k + origin.astype(np.float32))[None, None]
    return points


def _shares(cells: Cells, grid: Grid, fwhm_mm: float, *, boxed: bool) -> list[NDArray[np.float32]]:
    """For each axis (voxels, cells): how much of a cell's activity a voxel gets.

    Cell, Gaussian and, where `boxed`, the voxel itself together have the variance of a Gaussian of `fwhm_mm`.
    """
    from scipy.special import ndtr

    sigma = fwhm_mm / FWHM_PER_SIGMA
    found = []
    for a, spacing in enumerate(grid.spacing_mm):
        cell = float(cells.size[a])
        voxel = spacing if boxed else 0.0
        rest = np.sqrt(max(sigma**2 - (cell**2 + voxel**2) / 12, (cell / 4) ** 2))
        centres = grid.affine[a, 3] + spacing * np.arange(grid.shape[a])
        away = centres[:, None] - (cells.first[a] + cell * np.arange(cells.activity.shape[a]))
        if boxed:
            weights = (ndtr((away + voxel / 2) / rest) - ndtr((away - voxel / 2) / rest)) * cell / voxel
            weights[np.abs(away) > REACH_SIGMAS * sigma + (voxel + cell) / 2] = 0
        else:
            weights = np.exp(-0.5 * (away / rest) ** 2) * cell / (rest * np.sqrt(2 * np.pi))
        found.append(weights.astype(np.float32))
    return found


def _onto(cells: Cells, grid: Grid, shares: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The sum over all cells (I, J, K), one axis after the other; voxels that no cell reaches are left out of it."""
    image = np.zeros(grid.shape, np.float32)
    reached = [np.flatnonzero(one.any(1)) for one in shares]
    if not all(len(one) for one in reached):
        return image
    inner = tuple(slice(one[0], one[-1] + 1) for one in reached)
    along_x, along_y, along_z = (one[piece] for one, piece in zip(shares, inner, strict=True))
    partial = np.matmul(along_y, cells.activity @ along_z.T)
    image[inner] = (along_x @ partial.reshape(len(partial), -1)).reshape(-1, *partial.shape[1:])
    return image


def shade(matrix: geometry.Affine, grid: Grid, attenuation_per_cm: float) -> NDArray[np.float32]:
    """What attenuation leaves (I, J, K) on `grid` (`shading.left_by_attenuation`), interpolated from a coarse lattice.

    `matrix` (4, 4) maps aligned mm to scan mm.
    """
    ends = grid.to_world((0, 0, 0)), grid.to_world(np.array(grid.shape) - 1)
    # On multiples of the cell, so that a cut scan has the same lattice.
    nodes = [
        SHADING_CELL_MM * np.arange(np.floor(a / SHADING_CELL_MM), np.ceil(b / SHADING_CELL_MM) + 1)
        for a, b in zip(*ends, strict=True)
    ]
    left = left_by_attenuation(np.stack(np.meshgrid(*nodes, indexing="ij"), -1), matrix, attenuation_per_cm)
    along_x, along_y, along_z = (
        _linear(grid.affine[a, 3] + spacing * np.arange(grid.shape[a]), nodes[a])
        for a, spacing in enumerate(grid.spacing_mm)
    )
    partial = np.matmul(along_y, left.astype(np.float32) @ along_z.T)
    image: NDArray[np.float32] = (along_x @ partial.reshape(len(partial), -1)).reshape(grid.shape)
    return image


def _linear(places: NDArray[np.float64], nodes: NDArray[np.float64]) -> NDArray[np.float32]:
    """(places, nodes): weights of linear interpolation between nodes `SHADING_CELL_MM` apart."""
    weights = np.maximum(1 - np.abs(places[:, None] - nodes) / SHADING_CELL_MM, 0)
    return np.asarray(weights, np.float32)
