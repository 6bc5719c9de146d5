"""Worker processes have one thread each, unless the user said otherwise, and leave no trace in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from dopascope.processes import THREADS, one_thread_each, settle


def threads_in_a_worker() -> list[str | None]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=settle) as pool:
        with one_thread_each():
            asked = [pool.submit(os.getenv, name) for name in THREADS]
        return [one.result() for one in asked]


def test_a_worker_has_one_thread_and_the_parent_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    assert threads_in_a_worker() == ["1"] * len(THREADS)
    assert [name for name in THREADS if name in os.environ] == []


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = dict(zip(THREADS, threads_in_a_worker(), strict=True))
    assert found["OMP_NUM_THREADS"] == "3"
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("2", "2")])
def test_the_program_keeps_small_products_on_one_thread(before: str | None, after: str) -> None:
    known = {name: value for name, value in os.environ.items() if name not in THREADS}
    known |= {} if before is None else {"OPENBLAS_NUM_THREADS": before}
    script = "import os, dopascope.cli; print(os.environ['OPENBLAS_NUM_THREADS'])"
    found = subprocess.run([sys.executable, "-c", script], env=known, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == after
