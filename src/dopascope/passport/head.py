"""The head as it stands in the field: one piece, its size in mm, how sharp it is, where its uptake is, what is cut off.

All is measured on a coarse lattice of the blurred scan, except sharpness, which needs the voxels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.space.lattice import Lattice, build_lattice, measured_field
from dopascope.space.localise import EDGE_SHARE, Head, localise
from dopascope.space.orient import canonical
from dopascope.volume import Grid, Volume

LATTICE_MM: Final = 4.0
BLUR_SIGMA_MM: Final = 3.0
"""Blur before measuring: about 7 mm FWHM, so that noise does not fray the head's outline."""

MIDDLE_MM: Final = 42.0
"""Both striata lie within this distance of the middle of the brain (atlas geometry: 36 mm)."""

SLAB_MM: Final = 36.0
"""Half height of the slab about the middle that is compared with it: without glands and neck."""

_FACES: Final = (("left", "right"), ("back", "front"), ("bottom", "top"))
_SHARPNESS_SAMPLES: Final = 400_000
_FWHM_PER_SIGMA: Final = 2.3548
_SIGMA_PER_MAD: Final = 1.4826

INF: Final = float("inf")


@dataclass(frozen=True)
class MeasuredHead:
    """A head in a scan, `inside` as a mask on `lattice`."""

    scan: Volume
    """The scan in RAS order, cut to the field that was measured."""
    head: Head
    lattice: Lattice
    inside: NDArray[np.bool_]
    extent_mm: tuple[float, float, float]
    """Right to left, back to front, bottom to top."""
    one_piece: float
    """Share of all that is bright that is this piece."""
    cut: dict[str, float]
    """Face of the field -> area of the head on it over the head's largest section parallel to it."""


def measure(volume: Volume) -> MeasuredHead:
    """Find and measure the head.

    Raises:
        UnsuitableError: no connected bright region is as large as a head.
    """
    from scipy import ndimage

    scan = _as_measured(volume)
    lattice = build_lattice(scan, sigma_mm=BLUR_SIGMA_MM, spacing_mm=LATTICE_MM)
    head = localise(lattice)
    bright = lattice.values > EDGE_SHARE * head.level
    pieces, _ = ndimage.label(bright)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    inside: NDArray[np.bool_] = ndimage.binary_fill_holes(pieces == sizes.argmax())
    world = geometry.apply_affine(np.linalg.inv(lattice.to_node), np.argwhere(inside))
    low, high = np.percentile(world, [0.1, 99.9], axis=0)  # a stray node is no head
    x, y, z = (float(v) for v in high - low + LATTICE_MM)
    return MeasuredHead(scan, head, lattice, inside, (x, y, z), float(sizes.max() / bright.sum()), _cuts(inside))


def _as_measured(volume: Volume) -> Volume:
    """In RAS order, without the constant planes that some systems add where the camera saw nothing."""
    scan = canonical(volume)
    field = measured_field(scan)
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world([part.start for part in field])
    data = scan.data[field]
    return Volume(data, Grid(data.shape, affine))


def _cuts(inside: NDArray[np.bool_]) -> dict[str, float]:
    found = {}
    for axis, (low, high) in enumerate(_FACES):
        areas = np.moveaxis(inside, axis, 0).reshape(inside.shape[axis], -1).sum(axis=1)
        found[low], found[high] = float(areas[0] / areas.max()), float(areas[-1] / areas.max())
    return found


def sharpness_mm(measured: MeasuredHead) -> float:
    """Full width at half maximum of the finest detail within the head, in mm; the middle one of the three axes.

    Of a scene with edges seen through a Gaussian of variance s2, first and second derivatives have power in the
    ratio 2 s2 (the integral of k2 exp(-s2 k2) over that of k4 / k2): s2 = mean(d1 squared) / (2 mean(d2 squared)).
    Filtered noise has the width of its filter, so noise does not make a SPECT scan look like an MRI.
    """
    widths = []
    for axis, step in enumerate(measured.scan.grid.spacing_mm):
        lines, within = _lines(measured, axis)
        if lines.shape[0] < 5 or not within[1:-1].any():
            continue
        first = (lines[2:] - lines[:-2]) / (2 * step)
        second = (lines[2:] - 2 * lines[1:-1] + lines[:-2]) / step**2
        chosen = within[1:-1]
        power = float(np.mean(second[chosen] ** 2, dtype=float))
        if power > 0:
            widths.append(_FWHM_PER_SIGMA * np.sqrt(float(np.mean(first[chosen] ** 2, dtype=float)) / (2 * power)))
    return float(np.median(widths)) if widths else 0.0


def _lines(measured: MeasuredHead, axis: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Evenly spaced lines of voxels along `axis`, `(n, lines)`, and where they are in the head."""
    scan = measured.scan
    shape, spacing = scan.grid.shape, scan.grid.spacing_mm
    step = max(1, int(np.ceil(np.sqrt(scan.data.size / _SHARPNESS_SAMPLES))))
    picked = [np.arange(0, n, 1 if a == axis else step) for a, n in enumerate(shape)]
    nodes = [
        np.minimum(np.rint(index * mm / LATTICE_MM).astype(int), limit - 1)
        for index, mm, limit in zip(picked, spacing, measured.inside.shape, strict=True)
    ]
    lines = np.moveaxis(scan.data[np.ix_(*picked)], axis, 0).reshape(shape[axis], -1)
    within = np.moveaxis(measured.inside[np.ix_(*nodes)], axis, 0).reshape(shape[axis], -1)
    return lines, within


@dataclass(frozen=True)
class Uptake:
    """Where the uptake is. Ratios within the middle hold without attenuation correction, which darkens all of it."""

    peak: float
    """99th percentile of the middle of the brain over its median."""
    hot_ml: float
    """Volume in the middle that is hotter than halfway between its median and its peak."""
    surround: float
    """Peak of the middle over the 90th percentile of the slab around it."""
    roughness: float
    """Scatter of voxels about their blurred neighbourhood over its level, in the slab outside the middle."""


def uptake(measured: MeasuredHead) -> Uptake:
    """Measure the middle of the head against the slab around it."""
    lattice, centre = measured.lattice, measured.head.centre_mm
    at = np.moveaxis(np.indices(lattice.shape), 0, -1)
    offset = geometry.apply_affine(np.linalg.inv(lattice.to_node), at) - centre
    slab = measured.inside & (np.abs(offset[..., 2]) < SLAB_MM)
    middle = slab & (np.linalg.norm(offset, axis=-1) < MIDDLE_MM)
    around = slab & ~middle
    if not middle.any() or not around.any():
        return Uptake(0.0, INF, 0.0, INF)
    values = lattice.values
    median, peak = float(np.median(values[middle])), float(np.percentile(values[middle], 99))
    hot = float(np.count_nonzero(values[middle] > (median + peak) / 2)) * LATTICE_MM**3 / 1000
    beside = float(np.percentile(values[around], 90))
    return Uptake(peak / median, hot, peak / beside, _roughness(measured, around))


def _roughness(measured: MeasuredHead, around: NDArray[np.bool_]) -> float:
    lattice, scan = measured.lattice, measured.scan
    at = np.argwhere(around)
    voxel = geometry.apply_affine(np.linalg.inv(scan.grid.affine) @ np.linalg.inv(lattice.to_node), at)
    near = np.clip(np.rint(voxel).astype(int), 0, np.array(scan.grid.shape) - 1)
    raw = scan.data[tuple(near.T)]
    level = lattice.values[around]
    return float(np.median(np.abs(raw - level)) * _SIGMA_PER_MAD / np.median(level))
