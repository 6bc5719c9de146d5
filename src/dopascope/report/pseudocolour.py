"""Slices of a brain in 7 to 64 colours, as pictures for training and as panels for eyes, with what they mean.

The colours follow from the grey values alone: see `space.pseudocolour`. The pictures hold nothing but the brain's
colours on black; sides and words are in the panels and in the record, so that no network can learn them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.errors import InputError, UnsuitableError, UsageError
from dopascope.report import pseudocolour_pictures as pictures
from dopascope.report.files import save
from dopascope.report.pseudocolour_pictures import Slice
from dopascope.space.orient import canonical
from dopascope.space.pseudocolour import (
    INTERVALS,
    GreyRange,
    brain_of,
    check_intervals,
    clusters,
    grey_range,
    on_canvas,
)
from dopascope.volume import LabelMap, SliceImage, Source, Volume

RECORD: Final = "pseudocolour.json"
FORM: Final = "dopascope.pseudocolour/1"

PLANES: Final = ("sagittal", "coronal", "axial")
"""By the axis of a scan in the order R, A, S that they lie across."""

RANGES: Final = ("scan", "slice")

INTERPOLATION: Final = (
    "mask: nearest pixel; grey: linear between brain pixels alone; 512 x 512 square pixels stay unchanged"
)
OBLIQUE_DEGREES: Final = 1.0
"""Tilt of a stored axis against the anatomical one from which on it is said."""

PICTURE: Final = "picture"
"""Name of the files of an image that is one slice."""


@dataclass(frozen=True)
class Choices:
    """What is coloured, and how."""

    intervals: int = INTERVALS
    plane: str = "axial"
    slices: str = "middle"
    """Number of a slice from 0, counted from left to right, back to front or feet to head; or `middle`, or `all`."""
    range_of: str = "scan"
    """The grey range is cut for the whole scan, so that its slices compare, or for each slice."""
    panels: bool = False
    """Also the same slice in 7, 14, 49 and 56 colours side by side."""

    def __post_init__(self) -> None:
        check_intervals(self.intervals)
        if self.plane not in PLANES:
            raise _wrong("There is no such plane.", "--plane", self.plane, "axial, coronal or sagittal")
        if self.range_of not in RANGES:
            raise _wrong("There is no such range.", "--range", self.range_of, " or ".join(RANGES))
        if self.slices not in ("middle", "all") and not (self.slices.isascii() and self.slices.isdigit()):
            raise _wrong("This slice cannot be meant.", "--slice", self.slices, "a number from 0, middle or all")


def numbers(brain: NDArray[np.bool_], choices: Choices) -> list[int]:
    """The chosen slices of a scan that hold brain, `brain` being `(I, J, K)` in the order R, A, S.

    Raises:
        UsageError: there is no slice of this number, or no brain on it.
    """
    axis = PLANES.index(choices.plane)
    found = np.flatnonzero(brain.any(axis=tuple(one for one in range(3) if one != axis)))
    if choices.slices == "all":
        return [int(one) for one in found]
    number = int(found[len(found) // 2]) if choices.slices == "middle" else int(choices.slices)
    if number not in found:
        raise _wrong(
            "This slice has no brain.", "--slice", number, f"{found[0]} to {found[-1]}, where the mask is above 0"
        )
    return [number]


def cut(image: Volume | SliceImage, brain: NDArray[np.bool_], plane: str, number: int) -> Slice:
    """A slice in radiological convention; a picture as it is, with square pixels.

    Args:
        image: a scan, or a grey picture.
        brain: of `space.pseudocolour.brain_of`.
        plane: of `PLANES`.
        number: along that axis in the order R, A, S; of a picture 0.
    """
    if isinstance(image, SliceImage):
        return Slice(PICTURE, 0, None, image.data, brain, (1.0, 1.0), None)
    scan, axis = canonical(image), PLANES.index(plane)
    across, up = (one for one in range(3) if one != axis)
    # As `tiles.radiological` turns it, of any type and with what is not finite.
    grey, inside = (np.take(one, number, axis).T[::-1, ::-1] for one in (scan.data, brain))
    middle = [(n - 1) / 2 for n in scan.grid.shape]
    middle[axis] = number
    spacing = scan.grid.spacing_mm
    return Slice(
        name=f"{plane}-{number:03d}",
        number=number,
        position_mm=round(float(scan.grid.to_world(middle)[axis]), 1),
        grey=grey,
        brain=inside,
        spacing_mm=(spacing[up], spacing[across]),
        sides=("A", "P") if plane == "sagittal" else ("R", "L"),
    )


def write(
    image: Volume | SliceImage, mask: Volume | LabelMap | SliceImage, out: Path, choices: Choices
) -> dict[str, Any]:
    """Colour the chosen slices and write them into `out`, with `pseudocolour.json` beside them. Same bytes each time.

    Args:
        image: a scan, or a grey picture.
        mask: brain above 0, on the same grid; see `space.pseudocolour.brain_of`.
        out: a folder, new or of the same image.
        choices: what is coloured, and how.

    Returns:
        The record as written.

    Raises:
        UsageError: a slice that is not there or has no brain; a folder with pictures of another image.
        UnsuitableError, GeometryError: image or mask; see `space.pseudocolour.brain_of` and `grey_range`.
        DopascopeError: the disk refuses.
    """
    _check_folder(out, image)
    brain = brain_of(mask, image, where=_path(mask) or "the mask")
    upright = image if isinstance(image, SliceImage) else canonical(image)
    one_slice = isinstance(upright, SliceImage)
    own = one_slice or choices.range_of == "slice"
    whole = None if own else grey_range(upright.data, brain, where=_path(image) or "the scan")
    chosen = [0] if one_slice else numbers(brain, choices)
    made, left_out = _write_slices([cut(upright, brain, choices.plane, one) for one in chosen], whole, out, choices)
    record = {
        "form": FORM,
        "image_sha256": _sha256(image),
        "mask_sha256": _sha256(mask),
        "assumed": list(_assumed(upright, mask, choices, chosen)),
        "plane": None if one_slice else choices.plane,
        "range_of": "slice" if whole is None else "scan",
        "intervals": choices.intervals,
        "caption": pictures.caption(choices.intervals),
        "interpolation": INTERPOLATION,
        "pictures": made,
        "left_out": left_out,
        "software": provenance.software(),
    }
    save(out / RECORD, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    return record


def _write_slices(
    slices: list[Slice], whole: GreyRange | None, out: Path, choices: Choices
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was made of each slice, and which of all had no range of its own."""
    made: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for one in slices:
        try:
            span = whole or grey_range(one.grey, one.brain, where=f"slice {one.number}")
        except InputError as error:
            if len(slices) == 1:
                raise
            left_out.append({"slice": one.number, "reason": f"{error.what} {error.found}"})
            continue
        made.append(_write_slice(one, span, out, choices, of_scan=whole is not None))
    if not made:
        raise UnsuitableError(
            "No slice has a grey range of its own.",
            where="--range slice",
            found=f"{len(left_out)} slices left out, the first: {left_out[0]['reason']}",
            expected="at least two grey values in the brain of a slice",
            fix="Take the range of the whole scan.",
        )
    return made, left_out


def _write_slice(one: Slice, span: GreyRange, out: Path, choices: Choices, *, of_scan: bool) -> dict[str, Any]:
    found = clusters(*on_canvas(one.grey, one.brain, one.spacing_mm), span, choices.intervals)
    words = f"{pictures.caption(choices.intervals)} {pictures.range_words(span, of_scan=of_scan)}"
    files = {f"{one.name}-{choices.intervals}.png": pictures.picture(found, choices.intervals, words)}
    if choices.panels:
        files[f"{one.name}-panels.png"] = pictures.panels(one, span, of_scan=of_scan)
    for name, content in files.items():
        save(out / name, content)
    return {
        "files": list(files),
        "slice": one.number,
        "position_mm": one.position_mm,
        "left_and_right_of_the_picture": one.sides,
        "low": span.low,
        "high": span.high,
        "voxels": span.voxels,
        "colours": len(np.unique(found[found > 0])),
    }


def _assumed(
    image: Volume | SliceImage, mask: Volume | LabelMap | SliceImage, choices: Choices, chosen: list[int]
) -> Iterator[str]:
    for name, source in (("", _source(image)), ("mask: ", _source(mask))):
        yield from (name + one for one in (source.assumed if source else ()))
    labels = len(np.unique(mask.data[mask.data > 0]))
    if labels > 1:
        yield f"brain is where the mask is above 0: all of its {labels} labels"
    if isinstance(image, SliceImage):
        yield "the picture's pixels are square"
        return
    if choices.slices == "middle":
        yield f"{choices.plane} slice {chosen[0]}, the middle one of those with brain"
    directions = image.grid.affine[:3, :3] / np.array(image.grid.spacing_mm)
    off = float(np.degrees(np.arccos(np.clip(np.diag(directions).min(), -1, 1))))
    if off > OBLIQUE_DEGREES:
        yield f"planes are the stored ones, up to {off:.0f} degrees off the anatomical"


def _source(image: Volume | LabelMap | SliceImage) -> Source | None:
    return None if isinstance(image, LabelMap) else image.source


def _sha256(image: Volume | LabelMap | SliceImage) -> str | None:
    source = _source(image)
    return source.sha256 if source else None


def _path(image: Volume | LabelMap | SliceImage) -> str | None:
    source = _source(image)
    return source.path if source else None


def _check_folder(out: Path, image: Volume | SliceImage) -> None:
    """Pictures of two images in one folder would be taken for one scan's."""
    try:
        known = json.loads((out / RECORD).read_text(encoding="utf-8")).get("image_sha256")
    except FileNotFoundError:
        return
    except (ValueError, AttributeError):
        known = "no record of this version"
    if known is None or known != _sha256(image):
        raise UsageError(
            "This folder holds pictures of another image.",
            where=out,
            found=f"sha256 {known}",
            expected="a new folder, or one with pictures of this image",
            fix="Name another folder with --out, or remove this one.",
        )


def _wrong(what: str, where: str, found: object, expected: str) -> UsageError:
    return UsageError(what, where=where, found=found, expected=expected, fix="Correct it.")
