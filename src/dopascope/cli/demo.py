"""`dopascope demo`: simulate people, read them all, and end with an index page. No torch, no network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

import typer

from dopascope.cli import options
from dopascope.cli.talk import data, say, verb
from dopascope.errors import DopascopeError, SomeScansFailedError

GROUPS: Final = ("healthy", "pd")
DRAWN: Final = 12
FIRST_SEED: Final = 100
"""Seeds 100 to 111: the tests and the tuning of the phantom use others."""

NEXT: Final = (
    ("dopascope inspect demo/scans/demo-01.dcm", "what a file holds, and its passport"),
    ("dopascope read YOUR_SCAN --out reading", "the same for a scan of yours: DICOM file, folder, zip or NIfTI"),
    (
        "dopascope read demo/scans/demo-07.dcm --shift 0,4,0 --out shifted",
        "how far the ratios move when the regions do",
    ),
    (
        "dopascope models add dat-spect-ud FOLDER",
        "read with the 25 public networks trained on real scans (docs/models.md)",
    ),
    ("dopascope doctor", "check this installation"),
)


@dataclass(frozen=True)
class Job:
    """One simulated person: what to draw and where to put it."""

    name: str
    seed: int
    group: str
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
    failed = 0
    for done, (job, answer) in enumerate(_work(jobs), 1):
        failed += answer.startswith("failed")
        say(f"  {done:2d}/{DRAWN}  {job.name}  drawn {job.group:<8} {answer}")
    index = _index(jobs, out)
    data(str(index))
    say("\nOpen that page in a browser. What to try next:")
    for command, why in NEXT:
        say(f"  {command}\n      {why}")
    if failed:
        raise SomeScansFailedError(
            "Some scans could not be read.", found=f"{failed} of {DRAWN}", fix="See the lines above."
        )


def _job(number: int, out: Path, models_dir: Path | None) -> Job:
    name = f"demo-{number:02d}"
    # Every other person is stored as the camera would: NM DICOM, with both signs of slice spacing.
    suffix = ".dcm" if number % 2 else ".nii.gz"
    group = GROUPS[(number - 1) // (DRAWN // len(GROUPS))]
    return Job(name, FIRST_SEED + number, group, out / "scans" / f"{name}{suffix}", out / "readings" / name, models_dir)


def _work(jobs: list[Job]) -> Iterator[tuple[Job, str]]:
    """Each job with what came of it, as they finish; two at a time where there are two cores."""
    workers = min(2, os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        running = {pool.submit(_simulate_and_read, job): job for job in jobs}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _simulate_and_read(job: Job) -> str:
    """Runs in a worker. What came of it, in a few words; a failure is told, not raised."""
    from dopascope import formats, phantom, provenance, report
    from dopascope.reading import Choices, Reading, examine

    done = job.folder / "reading.json"
    try:
        if not job.scan.exists():
            volume, _ = phantom.example(seed=job.seed, group=job.group)
            phantom.write(volume, job.scan)
        if done.exists():
            reading = Reading.model_validate_json(done.read_text(encoding="utf-8"))
            if reading.scan.sha256 == provenance.sha256_of(job.scan):
                return f"reads {reading.verdict} (kept)"
        examination = examine(formats.load(job.scan), Choices(models_dir=job.models_dir))
        report.write(examination, job.folder)
    except DopascopeError as error:
        return f"failed: {error.what} {error.found}"
    return f"reads {examination.reading.verdict}"


def _index(jobs: list[Job], out: Path) -> Path:
    from dopascope import report

    finished = [job for job in jobs if (job.folder / "reading.json").exists()]
    entries = [report.Entry(job.name, job.folder, f"drawn {job.group}") for job in finished]
    return report.write_index(entries, out / "index.html", next_steps=NEXT)
