"""The DaT scans of a BIDS folder."""

from __future__ import annotations

import re
from pathlib import Path

from dopascope.cohort.scan import OLDEST, CohortScan, letter
from dopascope.cohort.table import Row, read_table
from dopascope.errors import UnsuitableError

_SEX = {"f": "F", "female": "F", "m": "M", "male": "M"}
_LABELS = ("diagnosis", "group", "label")


def scans_of(bids_dir: Path) -> list[CohortScan]:
    """NIfTI images below `spect/`, and `*_pet` images below `pet/`, with what `participants.tsv` says of their people.

    Raises:
        UnsuitableError: there is none.
        UnreadableError: `participants.tsv` is there and cannot be read.
    """
    table = bids_dir / "participants.tsv"
    people = {row.cells["participant_id"]: row for row in _rows(table) if "participant_id" in row.cells}
    found = []
    for path in sorted(bids_dir.glob("sub-*/**/*.nii*")):
        if path.parent.name == "spect" or (path.parent.name == "pet" and re.search(r"_pet\.nii(\.gz)?$", path.name)):
            found.append(_scan(bids_dir, path, people))
    if not found:
        raise UnsuitableError(
            "There is no DaT scan in this BIDS folder.",
            where=bids_dir,
            found="no image below sub-*/spect or sub-*/pet",
            expected="sub-*/[ses-*/]spect/*.nii.gz or sub-*/[ses-*/]pet/*_pet.nii.gz",
            fix="Check the path.",
        )
    return found


def _rows(table: Path) -> list[Row]:
    return read_table(table, ("participant_id",)) if table.is_file() else []


def _scan(bids_dir: Path, path: Path, people: dict[str, Row]) -> CohortScan:
    told = path.relative_to(bids_dir)
    person = told.parts[0]
    session = next((part for part in told.parts[1:-2] if part.startswith("ses-")), None)
    row = people.get(person)
    age = row.number("age", 0, OLDEST) if row else None
    sex = letter(_SEX.get((row.get("sex") or "").casefold())) if row else None
    label = next((cell for name in _LABELS if row and (cell := row.get(name))), None)
    known = {
        "participant_id": person,
        "session_id": session,
        "scan_id": path.name.split(".nii")[0],
        "path": told.as_posix(),
        "modality": "dat",
        "label": label,
        "sex": sex,
        "age": None if age is None else f"{age:g}",
    }
    cells = {name: cell for name, cell in known.items() if cell is not None}
    return CohortScan(name=cells["scan_id"], path=path, cells=cells, age=age, sex=sex)
