"""`dopascope pseudocolour IMAGE`: slices of a brain in 7 to 64 colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dopascope.cli import options
from dopascope.cli.read import stem
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.volume import LabelMap, SliceImage, Volume

PLANE: Final = "axial"
MIDDLE: Final = "middle"
INTERVALS: Final = 49


@verb
def pseudocolour(
    image: Annotated[
        Path, typer.Argument(help="A brain scan (NIfTI, MGZ, DICOM), or a grey PNG or JPEG slice.", metavar="IMAGE")
    ],
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Brain above 0, on the same grid; default: the segmenter's.", metavar="MASK"),
    ] = None,
    intervals: Annotated[
        int, typer.Option("--intervals", help="Of the grey range, one colour each: 7 to 64.", metavar="N")
    ] = INTERVALS,
    plane: Annotated[str, typer.Option("--plane", help="axial, coronal or sagittal.", metavar="PLANE")] = PLANE,
    slices: Annotated[
        str,
        typer.Option("--slice", help="From 0 rightwards, forwards, upwards; or middle or all.", metavar="N|middle|all"),
    ] = MIDDLE,
    range_of: Annotated[
        str | None,
        typer.Option("--range", help="scan: one grey range for all slices (default); slice: its own.", metavar="RANGE"),
    ] = None,
    panels: Annotated[
        bool, typer.Option("--panels", help="Also 7, 14, 49 and 56 intervals side by side, with words.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; default: the image's name with -pseudocolour.", metavar="DIR")
    ] = None,
    series: options.SeriesOption = None,
    frame: options.FrameOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Cut the grey range of a brain into equal intervals and draw its slices in one colour each, on black 512 x 512.

    The colours add no information: they follow from the grey values alone.

    Examples: dopascope pseudocolour t1.nii.gz --panels; dopascope pseudocolour t1.nii.gz --mask t1_brain.nii.gz
    """
    from dopascope import formats
    from dopascope.report.pseudocolour import RECORD, Choices, write

    wanted = options.read_options(frame, strictness, limit)
    choices = Choices(intervals, plane, slices, range_of or "scan", panels)
    scan = formats.load(image, series=series, frame=frame, strictness=strictness, limits=wanted.limits)
    labels = formats.load(mask, strictness=strictness, limits=wanted.limits) if mask else _found_brain(scan, image)
    _check_picture(scan, image, plane, slices)
    folder = out or Path(f"{stem(image)}-pseudocolour")
    record = write(scan, labels, folder, choices)
    if json:
        data(as_json(record))
    else:
        for name in [*(file for one in record["pictures"] for file in one["files"]), RECORD]:
            data(str(folder / name))
    _talk(record, range_given=range_of is not None)


def _found_brain(scan: Volume | SliceImage, image: Path) -> LabelMap:
    """The brain by the segmenter that ships.

    Raises:
        UsageError: a picture.
        UnsuitableError: no brain that could be one.
    """
    from dopascope.bundle.segmenter import SHIPPED_SEGMENTER, brain_of
    from dopascope.volume import SliceImage

    if isinstance(scan, SliceImage):
        raise UsageError(
            "The brain is not known: it is found in scans, and a picture is one slice.",
            where="--mask",
            found="nothing",
            expected=f"a picture of the size of {image.name} with the brain above 0",
            fix="Name a mask with --mask, or give the scan that the picture was cut from.",
        )
    found = brain_of(scan).mask
    say_assumed([f"brain is what {SHIPPED_SEGMENTER} finds"])
    return found


def _check_picture(scan: Volume | SliceImage, image: Path, plane: str, slices: str) -> None:
    from dopascope.volume import SliceImage

    if isinstance(scan, SliceImage) and (plane, slices) != (PLANE, MIDDLE):
        raise UsageError(
            "A picture is one slice of a plane that is not known.",
            where=image,
            found=f"--plane {plane} --slice {slices}",
            expected="neither of them",
            fix="Leave --plane and --slice out, or give the scan that the picture was cut from.",
        )


def _talk(record: dict[str, Any], *, range_given: bool) -> None:
    """What only a person reads: assumptions, what was left out, and what the colours are worth."""
    say_assumed(record["assumed"])
    if not range_given and record["range_of"] == "scan":
        say_assumed(["the grey range is that of the brain in the whole scan, so that slices compare"])
    for one in record["left_out"]:
        say(f"LEFT OUT slice {one['slice']}: {one['reason']}")
    most = max(one["colours"] for one in record["pictures"])
    if most < record["intervals"] // 2:
        say(
            f"WARNING  at most {most} of {record['intervals']} colours are in a picture: a few voxels stretch the range"
        )
    say(record["caption"])
