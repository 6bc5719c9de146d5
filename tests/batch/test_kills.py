"""What `kill -9` costs: of a worker a second try, of a run nothing; a scan that kills its worker is recorded."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dopascope.batch import Runner
from dopascope.batch.drive import drive
from dopascope.cohort import CohortScan
from dopascope.formats import save_nifti
from dopascope.volume import Grid, Volume
from interruptible import started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@dataclass(frozen=True)
class Deadly:
    """Work that ends its worker on the scans named so: always, or the first time only."""

    marks: Path

    def digest(self) -> str:
        return "deadly"

    def only(self, scan: CohortScan) -> Deadly:
        return self

    def concerns(self, scan: CohortScan) -> list[object]:
        return []

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        mark = self.marks / scan.name
        if scan.name.startswith("always") or (scan.name.startswith("once") and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"name": scan.name}, b""

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
        (self.marks / f"{scan.name}.done").touch()

    def drop(self, scan: CohortScan) -> None:
        (self.marks / f"{scan.name}.done").unlink(missing_ok=True)


def test_a_scan_that_ends_its_worker_twice_is_recorded_and_all_others_are_done(tmp_path: Path) -> None:
    names = ["a", "b", "always-1", "c", "once-1", "d", "always-2", "e", "f", "g"]
    scans = [CohortScan(name, tmp_path / name, {}) for name in names]
    found = {one.scan.name: one for one in drive(scans, Deadly(tmp_path), runner=Runner(2))}
    assert sorted(found) == sorted(names)
    failed = {name: one.error for name, one in found.items() if one.error is not None}
    assert sorted(failed) == ["always-1", "always-2"]
    assert all("ended from outside" in error["what"] for error in failed.values())
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == sorted(set(names) - set(failed))


def digest_of(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Path]:
    """A cohort of twelve volumes of noise."""
    rng = np.random.default_rng(1)
    grid = Grid((96, 96, 60), np.diag([2.5, 2.5, 2.5, 1]))
    lines = ["participant_id\tscan_id\tpath"]
    for n in range(12):
        save_nifti(Volume(rng.uniform(1, 2, grid.shape).astype(np.float32), grid), tmp_path / f"{n}.nii.gz")
        lines.append(f"sub-{n:02d}\ts{n}\t{n}.nii.gz")
    (tmp_path / "cohort.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cohort.tsv"


def command(table: Path, out: Path) -> list[str]:
    words = [sys.executable, "-m", "dopascope", "normalise", str(table), "--out", str(out)]
    return [*words, "--no-register", "--workers", "2"]


def finished(table: Path, out: Path) -> str:
    """Run to the end and return the digest of the folder."""
    done = subprocess.run(command(table, out), capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return digest_of(out)


def kill_a_worker(run: subprocess.Popen[bytes]) -> None:
    workers = [one for one in psutil.Process(run.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    if workers:
        workers[-1].kill()


def disturbed(table: Path, out: Path, moments: list[tuple[float, str]]) -> str:
    """Kill a worker or the run at each moment (s after its start), and let the last command finish."""
    for moment, whom in moments:
        run = subprocess.Popen(command(table, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        try:
            if whom == "run":
                run.kill()
            elif run.poll() is None:
                kill_a_worker(run)
        except psutil.NoSuchProcess:
            pass  # it was done already
        assert run.wait(timeout=200) in (0, 3, -signal.SIGKILL)
    return finished(table, out)


@pytest.mark.slow
def test_kills_change_no_byte(table: Path, tmp_path: Path) -> None:
    whole = finished(table, tmp_path / "whole")
    assert disturbed(table, tmp_path / "out", [(1.6, "run"), (1.9, "worker"), (2.2, "run")]) == whole


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(table: Path, tmp_path: Path) -> None:
    # Forty scans take seconds after the first one is there, which is when the signal comes.
    lines = table.read_text().splitlines()
    more = [f"sub-{n:02d}\ts{n}\t{n % 12}.nii.gz" for n in range(12, 40)]
    table.write_text("\n".join([*lines, *more]) + "\n")
    whole = finished(table, tmp_path / "whole")
    out = tmp_path / "out"
    run = started(command(table, out))
    deadline = time.time() + 60
    while not list(out.glob("sub-*/spect/*.nii.gz")) and run.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, said = run.communicate(timeout=100)
    assert run.returncode == 130, said
    assert "goes on from there" in said
    assert "Traceback" not in said
    assert finished(table, out) == whole


@pytest.mark.slow
def test_kills_at_ten_random_moments_change_no_byte(table: Path, tmp_path: Path) -> None:
    whole = finished(table, tmp_path / "whole")
    rng = np.random.default_rng(10)
    moments = [(float(rng.uniform(0.3, 4)), str(rng.choice(["run", "worker"]))) for _ in range(10)]
    assert disturbed(table, tmp_path / "out", moments) == whole
