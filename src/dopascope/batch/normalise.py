"""A cohort table to a folder of derivatives: the whole of it, or one of n parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dopascope import provenance
from dopascope.batch.cache import Cache, cache_of
from dopascope.batch.derivatives import CENTRED_SPACE, MNI_SPACE, Target, targets_of, write_dataset
from dopascope.batch.drive import Outcome, Runner, drive
from dopascope.batch.normalising import NormaliseSettings, Normalising
from dopascope.batch.t1 import BrainFinder
from dopascope.cohort import read_cohort, read_table
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UsageError


@dataclass(frozen=True)
class Part:
    """Every `of`-th scan, beginning with the `number`-th; `number` from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                "The part cannot be meant.",
                where="--part",
                found=f"{self.number}/{self.of}",
                expected="i/n with 1 <= i <= n, such as 3/20",
                fix="Correct it.",
            )

    def take(self, scans: Sequence[CohortScan]) -> list[CohortScan]:
        """This part of the scans."""
        return list(scans[self.number - 1 :: self.of])


def normalise_cohort(
    table: Path,
    out: Path,
    settings: NormaliseSettings,
    *,
    cache: Path | None = None,
    runner: Runner | None = None,
    part: Part | None = None,
    progress: Callable[[Outcome], None] | None = None,
    finder: BrainFinder | None = None,
) -> list[Outcome]:
    """Normalise the scans of a cohort table into the folder `out`; outcomes in the order of the table.

    The bytes of the folder depend on the scans, the table, the settings, the versions and the kind of CPU alone: not on
    workers, order or interruptions. Results are kept in `cache` (default: the folder `OUT.cache`), so the same call
    goes on where it ended. A part writes its scans and no table; the call without part gathers. `finder` finds the
    brain in T1-weighted scans whose table names no mask; without it those fail.

    Raises:
        InputError: the table cannot be read.
        UsageError: names that BIDS cannot tell apart, or `out` holds the table or its scans' folder.
        OSError: `out` or the cache cannot be written.
    """
    rows, scans = read_table(table, ("path",)), read_cohort(table)
    if out.resolve() == table.parent.resolve():
        raise UsageError(
            "The derivatives would be mixed with the cohort.",
            where="--out",
            found=out,
            expected="a folder of its own",
            fix="Name another folder.",
        )
    outcomes, targets = normalise_scans(
        scans, out, settings, cache=cache, runner=runner, part=part, progress=progress, finder=finder
    )
    if part is None:
        write_dataset(out, outcomes, targets, (rows[0].columns, [row.cells for row in rows]))
    return outcomes


def normalise_scans(
    scans: Sequence[CohortScan],
    out: Path,
    settings: NormaliseSettings,
    *,
    cache: Path | None = None,
    runner: Runner | None = None,
    part: Part | None = None,
    progress: Callable[[Outcome], None] | None = None,
    finder: BrainFinder | None = None,
) -> tuple[list[Outcome], dict[str, Target]]:
    """As `normalise_cohort`, of scans however they were found and without tables; also where each is written."""
    targets = targets_of(scans, out, MNI_SPACE if settings.register else CENTRED_SPACE)
    wanted = scans if part is None else part.take(scans)
    folder = cache or cache_of(out)
    for one in (out, folder):
        provenance.check_writable(one)
    outcomes = []
    work = Normalising(settings, targets, finder)
    for outcome in drive(wanted, work, cache=Cache(folder.absolute()), runner=runner):
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome)
    return sorted(outcomes, key=lambda one: one.number), targets
