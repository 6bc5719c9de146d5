"""`dopascope normalise cohort.tsv --out DIR`: every scan on the MNI grid, as BIDS derivatives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, DaskOption, WorkersOption, finder_for
from dopascope.cli.progress import showing
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import SomeScansFailedError, UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.batch import NormaliseSettings, Outcome, Part, Runner

CohortArgument = Annotated[Path, typer.Argument(help="The cohort table.", metavar="cohort.tsv")]
OutOption = Annotated[
    Path, typer.Option("--out", help="Folder of the derivatives, new or to go on with.", metavar="DIR")
]
RegisterOption = Annotated[
    bool,
    typer.Option(
        "--register/--no-register", help="Register to the template, or only put the centre of the scan on the grid's."
    ),
]
IntensityOption = Annotated[
    str | None,
    typer.Option(
        "--intensity",
        help="Scale: p75_nonstriatal (default), occipital, whole_brain, p99 (default without registration), none.",
        metavar="METHOD",
    ),
]
PartOption = Annotated[
    str | None, typer.Option("--part", help="Do the i-th of n parts only, and gather later.", metavar="i/n")
]
SlurmOption = Annotated[
    Path | None, typer.Option("--slurm", help="Do nothing but write an sbatch array script.", metavar="FILE")
]
SlurmPartsOption = Annotated[int, typer.Option("--slurm-parts", help="Array tasks of that script.", metavar="N")]


@verb
def normalise(
    cohort: CohortArgument,
    out: OutOption,
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    register: RegisterOption = True,
    intensity: IntensityOption = None,
    cache: CacheOption = None,
    part: PartOption = None,
    slurm: SlurmOption = None,
    slurm_parts: SlurmPartsOption = 50,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Put every DaT scan of a cohort on the MNI grid with a common intensity scale, as BIDS derivatives.

    A scan that cannot be normalised is recorded, and the others go on (exit code 3). An interrupted run goes on with
    the same command.

    Examples: dopascope normalise cohort.tsv --out derivatives --workers 2;
    dopascope normalise cohort.tsv --out derivatives --no-register --intensity p99;
    dopascope normalise cohort.tsv --out derivatives --slurm array.sh
    """
    from dopascope.batch import NormaliseSettings, Runner, normalise_cohort
    from dopascope.batch.normalising import CENTRED_SCALE, REGISTERED_SCALE
    from dopascope.cohort import read_cohort

    wanted = options.read_options(None, strictness, limit)
    scale = intensity or (REGISTERED_SCALE if register else CENTRED_SCALE)
    settings = NormaliseSettings(register=register, intensity=scale, strictness=strictness, limits=wanted.limits)
    runner = Runner(workers, dask)
    share = _part(part)
    scans = read_cohort(cohort)
    if slurm is not None:
        _write_script(slurm, _command(cohort, out, cache, runner, settings, limit), slurm_parts, workers, cohort)
        return
    tell_settings(settings, intensity)
    finder = finder_for(scans)
    total = len(scans) if share is None else len(share.take(scans))
    with showing("Normalising", total) as show:
        done_kept = [0, 0]

        def progress(one: Outcome) -> None:
            done_kept[0] += 1
            done_kept[1] += one.kept
            if one.error is not None:
                say(f"  {one.scan.name} failed: {one.error['what']} {one.error.get('found', '')}".rstrip())
            show(*done_kept)

        done = normalise_cohort(
            cohort, out, settings, cache=cache, runner=runner, part=share, progress=progress, finder=finder
        )
    answer(done, out, json, share is None)


def tell_settings(settings: NormaliseSettings, intensity: str | None) -> None:
    """Say what the user left open."""
    if intensity is None:
        say_assumed([f"intensity scale {settings.intensity}"])
    if not settings.register:
        say_assumed(["the centre of each scan's grid is the middle of the head, and the head is not tilted"])


def answer(done: list[Outcome], out: Path, json: bool, whole: bool) -> None:
    """Say what came of it; raises SomeScansFailedError where some scans failed."""
    from dopascope.batch.derivatives import assumed_of

    say_assumed(assumed_of([one.scan for one in done]))
    tell_warnings(done)
    bad = [one for one in done if one.error is not None]
    if json:
        scans = [{"scan_id": one.scan.name, "record": one.record, "error": one.error} for one in done]
        data(as_json({"form": "dopascope.normalise/1", "out": str(out), "scans": scans}))
    else:
        data(str(out / "cohort.tsv" if whole else out))
    if bad:
        raise SomeScansFailedError(
            "Some scans could not be normalised.",
            where=out / "normalise.tsv" if whole else out,
            found=f"{len(bad)} of {len(done)}",
            fix="See the column error; the same command tries them again.",
        )


def tell_warnings(done: list[Outcome]) -> None:
    """Say what was assumed of the scans, and what is doubtful about each."""
    said = dict.fromkeys(text for one in done if one.record is not None for text in one.record["assumed"])
    say_assumed(list(said))
    for one in done:
        for text in one.record["warnings"] if one.record is not None else ():
            say(f"WARNING  {text} ({one.scan.name})")


def _part(text: str | None) -> Part | None:
    from dopascope.batch import Part

    if text is None:
        return None
    number, _, of = text.partition("/")
    if not (number.isascii() and number.isdigit() and of.isascii() and of.isdigit()):
        raise UsageError(
            "The part cannot be meant.", where="--part", found=text, expected="i/n, such as 3/20", fix="Correct it."
        )
    return Part(int(number), int(of))


def _command(
    cohort: Path, out: Path, cache: Path | None, runner: Runner, settings: NormaliseSettings, limit: list[str]
) -> list[str]:
    """The words that do the same as this command, from any folder."""
    words = [sys.executable, "-m", "dopascope", "normalise", str(cohort.absolute()), "--out", str(out.absolute())]
    words += ["--workers", str(runner.workers), "--intensity", settings.intensity]
    words += ["--register" if settings.register else "--no-register", "--strictness", str(settings.strictness)]
    words += [] if cache is None else ["--cache", str(cache.absolute())]
    words += [] if runner.dask is None else ["--dask", runner.dask]
    return words + [word for one in limit for word in ("--limit", one)]


def _write_script(path: Path, command: list[str], parts: int, workers: int, cohort: Path) -> None:
    import shlex

    from dopascope import provenance
    from dopascope.batch.slurm import array_script
    from dopascope.cohort import read_cohort

    provenance.write_text(path, array_script(command, read_cohort(cohort), parts, workers))
    say("Submit it with sbatch; when all tasks have ended, gather with:")
    say(f"  {shlex.join(command)}")
    data(str(path))
