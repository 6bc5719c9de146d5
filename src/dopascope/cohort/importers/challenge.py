"""Kind `challenge`: a folder `niftis/` and a CSV that gives each scan its label, as the public DaT challenge has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.cells import columns_of
from dopascope.cohort.importers.files import scans_below
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut
from dopascope.cohort.importers.registry import importer
from dopascope.cohort.importers.table import cells_of, check_values, finish, read_any
from dopascope.cohort.table import Row
from dopascope.errors import UnreadableError, UnsuitableError, UsageError

FOLDER: Final = "niftis"
ENDINGS: Final = ("", ".nii.gz", ".nii")
NAMES: Final = ("filename", "file_name", "file", "scan", "scan_id", "image", "image_id", "uid", "id")
"""Columns that name the scan, if `--column path=` does not."""
LABELS: Final = ("label", "class", "target", "diagnosis")
"""Columns that hold the label, if `--column label=` does not."""
NO_LINE: Final = "The labels table has no line for this scan."
NO_FILE: Final = "The labels table names a scan that is not there."
TWICE: Final = "The labels table names this scan twice."
NO_LABEL: Final = "The labels table gives this scan no label."


@importer(
    "challenge",
    f"a folder {FOLDER}/ of NIfTI files and beside it one CSV with the file or id and the label of each",
    *("tables", "columns", "labels", "sexes", "delimiter", "encoding", "sheet"),
)
def find_challenge(source: Path, options: ImportOptions) -> Found:
    """The scans that lie in `niftis/` and stand in the table; its other columns are kept.

    Raises:
        UsageError: no table or several, and none named; a column, label or sex that is not there.
        InputError: the table cannot be meant; a label that is a number and that `--label` does not explain.
    """
    if not (source / FOLDER).is_dir():
        raise UnsuitableError(
            f"There is no folder {FOLDER}/.",
            where=source,
            found=", ".join(sorted(one.name for one in source.iterdir())[:8]),
            expected=f"{FOLDER}/ and a CSV",
            fix="Name the folder above it, or use the kind table.",
        )
    table = _table(source, options)
    rows = read_any(table, options, ())
    chosen = _columns(rows[0], options, table)
    columns = columns_of(rows[0].columns, chosen, table)
    meant = replace(options, labels=options.labels or _documented(chosen["label"]))
    check_values(rows, columns, options)
    found = Found(source)
    there = {one.path for one in scans_below(source / FOLDER, found.left_out)}
    found.left_out = [replace(one, where=f"{FOLDER}/{one.where}") for one in found.left_out]
    seen: set[str] = set()
    for row in rows:
        cells = cells_of(row, columns, meant)
        name = next((n for end in ENDINGS if (n := _named(cells.get("path", ""), end)) in there), None)
        why = NO_FILE if name is None else TWICE if name in seen else None if "label" in cells else NO_LABEL
        seen |= {name} if name else set()
        if why is None:
            found.rows.append(
                {"scan_id": re.sub(r"\.nii(\.gz)?$", "", str(name))} | cells | {"path": f"{FOLDER}/{name}"}
            )
        else:
            found.left_out.append(LeftOut(f"{table.name}, line {row.line}", why, cells.get("path", "")))
    found.left_out += [LeftOut(f"{FOLDER}/{name}", NO_LINE) for name in sorted(there - seen)]
    finish(found)
    return found


def _named(told: str, ending: str) -> str:
    return re.sub(rf"^(\./)?({FOLDER}/)?", "", told) + ending


def _table(source: Path, options: ImportOptions) -> Path:
    given = list(options.tables)
    there = sorted(one for one in source.iterdir() if one.suffix.casefold() in (".csv", ".tsv", ".xlsx"))
    if len(given or there) == 1:
        return (given or there)[0]
    raise UsageError(
        "It is not clear which table holds the labels.",
        where="--table",
        found=", ".join(one.name for one in given or there) or "no table beside the scans",
        expected="one CSV, TSV or Excel table",
        fix="Name it with --table.",
    )


def _columns(row: Row, options: ImportOptions, table: Path) -> dict[str, str]:
    """What `--column` says, completed by the columns whose names leave no choice."""
    known = {"path": NAMES, "label": (*LABELS, *_MEANING)}
    missing = [ours for ours in known if ours not in options.columns]
    return {**options.columns, **{ours: _recognised(row.columns, ours, known[ours], table) for ours in missing}}


def _recognised(columns: Sequence[str], ours: str, known: Sequence[str], table: Path) -> str:
    met = [name for name in columns if name.casefold() in known]
    if len(met) == 1:
        return met[0]
    raise UnreadableError(
        "It is not clear which column is meant.",
        where=f"{table}, line 1, the column for {ours}",
        found=", ".join(columns),
        expected=f"one of {', '.join(known)}",
        fix=f"Name it with --column {ours}=THEIRS.",
    )


_MEANING: Final = {
    name: {"0": "normal", "1": "abnormal"} for name in ("abnormal", "is_abnormal", "pathological", "is_pathological")
}
"""A column whose very name says what its 0 and 1 mean."""


def _documented(column: str) -> dict[str, str]:
    return _MEANING.get(column.casefold(), {})
