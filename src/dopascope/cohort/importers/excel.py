"""A sheet of an Excel file as rows: data only, judged as a zip before it is opened, bounded while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dopascope.cohort.importers.foreign import MISSING_CELLS
from dopascope.cohort.table import Row, check_header, fault
from dopascope.errors import HostileError, InputError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import Blob, Limits
from dopascope.formats.archive import blobs_of, is_zip
from dopascope.formats.limits import MIB

if TYPE_CHECKING:
    from openpyxl import Workbook

ENDING: Final = ".xlsx"
REFUSED: Final = (".xls", ".xlsm", ".xlsb", ".xltx", ".xltm", ".ods")
"""Endings of tables that are not read: the old binary form, those with macros, templates and OpenDocument."""
EXPECTED: Final = "an Excel workbook (.xlsx) without macros"
MOST_CELLS: Final = 5_000_000
"""A cohort of 20,000 scans with 180 columns has 3.6 million."""
_LIMITS: Final = Limits(max_file_bytes=64 * MIB, max_inflated_bytes=256 * MIB, max_files=2000)
_ERRORS: Final = frozenset({"#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"})


def is_excel(path: Path) -> bool:
    """Whether the name is that of an Excel or another office table, read or refused."""
    return path.suffix.casefold() in (ENDING, *REFUSED)


def read_excel(path: Path, required: Sequence[str], sheet: str | None = None) -> list[Row]:
    """The rows of a sheet whose first row is the header. Rows without any cell are left out.

    Args:
        path: the workbook.
        required: columns that must be there.
        sheet: its name; may be left out where there is one sheet.

    Raises:
        UnsupportedError: a form that is not read, or macros inside.
        HostileError: a zip or XML that only an attack has, or more than `MOST_CELLS` cells.
        UnreadableError: damaged; or a header, error value or formula that cannot be meant. The error names sheet,
            row (as `line`) and column.
        UsageError: there is no such sheet, or several and none named.
    """
    _check_file(path)
    values, formulas = _opened(path, data_only=True), _opened(path, data_only=False)
    try:
        name = _sheet(path, values, sheet)
        place = Path(f"{path}, sheet {name}")
        return _rows(place, required, _lines(place, values[name], formulas[name]))
    finally:
        values.close()
        formulas.close()


def _check_file(path: Path) -> None:
    if path.suffix.casefold() in REFUSED:
        raise _refused(path, f"a file that ends in {path.suffix}")
    if not is_zip(Blob(str(path), path=path)):
        raise UnreadableError(
            "The file is no Excel workbook.",
            where=path,
            found="another content than its name says",
            expected=EXPECTED,
            fix="Save it again as .xlsx, or as CSV.",
        )
    for member in blobs_of(path, _LIMITS).blobs:
        if member.name.endswith("vbaProject.bin"):
            raise _refused(path, "macros")
        if member.name.endswith((".xml", ".rels")) and b"<!DOCTYPE" in member.read().replace(b"\0", b""):
            raise HostileError(
                "The workbook defines XML entities, which Excel never does.",
                where=path,
                found="a DOCTYPE",
                expected=EXPECTED,
                fix="Do not open this file; ask where it comes from.",
            )


def _refused(path: Path, found: str) -> UnsupportedError:
    return UnsupportedError(
        "This form of table is not read.", where=path, found=found, expected=EXPECTED, fix="Save it as .xlsx or CSV."
    )


def _opened(path: Path, *, data_only: bool) -> Workbook:
    from openpyxl import load_workbook

    try:
        return load_workbook(path, read_only=True, data_only=data_only, keep_links=False)
    except Exception as reason:  # whatever it throws at damaged XML
        raise _damaged(path, reason) from reason


def _damaged(path: Path, reason: Exception) -> UnreadableError:
    return UnreadableError(
        "The Excel workbook is damaged.",
        where=path,
        found=f"{type(reason).__name__}: {reason}"[:200],
        expected=EXPECTED,
        fix="Save it again in Excel, or as CSV.",
    )


def _sheet(path: Path, book: Workbook, wanted: str | None) -> str:
    names = [one.title for one in book.worksheets]
    if wanted in names or (wanted is None and len(names) == 1):
        return wanted or names[0]
    raise UsageError(
        "There is no such sheet." if wanted else "The workbook has several sheets.",
        where=f"--sheet, {path}",
        found=wanted or f"{len(names)} sheets",
        expected=", ".join(names),
        fix="Name one of them with --sheet.",
    )


def _lines(place: Path, values: Any, formulas: Any) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells as text) of each row that has a cell."""
    for one in (values, formulas):
        one.reset_dimensions()  # what the file claims about its size is not believed
    met = 0
    try:
        pairs = zip(values.iter_rows(values_only=True), formulas.iter_rows(values_only=True), strict=True)
        for number, (row, written) in enumerate(pairs, 1):
            met += len(row) + 1
            if met > MOST_CELLS:
                raise HostileError(
                    "The sheet has more cells than are allowed.",
                    where=place,
                    found=f"more than {MOST_CELLS:,} by row {number}",
                    expected="a table of scans",
                    fix="Save the table alone, as CSV.",
                )
            _check_formulas(place, number, row, written)
            cells = [_text(place, number, column, cell) for column, cell in enumerate(row, 1)]
            if any(cells):
                yield number, cells
    except InputError:
        raise
    except Exception as reason:  # whatever it throws at damaged XML
        raise _damaged(place, reason) from reason


def _check_formulas(place: Path, number: int, row: Sequence[Any], written: Sequence[Any]) -> None:
    for column, (cell, formula) in enumerate(zip(row, written, strict=True), 1):
        if cell is None and formula is not None:
            what = "A formula has no saved value."
            raise fault(what, place, number, _letters(column), "a formula", "its value", "Open and save it in Excel.")


def _text(place: Path, number: int, column: int, cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float):
        return f"{cell:.15g}"
    text = str(cell).strip()
    if text in _ERRORS:
        raise fault("A cell holds an error of Excel.", place, number, _letters(column), text, "a value")
    return text


def _letters(column: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(column))


def _rows(place: Path, required: Sequence[str], lines: Iterator[tuple[int, list[str]]]) -> list[Row]:
    begins, header = next(lines, (1, [""]))
    while header and not header[-1]:
        header.pop()
    header = [" ".join(name.split()) for name in header]
    try:
        check_header(place, "", header or [""], required, "")
    except UnreadableError as error:
        error.where = str(error.where).replace("line 1,", f"line {begins},")
        raise
    rows = [_row(place, number, header, cells) for number, cells in lines]
    if not rows:
        raise fault("The table has no rows.", place, begins, "", "the header alone", "a row for each scan")
    return rows


def _row(place: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    beyond = next((n for n, cell in enumerate(cells, 1) if cell and n > len(header)), None)
    if beyond is not None:
        raise fault("A cell stands beside the table.", place, number, _letters(beyond), cells[beyond - 1], "no cell")
    named = zip(header, cells, strict=False)
    return Row(place, number, tuple(header), {name: cell for name, cell in named if cell not in MISSING_CELLS})
