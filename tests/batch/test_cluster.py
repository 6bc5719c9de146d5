"""The same bytes from a real Dask cluster, also when a worker is killed; and clear words where there is none."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dopascope.batch import NormaliseSettings, Runner, cluster, normalise_cohort
from dopascope.batch.drive import drive
from dopascope.cohort import CohortScan
from dopascope.errors import MissingExtraError, UsageError

FAST = NormaliseSettings(register=False, intensity="p99")


@dataclass(frozen=True)
class Slow:
    """Work that says which process it is in, takes its time, and stops for no scan but `bad`."""

    marks: Path

    def digest(self) -> str:
        return "slow"

    def only(self, scan: CohortScan) -> Slow:
        return self

    def concerns(self, scan: CohortScan) -> list[object]:
        return []

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        (self.marks / f"{scan.name}.{os.getpid()}").touch()
        time.sleep(0.3)
        if scan.name == "bad":
            raise ValueError("a slip")
        return {"name": scan.name}, b""

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
        pass

    def drop(self, scan: CohortScan) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The scheduler of a cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    # Its workers import this module to know `Slow`.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_gives_the_bytes_that_one_process_gives(address, scans, cohort, tmp_path):
    table = cohort(*((f"s{n}", scans / f"{n}.dcm") for n in range(3)), ("bad", "absent"), columns="scan_id path")
    normalise_cohort(table, tmp_path / "one", FAST)
    outcomes = normalise_cohort(table, tmp_path / "two", FAST, runner=Runner(dask=address))
    assert [one.error is None for one in outcomes] == [True, True, True, False]
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    assert len(files) == 10
    for file in files:
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "one" / file).read_bytes(), file


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_worker_costs_no_scan(address, tmp_path):
    cloudpickle = importlib.import_module("distributed.protocol.pickle").cloudpickle
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    names = [f"s{n:02d}" for n in range(12)] + ["bad"]
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not (seen := [*tmp_path.glob("s02.*")]) and time.monotonic() < deadline:
            time.sleep(0.02)
        killed.append(int(seen[0].suffix[1:]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    found = list(drive([CohortScan(n, tmp_path / n, {}) for n in names], Slow(tmp_path), runner=Runner(dask=address)))
    killer.join()
    assert sorted(one.scan.name for one in found) == sorted(names)
    assert [one.scan.name for one in found if one.error is not None] == ["bad"]
    workers = {int(path.suffix[1:]) for path in tmp_path.iterdir()}
    assert killed[0] in workers
    assert len(workers) >= 2


def test_without_the_package_the_command_to_install_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError) as caught:
        list(drive([CohortScan("a", tmp_path, {})], Slow(tmp_path), runner=Runner(dask="tcp://localhost:1")))
    assert "pip install 'dopascope[cluster]'" in caught.value.fix


def test_an_address_where_nobody_answers_is_told(monkeypatch, tmp_path):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE_S", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for where in (f"tcp://127.0.0.1:{port}", "nonsense://here"):
        with pytest.raises(UsageError, match="No Dask scheduler"):
            list(drive([CohortScan("a", tmp_path, {})], Slow(tmp_path), runner=Runner(dask=where)))
