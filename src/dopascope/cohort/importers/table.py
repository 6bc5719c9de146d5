"""Kind `table`: any CSV, TSV or Excel table that names its scans, by saying which column is which."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dopascope.cohort.importers.cells import check_sexes, check_used, columns_of, taken
from dopascope.cohort.importers.excel import is_excel, read_excel
from dopascope.cohort.importers.files import NO_TEXT, can_stand_in_table, fault_of, scan_ids
from dopascope.cohort.importers.foreign import read_foreign
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut
from dopascope.cohort.importers.registry import importer
from dopascope.cohort.table import Row, fault
from dopascope.errors import UsageError

NO_PATH = "The line names no scan."
TWICE = "The line names a scan that another line has."
NO_PERSON = "each scan is of a person of its own, since the source names no people"


@importer(
    "table",
    "a CSV, TSV or Excel (.xlsx) table with a column for the path of each scan, named by --column path=THEIRS",
    *("columns", "labels", "sexes", "delimiter", "encoding", "sheet"),
    of_file=True,
)
def find_in_table(source: Path, options: ImportOptions) -> Found:
    """The scans that a table names; paths in it are relative to the table, and all other columns are kept.

    Raises:
        UsageError: a column, label or sex that the table has not.
        InputError: the table or one of its cells cannot be meant.
    """
    rows = read_any(source, options, ())
    columns = columns_of(rows[0].columns, options.columns, source)
    if "path" not in columns:
        fix = "Name the column with --column path=THEIRS, and the mark between cells with --delimiter."
        listed = f"columns {', '.join(rows[0].columns)}"
        raise fault("A column is missing.", rows[0].path, 1, "path", listed, "the path of each scan", fix)
    check_values(rows, columns, options)
    found = Found(source.parent)
    place = rows[0].path.name
    seen: set[str] = set()
    for row in rows:
        cells = cells_of(row, columns, options)
        why = _fault(source.parent, cells.get("path"), seen)
        if why is not None:
            found.left_out.append(LeftOut(f"{place}, line {row.line}", why, cells.get("path", "")))
            continue
        seen.add(os.path.normpath(cells["path"]))
        found.rows.append(cells | {"path": Path(cells["path"]).as_posix()})
    finish(found)
    return found


def read_any(path: Path, options: ImportOptions, required: Sequence[str]) -> list[Row]:
    """The rows of a CSV, TSV or Excel table.

    Raises:
        UsageError: an option that means nothing to this form of table.
        InputError: see `read_foreign` and `read_excel`.
    """
    if is_excel(path):
        _refuse("--delimiter, --encoding", bool(options.delimiter or options.encoding), "with CSV and TSV tables")
        return read_excel(path, required, options.sheet)
    _refuse("--sheet", bool(options.sheet), "with Excel files (.xlsx)")
    return read_foreign(path, required, delimiter=options.delimiter, encoding=options.encoding)


def _refuse(option: str, given: bool, expected: str) -> None:
    if given:
        raise UsageError(
            "This option means nothing to this form of table.",
            where=option,
            found="given",
            expected=expected,
            fix="Leave it out.",
        )


def check_values(rows: Sequence[Row], columns: Mapping[str, str], options: ImportOptions) -> None:
    """Check that the labels and sexes that a user mapped are in the table.

    Raises:
        UsageError: they are not, or `--sex` says something else than F or M.
    """
    check_sexes(options.sexes)
    for option, ours, mapping in (("--label", "label", options.labels), ("--sex", "sex", options.sexes)):
        check_used(mapping, {row.cells.get(columns.get(ours, ours), "") for row in rows} - {""}, option)


def cells_of(row: Row, columns: Mapping[str, str], options: ImportOptions) -> dict[str, str]:
    """A line's cells by the names that a cohort table has, without those that are missing.

    Raises:
        UnreadableError: a cell cannot be meant.
    """
    cells = {ours: taken(row, ours, theirs, options.labels, options.sexes) for ours, theirs in columns.items()}
    return {ours: text for ours, text in cells.items() if text}


def _fault(root: Path, told: str | None, seen: set[str]) -> str | None:
    if told is None:
        return NO_PATH
    if not can_stand_in_table(told):
        return NO_TEXT
    return TWICE if os.path.normpath(told) in seen else fault_of(root / told)


def finish(found: Found) -> None:
    """What every importer ends with: ids where there are none, rows in order, and what is assumed of people."""
    found.rows.sort(key=lambda row: (row.get("participant_id", ""), row.get("session_id", ""), row["path"]))
    ids = scan_ids(row["path"] for row in found.rows)
    for row in found.rows:
        row.setdefault("scan_id", ids[row["path"]])
        row.setdefault("modality", "dat")
    if any("participant_id" not in row for row in found.rows):
        found.assumed.append(NO_PERSON)
