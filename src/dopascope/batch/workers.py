"""Jobs over processes: few in flight, none half done after an interruption, none left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from dopascope.errors import DopascopeError

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(function: Callable[[Job], Result], jobs: Iterable[Job], processes: int) -> Iterator[tuple[Job, Result]]:
    """Each job with `function(job)`, as they finish; in this process where `processes` is 1.

    An interruption lets the jobs in hand finish and starts no other. A job's exception is raised here.

    Raises:
        DopascopeError: a worker was ended from outside, as systems do when memory runs out.
    """
    if processes == 1:
        for job in jobs:
            yield job, function(job)
        return
    todo = iter(jobs)
    running: dict[Future[Result], Job] = {}
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_settle)
    try:
        while True:
            running |= {pool.submit(function, job): job for job in islice(todo, 2 * processes - len(running))}
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    except BrokenProcessPool as error:
        raise DopascopeError(
            "A worker process was ended from outside.",
            found=str(error),
            expected="it to finish its scan",
            fix="Free memory or use fewer processes; the same command goes on from there.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """In a worker: Ctrl-C is the parent's business, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
