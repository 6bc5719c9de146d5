"""Worker processes have one thread each, unless the user said otherwise, and leave no trace in this one."""

from __future__ import annotations

import os
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
