"""Which pictures a report holds, cut from an examination's volumes on one fixed intensity scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.reading.images import ChangedSlab, Examination, Images
from dopascope.report import t1_figures, tiles
from dopascope.report.t1_figures import T1Figures
from dopascope.report.tiles import Plane, Tile
from dopascope.space import canonical, views
from dopascope.volume import MNI_2MM, SliceImage, Volume

DISPLAY_TOP: Final = 5.0
"""Every picture on the hot scale runs from 0 to this many times the reference region, in every report: about the
brightest slice of the template normal."""

DIFFERENCE_TOP: Final = 3.0
"""Of a simulated change, in times the reference region: full orange or blue."""

EVIDENCE_TOP: Final = 4.0
"""Upper end of the grey scale under evidence."""

SLICE_STEP: Final = 3
WINDOW: Final = range(31, 49, SLICE_STEP)
"""First of each group of three slices: z = -10 to +24 mm, six pictures of 6 mm."""

CROP: Final = (slice(4, 87), slice(7, 103), slice(6, 80))
"""The part of `MNI_2MM` that is shown: x within 82 mm, y -112 to +78 mm, z -60 to +86 mm."""

CENTRE_MM: Final = (26.0, 4.0, 4.0)
"""The planes through the striatum: sagittal through both putamina, coronal, axial."""

MAX_PIXELS: Final = 420
"""Longest edge of a picture of the scan as stored."""

CHANGED: Final = "Simulation, no evidence: this slab with other ratios"

SLAB_LABEL: Final = "slab z −2 to +8 mm"

MNI_MM: Final = MNI_2MM.spacing_mm[0]


@dataclass(frozen=True)
class Strip:
    """A row of tiles, with its name."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Figures:
    """All pictures of one report. What an examination does not have is empty or None."""

    rows: tuple[Strip, ...] = ()
    planes: Strip | None = None
    evidence: tuple[tuple[str, Tile], ...] = ()
    """Reader id and its map over the slab."""
    registration: Strip | None = None
    stored: Strip | None = None
    """The scan as it came, or the picture."""
    counterfactual: Strip | None = None
    """A simulation, where one was asked for."""
    t1: T1Figures | None = None
    """Of a T1 MRI whose brain was found."""


def draw(examination: Examination) -> Figures:
    """All figures of an examination; a refused or unregistered scan is shown as stored."""
    images = examination.images
    if isinstance(images, SliceImage):
        return Figures(stored=Strip("The picture as stored", (picture(images),)))
    reading = examination.reading
    if reading.is_t1 and reading.verdict != "refused":
        t1 = t1_figures.draw(images, reading.registration, reading.pseudocolour)
        if t1 is not None:
            return Figures(t1=t1)
    stored = registration = None
    if images.mni is None or reading.verdict == "refused":
        stored = Strip("The scan as stored", tuple(stored_planes(images.scan, grey=reading.is_t1)))
    if images.mni is not None:
        numbers = reading.quantification
        outlined = tuple(registration_check(images.mni, numbers.reference_region if numbers else ""))
        registration = Strip("Template outlines on the scan (grey: square root of the uptake)", outlined)
    if images.mni is None or stored:
        return Figures(stored=stored, registration=registration)
    return Figures(
        rows=tuple(slice_rows(images)),
        planes=Strip("Planes through the striatum and projections", tuple(striatal_planes(images.mni))),
        evidence=tuple((reader, evidence_slab(images.mni, found)) for reader, found in images.evidence.items()),
        registration=registration,
        counterfactual=None if images.changed is None else Strip(CHANGED, tuple(changed_tiles(images.changed))),
    )


def thumbnail(examination: Examination) -> Tile:
    """One small picture: the slab, or what there is of a scan or picture that was not read."""
    images = examination.images
    if isinstance(images, SliceImage):
        return picture(images)
    if found := t1_figures.thumbnail(images):
        return found
    if images.mni is None or examination.reading.verdict == "refused":
        return next(stored_planes(images.scan, grey=examination.reading.is_t1))
    return slab(images.mni)


def slice_rows(images: Images) -> Iterator[Strip]:
    """The striatal window of the scan and, beneath it, of the template normal, on the same scale."""
    for name, volume in (("This scan", images.mni), ("Template normal", images.template)):
        if volume is not None:
            yield Strip(name, tuple(_thick_slice(name, volume, first) for first in WINDOW))


def _thick_slice(name: str, volume: Volume, first: int) -> Tile:
    z = MNI_2MM.to_world([0, 0, first + (SLICE_STEP - 1) / 2])[2]
    plane = volume.data[CROP[0], CROP[1], first : first + SLICE_STEP].mean(axis=2)
    label = f"z {tiles.signed(z)} mm"
    return _hot(plane, label, f"{name}, axial slice at {label}, subject's right on the left")


def slab(volume: Volume) -> Tile:
    """The 12 mm slab that the networks look at."""
    plane = views.slab_12mm(volume)[CROP[:2]]
    return _hot(plane, SLAB_LABEL, "Axial slab of 12 mm through the striatum, subject's right on the left")


def striatal_planes(volume: Volume) -> Iterator[Tile]:
    """Axial, coronal, right and left sagittal through the striatum; maxima seen from the front and from below."""
    x, y, z = CENTRE_MM
    right, j, k = np.round(MNI_2MM.to_index(CENTRE_MM)).astype(int)
    left = int(np.round(MNI_2MM.to_index([-x, y, z]))[0])
    data, (ci, cj, ck) = volume.data, CROP
    flat = views.projections(volume)
    right_left, front_back = ("R", "L"), ("A", "P")
    yield _hot(data[ci, cj, k], f"axial z {tiles.signed(z)}", "Axial plane through the striatum", right_left)
    yield _hot(data[ci, j, ck], f"coronal y {tiles.signed(y)}", "Coronal plane through the striatum", right_left)
    yield _hot(
        data[right, cj, ck], f"right x {tiles.signed(x)}", "Sagittal plane through the right putamen", front_back
    )
    yield _hot(data[left, cj, ck], f"left x {tiles.signed(-x)}", "Sagittal plane through the left putamen", front_back)
    yield _hot(flat["coronal"][ci, ck], "maximum, from the front", "Maximum projection seen from the front", right_left)
    yield _hot(flat["axial"][ci, cj], "maximum, from below", "Maximum projection seen from below", right_left)


def evidence_slab(scan: Volume, evidence: Volume) -> Tile:
    """Evidence over the grey slab: orange speaks for reduced, blue for normal, densest at the map's own maximum."""
    signed = _enlarged(views.slab_12mm(evidence)[CROP[:2]])
    largest = float(np.abs(signed).max())
    image = tiles.grey(_enlarged(views.slab_12mm(scan)[CROP[:2]]), EVIDENCE_TOP, ("R", "L"))
    if largest > 0:
        image = tiles.tint(image, signed / largest)
    alt = "Evidence over the axial slab through the striatum, subject's right on the left"
    return _tile(image, SLAB_LABEL, alt)


def changed_tiles(changed: ChangedSlab) -> Iterator[Tile]:
    """The slab as it is, as simulated with SYNTHETIC burnt in, and what was added (orange) or taken away (blue)."""
    cut = CROP[:2]
    yield _hot(changed.before[cut], "this scan", "This scan's axial slab of 12 mm, subject's right on the left")
    after = tiles.hot(_enlarged(changed.after[cut]), DISPLAY_TOP, ("R", "L"))
    wanted = changed.part.asked
    label = f"age-matched normal, {changed.part.age_years:g} years" if wanted == "normal" else f"ratio {wanted:g}"
    yield _tile(tiles.stamped(after), f"simulated: {label}", f"Simulated slab, {label}: no evidence")
    added = _enlarged((changed.after - changed.before)[cut])
    base = tiles.grey(_enlarged(changed.before[cut]), EVIDENCE_TOP, ("R", "L"))
    tinted = tiles.stamped(tiles.tint(base, added / DIFFERENCE_TOP))
    yield _tile(tinted, f"difference, full colour at {DIFFERENCE_TOP:g}", "Difference of the two over the slab in grey")


def registration_check(scan: Volume, reference: str) -> Iterator[Tile]:
    """Outlines of the template's brain, reference and striatal regions over the scan in grey, in three planes."""
    i, j, k = np.round(MNI_2MM.to_index(CENTRE_MM)).astype(int)
    cuts: list[tuple[str, tuple[Any, ...], tuple[str, str]]] = [
        ("axial", (CROP[0], CROP[1], k), ("R", "L")),
        ("coronal", (CROP[0], j, CROP[2]), ("R", "L")),
        ("sagittal, right", (i, CROP[1], CROP[2]), ("A", "P")),
    ]
    for name, cut, sides in cuts:
        # The square root shows the brain's edge and the striatal peaks in one picture.
        image = tiles.grey(_enlarged(np.sqrt(np.clip(scan.data[cut], 0, None))), np.sqrt(DISPLAY_TOP), sides)
        for region, mask in _outline_masks(reference).items():
            tiles.outline(image, _enlarged(mask[cut]), region)
        yield _tile(image, name, f"Template outlines over the scan, {name} plane")


@lru_cache(maxsize=2)
def _outline_masks(reference: str) -> dict[str, NDArray[np.float32]]:
    striatum = atlas.striatum_labels(MNI_2MM)
    masks = {"brain": np.asarray(atlas.tissue("brain").data, np.float32)}
    if reference in atlas.REFERENCES:
        masks["reference"] = atlas.reference_mask(reference).astype(np.float32)
    for structure in ("caudate", "anterior_putamen", "posterior_putamen"):
        both = striatum.mask(f"{structure}_left") | striatum.mask(f"{structure}_right")
        masks[structure.replace("_", " ")] = both.astype(np.float32)
    return masks


def stored_planes(scan: Volume, *, grey: bool = False) -> Iterator[Tile]:
    """The middle planes of the scan on its own grid, each axis as near to the anatomical one as it gets."""
    upright = canonical(scan)
    i, j, k = (n // 2 for n in upright.grid.shape)
    x, y, z = upright.grid.spacing_mm
    cuts: list[tuple[str, Any, tuple[float, float], tuple[str, str]]] = [
        ("axial", upright.data[:, :, k], (y, x), ("R", "L")),
        ("coronal", upright.data[:, j, :], (z, x), ("R", "L")),
        ("sagittal", upright.data[i, :, :], (z, y), ("A", "P")),
    ]
    shown = [tiles.radiological(plane) for _, plane, _, _ in cuts]
    top = _own_top(np.concatenate([plane.ravel() for plane in shown]))
    for (name, _, spacing, sides), plane in zip(cuts, shown, strict=True):
        small, pixel = _fitted(plane, spacing)
        label = f"{name}, middle plane"
        image = (tiles.grey if grey else tiles.hot)(tiles.scaled(small, pixel), top, sides)
        yield _tile(image, label, f"The scan as stored, {label}", _millimetres(plane, spacing))


def picture(image: SliceImage) -> Tile:
    """A picture as it came; nothing is known of its sides or size, so there are no letters and no scale."""
    from PIL import Image

    data = np.nan_to_num(image.data, posinf=0, neginf=0)
    top = max(float(data.max()), 1e-6)
    value = (np.clip(data / top, 0, 1) * 255 + 0.5).astype(np.uint8)
    drawn = Image.fromarray(value)
    drawn.thumbnail((MAX_PIXELS, MAX_PIXELS), Image.Resampling.BOX)
    return Tile("as stored", "The picture as stored; its sides are not known", drawn, drawn.width / 3, drawn.height / 3)


def _own_top(values: Plane) -> float:
    top = float(np.percentile(values, 99.5))
    return top if top > 0 else max(float(np.abs(values).max()), 1e-6)


def _fitted(plane: Plane, spacing: tuple[float, float]) -> tuple[Plane, tuple[float, float]]:
    """`plane` and the spacing that makes `tiles.scaled` draw its longest edge with `MAX_PIXELS`."""
    longest = max(_millimetres(plane, spacing)) * tiles.PIXELS_PER_MM
    return plane, (spacing[0] * MAX_PIXELS / longest, spacing[1] * MAX_PIXELS / longest)


def _millimetres(plane: Plane, spacing: tuple[float, float]) -> tuple[float, float]:
    return plane.shape[1] * spacing[1], plane.shape[0] * spacing[0]


def _enlarged(plane: NDArray[np.floating[Any]]) -> Plane:
    return tiles.scaled(tiles.radiological(plane), (MNI_MM, MNI_MM))


def _hot(plane: NDArray[np.floating[Any]], label: str, alt: str, sides: tuple[str, str] = ("R", "L")) -> Tile:
    return _tile(tiles.hot(_enlarged(plane), DISPLAY_TOP, sides), label, alt)


def _tile(image: Any, label: str, alt: str, size_mm: tuple[float, float] | None = None) -> Tile:
    width, height = size_mm or (image.width / tiles.PIXELS_PER_MM, image.height / tiles.PIXELS_PER_MM)
    return Tile(label, alt, image, width, height)
