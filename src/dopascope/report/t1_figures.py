"""Pictures of a T1 MRI: outlines of the brain and the template's structures, and the brain in pseudo-colour.

All are cut from the scan on its own grid, in the order R, A, S; planes are the stored ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import Tissue, template_brain
from dopascope.reading.images import Images
from dopascope.reading.schema import PseudocolourPart, RegistrationPart
from dopascope.report import colour, tiles
from dopascope.report.tiles import Plane, Tile
from dopascope.space import canonical, resample
from dopascope.space.pseudocolour import GreyRange, clusters, on_canvas
from dopascope.volume import Grid, LabelMap, Volume

if TYPE_CHECKING:
    from PIL import Image

Rgb = tuple[int, int, int]

OUTLINES: Final[dict[str, Rgb]] = {
    "brain": (255, 128, 64),
    "caudate": (86, 180, 233),
    "putamen": (240, 228, 66),
    "midbrain": (0, 190, 140),
    "pons": (225, 130, 190),
}
"""Outline colours that stay apart for colour-blind readers on a grey scan (after Okabe and Ito 2008)."""
STRUCTURES: Final = {
    "caudate": Tissue.CAUDATE,
    "putamen": Tissue.PUTAMEN,
    "midbrain": Tissue.MIDBRAIN,
    "pons": Tissue.PONS,
}
STRIATAL_MM: Final = (24.0, 4.0, 4.0)
"""Template mm that the planes of the structures go through: putamen, caudate heads."""
MIDDLE_MM: Final = (1.0, -24.0, -24.0)
"""Midbrain and pons."""
TOP_PERCENTILE: Final = 99.5
"""Of the brain's values, which is white."""
HEADROOM: Final = 1.15
MAX_PIXELS: Final = 400
MARGIN_MM: Final = 14.0
PLANES: Final = ("sagittal", "coronal", "axial")
"""By the axis that they lie across."""


@dataclass(frozen=True)
class T1Figures:
    """All pictures of a T1 MRI, each a name and its tiles."""

    brain: tuple[Tile, ...]
    structures: tuple[Tile, ...]
    """Empty where the template was not placed."""
    colours: tuple[Tile, ...]


def draw(images: Images, registration: RegistrationPart | None, cut: PseudocolourPart | None) -> T1Figures | None:
    """The pictures of a scan whose brain was found; None where it was not."""
    if images.brain is None:
        return None
    scan, inside = _around_brain(images.scan, images.brain)
    at = np.round(np.argwhere(inside.data > 0).mean(axis=0)).astype(int)
    top = float(np.percentile(scan.data[inside.data > 0], TOP_PERCENTILE)) * HEADROOM
    outlined = tuple(_outlined(scan, {"brain": inside}, axis, int(at[axis]), top) for axis in (2, 1, 0))
    structures: tuple[Tile, ...] = ()
    places = at
    if registration is not None and registration.accepted:
        matrix = np.array(registration.mni_to_scan)
        structures = tuple(_structures(scan, matrix, top))
        places = _index(scan.grid, matrix, STRIATAL_MM)
    coloured: tuple[Tile, ...] = ()
    if cut is not None:
        span = GreyRange(cut.low, cut.high, cut.voxels)
        picked = [(axis, int(places[axis])) for axis in (2, 1, 0)]
        coloured = tuple(_coloured(scan, inside, axis, number, span, cut.intervals) for axis, number in picked)
    return T1Figures(outlined, structures, coloured)


def thumbnail(images: Images) -> Tile | None:
    """One small picture: the brain's outline on an axial plane."""
    if images.brain is None:
        return None
    scan, inside = _around_brain(images.scan, images.brain)
    number = round(float(np.argwhere(inside.data > 0)[:, 2].mean()))
    top = float(np.percentile(scan.data[inside.data > 0], TOP_PERCENTILE)) * HEADROOM
    return _outlined(scan, {"brain": inside}, 2, number, top)


def _around_brain(scan: Volume, brain: LabelMap) -> tuple[Volume, LabelMap]:
    """Both in the order R, A, S, cut to the brain and `MARGIN_MM` around it."""
    upright, inside = canonical(scan), canonical(brain)
    at, margin = np.argwhere(inside.data > 0), np.ceil(MARGIN_MM / np.array(upright.grid.spacing_mm))
    low = np.maximum(at.min(axis=0) - margin, 0).astype(int)
    high = np.minimum(at.max(axis=0) + margin + 1, upright.grid.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = upright.grid.affine.copy()
    affine[:3, 3] = upright.grid.to_world(low)
    i, j, k = (int(n) for n in high - low)
    grid = Grid((i, j, k), affine)
    return Volume(upright.data[box], grid), LabelMap(inside.data[box], grid)


def _structures(scan: Volume, matrix: NDArray[np.float64], top: float) -> Iterator[Tile]:
    """The template's structures where the whole brain's affine puts them, on four planes."""
    striatal, middle = _index(scan.grid, matrix, STRIATAL_MM), _index(scan.grid, matrix, MIDDLE_MM)
    for axis, number in ((2, striatal[2]), (1, striatal[1]), (0, middle[0])):
        plane = _plane_grid(scan.grid, axis, int(number))
        labels = resample(template_brain(), plane, to_image=np.linalg.inv(matrix))
        parts = {name: LabelMap((labels.data == tissue).astype(np.uint8), plane) for name, tissue in STRUCTURES.items()}
        yield _outlined(scan, parts, axis, int(number), top)


def _index(grid: Grid, matrix: NDArray[np.float64], place_mm: tuple[float, float, float]) -> NDArray[np.int_]:
    """The voxel of a place of the template, within the scan."""
    world = matrix[:3, :3] @ np.array(place_mm) + matrix[:3, 3]
    found: NDArray[np.int_] = np.clip(np.round(grid.to_index(world)).astype(int), 0, np.array(grid.shape) - 1)
    return found


def _plane_grid(grid: Grid, axis: int, number: int) -> Grid:
    """One slice of a grid."""
    shape = [1 if a == axis else n for a, n in enumerate(grid.shape)]
    start = [number if a == axis else 0 for a in range(3)]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(start)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _outlined(scan: Volume, parts: dict[str, LabelMap], axis: int, number: int, top: float) -> Tile:
    """A slice in grey with outlines; a part is on the scan's grid, or on the one slice."""
    plane, size = _slice(scan.data, scan.grid, axis, number)
    image = tiles.grey(plane, top, _sides(axis)).convert("RGB")
    for name, part in parts.items():
        inside, _ = _slice(part.data, part.grid, axis, number if part.grid.shape[axis] > 1 else 0)
        _outline(image, inside, OUTLINES[name])
    label = _label(scan.grid, axis, number)
    return Tile(label, f"{label}; outlined: {', '.join(parts)}; {_said(axis)}", image, *size)


def _coloured(scan: Volume, inside: LabelMap, axis: int, number: int, span: GreyRange, intervals: int) -> Tile:
    """A slice of the brain in pseudo-colour on black, with its sides."""
    from PIL import Image

    grey, brain = (np.take(one, number, axis).T[::-1, ::-1] for one in (scan.data, inside.data > 0))
    across, up = (a for a in range(3) if a != axis)
    spacing = (scan.grid.spacing_mm[up], scan.grid.spacing_mm[across])
    found = clusters(*on_canvas(grey, brain, spacing), span, intervals)
    palette = np.concatenate([np.zeros((1, 3), np.uint8), colour.sequential(intervals)])
    rgb = palette[found]
    letters = tiles.letters(found.shape, _sides(axis))
    image = Image.fromarray(np.maximum(rgb, letters[..., None]))
    label = _label(scan.grid, axis, number)
    return Tile(label, f"The brain in pseudo-colour, {label}; {_said(axis)}", image, 1.0, 1.0)


def _slice(data: NDArray[Any], grid: Grid, axis: int, number: int) -> tuple[Plane, tuple[float, float]]:
    """One slice as displayed, at the pixels of the report, and its size (width, height) in mm."""
    across, up = (a for a in range(3) if a != axis)
    shown = tiles.radiological(np.take(data, number, axis).astype(np.float32))
    spacing = (grid.spacing_mm[up], grid.spacing_mm[across])
    width, height = shown.shape[1] * spacing[1], shown.shape[0] * spacing[0]
    longest = max(width, height) * tiles.PIXELS_PER_MM
    pixel = (spacing[0] * MAX_PIXELS / longest, spacing[1] * MAX_PIXELS / longest)
    return tiles.scaled(shown, pixel), (width, height)


def _outline(image: Image.Image, mask: Plane, rgb: Rgb) -> None:
    from PIL import Image

    image.paste(rgb, mask=Image.fromarray(tiles.border(mask)))


def _sides(axis: int) -> tuple[str, str]:
    return ("A", "P") if axis == 0 else ("R", "L")


def _said(axis: int) -> str:
    return "the face looks left" if axis == 0 else "the subject's right is on the left"


def _label(grid: Grid, axis: int, number: int) -> str:
    """Plane and position in the scan's own millimetres."""
    middle = [(n - 1) / 2 for n in grid.shape]
    middle[axis] = number
    return f"{PLANES[axis]} {'xyz'[axis]} {tiles.signed(float(grid.to_world(middle)[axis]))} mm"
