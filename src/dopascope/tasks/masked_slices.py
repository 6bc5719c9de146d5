"""Slices of a table's scans with their expert masks, as a segmenter takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import formats
from dopascope.bundle.brain import HIGH_PERCENT, LOW_PERCENT, PIXEL_MM
from dopascope.bundle.brain import SIDE as BUNDLE_SIDE
from dopascope.cohort.masked import ALL, PLANES, MaskedImage, Wanted
from dopascope.errors import DopascopeError, HostileError, LeakError, UnsuitableError, UsageError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.space.canvas import Canvas
from dopascope.space.orient import canonical
from dopascope.space.pseudocolour import brain_of
from dopascope.volume import SliceImage, Source, Volume

Mask = NDArray[np.bool_]
BRIGHTEST: Final = 1.5
"""Grey values above are cut, as bundles cut them."""
MULTIPLE: Final = 16
"""Sides of a slice are a multiple of it: the encoder reduces them sixteenfold."""
MOST_BYTES: Final = 16 << 30
"""Of all slices together in memory."""
_BYTES_PER_PIXEL: Final = 3
DEFAULT_PLANE: Final = "axial"


@dataclass(frozen=True, eq=False)
class MaskedSlice:
    """One slice and its mask. Of a scan, rows and columns rise along R, A, S; of a picture they lie as displayed."""

    name: str
    scan: str
    participant_id: str
    plane: str | None
    """None of a picture: nobody knows."""
    image: NDArray[np.floating]
    """(rows, columns) from 0 to `BRIGHTEST`, 1 being the 99.5th percentile of the scan; kept as float16."""
    mask: Mask
    pixel_mm: float | None
    """Edge of a square pixel; None of a picture, and where pixels are not square."""

    @property
    def sides(self) -> tuple[str, str] | None:
        """What is on the left and right of the slice as `shown`."""
        return None if self.plane is None else ("A", "P") if self.plane == "sagittal" else ("R", "L")

    def shown(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """An array of this slice as people look at it: of a scan in radiological convention."""
        return plane if self.plane is None else np.ascontiguousarray(plane.T[::-1, ::-1])


@dataclass(frozen=True)
class Gathered:
    """Every slice of a table."""

    slices: list[MaskedSlice]
    assumed: list[str]
    digests: list[str]
    """SHA-256 of images and masks, in the order of the table."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every slice."""
        rows, columns = self.slices[0].image.shape
        return rows, columns


def gather(
    images: Sequence[MaskedImage],
    size: int | None,
    *,
    strictness: Strictness = Strictness.RAISE,
    limits: Limits | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Gathered:
    """Read the images of a table and cut them into slices of one shape.

    Args:
        images: lines of the table.
        size: side of the square that each slice is set on without stretching, as large as fits, a multiple of 16;
            slices of scans on `BUNDLE_SIDE` have the pixels that bundles see. None keeps the pixels as they are
            stored, in the middle of the smallest common multiple of 16.
        strictness: what to do about flaws of geometry.
        limits: of reading.
        progress: told of each image.

    Raises:
        InputError: an image or mask cannot be read or does not suit; the error names the line.
        UsageError: a size that is no multiple of 16, a slice that is not there, or a plane of a picture.
        LeakError: two people have the same image.
        HostileError: more than `MOST_BYTES` of slices.
    """
    check_size(size)
    found: list[MaskedSlice] = []
    assumed: dict[str, None] = {}
    owners: dict[str, MaskedImage] = {}
    digests = []
    for number, one in enumerate(images, 1):
        try:
            image = formats.load(one.image, strictness=strictness, limits=limits)
            mask = formats.load(one.mask, strictness=strictness, limits=limits)
            brain = brain_of(mask, image, where=one.mask)
            _check_background(brain, one)
            kept = list(_slices(one, image, brain, size))
        except DopascopeError as error:
            error.where = f"{one.where}: {error.where}" if error.where else one.where
            raise
        sources = [_source(image), _source(mask)]
        _check_owner(owners, sources[0].sha256, one)
        digests += [source.sha256 for source in sources]
        assumed |= dict.fromkeys(_assumed(one, image, sources))
        found += kept
        _check_memory(found, one)
        progress(number)
    return Gathered(_one_shape(found) if size is None else found, list(assumed), digests)


def check_size(size: int | None) -> None:
    """Refuse what DeepLabv3+ cannot take.

    Raises:
        UsageError: no multiple of 16 from 32 to 4096.
    """
    if size is not None and (size % MULTIPLE or not 32 <= size <= 4096):
        raise UsageError(
            "The network cannot take slices of this size.",
            where="--size",
            found=size,
            expected=f"a multiple of {MULTIPLE} from 32 to 4096, or native",
            fix="Choose another size; the paper's is 512.",
        )


def _slices(one: MaskedImage, image: Volume | SliceImage, brain: Mask, size: int | None) -> Iterator[MaskedSlice]:
    """The slices of an image that the table asks for; `brain` in the order of `canonical`."""
    if isinstance(image, SliceImage):
        _check_picture(one)
        grey, mask, pixel = _placed(_scaled(image.data), brain, (1.0, 1.0), size, of_scan=False)
        yield MaskedSlice(one.name, one.name, one.participant_id, None, grey, mask, None)
        return
    scan = canonical(image)
    scaled = _scaled(scan.data)
    for plane in PLANES if one.plane == ALL else (one.plane or DEFAULT_PLANE,):
        axis = PLANES.index(plane)
        inner = [other for other in range(3) if other != axis]
        spacing = scan.grid.spacing_mm[inner[0]], scan.grid.spacing_mm[inner[1]]
        for number in (one.slices or Wanted(ALL)).of(np.atleast_1d(brain.any(axis=tuple(inner))).tolist()):
            cut, marked = np.take(scaled, number, axis), np.take(brain, number, axis)
            grey, mask, pixel = _placed(cut, marked, spacing, size, of_scan=True)
            yield MaskedSlice(
                f"{one.name}-{plane}-{number:03d}", one.name, one.participant_id, plane, grey, mask, pixel
            )


def _scaled(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey values as bundles take them: two percentiles become 0 and 1; what is no number becomes 0."""
    values = data[(slice(None, None, 2),) * data.ndim] if min(data.shape) > 8 else data
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (LOW_PERCENT, HIGH_PERCENT)) if finite.size else (0.0, 0.0)
    if not high > low:
        raise UnsuitableError(
            "The image has no grey range.",
            found=f"{low:g} to {high:g}" if finite.size else "no finite value",
            expected=f"percentiles {LOW_PERCENT:g} and {HIGH_PERCENT:g} that differ",
            fix="Check that this is the image and not its mask.",
        )
    scaled = np.clip((data - np.float32(low)) / np.float32(high - low), 0, BRIGHTEST)
    return np.where(np.isfinite(data), scaled, 0).astype(np.float32)


def _placed(
    grey: NDArray[np.float32], mask: Mask, spacing: tuple[float, float], size: int | None, *, of_scan: bool
) -> tuple[NDArray[np.float16], Mask, float | None]:
    """A slice and its mask on the square, and the edge of its pixels in mm, in half the bytes: to 11 bits."""
    if size is None:
        square = np.isclose(*spacing, rtol=1e-3)
        return grey.astype(np.float16), mask, spacing[0] if of_scan and square else None
    canvas = Canvas.fitting(grey.shape, spacing, size)
    if of_scan and size == BUNDLE_SIDE:
        canvas = replace(canvas, pixel_mm=PIXEL_MM)
    placed = canvas.linear(grey, np.ones(grey.shape, bool)).astype(np.float16)
    return placed, canvas.nearest(mask), canvas.pixel_mm if of_scan else None


def _one_shape(slices: Sequence[MaskedSlice]) -> list[MaskedSlice]:
    """Each slice in the middle of black rows and columns, as many as the largest needs.

    Square where pictures and scans, which are turned to be shown, come together.
    """
    shape = [-(-max(one.image.shape[axis] for one in slices) // MULTIPLE) * MULTIPLE for axis in range(2)]
    if len({one.plane is None for one in slices}) > 1:
        shape = [max(shape)] * 2

    def framed(one: MaskedSlice) -> MaskedSlice:
        room = [wanted - n for wanted, n in zip(shape, one.mask.shape, strict=True)]
        frame = [(n // 2, n - n // 2) for n in room]
        return replace(one, image=np.pad(one.image, frame), mask=np.pad(one.mask, frame))

    return [framed(one) for one in slices]


def _check_picture(one: MaskedImage) -> None:
    for column in ("plane", "slices"):
        if (text := one.row.get(column)) is not None:
            raise UsageError(
                "A picture is one slice of a plane that is not known.",
                where=f"column {column}",
                found=text,
                expected="n/a",
                fix="Clear this cell, or give the scan that the picture was cut from.",
            )


def _check_background(brain: Mask, one: MaskedImage) -> None:
    if brain.all():
        raise UnsuitableError(
            "The mask holds nothing but brain.",
            where=one.mask,
            found=f"all of {brain.size} voxels above 0",
            expected="brain above 0, the rest 0: a class that is missing cannot be learned",
            fix="Give the mask of this image, and the image with what lies around the brain.",
        )


def _check_owner(owners: dict[str, MaskedImage], digest: str, one: MaskedImage) -> None:
    first = owners.setdefault(digest, one)
    if first.participant_id != one.participant_id:
        raise LeakError(
            "Two people have the same image.",
            where=one.where,
            found=f"{one.image.name} of {one.participant_id}, {first.image.name} of {first.participant_id}",
            expected="each image under one participant_id",
            fix="Correct participant_id: a split by people would put this image on both sides.",
        )


def _check_memory(slices: Sequence[MaskedSlice], one: MaskedImage) -> None:
    held = _BYTES_PER_PIXEL * sum(each.mask.size for each in slices)
    if held > MOST_BYTES:
        raise HostileError(
            "There are more slices than are held in memory.",
            where=one.where,
            found=f"{held / 2**30:.1f} GiB up to this line",
            expected=f"<= {MOST_BYTES / 2**30:g} GiB",
            fix="Ask for fewer in the column slices, such as brain or 20-160/4, or for a smaller --size.",
        )


def _source(image: Volume | SliceImage) -> Source:
    if image.source is None:
        raise ValueError("an image that was read has a source")
    return image.source


def _assumed(one: MaskedImage, image: Volume | SliceImage, sources: Sequence[Source]) -> Iterator[str]:
    for what, source in zip(("", "mask: "), sources, strict=True):
        yield from (f"{what}{text}" for text in source.assumed)
    if isinstance(image, SliceImage):
        yield "pixels of pictures are square"
        return
    if one.plane is None:
        yield f"plane: {DEFAULT_PLANE} where the table is silent"
    if one.slices is None:
        yield "slices: all where the table is silent, with brain or without"
    if not np.isfinite(image.data).all():
        yield f"{one.name}: voxels that are no numbers are black"
