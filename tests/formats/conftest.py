"""One code-made example of every reader's format, and a way to measure what a refusal costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.formats import READERS, save_nifti
from dopascope.volume import Grid, Volume

SHAPE = (7, 8, 9)


@dataclass(frozen=True)
class Example:
    """A valid file (or folder), and what reading it must give."""

    path: Path
    data: NDArray[np.float32]
    affine: NDArray[np.float64] | None
    """None for pictures, which have no geometry."""


def known_volume() -> Volume:
    """Whole numbers, unequal axes and spacing, oblique: what every 3-D format must give back."""
    affine = geometry.rotation([11, -7, 5]) @ np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-8, 12, -20]
    return Volume(np.random.default_rng(5).integers(0, 1000, SHAPE), Grid(SHAPE, affine))


def make_nifti(folder: Path) -> Example:
    volume = known_volume()
    save_nifti(volume, folder / "scan.nii.gz")
    return Example(folder / "scan.nii.gz", volume.data, volume.grid.affine)


def make_mgz(folder: Path) -> Example:
    import nibabel

    volume = known_volume()
    nibabel.save(nibabel.MGHImage(volume.data, volume.grid.affine), folder / "scan.mgz")
    return Example(folder / "scan.mgz", volume.data, volume.grid.affine)


def make_picture(folder: Path) -> Example:
    from PIL import Image

    pixels = np.random.default_rng(6).integers(0, 65536, (11, 13)).astype(np.uint16)
    Image.fromarray(pixels).save(folder / "slice.png")
    return Example(folder / "slice.png", pixels.astype(np.float32), None)


EXAMPLES: dict[str, Callable[[Path], Example]] = {
    "nifti": make_nifti,
    "mgz": make_mgz,
    "picture": make_picture,
}
"""Reader name -> maker of an example. A new reader adds its maker here and thereby joins the conformance suite."""


@pytest.fixture(params=sorted(READERS))
def reader_name(request: pytest.FixtureRequest) -> str:
    """Each registered reader in turn."""
    return str(request.param)


@pytest.fixture
def example(reader_name: str, tmp_path: Path) -> Example:
    """A valid file of `reader_name`."""
    assert reader_name in EXAMPLES, f"add a maker for {reader_name} to EXAMPLES in tests/formats/conftest.py"
    folder = tmp_path / "example"
    folder.mkdir()
    return EXAMPLES[reader_name](folder)


@pytest.fixture(scope="session")
def examples() -> dict[str, Callable[[Path], Example]]:
    """All makers by reader name."""
    return EXAMPLES


@dataclass(frozen=True)
class Refusal:
    """How the command line ended, and what that cost."""

    seconds: float
    peak_mb: float
    exit_code: int
    stdout: str
    stderr: str


_WATCHED = """
import atexit, sys
report = sys.argv.pop()
def peak():
    try:
        lines = open("/proc/self/status").read().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    open(report, "w").write(str(own))
atexit.register(peak)
from dopascope.cli import main
main()
"""


@pytest.fixture(scope="session")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Refusal]:
    """Run `dopascope ARGS` in a process of its own: wall seconds, peak memory of that process, exit code and output.

    Peak memory is read inside the process (VmHWM): the parent's own peak would leak into what wait4 reports.
    """
    report = tmp_path_factory.mktemp("peak") / "peak.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> Refusal:
        start = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", _WATCHED, *map(str, arguments), str(report)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )
        seconds = time.perf_counter() - start
        return Refusal(seconds, float(report.read_text()), ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture(scope="session")
def version_cost(refusal: Callable[..., Refusal]) -> Refusal:
    """What `dopascope --version` costs: the floor that refusals are measured above."""
    runs = [refusal("--version") for _ in range(3)]
    assert all(run.exit_code == 0 for run in runs), runs[0].stderr
    return min(runs, key=lambda run: run.seconds)
