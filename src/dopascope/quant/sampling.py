"""Sampling a scan at MNI points through its registration: once, in scan space, by a cubic B-spline.

The scan is never resampled onto another grid before it is measured, so nothing is interpolated twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UnsuitableError
from dopascope.volume import Volume

Array = NDArray[np.float64]

MARGIN_VOXELS: Final = 8
"""Voxels kept around the points. The cubic prefilter's response falls by 0.268 a voxel (Unser, Aldroubi, Eden
1993, IEEE Trans Signal Process 41:821, pole z1 = sqrt(3) - 2), so a cut eight voxels away changes a value by 3e-5."""

HALF_VOXEL: Final = 0.5
"""A point is inside the field of view when it lies in some voxel's box, half a voxel beyond the last centre."""


@dataclass(frozen=True, eq=False)
class Sampler:
    """Cubic B-spline coefficients of the part of a scan that holds given points.

    Attributes:
        coefficients: prefiltered crop, float64 `(i, j, k)`.
        mni_to_crop: (4, 4) from MNI mm to fractional indices of the crop.
        shape: the whole scan's shape; `corner` is the crop's first voxel in it.
    """

    coefficients: Array
    mni_to_crop: geometry.Affine
    shape: tuple[int, int, int]
    corner: tuple[int, int, int]

    def values(self, points_mni: Array) -> Array:
        """Intensities at MNI points `(N, 3)`; NaN where a point lies outside the scan's field of view."""
        index = geometry.apply_affine(self.mni_to_crop, points_mni)
        found = self._at(index)
        found[~self._inside(index)] = np.nan
        return found

    def slopes(self, points_mni: Array, step_mm: float = 0.5) -> Array:
        """Central differences `(N, 3)` of intensity per mm along MNI x, y, z; NaN outside the field of view."""
        index = geometry.apply_affine(self.mni_to_crop, points_mni)
        outside = ~self._inside(index)
        slopes = np.empty((len(points_mni), 3))
        for axis in range(3):
            offset = self.mni_to_crop[:3, axis] * step_mm
            slopes[:, axis] = (self._at(index + offset) - self._at(index - offset)) / (2 * step_mm)
        slopes[outside] = np.nan
        return slopes

    def _at(self, index: Array) -> Array:
        from scipy.ndimage import map_coordinates

        found: Array = map_coordinates(self.coefficients, index.T, order=3, prefilter=False, mode="mirror")
        return found

    def _inside(self, index: Array) -> NDArray[np.bool_]:
        whole = index + self.corner
        inside = (whole >= -HALF_VOXEL) & (whole <= np.array(self.shape) - 1 + HALF_VOXEL)
        return np.asarray(inside.all(1))


def sampler(volume: Volume, mni_to_scan: geometry.Affine, box_mni: Array) -> Sampler:
    """Prepare `volume` for sampling inside an MNI box.

    Args:
        volume: the scan on its own grid, any axis order.
        mni_to_scan: (4, 4), MNI mm to scan RAS mm.
        box_mni: `(2, 3)` lowest and highest MNI mm that will be asked for.

    Raises:
        UnsuitableError: the box lies outside the scan, or voxels in it are not finite.
    """
    from scipy.ndimage import spline_filter

    to_index = np.linalg.inv(volume.grid.affine) @ np.asarray(mni_to_scan, float)
    corners = np.array([[box_mni[a, 0], box_mni[b, 1], box_mni[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    index = geometry.apply_affine(to_index, corners)
    low = np.clip(np.floor(index.min(0)).astype(int) - MARGIN_VOXELS, 0, volume.grid.shape)
    high = np.clip(np.ceil(index.max(0)).astype(int) + MARGIN_VOXELS + 1, 0, volume.grid.shape)
    _check_overlap(low, high, volume)
    crop = volume.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float64)
    _check_finite(crop, volume)
    return Sampler(
        coefficients=spline_filter(crop, order=3, output=np.float64, mode="mirror"),
        mni_to_crop=geometry.translation(-low) @ to_index,
        shape=volume.grid.shape,
        corner=(int(low[0]), int(low[1]), int(low[2])),
    )


def _check_overlap(low: NDArray[np.int_], high: NDArray[np.int_], volume: Volume) -> None:
    if (high <= low).any():
        raise UnsuitableError(
            "The registered brain lies outside the scan's field of view.",
            where="registration.mni_to_scan",
            found=f"no voxel of the scan's {volume.grid.shape} holds any part of the brain",
            expected="the brain inside the field of view",
            fix="Look at the registration and adjust it by hand, or register again.",
        )


def _check_finite(crop: Array, volume: Volume) -> None:
    bad = int(np.count_nonzero(~np.isfinite(crop)))
    if bad:
        raise UnsuitableError(
            "The brain holds voxels that are not numbers.",
            where=volume.source.path if volume.source else "volume",
            found=f"{bad} voxels that are NaN or infinite",
            expected="finite intensities",
            fix="Export the scan again from the workstation; never replace such voxels by zero.",
        )
