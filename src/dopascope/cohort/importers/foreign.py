"""Tables that others wrote: CSV with quotes, of any delimiter and encoding that is said; every fault with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dopascope.cohort.table import CORRECT, DELIMITERS, Row, check_header, fault, text_of
from dopascope.errors import UsageError

MISSING_CELLS: Final = frozenset({"", "n/a", "N/A", "NA", "nan", "NaN", "."})
"""Cells that mean "not known" in tables of others."""
_ENCODING: Final = "Name its encoding with --encoding (Excel often writes cp1252 or utf-16), or save it as UTF-8."
_DELIMITER: Final = "Name it with --delimiter, or save the table again."


def read_foreign(
    path: Path, required: Sequence[str], *, delimiter: str | None = None, encoding: str | None = None
) -> list[Row]:
    """The rows of a CSV table with a header line, as they stand. Lines without any cell are left out.

    Args:
        path: the file.
        required: columns that must be there.
        delimiter: between cells; default a tab in `.tsv` files and a comma in others.
        encoding: default UTF-8, with or without byte order mark.

    Raises:
        UnreadableError: not readable, too large, not text of that encoding, another delimiter, a quote that does not
            end, a column missing, named twice or unnamed, a line with too few or too many cells, or no row. The error
            names the line, and the column where there is one.
        UsageError: there is no such encoding, or the delimiter is no single character.
    """
    delimiter = delimiter or ("\t" if path.suffix.casefold() == ".tsv" else ",")
    _check_how(delimiter, encoding)
    expected = f"{(encoding or 'utf-8').upper()} text with a header line, cells separated by " + DELIMITERS.get(
        delimiter, delimiter
    )
    text = text_of(path, expected, encoding or "utf-8-sig", CORRECT if encoding else _ENCODING)
    records = _records(path, text, delimiter)
    line, names = records[0] if records else (1, [""])
    header = [" ".join(name.split()) for name in names]  # a quoted name may hold line ends
    check_header(path, text.split("\n", 1)[0], header, required, delimiter, _DELIMITER)
    rows = [_row(path, line, header, cells) for line, cells in records[1:] if any(cell.strip() for cell in cells)]
    if not rows:
        raise fault("The table has no rows.", path, line, "", "the header alone", "a row for each scan")
    return rows


def _check_how(delimiter: str, encoding: str | None) -> None:
    if len(delimiter) != 1 or delimiter in '"\n\r':
        raise UsageError(
            "This delimiter cannot be meant.",
            where="--delimiter",
            found=delimiter,
            expected="one character",
            fix="Name it.",
        )
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, UnicodeError):  # the codec `undefined` refuses everything
        raise UsageError(
            "There is no such encoding.",
            where="--encoding",
            found=encoding,
            expected="such as utf-8, cp1252, utf-16",
            fix="Correct the name.",
        ) from None


def _records(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(line where it begins, cells) of each record; a quoted cell may hold line ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records, begins = [], 1
    try:
        for cells in reader:
            records.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise fault(
            "A line of the table cannot be taken apart.",
            path,
            begins,
            "",
            str(error),
            "quotes that begin and end a cell",
        ) from error
    return records


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        expected = f"{len(header)} cells, as the header has"
        raise fault("A line of the table is too short or long.", path, line, "", f"{len(cells)} cells", expected)
    named = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    return Row(path, line, tuple(header), {name: cell for name, cell in named.items() if cell not in MISSING_CELLS})
