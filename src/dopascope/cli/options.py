"""Options that several verbs share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dopascope.errors import UsageError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import ReadOptions, Strictness

ScanArgument = Annotated[
    Path,
    typer.Argument(help="A file (DICOM, NIfTI, MGZ, PNG, JPEG), a folder of DICOM files, or a zip.", metavar="SCAN"),
]
SeriesOption = Annotated[
    str | None,
    typer.Option("--series", help="Which series of a folder or zip; `inspect` lists their ids.", metavar="ID"),
]
ModalityOption = Annotated[
    str | None,
    typer.Option(
        "--modality",
        help="What the scan is, where the file does not say: DaT SPECT or T1-weighted MRI.",
        metavar="dat|t1",
    ),
]
FrameOption = Annotated[int | None, typer.Option("--frame", help="Which volume of a 4-D file, from 0.", min=0)]
StrictnessOption = Annotated[
    Strictness,
    typer.Option(
        "--strictness", help="What to do about measurable flaws of geometry: refuse, warn and record, or ignore."
    ),
]
LimitOption = Annotated[
    list[str],
    typer.Option(
        "--limit", help="Change a reading limit, such as max_pixels=4000000; see docs/formats.md.", metavar="NAME=VALUE"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on stdout.")]
ModelsDirOption = Annotated[
    Path | None, typer.Option("--models-dir", help="Where models are kept; default: the user's data folder.")
]


def read_options(frame: int | None, strictness: Strictness, limit: list[str]) -> ReadOptions:
    """The reader options that the command line asked for."""
    return ReadOptions(frame=frame, strictness=strictness, limits=Limits().with_settings(limit))


def three_numbers(option: str, text: str | None) -> tuple[float, float, float] | None:
    """`"1,2,-3"` as three floats; None stays None.

    Raises:
        UsageError: not three finite numbers.
    """
    if text is None:
        return None
    parts = text.split(",")
    try:
        x, y, z = (float(part) for part in parts)
        if not all(abs(n) < 1e3 for n in (x, y, z)):
            raise ValueError
    except ValueError:
        raise UsageError(
            "Three numbers are needed.",
            where=option,
            found=text,
            expected="x,y,z such as 0,-2.5,4",
            fix="Write three numbers with commas and no spaces.",
        ) from None
    return x, y, z
