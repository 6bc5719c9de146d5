"""One driver for any work on each scan of a cohort: over processes or a cluster, cached, on from any interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache as remembered
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dopascope import provenance
from dopascope.batch.cache import Cache
from dopascope.batch.cluster import each_on
from dopascope.batch.workers import each, ended_twice
from dopascope.cohort.content import content_of
from dopascope.cohort.scan import CohortScan
from dopascope.errors import DopascopeError, UsageError

AnyJob = TypeVar("AnyJob")
Result = TypeVar("Result")


class Work(Protocol):
    """What is done with each scan. It goes to the workers by pickle, so it is small and plain data."""

    def digest(self) -> str:
        """Of every setting that can change a result."""

    def only(self, scan: CohortScan) -> Work:
        """The work with what this scan needs of it, which is what travels."""

    def concerns(self, scan: CohortScan) -> list[object]:
        """What the table says of the scan that can change its result, JSON-ready."""

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """The result, from the scan's content alone: a JSON-ready record without names, and a payload."""

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
        """Write what the scan's result becomes, each file whole or not at all; again where it was written before."""

    def drop(self, scan: CohortScan) -> None:
        """Remove what an earlier run wrote of a scan that now failed."""


@dataclass(frozen=True)
class Job:
    """One scan and its work."""

    number: int
    """From 0, the scan's place in the table."""
    scan: CohortScan
    work: Work
    digest: str
    software: str
    cache: Cache | None


@dataclass(frozen=True)
class Outcome:
    """One scan is finished: its record, or the error that stopped it, as `DopascopeError.as_dict` gives it."""

    number: int
    scan: CohortScan
    record: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    kept: bool = False
    """Taken from the cache."""


@dataclass(frozen=True)
class Runner:
    """Where jobs are done: in `workers` processes, or on the Dask cluster at an address."""

    workers: int = 1
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(
                "The number of workers cannot be meant.",
                where="--workers",
                found=self.workers,
                expected="a whole number from 1",
                fix="Give --workers 2 for two cores.",
            )

    def each(
        self, function: Callable[[AnyJob], Result], jobs: Iterable[AnyJob], lost: Callable[[AnyJob], Result]
    ) -> Iterator[tuple[AnyJob, Result]]:
        """Each job with its result, as they finish; see `workers.each` and `cluster.each_on`."""
        if self.dask is not None:
            return each_on(self.dask, function, jobs, lost)
        return each(function, jobs, self.workers, lost)


def drive(
    scans: Sequence[CohortScan], work: Work, *, cache: Cache | None = None, runner: Runner | None = None
) -> Iterator[Outcome]:
    """The outcome of each scan, as they finish; a failed one is recorded and the others go on.

    Failures are never cached, so the next run tries them again. Only jobs in flight are held in memory.

    Raises:
        MissingExtraError, UsageError, DopascopeError: the cluster, see `cluster.each_on`.
        OSError: cache or output cannot be written.
    """
    if cache is not None:
        cache.sweep()
    digest, software = work.digest(), _software()
    jobs = (Job(number, _absolute(scan), work.only(scan), digest, software, cache) for number, scan in enumerate(scans))
    for job, outcome in (runner or Runner()).each(perform, jobs, _lost):
        yield Outcome(job.number, scans[job.number], outcome.record, outcome.error, outcome.kept)


def perform(job: Job) -> Outcome:
    """Do one job, in a worker: whatever is wrong with the scan becomes its record.

    Raises:
        OSError: cache or output cannot be written, which no other scan would mend.
    """
    try:
        key, found = _known(job)
        record, payload = found or job.work.make(job.scan)
    except Exception as error:
        return _failed(job, error)
    if job.cache is not None and found is None:
        job.cache.put(key, record, payload)
    job.work.keep(job.scan, record, payload)
    return Outcome(job.number, job.scan, record, kept=found is not None)


def as_error(scan: CohortScan, error: Exception) -> DopascopeError:
    """Any failure of one scan in the shape of a typed error."""
    if isinstance(error, DopascopeError):
        return error
    if isinstance(error, OSError):
        return DopascopeError("The system refused a file operation.", where=scan.path, found=error.strerror or error)
    return DopascopeError(
        "dopascope failed on this scan; this is a fault of dopascope, not of your file.",
        where=scan.path,
        found=f"{type(error).__name__}: {error}",
        fix="Report it.",
    )


def _known(job: Job) -> tuple[str, tuple[dict[str, Any], bytes] | None]:
    """The scan's key, and what the cache has under it."""
    if job.software != _software():
        raise DopascopeError(
            "This worker has other versions than the program that asked, so its numbers could differ.",
            found=json.dumps(provenance.software()),
            fix="Install the same versions on every machine.",
        )
    if job.cache is None:
        return "", None
    key = _key(job)
    return key, job.cache.get(key)


def _key(job: Job) -> str:
    try:
        content = content_of(job.scan.path)
    except OSError:
        content = ""  # the reader will say what is wrong; a failure is not cached
    known = [content, job.work.concerns(job.scan), job.digest, job.software]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _failed(job: Job, error: Exception) -> Outcome:
    job.work.drop(job.scan)
    return Outcome(job.number, job.scan, error=as_error(job.scan, error).as_dict())


def _lost(job: Job) -> Outcome:
    return _failed(job, ended_twice())


def _absolute(scan: CohortScan) -> CohortScan:
    """Workers of a cluster stand in another folder."""
    mask = None if scan.mask is None else scan.mask.absolute()
    return replace(scan, path=Path(scan.path).absolute(), mask=mask)


@remembered
def _software() -> str:
    return hashlib.sha256(json.dumps(provenance.software(), sort_keys=True).encode()).hexdigest()
