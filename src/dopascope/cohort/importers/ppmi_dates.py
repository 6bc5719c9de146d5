"""Dates as PPMI writes them: folders to the second, collections as month/day/year, clinical tables to the month."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from dopascope.cohort.table import Row

_FOLDER: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})_\d{2}_\d{2}_\d{2}\.\d+")
_DAY: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_MONTH: Final = re.compile(r"(\d{1,2})/(\d{4})")
_EARLIEST: Final = 1900


@dataclass(frozen=True, order=True)
class Month:
    """A month of a year: all that PPMI's public tables say."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    def apart(self, other: Month) -> int:
        """Months from `other` to this one; negative where this one is earlier."""
        return 12 * (self.year - other.year) + self.month - other.month

    def years_until(self, day: date) -> float:
        """Years from the 15th of this month to `day`."""
        return (day - date(self.year, self.month, 15)).days / 365.25


def folder_day(name: str) -> date | None:
    """The day in a folder's name such as `2011-03-30_12_34_56.0`; None where it is no such name."""
    found = _FOLDER.fullmatch(name)
    return None if found is None else _day(int(found[1]), int(found[2]), int(found[3]))


def day_of(row: Row, column: str) -> date | None:
    """A cell month/day/year, as the image archive writes it; None where missing.

    Raises:
        UnreadableError: no such date.
    """
    text = row.get(column)
    if text is None:
        return None
    found = _DAY.fullmatch(text)
    day = _day(int(found[3]), int(found[1]), int(found[2])) if found else None
    if day is None:
        raise row.fault(column, text, "month/day/year, such as 3/20/2015")
    return day


def month_of(row: Row, column: str) -> Month | None:
    """A cell MM/YYYY; None where missing.

    Raises:
        UnreadableError: no such month.
    """
    text = row.get(column)
    if text is None:
        return None
    found = _MONTH.fullmatch(text)
    if found is None or _day(int(found[2]), int(found[1]), 1) is None:
        raise row.fault(column, text, "MM/YYYY, such as 03/2015")
    return Month(int(found[2]), int(found[1]))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year >= _EARLIEST else None
    except ValueError:
        return None
