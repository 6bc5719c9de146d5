"""Affines, orientations and tolerances: pure numbers, no pixels.

World coordinates are RAS+ millimetres (x grows to the right of the subject, y forward, z up), as in NIfTI.
DICOM's LPS+ is turned into RAS+ once, at reading, by `LPS_TO_RAS`. An affine maps array indices
`(i, j, k)` of voxel centres to world millimetres.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Affine = NDArray[np.float64]
"""A `(4, 4)` float64 matrix, last row 0 0 0 1."""

LPS_TO_RAS: Final[Affine] = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM patient axes (left, posterior, superior) to RAS (PS3.3 C.7.6.2.1.1)."""

SAME_AFFINE_MM: Final = 1e-3
"""Two grids are the same when no corner voxel differs by more than this."""

ORTHOGONAL_TOLERANCE: Final = 1e-3
"""Largest |cosine| between two voxel axes that are still called perpendicular."""

SINGULAR_MM3: Final = 1e-9
"""Voxel volumes below this are refused: the affine cannot be inverted."""


def apply_affine(affine: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points `(..., 3)` by a `(4, 4)` affine; returns `(..., 3)`."""
    matrix = np.asarray(affine, float)
    mapped: NDArray[np.float64] = np.asarray(points, float) @ matrix[:3, :3].T + matrix[:3, 3]
    return mapped


def spacing_mm(affine: ArrayLike) -> NDArray[np.float64]:
    """Voxel edge lengths `(3,)` in mm: the norms of the affine's columns."""
    return np.asarray(np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0), np.float64)


def from_parts(directions: ArrayLike, spacing: ArrayLike, origin: ArrayLike) -> Affine:
    """Affine of unit `directions` (3, 3 columns), `spacing` (3,) mm and `origin` (3,) mm of voxel (0, 0, 0)."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions, float) * np.asarray(spacing, float)
    affine[:3, 3] = np.asarray(origin, float)
    return affine


def translation(shift_mm: ArrayLike) -> Affine:
    """Affine that moves by `(x, y, z)` mm."""
    affine = np.eye(4)
    affine[:3, 3] = np.asarray(shift_mm, float)
    return affine


def rotation(degrees_xyz: ArrayLike) -> Affine:
    """Affine that turns about x, then y, then z by the given degrees (right-handed)."""
    x, y, z = np.deg2rad(np.asarray(degrees_xyz, float))
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_y @ turn_x
    return affine


def rotation_degrees(affine: ArrayLike) -> NDArray[np.float64]:
    """Angles `(3,)` that `rotation` would need for the nearest rotation of `affine` (polar decomposition)."""
    u, _, vt = np.linalg.svd(np.asarray(affine, float)[:3, :3])
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    y = np.arcsin(np.clip(-turn[2, 0], -1, 1))
    x = np.arctan2(turn[2, 1], turn[2, 2])
    z = np.arctan2(turn[1, 0], turn[0, 0])
    return np.array([np.rad2deg(x), np.rad2deg(y), np.rad2deg(z)])


def about(affine: ArrayLike, centre_mm: ArrayLike) -> Affine:
    """`affine` carried out about `centre_mm` instead of the origin."""
    centre = np.asarray(centre_mm, float)
    moved: Affine = translation(centre) @ np.asarray(affine, float) @ translation(-centre)
    return moved


def axis_codes(affine: ArrayLike) -> str:
    """Nearest anatomical direction that each array axis grows towards, such as `RAS` or `LPI`."""
    axes, flips = closest_axes(affine)
    letters = (("L", "R"), ("P", "A"), ("I", "S"))
    return "".join(letters[axis][0 if flip else 1] for axis, flip in zip(axes, flips, strict=True))


def closest_axes(affine: ArrayLike) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each array axis the world axis it is nearest to, and whether it runs against it.

    The assignment of three array axes to three world axes is the permutation with the largest sum of
    |cosines|, so that each world axis is used once even for oblique scans.
    """
    from itertools import permutations

    matrix = np.asarray(affine, float)[:3, :3]
    cosines = matrix / np.linalg.norm(matrix, axis=0)
    best = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order[a], a]) for a in range(3)))
    axes = (best[0], best[1], best[2])
    flips = tuple(bool(cosines[axes[a], a] < 0) for a in range(3))
    return axes, (flips[0], flips[1], flips[2])


def shear(affine: ArrayLike) -> float:
    """Largest |cosine| between two voxel axes; 0 for perpendicular axes."""
    matrix = np.asarray(affine, float)[:3, :3]
    unit = matrix / np.linalg.norm(matrix, axis=0)
    cosines = np.abs(unit.T @ unit)
    return float(max(cosines[0, 1], cosines[0, 2], cosines[1, 2]))
