"""A slice in the middle of a square picture, with its proportions in mm: nothing is stretched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import GeometryError

SIDE: Final = 512
"""Pixels on each side of the picture (Abramov et al. 2021, section 3.4)."""

_EXACT: Final = 9
"""Digits of a pixel's place: so many that a slice of as many square pixels as the picture comes through unchanged."""

Grey = NDArray[np.float32]
Brain = NDArray[np.bool_]


@dataclass(frozen=True)
class Canvas:
    """Where the pixels of a square picture lie in a slice that is set in its middle."""

    side: int
    """Pixels on each side."""
    shape: tuple[int, int]
    """Rows and columns of the slice."""
    spacing_mm: tuple[float, float]
    """Of rows and of columns."""
    pixel_mm: float
    """Edge of a pixel of the picture; what lies beyond the picture is cut off."""

    @classmethod
    def fitting(cls, shape: tuple[int, ...], spacing_mm: tuple[float, ...], side: int = SIDE) -> Self:
        """With the slice as large as fits.

        Raises:
            GeometryError: not two axes, or a spacing that is not above 0.
        """
        if len(spacing_mm) != 2 or len(shape) != 2 or not (np.isfinite(spacing_mm).all() and min(spacing_mm) > 0):
            raise GeometryError(
                "This slice cannot be drawn.",
                found=f"shape {shape}, spacing {spacing_mm} mm",
                expected="rows and columns with a spacing above 0",
                fix="Give one slice and its spacing.",
            )
        pixel = max(n * mm for n, mm in zip(shape, spacing_mm, strict=True)) / side
        return cls(side, (shape[0], shape[1]), (spacing_mm[0], spacing_mm[1]), pixel)

    def nearest(self, inside: Brain) -> Brain:
        """A mask of the slice by its nearest pixels, `(side, side)`; nothing beyond the slice."""
        rows, columns = (np.floor(at + 0.5).astype(int) for at in self._places())
        on = [(at >= 0) & (at < n) for at, n in zip((rows, columns), self.shape, strict=True)]
        taken = inside[np.clip(rows, 0, self.shape[0] - 1)][:, np.clip(columns, 0, self.shape[1] - 1)]
        return np.asarray(taken & on[0][:, None] & on[1][None])

    def linear(self, grey: NDArray[Any], inside: Brain) -> Grey:
        """Grey values interpolated linearly between the pixels `inside` alone, `(side, side)`; 0 outside of them.

        Where pixels become fewer, the weights widen with them, so that nothing is merely picked.

        Args:
            grey: of the slice; finite inside.
            inside: of bool, the slice's shape: what lies outside has no weight.
        """
        places = zip(self._places(), self.shape, self.spacing_mm, strict=True)
        down, across = (_weights(at, n, max(1.0, self.pixel_mm / mm)) for at, n, mm in places)
        total = down @ np.where(inside, grey, 0).astype(np.float64) @ across.T
        share = down @ inside.astype(np.float64) @ across.T
        shown = self.nearest(inside)
        # In float32, sums that should be a grey value are it: else flat areas would be torn where an interval ends.
        return np.where(shown, total / np.where(shown, share, 1), 0).astype(np.float32)

    def _places(self) -> list[NDArray[np.float64]]:
        """Where each pixel of the picture lies, in the slice's rows and columns, `(side,)` each."""
        return [_places(n, mm, self.pixel_mm, self.side) for n, mm in zip(self.shape, self.spacing_mm, strict=True)]


def _places(count: int, mm: float, pixel: float, side: int) -> NDArray[np.float64]:
    first = (side * pixel - count * mm) / 2
    return np.round(((np.arange(side) + 0.5) * pixel - first) / mm - 0.5, _EXACT)


def _weights(at: NDArray[np.float64], count: int, width: float) -> NDArray[np.float64]:
    """Triangles of half width `width` about each place, `(side, count)`."""
    return np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(count)) / width)
