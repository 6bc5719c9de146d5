"""PPMI's tables by what their headers say, since file names change with every download."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.excel import is_excel
from dopascope.cohort.importers.found import ImportOptions, LeftOut
from dopascope.cohort.importers.ppmi_dates import Month, day_of, month_of
from dopascope.cohort.importers.ppmi_metadata import Record, record_in
from dopascope.cohort.importers.ppmi_tree import number_of
from dopascope.cohort.importers.table import read_any
from dopascope.cohort.table import Row

UNKNOWN: Final = "A table that this importer does not know."
NO_CONTENT: Final = "A metadata file without content."

PERSON: Final = "PATNO"
EVENT: Final = "EVENT_ID"
_COLLECTION: Final = ("Image Data ID", "Subject", "Group", "Sex", "Age", "Visit", "Acq Date")
_SEARCH: Final = ("Image ID", "Subject ID", "Research Group", "Sex", "Age", "Visit", "Study Date")
"""The two exports of the image archive, columns in the order of `Record`; `Visit` may be missing in the second."""
_DATSCAN_SBR: Final = re.compile(r"(?:DATSCAN_)?((?:CAUDATE|PUTAMEN)_[RL](?:_ANT)?)")
_XING_SBR: Final = re.compile(r"(\w+)_REF_CWM")
_READ: Final = {
    "DATSCAN_VISINTRP": "visual_interpretation",
    "QUALITY_RATING": "quality_rating",
    "IMAGE_ACCEPTABLE": "image_acceptable",
}
"""What readers said of the image -> covariate."""
_CLINICAL: Final = {
    "NP1RTOT": "updrs1_rater",
    "NP1PTOT": "updrs1_patient",
    "NP2PTOT": "updrs2",
    "NP3TOT": "updrs3",
    "NHY": "hoehn_yahr",
}
"""Clinical scores -> covariate."""
SERIES: Final = ("sbr_datscan_", "sbr_xing_")
"""Prefixes of the two series of binding ratios. They are measured differently and never mixed."""


@dataclass(frozen=True)
class Measured:
    """Covariates of one person's visit, from one line of a table."""

    event: str | None
    month: Month | None
    cells: dict[str, str]
    off: bool
    """Whether the table says that medication had been stopped."""


@dataclass
class Tables:
    """Everything that the tables say, by image or person."""

    records: defaultdict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Image number -> who and when, from every table that names it."""
    births: dict[str, Month] = field(default_factory=dict)
    of_image: defaultdict[str, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    """Person -> binding ratios and readings, which belong to the scan of their visit."""
    of_person: defaultdict[str, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    """Person -> clinical scores, which belong to a date."""
    known: int = 0
    """How many tables and metadata files were understood."""


def read_tables(root: Path, paths: Iterable[Path], options: ImportOptions, left_out: list[LeftOut]) -> Tables:
    """Every table and metadata file of `paths`; unknown ones go to `left_out`.

    Raises:
        InputError: a table, or a cell of it, cannot be meant. The error names file, line and column.
    """
    tables = Tables()
    for path in paths:
        told = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        if path.suffix.casefold() == ".xml":
            record = record_in(path)
            if record is None:
                left_out.append(LeftOut(told, NO_CONTENT))
            else:
                tables.records[number_of(record.image)].append(record)
                tables.known += 1
        elif _take(read_any(path, _meant_for(path, options), ()), tables):
            tables.known += 1
        else:
            left_out.append(LeftOut(told, UNKNOWN))
    return tables


def _meant_for(path: Path, options: ImportOptions) -> ImportOptions:
    """What the user said of CSV tables for these, and of Excel files for those: a download may have both."""
    return replace(options, delimiter=None, encoding=None) if is_excel(path) else replace(options, sheet=None)


def _take(rows: list[Row], tables: Tables) -> bool:
    """Whether the table was understood; what it says is in `tables` then."""
    columns = rows[0].columns
    for names in (_COLLECTION, _SEARCH):
        if set(names) - {"Visit"} <= set(columns):
            for row in rows:
                record = _record(row, names)
                tables.records[number_of(record.image)].append(record)
            return True
    if PERSON not in columns:
        return False
    of_image = _columns_of_image(columns)
    clinical = {name: ours for name, ours in _CLINICAL.items() if name in columns}
    for row in rows:
        person = row.get(PERSON)
        if person is None:
            raise row.fault(PERSON, "nothing", "the person's number")
        if "BIRTHDT" in columns and (born := month_of(row, "BIRTHDT")) is not None:
            tables.births[person] = born
        if cells := _cells(row, of_image):
            tables.of_image[person].append(_measured(row, cells, "DATSCAN_DATE"))
        if cells := _cells(row, clinical):
            tables.of_person[person].append(_measured(row, cells, "INFODT"))
    return bool(of_image or clinical or "BIRTHDT" in columns)


def _columns_of_image(columns: Iterable[str]) -> Mapping[str, str]:
    found = {}
    for name in columns:
        old, new = _DATSCAN_SBR.fullmatch(name), _XING_SBR.fullmatch(name)
        if old is not None:
            found[name] = SERIES[0] + old[1].casefold()
        elif new is not None:
            found[name] = SERIES[1] + new[1].casefold()
        elif name in _READ:
            found[name] = _READ[name]
    return found


def _cells(row: Row, names: Mapping[str, str]) -> dict[str, str]:
    return {ours: cell for name, ours in names.items() if (cell := row.get(name)) is not None}


def _measured(row: Row, cells: dict[str, str], dated: str) -> Measured:
    off = (row.get("PDSTATE") or "").casefold() == "off"
    return Measured(row.get(EVENT), month_of(row, dated) if dated in row.columns else None, cells, off)


def _record(row: Row, names: tuple[str, ...]) -> Record:
    image, person, group, sex, age, visit, day = names
    for needed in (image, person):
        if row.get(needed) is None:
            raise row.fault(needed, "nothing", "an id in each line")
    years = row.number(age, 0, 120)
    return Record(
        image=row.cells[image],
        person=row.cells[person],
        group=row.get(group),
        sex=row.get(sex),
        age=years,
        visit=row.get(visit),
        day=day_of(row, day),
        description=row.get("Description"),
    )
