"""Jobs over a Dask cluster that somebody has started: few in flight, and a worker that is lost costs no job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from importlib import import_module
from itertools import islice
from typing import Any, Final, TypeVar

from dopascope.errors import DopascopeError, MissingExtraError, UsageError

PATIENCE_S: Final = 10
"""How long a scheduler may take to answer."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def each_on(
    address: str, function: Callable[[Job], Result], jobs: Iterable[Job], lost: Callable[[Job], Result]
) -> Iterator[tuple[Job, Result]]:
    """Each job with `function(job)` on the cluster of the scheduler at `address`, as they finish.

    The scheduler gives the jobs of a lost worker to others; a job that its scheduler gives up (by default after four
    lost workers) has the result `lost(job)`. Workers need the same dopascope and the same paths.

    Raises:
        MissingExtraError: dask[distributed] is not installed.
        UsageError: no scheduler answers at `address`.
        DopascopeError: the cluster went away, has no worker, or its workers cannot run dopascope.
    """
    distributed, client = _client(address)
    running: dict[Any, Job] = {}
    of_job: BaseException | None = None
    todo = iter(jobs)
    try:
        width = 2 * max(1, sum(client.nthreads().values()))
        while True:
            for job in islice(todo, width - len(running)):
                running[client.submit(function, job, pure=False)] = job
            if not running:
                return
            with client.as_current():
                finished = distributed.wait(list(running), return_when="FIRST_COMPLETED").done
            for done in finished:
                job = running.pop(done)
                of_job = done.exception() if done.status == "error" else None
                if isinstance(of_job, distributed.KilledWorker):
                    yield job, lost(job)
                elif of_job is not None and not isinstance(of_job, ImportError):
                    raise of_job
                else:
                    yield job, done.result()
    except (OSError, ImportError, CancelledError) as error:  # TimeoutError is an OSError
        if error is of_job:
            raise
        raise _gone(address, error) from error
    finally:
        client.cancel(list(running))
        client.close()


def _client(address: str) -> tuple[Any, Any]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise MissingExtraError(
            "A Dask cluster needs dask[distributed], which is not installed.",
            where="--dask",
            found=address,
            fix="Install it with: pip install 'dopascope[cluster]', or use --workers on this machine.",
        ) from None
    try:
        return distributed, distributed.Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            "No Dask scheduler answers there.",
            where="--dask",
            found=f"{address}: {error}",
            expected="the address of a running scheduler, such as tcp://host:8786",
            fix="Start one with `dask scheduler`, and workers with `dask worker ADDRESS`.",
        ) from error


def _gone(address: str, error: Exception) -> DopascopeError:
    return DopascopeError(
        "The Dask cluster cannot go on.",
        where=address,
        found=f"{type(error).__name__}: {error}",
        expected="a running scheduler, and workers that have the same dopascope",
        fix="Start it again; the same command goes on from there.",
    )
