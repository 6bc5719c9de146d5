"""`cohort.tsv`: one scan a line, with who it is of and how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dopascope.cohort.table import MISSING, Row, read_table
from dopascope.errors import UnsuitableError, UsageError
from dopascope.volume import FACTS, Acquisition, Sex, said, same

COLUMNS: Final = (
    *("participant_id", "session_id", "scan_id", "path", "modality"),
    *("label", "site", "camera", "age", "sex"),
)
"""The columns that a cohort table has; `path` alone must be there, and further ones are allowed."""
DAT: Final = ("dat", "nm", "spect")
T1: Final = ("t1", "t1w")
OLDEST: Final = 120.0
FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""What may stand in a column that ends in `_corrected`."""


@dataclass(frozen=True)
class CohortScan:
    """One line of a cohort table, or one scan named on the command line."""

    name: str
    """The scan's id; the path as it was given where there is none."""
    path: Path
    cells: dict[str, str]
    """Of `COLUMNS`, those that are known."""
    age: float | None = None
    sex: Sex | None = None
    stated: Acquisition = field(default_factory=Acquisition)
    """What the table says of the acquisition, for headers that are silent (NIfTI has none)."""
    further: dict[str, str] = field(default_factory=dict)
    """Cells of other columns, such as covariates."""
    mask: Path | None = None
    """Brain mask of a T1-weighted scan, where the table names one."""

    @property
    def person(self) -> str | None:
        """The `participant_id`."""
        return self.cells.get("participant_id")

    @property
    def label(self) -> str | None:
        """Such as `control`."""
        return self.cells.get("label")

    @property
    def is_dat(self) -> bool:
        """False where the table says that this is another modality."""
        return self.cells.get("modality", DAT[0]).casefold() in DAT

    @property
    def is_t1(self) -> bool:
        """True where the table says that this is a T1-weighted scan."""
        return self.cells.get("modality", DAT[0]).casefold() in T1

    def acquisition(self, header: Acquisition) -> Acquisition:
        """The header's facts, completed by the table's.

        Raises:
            UnsuitableError: the two contradict each other.
        """
        known: dict[str, Any] = {}
        for name in FACTS:
            told, read = getattr(self.stated, name), getattr(header, name)
            if told is not None and read is not None and not same(told, read):
                raise UnsuitableError(
                    "The table and the scan's header contradict each other.",
                    where=f"column {name}",
                    found=f"{said(told)} in the table, {said(read)} in the header",
                    expected="the same, or n/a in the table",
                    fix="Find out which is right, and correct the table.",
                )
            if read is None:
                known[name] = told
        return replace(header, **known)


def read_cohort(path: Path) -> list[CohortScan]:
    """The scans of a cohort table; their paths are relative to the table's folder.

    Raises:
        UnreadableError: see `table.read_table`; an age, sex or correction that cannot be meant; a scan without a path
            or listed twice. The error names line and column.
    """
    scans = []
    seen: dict[str, int] = {}
    for row in read_table(path, ("path",)):
        scan = scan_of(path.parent, row)
        if scan.name in seen:
            column = "scan_id" if row.get("scan_id") else "path"
            raise row.fault(column, f"{scan.name}, as in line {seen[scan.name]}", "each scan once")
        seen[scan.name] = row.line
        scans.append(scan)
    return scans


def one_scan(path: Path, age: float | None, sex: str | None) -> CohortScan:
    """A single scan as a cohort of its own.

    Raises:
        UsageError: an age or sex that cannot be meant.
    """
    if age is not None and not 0 <= age <= OLDEST:
        raise _bad_person("age", age, f"0 to {OLDEST:g} years")
    if sex not in ("F", "M", None):
        raise _bad_person("sex", sex, "F or M")
    known = {"path": str(path), "age": age, "sex": sex}
    cells = {name: str(value) for name, value in known.items() if value is not None}
    return CohortScan(name=path.name, path=path, cells=cells, age=age, sex=letter(sex))


def _bad_person(where: str, found: object, expected: str) -> UsageError:
    return UsageError(f"This {where} cannot be meant.", where=where, found=found, expected=expected, fix="Correct it.")


def letter(sex: str | None) -> Sex | None:
    """`F` or `M`; anything else is not known."""
    return "F" if sex == "F" else "M" if sex == "M" else None


def scan_of(folder: Path, row: Row) -> CohortScan:
    """One line of a cohort table; its path is relative to `folder`.

    Raises:
        UnreadableError: a cell cannot be meant.
    """
    named = row.get("path")
    if named is None:
        raise row.fault("path", MISSING, "the path of the scan, relative to the table")
    sex = row.get("sex")
    if sex not in ("F", "M", None):
        raise row.fault("sex", sex, f"F, M or {MISSING}")
    known: dict[str, Any] = {name: row.get(name) for name in FACTS if not name.endswith("_corrected")}
    known |= {name: _flag(row, name) for name in FACTS if name.endswith("_corrected")}
    return CohortScan(
        name=row.get("scan_id") or named,
        path=folder / named,
        cells={name: cell for name in COLUMNS if (cell := row.get(name)) is not None},
        further={name: cell for name, cell in row.cells.items() if name not in COLUMNS},
        age=row.number("age", 0, OLDEST),
        sex=letter(sex),
        stated=Acquisition(**known),
        mask=None if (mask := row.get("mask")) is None else folder / mask,
    )


def _flag(row: Row, column: str) -> bool | None:
    text = row.get(column)
    if text is None:
        return None
    if text.casefold() not in FLAGS:
        raise row.fault(column, text, f"true, false or {MISSING}")
    return FLAGS[text.casefold()]
