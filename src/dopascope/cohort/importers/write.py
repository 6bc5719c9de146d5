"""What was found as a cohort table with the hash of every file, and a record of the import beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dopascope import provenance
from dopascope.cohort.importers.found import Found
from dopascope.cohort.scan import COLUMNS
from dopascope.cohort.table import MISSING
from dopascope.errors import UnsuitableError

HASH: Final = "sha256"
"""Column with the hash of a scan that is one file, so that the same cohort can be told from a similar one."""


def write_cohort(
    found: Found, out: Path, kind: str, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Path:
    """Write `out` and, beside it, `<name>.import.json`; paths are relative to the table where they can be.

    Args:
        found: what an importer found.
        out: the table.
        kind: of the importer.
        progress: is told how many scans of how many are hashed.

    Returns:
        The record's path.

    Raises:
        UnsuitableError: two rows with one scan id, a cell that a table cannot hold, or files that are not those whose
            hash the source has.
    """
    names = [*COLUMNS, *(name for name in found.columns() if name not in (*COLUMNS, HASH)), HASH]
    rows, others = [], []
    for number, row in enumerate(found.rows, 1):
        digest = _hash(found.root, row)
        others += [row["path"]] if row.get(HASH, digest) != digest else []
        rows.append(row | {"path": _seen_from(out.parent, found.root / row["path"]), HASH: digest})
        progress(number, len(found.rows))
    _check(rows, found.root)
    if others:
        raise _wrong(
            "These are not the files that the source was made of.",
            found.root,
            f"{len(others)} files of another {HASH}, such as {others[0]}",
            f"files of the hash in the source's column {HASH}",
        )
    lines = ["\t".join(names), *("\t".join(row.get(name) or MISSING for name in names) for row in rows)]
    record = out.with_name(f"{out.stem}.import.json")
    origin = {"kind": kind, "source": str(found.root.resolve()), "created": provenance.now()}
    said = found.as_dict() | origin | {"software": provenance.software()}
    provenance.write_text(record, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    provenance.write_text(out, "\n".join(lines) + "\n")
    return record


def _seen_from(folder: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()


def _hash(root: Path, row: dict[str, str]) -> str:
    path = root / row["path"]
    return provenance.sha256_of(path) if path.is_file() else MISSING


def _check(rows: list[dict[str, str]], root: Path) -> None:
    seen: set[str] = set()
    for row in rows:
        name = row.get("scan_id") or row["path"]
        if name in seen:
            raise _wrong("Two scans would have one id.", root, name, "an id for each scan")
        seen.add(name)
        for column, cell in row.items():
            if any(mark in cell for mark in "\t\n\r") or column != column.strip():
                raise _wrong("A table cannot hold this.", root, f"{cell!r} as {column}", "no tab and no line end")


def _wrong(what: str, where: Path, found: str, expected: str) -> UnsuitableError:
    return UnsuitableError(what, where=where, found=found, expected=expected, fix="Correct the source.")
