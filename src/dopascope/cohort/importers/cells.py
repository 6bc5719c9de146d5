"""Cells of others' tables in our words: F and M, ISO dates, labels; a cell with two meanings is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from dopascope.cohort.scan import COLUMNS, FLAGS, OLDEST
from dopascope.cohort.table import Row
from dopascope.errors import UsageError
from dopascope.volume import FACTS

SCAN_DATE: Final = "scan_date"
"""Covariate with the day of the scan, ISO 8601."""
SEXES: Final = {"f": "F", "female": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}
"""What sources call the sexes, without case -> what we do."""
_OTHER_SEX: Final = frozenset({"o", "other", "unknown"})
_YEAR_FIRST: Final = re.compile(r"(\d{4})([-/.]?)(\d{2})\2(\d{2})([T ]\d{2}:\d{2}.*)?")
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def sex_of(row: Row, column: str, mapping: Mapping[str, str]) -> str | None:
    """F or M from a word for it; None where the cell is missing or says neither.

    Args:
        row: the line.
        column: of the source.
        mapping: what a cell means, from `--sex`.

    Raises:
        UnreadableError: a number or word whose meaning nobody said.
    """
    text = row.get(column)
    if text is None or text.casefold() in _OTHER_SEX:
        return None
    found = mapping.get(text) or SEXES.get(text.casefold())
    if found is None:
        expected = "F, M, female, male, or a meaning given with --sex, such as --sex 1=M"
        fix = "Say what it means with --sex THEIRS=OURS, as the source documents it."
        raise row.fault(column, text, expected, fix)
    return found


def age_of(row: Row, column: str) -> str | None:
    """Years as a number, or None where missing.

    Raises:
        UnreadableError: no number of years.
    """
    value = row.number(column, 0, OLDEST)
    return None if value is None else f"{value:g}"


def date_of(row: Row, column: str) -> str | None:
    """A date as ISO 8601, without the time of day; None where missing.

    Raises:
        UnreadableError: no date, or one whose day and month could be meant either way.
    """
    text = row.get(column)
    if text is None:
        return None
    try:
        if (found := _YEAR_FIRST.fullmatch(text)) is not None:
            return date(int(found[1]), int(found[3]), int(found[4])).isoformat()
        if (found := _DOTTED.fullmatch(text)) is not None:
            return date(int(found[3]), int(found[2]), int(found[1])).isoformat()
        return datetime.strptime(text, "%d-%b-%Y").date().isoformat()
    except ValueError:
        expected = "a date such as 2019-05-31, 20190531, 31.05.2019 or 31-May-2019"
        raise row.fault(column, text, expected, "Write the year first; 5/6/2019 could be May or June.") from None


def label_of(row: Row, column: str, mapping: Mapping[str, str]) -> str | None:
    """The label as `--label` calls it, or as it stands where it is a word; None where missing.

    Raises:
        UnreadableError: a number whose meaning nobody said.
    """
    text = row.get(column)
    if text is None or text in mapping:
        return mapping.get(text or "")
    if re.fullmatch(r"[-+]?\d+(\.\d*)?", text):
        expected = "a word such as PD, or a meaning given with --label, such as --label 1=PD"
        fix = "Say what the number means with --label THEIRS=OURS, as the source documents it."
        raise row.fault(column, text, expected, fix)
    return text


def named(text: str, mapping: Mapping[str, str]) -> str:
    """A label from the name of a folder, as `--label` calls it."""
    return mapping.get(text, text)


def check_used(mapping: Mapping[str, str], met: Iterable[str], option: str) -> None:
    """Check that everything a user mapped is there, since a misspelt name would be passed over in silence.

    Raises:
        UsageError: it is not.
    """
    known = sorted(set(met))
    for name in mapping:
        if name not in known:
            raise UsageError(
                "The source has nothing of this name.",
                where=option,
                found=name,
                expected=", ".join(known[:20]) or "no name at all",
                fix="Correct the name, or leave the option out.",
            )


def check_sexes(mapping: Mapping[str, str]) -> None:
    """Check what `--sex` says.

    Raises:
        UsageError: something else than F or M.
    """
    for theirs, ours in mapping.items():
        if ours not in ("F", "M"):
            raise UsageError(
                "A sex cannot be called this here.",
                where="--sex",
                found=f"{theirs}={ours}",
                expected="F or M",
                fix="Correct it.",
            )


def taken(row: Row, ours: str, theirs: str, labels: Mapping[str, str], sexes: Mapping[str, str]) -> str | None:
    """The cell of `theirs` as the column `ours` of a cohort table has it; None where missing.

    Raises:
        UnreadableError: it cannot be meant.
    """
    if ours == "label":
        return label_of(row, theirs, labels)
    if ours == "sex":
        return sex_of(row, theirs, sexes)
    if ours == "age":
        return age_of(row, theirs)
    if ours == SCAN_DATE:
        return date_of(row, theirs)
    text = row.get(theirs)
    if text is not None and ours in FACTS and ours.endswith("_corrected") and text.casefold() not in FLAGS:
        raise row.fault(theirs, text, f"one of {', '.join(FLAGS)}")
    # A quoted cell may hold line ends and tabs, which a cohort table cannot.
    return None if text is None else " ".join(text.split())


def columns_of(header: Iterable[str], chosen: Mapping[str, str], where: object) -> dict[str, str]:
    """Column of the cohort table -> column of the source, for each column that the source has.

    Columns that nobody chose keep their names; those named as ours are ours.

    Args:
        header: the source's columns.
        chosen: ours -> theirs, from `--column`.
        where: the table, for errors.

    Raises:
        UsageError: a chosen column is not there, or two would have one name.
    """
    listed = list(header)
    for ours, theirs in chosen.items():
        if theirs not in listed:
            raise UsageError(
                "The table has no such column.",
                where=f"--column {ours}={theirs}, {where}",
                found=theirs,
                expected=", ".join(listed),
                fix="Correct the name.",
            )
    kept = [name for name in listed if name not in chosen.values()]
    twice = next((name for name in kept if name in chosen), None)
    if twice is not None:
        raise UsageError(
            "Two columns would have one name.",
            where=f"--column {twice}={chosen[twice]}, {where}",
            found=f"the table has a column {twice} too",
            expected="one column of each name",
            fix=f"Give the other one a name too: --column {twice}_of_source={twice}",
        )
    return {**{name: chosen[name] for name in COLUMNS if name in chosen}, **dict(chosen), **{n: n for n in kept}}
