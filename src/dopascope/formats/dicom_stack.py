"""From planes in any order to one even stack: order, spacing, tilt, each measured against a named tolerance.

Slices are ordered by the projection of Image Position (Patient) on the normal (PS3.3 C.7.6.2.1.1); instance numbers,
slice locations and slice thickness are not trusted for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import AmbiguousError, GeometryError
from dopascope.formats.dicom_plane import Plane, affine_of
from dopascope.formats.registry import Strictness

ORIENTATION_TOLERANCE_DEG: Final = 0.1
"""Slices turned against each other by more than this are not one volume."""

TILT_TOLERANCE_DEG: Final = 0.5
"""More than this between the stacking direction and the normal is a gantry tilt."""

UNEVEN_TOLERANCE: Final = 0.02
"""Part of the slice spacing by which a slice may lie off the even grid ..."""

UNEVEN_FLOOR_MM: Final = 0.02
"""... or this many mm, where that is more (positions are written with few digits)."""

PIXEL_SPACING_TOLERANCE_MM: Final = 1e-3
"""Slices whose pixel spacing differs by more than this are not one volume."""

SAME_POSITION_MM: Final = 1e-3
"""Slices nearer to each other than this lie at the same position."""

MOST_FOR_EACH: Final = 2
"""An even grid of more slices than this for each that is there would be mostly made up: refused at any strictness."""

MOST_WEIGHTS: Final = 4_000_000
"""Largest matrix of interpolation weights: 2,000 slices onto 2,000."""


@dataclass(frozen=True, eq=False)
class Stack:
    """An even stack of slices."""

    order: NDArray[np.intp]
    """Slice `k` is input `order[k]`."""
    affine: geometry.Affine
    """RAS, of (column, row, slice) indices."""
    weights: NDArray[np.float64] | None = None
    """`(K, N)` linear weights from ordered slices to an even grid; None where they are even already."""
    notes: tuple[str, ...] = ()
    """Flaws that were measured and lived with."""

    @property
    def slices(self) -> int:
        """Slices of the even stack."""
        return len(self.order) if self.weights is None else len(self.weights)


def stack_of(name: str, planes: Sequence[Plane], strictness: Strictness) -> Stack:
    """Order `planes` (two or more) along their normal and find the affine of the stack.

    Raises:
        GeometryError: mixed orientation or pixel spacing always; uneven spacing, missing slices and gantry tilt
            unless `strictness` is WARN or IGNORE.
        AmbiguousError: several slices at one position.
    """
    first = planes[0]
    _check_parallel(name, planes)
    positions = np.array([plane.position for plane in planes])
    heights = positions @ first.normal
    order = np.argsort(heights, kind="stable")
    positions, heights = positions[order], heights[order]
    gaps = np.diff(heights)
    _check_distinct(name, gaps)
    flaws = [flaw for flaw in (_uneven(name, positions, gaps), _tilted(name, positions, first)) if flaw]
    if flaws and strictness is Strictness.RAISE:
        raise flaws[0]
    notes = tuple(f"{flaw.what} ({flaw.found})" for flaw in flaws) if strictness is Strictness.WARN else ()
    start = replace(first, position=positions[0])
    if _off_grid(positions) > _tolerance(gaps):
        _check_mostly_present(name, heights)
        return _regridded(order, start, positions, heights, notes)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    return Stack(order, affine_of(start, step), None, notes)


def _check_parallel(name: str, planes: Sequence[Plane]) -> None:
    first = planes[0]
    directions = np.array([[plane.row, plane.column] for plane in planes])
    cosines = np.einsum("nad,ad->na", directions, directions[0]).clip(-1, 1)
    angle = float(np.rad2deg(np.arccos(cosines)).max())
    if angle > ORIENTATION_TOLERANCE_DEG:
        raise GeometryError(
            "The slices do not lie in parallel planes: a localiser, or several scans in one series.",
            where=name,
            found=f"orientations up to {angle:.2f} degrees apart",
            expected=f"at most {ORIENTATION_TOLERANCE_DEG} degrees",
            fix="Choose a series that is one volume.",
        )
    spacing = np.array([plane.spacing for plane in planes])
    apart = float(np.abs(spacing - first.spacing).max())
    if apart > PIXEL_SPACING_TOLERANCE_MM:
        raise GeometryError(
            "The slices do not have one pixel spacing.",
            where=name,
            found=f"up to {apart:.4f} mm apart",
            expected=f"at most {PIXEL_SPACING_TOLERANCE_MM} mm",
            fix="Choose a series that is one volume.",
        )


def _check_distinct(name: str, gaps: NDArray[np.float64]) -> None:
    same = int((gaps < SAME_POSITION_MM).sum())
    if same:
        raise AmbiguousError(
            "Several images lie at one position: time points, echoes or copies in one series.",
            where=name,
            found=f"{same} of {len(gaps) + 1} slices share their position with another",
            expected="one image for each position",
            fix="Export the time point or echo that is meant as a series of its own.",
        )


def _tolerance(gaps: NDArray[np.float64]) -> float:
    return max(UNEVEN_TOLERANCE * float(np.median(gaps)), UNEVEN_FLOOR_MM)


def _off_grid(positions: NDArray[np.float64]) -> float:
    """Largest distance in mm of a slice from the even grid between the first and the last."""
    grid = np.linspace(positions[0], positions[-1], len(positions))
    return float(np.linalg.norm(positions - grid, axis=1).max())


def _uneven(name: str, positions: NDArray[np.float64], gaps: NDArray[np.float64]) -> GeometryError | None:
    off, tolerance = _off_grid(positions), _tolerance(gaps)
    if off <= tolerance:
        return None
    usual = float(np.median(gaps))
    missing = int((np.round(gaps / usual) - 1).clip(0).sum())
    whole = np.abs(gaps / usual - np.round(gaps / usual)).max() < 0.1
    what = "Slices are missing from the series." if missing and whole else "The slices are unevenly spaced."
    return GeometryError(
        what,
        where=name,
        found=f"gaps of {gaps.min():.3f} to {gaps.max():.3f} mm, usually {usual:.3f} mm"
        + (f"; {missing} missing" if missing and whole else f"; up to {off:.3f} mm off an even grid"),
        expected=f"every slice within {tolerance:.3f} mm of an even grid",
        fix="Export the whole series; or read it with --strictness warn, which interpolates onto an even grid.",
    )


def _tilted(name: str, positions: NDArray[np.float64], plane: Plane) -> GeometryError | None:
    along = positions[-1] - positions[0]
    angle = float(np.rad2deg(np.arccos(min(1.0, abs(float(along @ plane.normal)) / float(np.linalg.norm(along))))))
    if angle <= TILT_TOLERANCE_DEG:
        return None
    return GeometryError(
        "The slices are stacked at a slant: a gantry tilt.",
        where=name,
        found=f"{angle:.2f} degrees between stacking direction and normal",
        expected=f"at most {TILT_TOLERANCE_DEG} degrees",
        fix="Straighten it on the workstation; or read it with --strictness warn, which keeps the sheared geometry.",
    )


def _even_count(heights: NDArray[np.float64]) -> float:
    """Number of slices of the even grid from the lowest to the highest."""
    usual = float(np.median(np.diff(heights)))
    return float(np.floor((heights[-1] - heights[0]) / usual + 1e-6)) + 1


def _check_mostly_present(name: str, heights: NDArray[np.float64]) -> None:
    count, present = _even_count(heights), len(heights)
    if count > MOST_FOR_EACH * present or count * present > MOST_WEIGHTS:
        raise GeometryError(
            "The slices are too far from even to be put on an even grid.",
            where=name,
            found=f"{present} slices over {heights[-1] - heights[0]:.4g} mm; an even grid has {count:.4g}",
            expected=f"at most {MOST_FOR_EACH} slices of the grid for each that is there",
            fix="Export the whole series, without slices that belong elsewhere.",
        )


def _regridded(
    order: NDArray[np.intp],
    start: Plane,
    positions: NDArray[np.float64],
    heights: NDArray[np.float64],
    notes: tuple[str, ...],
) -> Stack:
    """Linear weights from uneven slices to a grid of the usual spacing; the last slice may be cut off."""
    usual = float(np.median(np.diff(heights)))
    count = int(_even_count(heights))
    wanted = heights[0] + usual * np.arange(count)
    right = np.searchsorted(heights, wanted, side="left").clip(1, len(heights) - 1)
    share = (wanted - heights[right - 1]) / (heights[right] - heights[right - 1])
    weights = np.zeros((count, len(heights)))
    rows = np.arange(count)
    weights[rows, right - 1] = 1 - share
    weights[rows, right] = share
    step = (positions[-1] - positions[0]) / (heights[-1] - heights[0]) * usual
    return Stack(order, affine_of(start, step), weights, notes)
