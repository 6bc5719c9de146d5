"""Jobs over processes: few in flight, none lost or half done after an interruption, no worker left behind."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from dopascope.errors import DopascopeError
from dopascope.processes import one_thread_each, settle

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    processes: int,
    lost: Callable[[Job], Result] | None = None,
) -> Iterator[tuple[Job, Result]]:
    """Each job with `function(job)`, as they finish; in this process where `processes` is 1.

    An interruption lets the jobs in hand finish and starts no other. A job's exception is raised here. Where a worker
    is ended from outside (killed, out of memory), the jobs in hand are tried again in new processes, one by one, so
    that the one that ends its worker is known; a job is given up when that happened to it alone, twice.

    Args:
        function: what to do; a module's function, since workers import it.
        jobs: taken as they are needed.
        processes: how many workers.
        lost: the result of a job whose worker was ended twice; without it that is an error.

    Raises:
        DopascopeError: a job's worker was ended twice, and `lost` is None.
    """
    if processes == 1:
        for job in jobs:
            yield job, function(job)
        return
    todo = iter(jobs)
    while in_hand := (yield from _pooled(function, todo, processes, 2 * processes)):
        # Some of them were only waiting beside the one that ended its worker: nobody is blamed before a try alone.
        suspects = yield from _one_by_one(function, in_hand)
        for job in (yield from _one_by_one(function, suspects)):
            if lost is None:
                raise ended_twice()
            yield job, lost(job)


def ended_twice() -> DopascopeError:
    """The error of a job whose worker was ended from outside, and that of its second try too."""
    return DopascopeError(
        "A worker process was ended from outside.",
        found="twice in the same scan",
        expected="it to finish its scan",
        fix="Free memory or use fewer processes; the same command goes on from there.",
    )


def _one_by_one(function: Callable[[Job], Result], jobs: list[Job]) -> Generator[tuple[Job, Result], None, list[Job]]:
    """Each job alone in a worker; returns those whose worker was ended."""
    todo = iter(jobs)
    ended: list[Job] = []
    while found := (yield from _pooled(function, todo, 1, 1)):
        ended += found
    return ended


def _pooled(
    function: Callable[[Job], Result], todo: Iterator[Job], processes: int, waiting: int
) -> Generator[tuple[Job, Result], None, list[Job]]:
    """Jobs in one pool until none is left, or a worker is ended: then returns those that were in hand."""
    running: dict[Future[Result], Job] = {}
    unfinished: list[Job] = []
    with one_thread_each():
        pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=settle)
        try:
            while True:
                while not unfinished and len(running) < waiting:
                    try:
                        job = next(todo)
                    except StopIteration:
                        break
                    try:
                        running[pool.submit(function, job)] = job
                    except BrokenProcessPool:
                        unfinished.append(job)
                if not running:
                    return unfinished
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(done)
                    try:
                        result = done.result()
                    except BrokenProcessPool:
                        unfinished.append(job)
                    else:
                        yield job, result
        finally:
            pool.shutdown(cancel_futures=True)
