"""The grey range of a brain cut into equal intervals, on a black picture of 512 x 512 (Abramov et al. 2021).

The paper masks a slice of 512 x 512, counts its grey values, divides their range into 49 intervals and gives each a
colour. Here a slice of any size is first enlarged or reduced to 512 x 512 without stretching it. Only numbers live
here; the colours are in `report.colour`.

Source: Abramov et al. 2021, SibDATA 2021, CEUR Workshop Proceedings, section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import GeometryError, UnsuitableError, UsageError
from dopascope.space.canvas import SIDE as SIDE
from dopascope.space.canvas import Brain, Canvas, Grey
from dopascope.space.orient import canonical
from dopascope.volume import LabelMap, SliceImage, Volume

INTERVALS: Final = 49
"""The paper's number of intervals."""

FEWEST: Final = 7
"""The paper's smallest number, which it found too coarse, as 14."""

MOST: Final = 64
"""Above the 56 from which on the paper saw noise."""


@dataclass(frozen=True)
class GreyRange:
    """Lowest and highest grey value of a brain, and of how many voxels."""

    low: float
    high: float
    voxels: int

    def edges(self, intervals: int) -> NDArray[np.float64]:
        """Ends of equal intervals, rising, `(intervals + 1,)`.

        Raises:
            UsageError: see `check_intervals`.
        """
        check_intervals(intervals)
        inner = self.low + (self.high - self.low) * np.arange(intervals) / intervals
        return np.append(inner, self.high)


def check_intervals(intervals: int) -> None:
    """Nothing, where there can be so many intervals.

    Raises:
        UsageError: no whole number from `FEWEST` to `MOST`.
    """
    if intervals not in range(FEWEST, MOST + 1):
        raise UsageError(
            "So many intervals cannot be had.",
            where="intervals",
            found=intervals,
            expected=f"a whole number from {FEWEST} to {MOST}",
            fix=f"Choose another number; the paper's is {INTERVALS}.",
        )


def grey_range(grey: ArrayLike, brain: ArrayLike, *, where: object = "") -> GreyRange:
    """The range of the brain's grey values.

    Args:
        grey: a slice or a scan, `(...)`; what it holds outside the brain does not matter.
        brain: of bool, the same shape.
        where: what an error names, such as the file.

    Raises:
        UnsuitableError: a colour picture, no brain, a value that is not finite in it, or one value only.
        GeometryError: another shape.
    """
    inside = np.asarray(brain, bool)
    values = _checked(grey, inside, where)[inside]
    if not values.size:
        raise UnsuitableError(
            "The mask holds no brain.",
            where=where,
            found="0 voxels above 0",
            expected="brain above 0, the rest 0",
            fix="Give the mask of this scan, or a slice that has brain.",
        )
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise UnsuitableError(
            "All of the brain has one grey value, so there is no range to cut.",
            where=where,
            found=f"{low:g} in {values.size} voxels",
            expected="at least two grey values",
            fix="Check that the mask is not given as the scan; for one slice, take the range of the whole scan.",
        )
    return GreyRange(low, high, int(values.size))


def clusters(grey: ArrayLike, brain: ArrayLike, span: GreyRange, intervals: int = INTERVALS) -> NDArray[np.uint8]:
    """The number of each pixel's interval: 1 for the darkest to `intervals`, 0 outside the brain.

    An interval holds its lower end and not its upper one, except for the last, which holds both. Values beyond the
    range go to the nearest interval, so that a brighter pixel never has a lower number.

    Args:
        grey: `(...)`; what it holds outside the brain does not matter.
        brain: of bool, the same shape.
        span: the range that is cut, of this slice or of the whole scan.
        intervals: how many, 7 to 64.

    Raises:
        UsageError: another number of intervals.
        UnsuitableError: a colour picture, or a value that is not finite in the brain.
        GeometryError: another shape.
    """
    edges, inside = span.edges(intervals), np.asarray(brain, bool)
    values = _checked(grey, inside, "").astype(np.float64)
    return np.where(inside, np.searchsorted(edges[1:-1], values, side="right") + 1, 0).astype(np.uint8)


def on_canvas(grey: ArrayLike, brain: ArrayLike, spacing_mm: tuple[float, float]) -> tuple[Grey, Brain]:
    """A slice and its mask in the middle of `SIDE` x `SIDE` pixels, as large as fits, with its proportions in mm.

    The mask takes the nearest pixel. The grey value is interpolated linearly between brain pixels alone (what lies
    outside has no weight), so it never leaves their range and nothing of the skull comes in; where pixels become
    fewer, the weights widen with them. A slice of `SIDE` x `SIDE` square pixels is not changed.

    Args:
        grey: `(rows, columns)`; what it holds outside the brain does not matter.
        brain: of bool, the same shape.
        spacing_mm: of rows and of columns; only their ratio matters.

    Returns:
        Grey values and brain, `(SIDE, SIDE)` each; 0 outside the brain.

    Raises:
        UnsuitableError: a colour picture, or a value that is not finite in the brain.
        GeometryError: another shape, or a spacing that is not above 0.
    """
    inside = np.asarray(brain, bool)
    values = np.where(inside, _checked(grey, inside, ""), 0)
    canvas = Canvas.fitting(values.shape, spacing_mm)
    return canvas.linear(values, inside), canvas.nearest(inside)


def brain_of(mask: Volume | LabelMap | SliceImage, image: Volume | SliceImage, *, where: object = "") -> Brain:
    """Where a mask that belongs to `image` is above 0; of a Volume in the order of `canonical(image)`.

    Args:
        mask: labels, 0 for what is not brain; on the grid of the scan, whatever its axis order, or a picture.
        image: the scan or the picture.
        where: what an error names, such as the mask's file.

    Raises:
        UsageError: one is a scan and the other a picture.
        GeometryError: another grid or shape.
        UnsuitableError: it has colours, values that are no whole numbers or are below 0, or it holds no brain.
    """
    if not isinstance(mask, SliceImage) and isinstance(image, Volume):
        labels, scan = canonical(Volume(mask.data, mask.grid)), canonical(image)
        if not labels.grid.same_as(scan.grid):
            raise _other_grid(labels, scan, where)
        return _above_zero(labels.data, where)
    if not isinstance(mask, SliceImage) or isinstance(image, Volume):
        kinds = ["a picture" if isinstance(one, SliceImage) else "a scan" for one in (mask, image)]
        raise UsageError(
            "Mask and image are not of one kind.",
            where=where,
            found=f"{kinds[0]} for {kinds[1]}",
            expected="a scan's mask for a scan, a picture's for a picture",
            fix="Give the mask that was made of this image.",
        )
    for one in (image, mask):
        _grey_picture(one.data, one.source.path if one.source else "")
    _checked_shape(image.data, mask.data.shape, where)
    return _above_zero(mask.data, where)


def _above_zero(labels: NDArray[Any], where: object) -> Brain:
    whole = np.isfinite(labels) & (labels >= 0) & (labels == np.floor(labels))
    if not whole.all():
        raise UnsuitableError(
            "This is no mask.",
            where=where,
            found=f"{int((~whole).sum())} values that are no whole number of 0 or more",
            expected="labels: 0 for what is not brain, whole numbers above 0 for the brain",
            fix="Cut a map of probabilities at a threshold of your choice first.",
        )
    if not labels.any():
        raise UnsuitableError(
            "The mask holds no brain.",
            where=where,
            found="0 voxels above 0",
            expected="brain above 0, the rest 0",
            fix="Give the mask of this scan.",
        )
    return np.asarray(labels > 0)


def _other_grid(mask: Volume, scan: Volume, where: object) -> GeometryError:
    def said(one: Volume) -> str:
        sizes = " x ".join(f"{mm:.3f}" for mm in one.grid.spacing_mm)
        return f"{' x '.join(map(str, one.grid.shape))} voxels of {sizes} mm"

    apart = mask.grid.distance_mm(scan.grid)
    return GeometryError(
        "The mask is not on the scan's grid.",
        where=where,
        found=said(mask) + (f", corners up to {apart:.3g} mm off" if np.isfinite(apart) else ""),
        expected=f"{said(scan)}, at the same place (both in the order R, A, S)",
        fix="Sample the mask on the scan's grid: space.resample(LabelMap, scan.grid).",
    )


def _grey_picture(data: NDArray[np.float32], where: object) -> None:
    if data.ndim != 2:
        raise UnsuitableError(
            "A colour picture has no grey range.",
            where=where,
            found=f"{data.shape[-1]} channels",
            expected="one channel of grey values",
            fix="Save the picture as a grey PNG.",
        )


def _checked(grey: ArrayLike, inside: Brain, where: object) -> Grey:
    """Grey values that are finite inside the brain."""
    values = _checked_shape(np.asarray(grey, np.float32), inside.shape, where)
    bad = int((~np.isfinite(values[inside])).sum())
    if bad:
        raise UnsuitableError(
            "The brain has values that are no numbers.",
            where=where,
            found=f"{bad} of {int(inside.sum())} voxels are not finite",
            expected="finite grey values",
            fix="Mend the scan, or leave these voxels out of the mask.",
        )
    return values


def _checked_shape(values: Grey, shape: tuple[int, ...], where: object) -> Grey:
    if values.shape[:-1] == shape:
        _grey_picture(values, where)
    if values.shape != shape:
        raise GeometryError(
            "The mask has another shape than the image.",
            where=where,
            found=f"mask {' x '.join(map(str, shape))}",
            expected=" x ".join(map(str, values.shape)),
            fix="Give the mask that was made of this image.",
        )
    return values
