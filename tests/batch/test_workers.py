"""Jobs over processes: errors come home, a dead worker is told, few jobs wait."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import pytest

from dopascope.batch.workers import each
from dopascope.errors import DopascopeError


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_has_its_result(processes: int) -> None:
    assert dict(each(math.isqrt, range(20), processes)) == {n: math.isqrt(n) for n in range(20)}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_jobs_error_is_raised_here(processes: int) -> None:
    with pytest.raises(ValueError, match="nonnegative"):
        list(each(math.isqrt, [4, -1, 9], processes))


def test_a_worker_that_dies_is_told_with_what_to_do() -> None:
    with pytest.raises(DopascopeError, match="ended from outside") as ended:
        list(each(os._exit, [1], 2))
    assert "goes on" in ended.value.fix


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_taken_as_they_are_needed(processes: int) -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    results = each(math.isqrt, jobs(), processes)
    next(results)
    assert len(taken) <= 2 * processes
    results.close()  # type: ignore[attr-defined]
