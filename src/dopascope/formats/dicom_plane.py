"""The plane of a DICOM image in the patient: position, directions and pixel spacing (PS3.3 C.7.6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import GeometryError
from dopascope.formats.dicom_file import Header

UNIT_TOLERANCE: Final = 1e-2
"""Largest departure of a direction's length from 1 that rounding in a header can explain."""


@dataclass(frozen=True)
class Plane:
    """One plane, in DICOM's LPS millimetres."""

    position: NDArray[np.float64]
    """Centre of the first voxel, (3,)."""
    row: NDArray[np.float64]
    """Unit direction in which the column index grows, (3,)."""
    column: NDArray[np.float64]
    """Unit direction in which the row index grows, (3,)."""
    spacing: tuple[float, float]
    """Distance of neighbouring columns, then of neighbouring rows, mm: along `row`, along `column`."""

    @property
    def normal(self) -> NDArray[np.float64]:
        """Cross product of row and column direction: into the screen as displayed."""
        return np.asarray(np.cross(self.row, self.column), np.float64)


def plane_of(holder: Header, spacing_holder: Header | None = None) -> Plane:
    """The plane that `holder` describes; Pixel Spacing may stand elsewhere (`spacing_holder`).

    Raises:
        GeometryError: position, orientation or spacing is missing, or is not what it must be.
    """
    position = np.array(_numbers(holder, "ImagePositionPatient", 3))
    row, column = _directions(holder, _numbers(holder, "ImageOrientationPatient", 6))
    rows, columns = _numbers(spacing_holder or holder, "PixelSpacing", 2)
    if min(rows, columns) <= 0:
        raise GeometryError(
            "The pixel spacing is not positive.",
            where=f"{holder.name}, PixelSpacing",
            found=f"{rows} x {columns} mm",
            expected="two positive lengths in mm",
            fix="Export the series again, or convert it with the maker's software.",
        )
    return Plane(position, row, column, (columns, rows))


def _numbers(holder: Header, keyword: str, count: int) -> tuple[float, ...]:
    found = holder.numbers(keyword)
    if found is None or len(found) != count or not all(map(isfinite, found)):
        raise GeometryError(
            "The DICOM header does not say where the image lies.",
            where=f"{holder.name}, {keyword}",
            found="nothing" if found is None else found,
            expected=f"{count} finite numbers",
            fix="Export the series from the camera or archive with its geometry; dopascope never invents it.",
        )
    return found


def _directions(holder: Header, six: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    row, column, off, cosine = _unit_vectors(six)
    if off > UNIT_TOLERANCE or cosine > geometry.ORTHOGONAL_TOLERANCE:
        raise GeometryError(
            "The image directions are not perpendicular unit vectors.",
            where=f"{holder.name}, ImageOrientationPatient",
            found=f"lengths up to {off:.4f} off 1, cosine {cosine:.5f}",
            expected=f"lengths within {UNIT_TOLERANCE} of 1, cosine at most {geometry.ORTHOGONAL_TOLERANCE}",
            fix="Export the series again, or convert it with the maker's software.",
        )
    return row, column


@lru_cache(maxsize=256)
def _unit_vectors(six: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Unit row and column direction, how far their lengths were off 1, and their |cosine|. Slices share them."""
    row, column = np.array(six[:3]), np.array(six[3:])
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    off = max(abs(length - 1) for length in lengths)
    row, column = row / (lengths[0] or 1.0), column / (lengths[1] or 1.0)
    row.setflags(write=False)
    column.setflags(write=False)
    return row, column, off, abs(float(row @ column))


def affine_of(plane: Plane, step: NDArray[np.float64]) -> geometry.Affine:
    """RAS affine of a stack: column index, row index and slice index to mm; `step` is slice to slice, LPS mm."""
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing[0]
    affine[:3, 1] = plane.column * plane.spacing[1]
    affine[:3, 2] = step
    affine[:3, 3] = plane.position
    made: geometry.Affine = geometry.LPS_TO_RAS @ affine
    return made
