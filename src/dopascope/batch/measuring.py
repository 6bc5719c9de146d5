"""Binding ratios of every scan in a cohort, by the driver that all batch work has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dopascope.batch.binding import Measured, Settings, measure_scan
from dopascope.batch.cache import Cache
from dopascope.batch.drive import Outcome, Runner, drive
from dopascope.cohort.scan import CohortScan


@dataclass(frozen=True)
class Measuring:
    """Work on one scan: measure it. The record is the result without who it is of."""

    settings: Settings

    def digest(self) -> str:
        """Of the settings."""
        return self.settings.digest()

    def only(self, scan: CohortScan) -> Measuring:  # noqa: ARG002  (the protocol's)
        """The same for every scan."""
        return self

    def concerns(self, scan: CohortScan) -> list[object]:
        """Age, sex, modality and acquisition decide normals, z and refusals."""
        return [scan.age, scan.sex, scan.is_dat, repr(scan.stated)]

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """Measure. Raises what `measure_scan` raises."""
        return replace(measure_scan(scan, self.settings), name="", cells={}).as_dict(), b""

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
        """The table is written when all scans are done."""

    def drop(self, scan: CohortScan) -> None:
        """Nothing was written."""


@dataclass(frozen=True)
class Progress:
    """One scan is finished."""

    number: int
    """From 0, its place in the table."""
    result: Measured
    kept: bool
    """Taken from the cache."""


def measure_all(
    scans: Sequence[CohortScan], settings: Settings, cache: Path | None = None, runner: Runner | None = None
) -> Iterator[Progress]:
    """Measure every scan, as they finish; a bad one is recorded and the others go on.

    Args:
        scans: what to measure.
        settings: how.
        cache: folder of results so far. Those of other settings, of files that changed and of scans that failed are
            measured again. None keeps nothing.
        runner: where; in this process when omitted.

    Raises:
        DopascopeError: see `drive.drive`.
    """
    for one in drive(scans, Measuring(settings), cache=None if cache is None else Cache(cache), runner=runner):
        yield Progress(one.number, measured_of(one), one.kept)


def measured_of(outcome: Outcome) -> Measured:
    """The outcome as the result of its scan."""
    scan = outcome.scan
    if outcome.record is None:
        return Measured(name=scan.name, cells=scan.cells, age=scan.age, sex=scan.sex, error=outcome.error)
    return replace(Measured.from_dict(outcome.record), name=scan.name, cells=scan.cells)
