"""The striatal regions as swept tubes in MNI space: analytic, exactly symmetric, on any grid.

Caudate and putamen are each a stack of tilted ellipses, one for every coronal plane, threaded on a
centre-line. The centre-lines were measured at 5 mm steps from the Melbourne Subcortex Atlas (Tian et
al., Nat Neurosci 2020, doi 10.1038/s41593-020-00711-6), in a file that is mirrored about x = +1 mm instead of
0; `medial_shift_mm` takes that back, so that the centroids are those of the two sides together. The
ellipses' axes give the volumes and centroids of the same measurement: caudate 3.48 ml, putamen 7.18 ml a side.
A slanted plane parts the anterior from the posterior putamen (3.30 and 3.88 ml). The accumbens is left out.

World coordinates are RAS+ mm; the left side is the mirror image of the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.volume import MNI_2MM, Grid, LabelMap

Floats = NDArray[np.float64]

SIDES: Final = ("left", "right")
STRUCTURES: Final = ("caudate", "anterior_putamen", "posterior_putamen")
REGIONS: Final = tuple(f"{structure}_{side}" for structure in STRUCTURES for side in SIDES)
"""The six regions that share no point; the order of their label values 1 to 6."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    **{region: (region,) for region in REGIONS},
    **{f"putamen_{side}": (f"anterior_putamen_{side}", f"posterior_putamen_{side}") for side in SIDES},
    **{f"striatum_{side}": tuple(f"{structure}_{side}" for structure in STRUCTURES) for side in SIDES},
}
"""Every named region as the regions it consists of: the six, and putamen and striatum a side."""

_CHUNK_POINTS: Final = 2_000_000  # bounds the memory of supersampling on fine grids to some 200 MB


@dataclass(frozen=True)
class Tube:
    """Ellipses threaded on a line, one in each coronal plane of the right side.

    `line` has rows of (y, x, z) mm; `sections` rows of (y, minor, major, lean): semi-axes in mm and the angle in
    degrees by which the top of the major axis leans to the side. Between rows the line, the squared axes and
    the lean run linearly; beyond the first and last section there is nothing.
    """

    line: tuple[tuple[float, float, float], ...]
    sections: tuple[tuple[float, float, float, float], ...]
    medial_shift_mm: float

    def level(self, points_mm: ArrayLike) -> Floats:
        """Squared elliptic radius at right-sided points (..., 3): below 1 inside, 1 on the surface."""
        x, y, z = np.moveaxis(np.asarray(points_mm, float), -1, 0)
        line, sections = np.array(self.line), np.array(self.sections)
        across = x - (np.interp(y, line[:, 0], line[:, 1]) - self.medial_shift_mm)
        up = z - np.interp(y, line[:, 0], line[:, 2])
        minor2, major2 = (np.interp(y, sections[:, 0], sections[:, c] ** 2, left=0, right=0) for c in (1, 2))
        lean = np.deg2rad(np.interp(y, sections[:, 0], sections[:, 3]))
        short = across * np.cos(lean) - up * np.sin(lean)
        long = across * np.sin(lean) + up * np.cos(lean)
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = short**2 / minor2 + long**2 / major2
        return np.where(minor2 > 0, squared, np.inf)

    def bounds_mm(self) -> tuple[Floats, Floats]:
        """Lower and upper corner (3,) of a box around the right-sided tube."""
        sections = np.array(self.sections)
        ends = np.array([self.line[0], self.line[-1], *self.line])[:, [1, 0, 2]] - [self.medial_shift_mm, 0, 0]
        reach = np.array([sections[:, 2].max(), 0, sections[:, 2].max()])
        low, high = ends.min(0) - reach, ends.max(0) + reach
        low[1], high[1] = sections[0, 0], sections[-1, 0]
        return low, high


PUTAMEN: Final = Tube(
    line=(
        (-24, 31.2, 3.9),
        (-23, 31.2, 3.5),
        (-18, 31.2, 1.5),
        (-13, 30.7, 1.1),
        (-8, 29.9, 2.4),
        (-3, 28.9, 2.7),
        (2, 27.0, 1.1),
        (7, 24.7, -1.6),
        (12, 23.7, -2.5),
        (17, 23.1, -3.7),
        (21, 22.6, -4.7),
    ),
    sections=(
        (-24, 0, 0, 7),
        (-23, 2.05, 3.1, 7),
        (-18, 3.16, 7.0, -3),
        (-13, 4.08, 10.7, -12),
        (-8, 4.83, 12.1, -7),
        (-3, 5.7, 11.9, -13),
        (2, 6.65, 12.1, -2),
        (7, 6.95, 12.95, 12),
        (12, 5.74, 11.4, 13),
        (17, 3.6, 8.0, 13),
        (21, 0, 0, 13),
    ),
    medial_shift_mm=0.9,
)
CAUDATE: Final = Tube(
    line=(
        (-12, 16.6, 19.6),
        (-11, 16.5, 19.5),
        (-6, 16.0, 19.2),
        (-1, 15.2, 17.0),
        (4, 13.9, 13.0),
        (9, 13.5, 9.2),
        (14, 14.0, 6.9),
        (19, 15.6, 5.9),
        (24, 17.7, 3.1),
        (25, 18.1, 2.5),
    ),
    sections=(
        (-12, 0, 0, 30),
        (-11, 0.92, 1.41, 30),
        (-6, 1.75, 3.4, 37),
        (-1, 2.78, 6.3, 35),
        (4, 3.88, 9.25, 30),
        (9, 5.05, 11.25, 23),
        (14, 5.95, 10.2, 41),
        (19, 5.57, 6.7, 51),
        (24, 3.47, 2.95, 36),
        (25, 0, 0, 36),
    ),
    medial_shift_mm=1.0,
)
SPLIT_AT_MM: Final = 2.3
SPLIT_SLOPE: Final = 0.4
"""The anterior putamen lies where y - SPLIT_SLOPE * z > SPLIT_AT_MM."""

_TUBES: Final = {"caudate": CAUDATE, "anterior_putamen": PUTAMEN, "posterior_putamen": PUTAMEN}


def labels_at(points_mm: ArrayLike) -> NDArray[np.uint8]:
    """The region that each of the points (..., 3), RAS mm in MNI space, lies in: 0, or 1 + its index in `REGIONS`."""
    points = np.asarray(points_mm)
    right = np.concatenate([np.abs(points[..., :1]), points[..., 1:]], -1)
    anterior = right[..., 1] - SPLIT_SLOPE * right[..., 2] > SPLIT_AT_MM
    putamen = PUTAMEN.level(right) < 1
    on_left = np.select([CAUDATE.level(right) < 1, putamen & anterior, putamen], [1, 3, 5], 0)
    return np.asarray(on_left + ((on_left > 0) & (points[..., 0] > 0)), np.uint8)


def inside(region: str, points_mm: ArrayLike) -> NDArray[np.bool_]:
    """True for the points (..., 3), RAS mm in MNI space, that lie inside `region`.

    Raises:
        KeyError: `region` is not one of `PARTS`.
    """
    return np.isin(labels_at(points_mm), [1 + REGIONS.index(part) for part in PARTS[region]])


def bounds_mm(region: str) -> tuple[Floats, Floats]:
    """Lower and upper corner (3,), RAS mm, of a box that holds `region`."""
    structure, side = PARTS[region][0].rsplit("_", 1)
    low, high = _TUBES[structure].bounds_mm()
    if region.startswith("striatum"):
        other_low, other_high = PUTAMEN.bounds_mm()
        low, high = np.minimum(low, other_low), np.maximum(high, other_high)
    if side == "left":
        low[0], high[0] = -high[0], -low[0]
    return low, high


def striatum_weights(grid: Grid = MNI_2MM, *, supersample: int = 4) -> dict[str, NDArray[np.float32]]:
    """How much of each voxel each region fills: name -> float32 (I, J, K) of 0 to 1, read-only.

    Counted at `supersample` cubed points a voxel, so that volumes are right on coarse and oblique grids too. In MNI
    space; a scan is first brought there, or the grid is given with the affine that maps its voxels into MNI mm.
    """
    return dict(_weights(grid, supersample))


@lru_cache(maxsize=8)
def _weights(grid: Grid, supersample: int) -> tuple[tuple[str, NDArray[np.float32]], ...]:
    found = np.zeros((len(REGIONS), *grid.shape), np.float32)
    for first, side in enumerate(SIDES):  # left labels are odd, right ones even
        box = index_box(grid, *bounds_mm(f"striatum_{side}"))
        found[first::2] = fractions(labels_at, range(first + 1, 7, 2), grid, box, supersample)
    found.setflags(write=False)
    return tuple(zip(REGIONS, found, strict=True))


def fractions(
    labels: Callable[[Floats], NDArray[Any]],
    values: Sequence[int],
    grid: Grid,
    box: tuple[slice, slice, slice],
    supersample: int,
) -> NDArray[np.float32]:
    """The share of each voxel of `grid` where the function `labels` of position takes each of `values`.

    Returns float32 (len(values), I, J, K), zero outside `box`; counted at `supersample` cubed points a voxel.
    """
    filled = np.zeros((len(values), *grid.shape), np.float32)
    offsets = (np.arange(supersample) + 0.5) / supersample - 0.5
    for piece in _pieces(box, supersample):
        axes = [(np.arange(s.start, s.stop)[:, None] + offsets).ravel() for s in piece]
        seen = labels(grid.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), -1)))
        shape = [n for s in piece for n in (s.stop - s.start, supersample)]
        for row, value in zip(filled, values, strict=True):
            row[piece] = (seen == value).reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)
    return filled


def index_box(grid: Grid, low_mm: ArrayLike, high_mm: ArrayLike) -> tuple[slice, slice, slice]:
    """The voxels of `grid` that a world box from `low_mm` to `high_mm` can touch; slices may be empty."""
    low, high = np.asarray(low_mm, float), np.asarray(high_mm, float)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    index = grid.to_index(corners)
    first = np.clip(np.floor(index.min(0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(index.max(0)) + 1, 0, grid.shape).astype(int)
    i, j, k = (slice(int(a), int(max(a, b))) for a, b in zip(first, last, strict=True))
    return i, j, k


def _pieces(box: tuple[slice, slice, slice], supersample: int) -> list[tuple[slice, slice, slice]]:
    i, j, k = box
    plane = max((j.stop - j.start) * (k.stop - k.start) * supersample**3, 1)
    step = max(_CHUNK_POINTS // plane, 1)
    return [(slice(a, min(a + step, i.stop)), j, k) for a in range(i.start, i.stop, step)]


def striatum_labels(grid: Grid = MNI_2MM, *, supersample: int = 4) -> LabelMap:
    """The six regions as labels 1 to 6 in the order of `REGIONS`: voxels that the striatum fills to half or more.

    A voxel shared by several regions goes to the one with the largest part.
    """
    weights = striatum_weights(grid, supersample=supersample)
    stack = np.stack([weights[region] for region in REGIONS])
    labels = np.where(stack.sum(0) >= 0.5, stack.argmax(0) + 1, 0)
    return LabelMap(labels.astype(np.uint8), grid, names={n + 1: region for n, region in enumerate(REGIONS)})


@lru_cache(maxsize=64)
def striatum_points(region: str, spacing_mm: float = 1.0) -> Floats:
    """Points (N, 3), RAS mm, on a cubic lattice of `spacing_mm` that lie inside `region`; read-only.

    Each stands for the same volume, so the mean of a scan at these points is the mean over the region. The
    left side's points are the right side's mirrored.
    """
    stem, side = region.rsplit("_", 1)
    points = lattice(*bounds_mm(f"{stem}_right"), spacing_mm)
    points = points[inside(f"{stem}_right", points)] * ([1, 1, 1] if side == "right" else [-1, 1, 1])
    points.setflags(write=False)
    return points


def lattice(low_mm: ArrayLike, high_mm: ArrayLike, spacing_mm: float) -> Floats:
    """Points (N, 3) at odd multiples of half `spacing_mm` that fill the box from `low_mm` to `high_mm`."""
    limits = zip(np.asarray(low_mm, float), np.asarray(high_mm, float), strict=True)
    axes = [(np.arange(np.floor(a / spacing_mm), np.ceil(b / spacing_mm)) + 0.5) * spacing_mm for a, b in limits]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
