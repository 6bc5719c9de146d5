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
    ("dopascope read demo/scans/demo-07.dcm --shift 0,4,0 --out shifted", "how far the ratios move when the regions do"),
    ("dopascope models add dat-spect-ud FOLDER", "read with the 25 public networks trained on real scans (docs/models.md)"),
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
    out: Annotated[Path, typer.Option("--out", help="Folder for scans, readings and the index page.", metavar="DIR")] = Path(
        "demo"
    ),
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
        raise SomeScansFailedError("Some scans could not be read.", found=f"{failed} of {DRAWN}", fix="See the lines above.")
