"""`dopascope cohort export-png`: class folders of RGB slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, DaskOption, WorkersOption
from dopascope.cli.normalise import CohortArgument, IntensityOption, RegisterOption, tell_settings, tell_warnings
from dopascope.cli.progress import showing
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import SomeScansFailedError, UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.batch import Outcome


@verb
def export_png(
    cohort: CohortArgument,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the class folders, new or to go on with.", metavar="DIR")
    ],
    slices: Annotated[
        str, typer.Option("--slices", help="Of the MNI grid from 0: red, green, blue.", metavar="R,G,B")
    ] = "40,41,42",
    top: Annotated[
        float | None, typer.Option("--top", help="Scaled value that becomes 255; default by scale.", metavar="VALUE")
    ] = None,
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    register: RegisterOption = True,
    intensity: IntensityOption = None,
    cache: CacheOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Write three slices of each DaT scan on the MNI grid as one RGB PNG, in a folder for each label.

    A scan that cannot be normalised is recorded, and the others go on (exit code 3). An interrupted run goes on with
    the same command. With --cache of a run of normalise, nothing is registered again.

    Example: dopascope cohort export-png cohort.tsv --out slices --slices 40,41,42
    """
    from dopascope.batch import NormaliseSettings, Runner
    from dopascope.batch.normalising import CENTRED_SCALE, REGISTERED_SCALE
    from dopascope.batch.slices import MANIFEST, RECORD, Cut, export_slices, top_of
    from dopascope.cohort import read_cohort

    wanted = options.read_options(None, strictness, limit)
    scale = intensity or (REGISTERED_SCALE if register else CENTRED_SCALE)
    settings = NormaliseSettings(register=register, intensity=scale, strictness=strictness, limits=wanted.limits)
    cut = Cut(_three(slices), top_of(scale) if top is None else top)
    tell_settings(settings, intensity)
    if top is None:
        say_assumed([f"{cut.top:g} on this scale becomes 255"])
    with showing("Exporting", len(read_cohort(cohort))) as show:
        done_kept = [0, 0]

        def progress(one: Outcome) -> None:
            done_kept[0] += 1
            done_kept[1] += one.kept
            if one.error is not None:
                say(f"  {one.scan.name} failed: {one.error['what']} {one.error.get('found', '')}".rstrip())
            show(*done_kept)

        done = export_slices(cohort, out, settings, cut, cache=cache, runner=Runner(workers, dask), progress=progress)
    tell_warnings(done)
    bad = [one for one in done if one.error is not None]
    if json:
        scans = [{"scan_id": one.scan.name, "error": one.error} for one in done]
        data(as_json({"form": "dopascope.export-png/1", "out": str(out), "scans": scans}))
    else:
        data(str(out / MANIFEST))
    if bad:
        raise SomeScansFailedError(
            "Some scans have no picture.",
            where=out / RECORD,
            found=f"{len(bad)} of {len(done)}",
            fix="See failed in that file; the same command tries them again.",
        )


def _three(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
        raise UsageError(
            "The slices cannot be meant.",
            where="--slices",
            found=text,
            expected="three whole numbers, such as 40,41,42",
            fix="Correct it.",
        )
    red, green, blue = map(int, parts)
    return red, green, blue
