"""`dopascope demo`: simulate people on three cameras, read them all, end with an index page. No torch, no network."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dopascope.cli import options
from dopascope.cli.talk import data, say, verb
from dopascope.errors import DopascopeError, SomeScansFailedError

if TYPE_CHECKING:
    from dopascope import report
    from dopascope.reading import Examination
    from dopascope.simulate import Participant, Plan

DRAWN: Final = 24
SEED: Final = 2
"""Draws every group and uses each camera about equally; the tests and the tuning of the phantom use other people."""
SITES: Final = ("ge-lehr-osem-chang", "mediso-leuhr-osem-rr-chang-tew", "siemens-lehr-osem")
MIX: Final = {
    "healthy": 0.3,
    "pd": 0.25,
    "advanced_pd": 0.1,
    "et": 0.1,
    "swedd": 0.1,
    "atypical": 0.1,
    "borderline": 0.05,
}
TRULY: Final = {True: "reduced", False: "normal", None: "left open"}
SCAN: Final = "{out}/scans/sub-{number:05d}_ses-01.dcm"

NEXT: Final = (
    f"`{{program}} inspect {SCAN}` says what a file holds, and prints its passport.",
    "`{program} read YOUR_SCAN --out reading` reads a scan of yours: a DICOM file or folder, a zip, or NIfTI.",
    f"`{{program}} read {SCAN} --shift 0,4,0 --out shifted` shows how far the ratios move with the head.",
    "`{program} simulate --subjects 10 --out cohort` makes a cohort of your own, with the truth beside it.",
    "`{program} models add dat-spect-ud FOLDER` adds the 25 public networks trained on real scans (docs/models.md).",
    "`{program} doctor` checks this installation.",
)
MADE: Final = (
    f"{DRAWN} simulated people on three simulated cameras: healthy, Parkinson's disease early and advanced, essential "
    "tremor, scans without evidence of a deficit (SWEDD), atypical parkinsonism and borderline cases, each in a "
    "pose and an axis order of their own, stored as DICOM. What is true of them stands in truth.tsv.",
    "Under each name: the group it was drawn from, and whether its binding is truly reduced. Some SWEDD are truly "
    "reduced, as some who were called so later had Parkinson's disease; borderline is left open.",
    "z is against simulated healthy people on the same camera.",
    "No figure here is of a real person, and none may be compared with clinical figures.",
)


@dataclass(frozen=True)
class Job:
    """One simulated person: the scan and where its reading goes."""

    participant: Participant
    scan: Path
    folder: Path
    models_dir: Path | None


@dataclass(frozen=True)
class Outcome:
    """What came of a job in a few words, and its line of the index; no line where it failed."""

    text: str
    entry: report.IndexEntry | None = None


@verb
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for scans, readings and the index page.", metavar="DIR")
    ] = Path("demo"),
    models_dir: options.ModelsDirOption = None,
) -> None:
    """Simulate 24 people, read them all and make an index page. Run again to go on after an interruption.

    Example: dopascope demo --out demo
    """
    from dopascope import batch, simulate

    processes = min(2, os.cpu_count() or 1)
    say(f"Simulating {DRAWN} people on {len(SITES)} cameras into {out} ...")
    plan = demo_plan()
    simulate.run(plan, out, processes=processes)
    jobs = [_job(plan.participant(number), out, models_dir) for number in range(1, DRAWN + 1)]
    say("Reading them ...")
    made: dict[int, Outcome] = {}
    for job, outcome in batch.each(_read_one, jobs, processes):
        made[job.participant.number] = outcome
        drawn = job.participant
        say(f"  {len(made):2d}/{DRAWN}  {drawn.participant_id}  drawn {drawn.group:<11} {outcome.text}")
    steps = [step.format(program=_program(), out=out, number=1) for step in NEXT]
    data(str(_index([made[job.participant.number] for job in jobs], out, steps)))
    say("\nOpen that page in a browser. What to try next:")
    for step in steps:
        say(f"  {step.replace('`', '')}")
    failed = sum(outcome.entry is None for outcome in made.values())
    if failed:
        raise SomeScansFailedError(
            "Some scans could not be read.", found=f"{failed} of {DRAWN}", fix="See the lines above."
        )


def demo_plan() -> Plan:
    """Who is simulated, and how: the same people each time."""
    from dopascope.simulate import Plan

    return Plan(DRAWN, SEED, format="dicom", sites=SITES, mix=MIX, ideal=False)


def _job(participant: Participant, out: Path, models_dir: Path | None) -> Job:
    scan = Path(SCAN.format(out=out, number=participant.number))
    return Job(participant, scan, out / "readings" / participant.participant_id, models_dir)


def _read_one(job: Job) -> Outcome:
    """Runs in a worker; a failure is told, not raised, so that the others go on."""
    from dopascope import report

    try:
        examination, how = _read(job)
    except DopascopeError as error:
        return Outcome(f"failed: {error.what} {error.found}")
    drawn = job.participant
    truth = f"drawn {drawn.group}, truly {TRULY[drawn.person().abnormal]}, {drawn.site}"
    entry = report.IndexEntry.of(drawn.participant_id, examination, job.folder / "report.html", truth=truth)
    return Outcome(f"reads {examination.reading.verdict}{how}", entry)


def _read(job: Job) -> tuple[Examination, str]:
    from dopascope import formats, provenance, report
    from dopascope.bundle import default_readers
    from dopascope.reading import Choices, Reading, examine, reopen

    image = formats.load(job.scan)
    finished = job.folder / "reading.json"
    if finished.exists():
        earlier = Reading.model_validate_json(finished.read_text(encoding="utf-8"))
        same_readers = [one.id for one in earlier.readers if one.kind != "rule"] == default_readers(job.models_dir)
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
