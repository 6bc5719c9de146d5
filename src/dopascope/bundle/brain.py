"""The brain in a scan by a segmenter bundle: slices in three planes, fused, cleaned, judged before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.hull import DEFINITION
from dopascope.errors import UnsuitableError
from dopascope.space import canonical, resample
from dopascope.volume import Grid, LabelMap, Step, Volume

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PIXEL_MM: Final = 1.6
SIDE: Final = 160
"""Pixels of a slice: a field of 256 mm."""
PLANES: Final = ("sagittal", "coronal", "axial")
"""By the axis (R, A, S) that their slices are stacked along."""
LOW_PERCENT, HIGH_PERCENT = 1.0, 99.5
"""Percentiles of the scan that become 0 and 1."""
SHORTEST_MM: Final = 90.0
"""A plane whose slices are narrower shows too little of a head to be asked."""
THIN_MM: Final = 3.2
"""Bridges to other things that are thinner are cut."""
BRIGHT_PERCENT: Final = 98.0
FADED: Final = 2 / 3
MOST_FADED: Final = 2
"""An outer plane whose bright voxels have less than that share of its neighbour's was not seen; so many at each end."""
PLAUSIBLE_ML: Final = (700.0, 2200.0)
"""Volume of a whole brain with its fluid, child to large adult."""
AGREEMENT: Final = 0.80
SURE: Final = 0.87


class Slicer(Protocol):
    """Answers for slices (B, SIDE, SIDE) with the logit of brain of each pixel (B, SIDE, SIDE)."""

    def __call__(self, slices: Floats) -> Floats:
        """Ask."""


@dataclass(frozen=True)
class Check:
    """One condition on a mask."""

    name: str
    value: float
    expected: str
    passed: bool


@dataclass(frozen=True)
class BrainMask:
    """A mask that passed its checks."""

    mask: LabelMap
    """1 is brain, on the scan's own grid."""
    volume_ml: float
    planes: tuple[str, ...]
    whole: bool
    """Whether the field of view holds the whole brain."""
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """All but the mask, as JSON-ready data."""
        return {
            "definition": DEFINITION,
            "volume_ml": round(self.volume_ml, 1),
            "whole": self.whole,
            "planes": list(self.planes),
            "checks": [asdict(one) for one in self.checks],
        }


def find_brain(
    scan: Volume, ask: Slicer, *, progress: Callable[[str], None] = lambda _: None, pixel_mm: float = PIXEL_MM
) -> BrainMask:
    """The brain of a scan of any contrast, axis order and resolution.

    Raises:
        UnsuitableError: nothing in it is like a brain, or what was found cannot be one.
    """
    upright = _filled(canonical(scan))
    grid = _canvas(upright, pixel_mm)
    small = resample(_bordered(_smoothed(upright, pixel_mm)), grid).data
    field = _field(upright, grid)
    low, high = _grey_range(upright)
    small = np.clip((small - low) / (high - low), 0, 1.5).astype(np.float32)
    small[~field] = 0
    total, each = np.zeros(grid.shape, np.float32), {}
    for axis, plane in enumerate(PLANES):
        if not _wide(field, axis, pixel_mm):
            continue
        progress(plane)
        p = _plane(small, field, axis, ask)
        each[plane] = p > 0.5
        total += p
    if not each:
        raise _no_brain(
            "the field of view", f"{[round(n) for n in upright.grid.extent_mm]} mm", f">= {SHORTEST_MM:g} mm"
        )
    p = np.asarray(total / len(each), np.float32)
    found = _cleaned(p, pixel_mm)
    if not found.any():
        raise _no_brain("brain voxels", "none", "a brain")
    whole = _holds_whole(found, field)
    checks = _checks(found, p, each, whole, pixel_mm)
    for one in checks:
        if not one.passed:
            raise _no_brain(one.name, f"{one.value:.2f}", one.expected)
    mask = np.zeros(scan.grid.shape, bool)
    mask[_seen(scan)] = _on_scan(_to_the_border(found, field), _to_the_border(p, field), grid, scan.grid)[_seen(scan)]
    names = {1: "brain"}
    step = Step("find_brain", {"pixel_mm": pixel_mm, "planes": list(each)})
    labels = LabelMap(mask.astype(np.uint8), scan.grid, names=names, history=(*scan.history, step))
    return BrainMask(labels, float(mask.sum()) * scan.grid.voxel_ml, tuple(each), whole, checks)


def _no_brain(what: str, found: str, expected: str) -> UnsuitableError:
    return UnsuitableError(
        "No brain was found that could be one.",
        where=what,
        found=found,
        expected=expected,
        fix="Give a scan of a head (MRI of any contrast, or PET); look at it with dopascope inspect.",
    )


def _smoothed(scan: Volume, pixel_mm: float) -> Volume:
    """Before voxels become fewer: what is finer than the new ones is averaged."""
    from scipy import ndimage

    sigmas = [max(0.0, pixel_mm / s - 1) * 0.42 for s in scan.grid.spacing_mm]
    if max(sigmas) == 0:
        return scan
    return scan.with_data(ndimage.gaussian_filter(scan.data, sigmas), Step("smooth", {"sigma_voxels": sigmas}))


def _seen(scan: Volume) -> tuple[slice, ...]:
    """All but outer planes that hold one value only, or that an earlier interpolation with nothing has faded."""
    cuts = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        rows = np.flatnonzero(np.ptp(scan.data, axis=others) > 0)
        if not rows.size:
            raise _no_brain("grey values", f"{scan.data.flat[0]:g} to {scan.data.flat[0]:g}", "a range")
        first, last = int(rows[0]), int(rows[-1])
        steps = [1 if a == axis or n < 64 else 2 for a, n in enumerate(scan.data.shape)]
        thin = scan.data[tuple(slice(None, None, step) for step in steps)]
        bright = np.percentile(thin, BRIGHT_PERCENT, axis=others) - thin.min()
        for _ in range(MOST_FADED):
            first += int(first < last and bright[first] < FADED * bright[first + 1])
            last -= int(first < last and bright[last] < FADED * bright[last - 1])
        cuts.append(slice(first, last + 1))
    return tuple(cuts)


def _filled(scan: Volume) -> Volume:
    """Where something was seen."""
    seen = _seen(scan)
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world([one.start for one in seen])
    data = scan.data[seen]
    return Volume(data, Grid(data.shape, affine))


def _bordered(scan: Volume) -> Volume:
    """With its outermost voxels once more around it: half of each lies beyond its centre."""
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world(np.full(3, -1.0))
    data = np.pad(scan.data, 1, mode="edge")
    return Volume(data, Grid(data.shape, affine))


def _canvas(scan: Volume, pixel_mm: float) -> Grid:
    """`SIDE` cubed voxels, parallel to the scan's axes, around what is not background; at the top where it is long."""
    bright = scan.data > np.percentile(scan.data[::2, ::2, ::2], 60) * 0.5 + scan.data.min() * 0.5
    spacing = np.array(scan.grid.spacing_mm)
    low, high = np.zeros(3), np.array(scan.grid.shape, float) - 1
    for axis in range(3):
        share = bright.mean(axis=tuple(a for a in range(3) if a != axis))
        rows = np.flatnonzero(share > 0.02 * max(float(share.max()), 1e-9))
        if rows.size:
            low[axis], high[axis] = rows[0], rows[-1]
    side_voxels = SIDE * pixel_mm / spacing
    centre = (low + high) / 2
    if (high - low)[2] > side_voxels[2]:
        centre[2] = high[2] - side_voxels[2] / 2 + 8 / spacing[2]
    directions = scan.grid.affine[:3, :3] / spacing
    affine = np.eye(4)
    affine[:3, :3] = directions * pixel_mm
    affine[:3, 3] = scan.grid.to_world(centre) - affine[:3, :3] @ (np.full(3, SIDE) - 1) / 2
    return Grid((SIDE, SIDE, SIDE), affine)


def _field(scan: Volume, grid: Grid) -> Mask:
    """Where the canvas lies within the scan."""
    inside = np.ones(grid.shape, bool)
    index = np.linalg.inv(scan.grid.affine) @ grid.affine
    for axis in range(3):
        at = index[axis, axis] * np.arange(SIDE) + index[axis, 3]
        along = (at >= -0.5) & (at <= scan.grid.shape[axis] - 0.5)
        inside &= along.reshape([-1 if a == axis else 1 for a in range(3)])
    return inside


def _grey_range(scan: Volume) -> tuple[float, float]:
    values = scan.data[::2, ::2, ::2] if min(scan.data.shape) > 8 else scan.data
    low, high = np.percentile(values[np.isfinite(values)], (LOW_PERCENT, HIGH_PERCENT))
    if not high > low:
        raise _no_brain("grey values", f"{low:g} to {high:g}", "a range")
    return float(low), float(high)


def _wide(field: Mask, axis: int, pixel_mm: float) -> bool:
    """Whether the slices of a plane show enough of a head."""
    widths = [field.any(axis=tuple(b for b in range(3) if b != a)).sum() * pixel_mm for a in range(3) if a != axis]
    return bool(min(widths) >= SHORTEST_MM)


def _plane(small: Floats, field: Mask, axis: int, ask: Slicer) -> Floats:
    """Probability of brain by the slices of one plane."""
    slices, seen = np.moveaxis(small, axis, 0), np.moveaxis(field, axis, 0).any((1, 2))
    out = np.zeros_like(slices)
    logits = ask(np.ascontiguousarray(slices[seen]))
    out[seen] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return np.moveaxis(out, 0, axis)


def _cleaned(p: Floats, pixel_mm: float) -> Mask:
    """The largest piece once thin bridges are cut, grown back to its own border, holes filled."""
    from scipy import ndimage

    raw = p > 0.5
    if not raw.any():
        return raw
    inner = ndimage.distance_transform_edt(raw) * pixel_mm > THIN_MM
    core = _largest(inner if inner.any() else raw)
    reach = ndimage.distance_transform_edt(~core) * pixel_mm <= THIN_MM + 2 * pixel_mm
    grown = ndimage.binary_fill_holes(raw & reach)
    return _largest(grown)


def _largest(mask: Mask) -> Mask:
    """The largest piece that hangs together by faces of voxels."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()) if count > 1 else mask, bool)


def _holds_whole(found: Mask, field: Mask) -> bool:
    """Whether brain ends within the field of view on all sides but the lowest, where the cord goes on."""
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        rows = np.flatnonzero(field.any(others))
        area = np.asarray(found.sum(others), float)
        if max(area[rows[0]], area[rows[-1]]) > 0.15 * area.max():
            return False
    return True


def _checks(found: Mask, p: Floats, each: dict[str, Mask], whole: bool, pixel_mm: float) -> tuple[Check, ...]:
    volume = float(found.sum()) * pixel_mm**3 / 1000
    made = []
    if whole:
        low, high = PLAUSIBLE_ML
        made.append(Check("volume of a whole brain", volume, f"{low:g} to {high:g} ml", low <= volume <= high))
    sure = float(p[found].mean())
    made.append(Check("mean probability of brain within the mask", sure, f">= {SURE:g}", sure >= SURE))
    if len(each) > 1:
        second = sorted(_agreement(found, one, PLANES.index(plane)) for plane, one in each.items())[-2]
        name = "Dice of the mask with what two planes say, in slices that hold brain"
        made.append(Check(name, second, f">= {AGREEMENT:g}", second >= AGREEMENT))
    return tuple(made)


def _to_the_border(values: NDArray[Any], field: Mask) -> NDArray[Any]:
    """The outermost planes of the field once more beyond it, so that the scan's outermost voxels are between two."""
    rows = [np.flatnonzero(field.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    spread: NDArray[Any] = values[np.ix_(*(np.arange(SIDE).clip(one[0], one[-1]) for one in rows))]
    for axis, one in enumerate(rows):
        beyond = np.abs(np.arange(SIDE) - np.arange(SIDE).clip(one[0], one[-1])) > 1
        spread[(slice(None),) * axis + (beyond,)] = 0
    return spread


def _agreement(found: Mask, one: Mask, axis: int) -> float:
    """Dice of the mask and what one plane alone says, in slices of that plane that hold brain.

    In slices of a face or a neck alone one plane is often wrong, and the two others put it right.
    """
    held = np.flatnonzero(found.any(tuple(a for a in range(3) if a != axis)))
    said = np.moveaxis(one, axis, 0)[held[0] : held[-1] + 1]
    return (
        2 * float((said & np.moveaxis(found, axis, 0)[held[0] : held[-1] + 1]).sum()) / float(said.sum() + found.sum())
    )


def _on_scan(found: Mask, p: Floats, grid: Grid, own: Grid) -> Mask:
    """The mask on the scan's own voxels: the probability is interpolated, so that borders are finer than the canvas."""
    from scipy import ndimage

    near = ndimage.binary_dilation(found, iterations=2)
    smooth = np.where(found, np.maximum(p, 0.51), np.where(near, np.minimum(p, 0.49), 0)).astype(np.float32)
    return _largest(resample(Volume(smooth, grid), own).data > 0.5)
