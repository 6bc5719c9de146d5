"""Reading tab-separated tables strictly: every fault with its line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.errors import UnreadableError

MISSING: Final = "n/a"
MAX_BYTES: Final = 64 << 20
"""A cohort of 100,000 scans needs about 20 MB; anything beyond this is something else."""
CORRECT: Final = "Correct this place of the table."
"""What there is to do about most faults."""
_SHOWN: Final = 60
DELIMITERS: Final = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
"""What may stand between cells -> its name in errors."""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    path: Path
    line: int
    """From 1, the header being line 1."""
    columns: tuple[str, ...]
    cells: dict[str, str]
    """Column -> cell; missing values (`n/a` or empty) are left out."""

    def get(self, column: str) -> str | None:
        """The cell, or None where it is missing."""
        return self.cells.get(column)

    def fault(self, column: str, found: str, expected: str, fix: str = CORRECT) -> UnreadableError:
        """The error that this cell cannot be meant."""
        return fault("A cell of the table cannot be meant.", self.path, self.line, column, found, expected, fix)

    def number(self, column: str, low: float, high: float) -> float | None:
        """The cell as a number within limits, or None where it is missing.

        Raises:
            UnreadableError: it is no number, or outside the limits.
        """
        text = self.get(column)
        if text is None:
            return None
        try:
            value = float(text) if text.isascii() and "_" not in text else float("nan")
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise self.fault(column, text, f"a number from {low:g} to {high:g}, or {MISSING}")
        return value


def fault(
    what: str,
    path: Path,
    line: int,
    column: str,
    found: str,
    expected: str,
    fix: str = CORRECT,
) -> UnreadableError:
    """A table's error, with the place where an editor finds it."""
    shown = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}..."
    place = f"{path}, line {line}" + (f", column {column}" if column else "")
    return UnreadableError(what, where=place, found=shown, expected=expected, fix=fix)


def read_table(path: Path, required: Sequence[str]) -> list[Row]:
    """The rows of a tab-separated UTF-8 file with a header line. Empty lines are left out.

    Raises:
        UnreadableError: not readable, too large, not UTF-8 text, another delimiter, a column missing, named twice or
            unnamed, a line with too few or too many cells, or no row.
    """
    lines = text_of(path, "tab-separated UTF-8 text with a header line").split("\n")
    header = [name.strip() for name in lines[0].split("\t")]
    check_header(path, lines[0], header, required, delimiter="\t")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(header):
            expected = f"{len(header)} cells, as the header has"
            raise fault("A line of the table is too short or long.", path, number, "", f"{len(cells)} cells", expected)
        named = dict(zip(header, cells, strict=True))
        rows.append(
            Row(path, number, tuple(header), {name: cell for name, cell in named.items() if cell not in ("", MISSING)})
        )
    if not rows:
        raise fault("The table has no rows.", path, 1, "", "the header alone", "a row for each scan")
    return rows


def text_of(path: Path, expected: str, encoding: str = "utf-8-sig", fix: str = CORRECT) -> str:
    """The whole text of a table, lines ended by a single newline.

    Args:
        path: the file.
        expected: what it should be, for errors.
        encoding: of its bytes; a byte order mark of UTF-8 is left out.
        fix: what to do where it is no text of this encoding.

    Raises:
        UnreadableError: it cannot be opened, is too large, or is no text of this encoding. The error names the line.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        fix = "Check the path."
        raise UnreadableError(
            "The table cannot be opened.", where=path, found=error.strerror or str(error), expected=expected, fix=fix
        ) from error
    if len(raw) > MAX_BYTES:
        raise fault("The table is too large.", path, 1, "", f"more than {MAX_BYTES} bytes", expected)
    try:
        text = raw.decode(encoding)
    except UnicodeError as error:  # some codecs do not say where
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = raw.count(b"\n", 0, start) + 1
        what = f"The table is not {encoding.removesuffix('-sig').upper()} text."
        raise fault(what, path, line, "", f"byte {raw[start]:#04x}", expected, fix) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise fault("The table is not text.", path, line, "", "a zero byte", expected, fix)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_header(
    path: Path, line: str, header: list[str], required: Sequence[str], delimiter: str, fix: str = CORRECT
) -> None:
    """Check the names of a table's columns.

    Args:
        path: the file, for errors.
        line: the header as it stands there.
        header: the names in it.
        required: names that must be there.
        delimiter: what the names were separated at.
        fix: what to do where that is another one.

    Raises:
        UnreadableError: another delimiter, a column missing, named twice or unnamed.
    """
    missing = [name for name in required if name not in header]
    if delimiter not in line:
        # A space alone is no sign: names of columns have them.
        marks = [mark for mark in DELIMITERS if mark != " " or (missing and len(required) > 1)]
        other = next((DELIMITERS[mark] for mark in marks if mark in line), None)
        if other is not None:
            expected = f"cells separated by {DELIMITERS.get(delimiter, delimiter)}"
            raise fault("The table has another delimiter.", path, 1, "", f"cells separated by {other}", expected, fix)
    if missing:
        found = f"columns {', '.join(header)}"
        raise fault("A column is missing.", path, 1, missing[0], found, f"columns {', '.join(required)}")
    for name in header:
        if not name or header.count(name) > 1:
            found = f"{header.count(name)} columns of this name" if name else "a column without a name"
            raise fault("The header cannot be meant.", path, 1, name or "unnamed", found, "one name for each column")
