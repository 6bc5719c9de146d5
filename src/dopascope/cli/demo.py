"""`dopascope demo`: simulate people, read them all, and end with an index page. No torch, no network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dopascope.cli import options
from dopascope.cli.talk import data, say, verb
from dopascope.errors import DopascopeError, SomeScansFailedError

if TYPE_CHECKING:
    from dopascope import report
    from dopascope.phantom.people import Group
    from dopascope.reading import Examination

GROUPS: Final[tuple[Group, ...]] = ("healthy", "pd")
DRAWN: Final = 12
FIRST_SEED: Final = 100
"""Seeds 100 to 111: the tests and the tuning of the phantom use others."""

NEXT: Final = (
    "`{program} inspect {out}/scans/demo-01.dcm` says what a file holds, and prints its passport.",
    "`{program} read YOUR_SCAN --out reading` reads a scan of yours: a DICOM file or folder, a zip, or NIfTI.",
    "`{program} read {out}/scans/demo-07.dcm --shift 0,4,0 --out shifted` shows how far the ratios move with the head.",
    "`{program} models add dat-spect-ud FOLDER` adds the 25 public networks trained on real scans (docs/models.md).",
    "`{program} doctor` checks this installation.",
)
MADE: Final = (
    f"{DRAWN} simulated people, half of them with an asymmetric dopamine deficit, each on one of several simulated "
    "cameras, in a pose and an axis order of its own; every other scan is stored as DICOM, the rest as NIfTI.",
    "No figure here is of a real person, and none may be compared with clinical figures.",
)


@dataclass(frozen=True)
class Job:
    """One simulated person: what to draw and where to put it."""

    name: str
    seed: int
    group: Group
    scan: Path
    folder: Path
    models_dir: Path | None


@verb
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for scans, readings and the index page.", metavar="DIR")
    ] = Path("demo"),
    models_dir: options.ModelsDirOption = None,
) -> None:
    """Simulate twelve people, read them all and make an index page. Run again to go on after an interruption.

    Example: dopascope demo --out demo
    """
    jobs = [_job(number, out, models_dir) for number in range(1, DRAWN + 1)]
    say(f"Simulating and reading {DRAWN} people into {out} (half of them with a dopamine deficit) ...")
    made: dict[str, Outcome] = {}
    for job, outcome in _work(jobs):
        made[job.name] = outcome
        say(f"  {len(made):2d}/{DRAWN}  {job.name}  drawn {job.group:<8} {outcome.text}")
    steps = [step.format(program=_program(), out=out) for step in NEXT]
    data(str(_index([made[job.name] for job in jobs], out, steps)))
    say("\nOpen that page in a browser. What to try next:")
    for step in steps:
        say(f"  {step.replace('`', '')}")
    failed = sum(outcome.entry is None for outcome in made.values())
    if failed:
        raise SomeScansFailedError(
            "Some scans could not be read.", found=f"{failed} of {DRAWN}", fix="See the lines above."
        )


@dataclass(frozen=True)
class Outcome:
    """What came of a job in a few words, and its line of the index; no line where it failed."""

    text: str
    entry: report.IndexEntry | None = None


def _job(number: int, out: Path, models_dir: Path | None) -> Job:
    name = f"demo-{number:02d}"
    # Every other scan is stored as a camera would store it.
    suffix = ".dcm" if number % 2 else ".nii.gz"
    group = GROUPS[(number - 1) // (DRAWN // len(GROUPS))]
    return Job(name, FIRST_SEED + number, group, out / "scans" / f"{name}{suffix}", out / "readings" / name, models_dir)


def _work(jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
    """Each job with what came of it, as they finish; two at a time where there are two cores."""
    pool = ProcessPoolExecutor(min(2, os.cpu_count() or 1), mp_context=get_context("spawn"))
    try:
        running = {pool.submit(_simulate_and_read, job): job for job in jobs}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _simulate_and_read(job: Job) -> Outcome:
    """Runs in a worker; a failure is told, not raised, so that the others go on."""
    from dopascope import report

    try:
        _simulate(job)
        examination, how = _read(job)
    except DopascopeError as error:
        return Outcome(f"failed: {error.what} {error.found}")
    entry = report.IndexEntry.of(job.name, examination, job.folder / "report.html", truth=f"drawn {job.group}")
    return Outcome(f"reads {examination.reading.verdict}{how}", entry)


def _simulate(job: Job) -> None:
    from dopascope import phantom

    if not job.scan.exists():
        volume, _ = phantom.example(seed=job.seed, group=job.group)
        phantom.write(volume, job.scan, format="dicom" if job.scan.suffix == ".dcm" else "nifti")


def _read(job: Job) -> tuple[Examination, str]:
    from dopascope import formats, provenance, report
    from dopascope.reading import Choices, Reading, examine, reopen
    from dopascope.reading.readers import installed_readers

    image = formats.load(job.scan)
    finished = job.folder / "reading.json"
    if finished.exists():
        earlier = Reading.model_validate_json(finished.read_text(encoding="utf-8"))
        same_readers = [one.id for one in earlier.readers if one.kind != "rule"] == installed_readers(job.models_dir)
        if same_readers and earlier.scan.sha256 == provenance.sha256_of(job.scan):
            return reopen(image, earlier), " (kept)"
    examination = examine(image, Choices(models_dir=job.models_dir))
    report.write(examination, job.folder)
    return examination, ""


def _program() -> str:
    """How this program is called here: by name where it is on the path, else as it was called."""
    if shutil.which("dopascope"):
        return "dopascope"
    called = Path(sys.argv[0])
    return str(called) if called.name == "dopascope" else f"{sys.executable} -m dopascope"


def _index(made: list[Outcome], out: Path, steps: list[str]) -> Path:
    from dopascope import report

    entries = [outcome.entry for outcome in made if outcome.entry is not None]
    return report.write_index(entries, out / "index.html", title="dopascope demo", made=MADE, next_steps=steps)
