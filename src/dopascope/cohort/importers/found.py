"""What an importer found: rows for a cohort table, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dopascope.cohort.scan import CohortScan, scan_of
from dopascope.cohort.table import Row
from dopascope.errors import UnsuitableError


class Visits(StrEnum):
    """Which visits of a person are taken."""

    BASELINE = "baseline"
    """The one baseline scan, by visit code."""
    FIRST = "first"
    """The earliest scan by date."""
    ALL = "all"


@dataclass(frozen=True)
class ImportOptions:
    """What a user can say about a source; each importer names those that it takes."""

    tables: tuple[Path, ...] = ()
    """Tables that lie elsewhere than in the folder."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of `cohort.tsv` -> column of the source's table."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label as the source has it -> label in `cohort.tsv`."""
    sexes: Mapping[str, str] = field(default_factory=dict)
    """Sex as the source has it -> F or M, for what no word says."""
    visits: Visits | None = None
    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A file, folder or line of a table that gives no row."""

    where: str
    """Path relative to the source, or file and line."""
    why: str
    """One of a few fixed sentences, never with a value of the source: it is printed by `--deidentify` too."""
    detail: str = ""
    """The value that was met, where that helps."""


@dataclass
class Found:
    """What a source has. `assumed` and `warnings` name no person and no path, since `--deidentify` prints them."""

    root: Path
    """What the paths of the rows are relative to."""
    rows: list[dict[str, str]] = field(default_factory=list)
    """Cells by column: those of `cohort.COLUMNS` that are known, and covariates; paths with forward slashes."""
    left_out: list[LeftOut] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def columns(self) -> list[str]:
        """Every column that a row has, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def scans(self) -> list[CohortScan]:
        """The rows as scans, without a table written and read.

        Raises:
            UnreadableError: a cell that a cohort table cannot have.
        """
        rows = [Row(self.root, line, tuple(cells), cells) for line, cells in enumerate(self.rows, 2)]
        return [scan_of(self.root, row) for row in rows]

    def reasons(self) -> Counter[str]:
        """Why things were left out -> how many."""
        return Counter(one.why for one in self.left_out)

    def people(self) -> int:
        """How many different people the rows are of."""
        return len({row.get("participant_id", row["path"]) for row in self.rows})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, form `dopascope.import/1`."""
        return {
            "form": "dopascope.import/1",
            "taken": len(self.rows),
            "people": self.people(),
            "labels": dict(sorted(Counter(row.get("label", "n/a") for row in self.rows).items())),
            "left_out": [vars(one) for one in self.left_out],
            "assumed": self.assumed,
            "warnings": self.warnings,
        }

    def require_rows(self, source: Path, expected: str) -> None:
        """Check that something was taken.

        Raises:
            UnsuitableError: nothing was; the error counts the reasons.
        """
        if not self.rows:
            reasons = "; ".join(f"{count} x {why}" for why, count in self.reasons().most_common(5))
            raise UnsuitableError(
                "No scan of this source can be taken.",
                where=source,
                found=reasons or "nothing that looks like a scan",
                expected=expected,
                fix="Check that this is the right place and the right KIND, and that the download is whole.",
            )
