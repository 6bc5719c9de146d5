"""What several readings say together: one person's visits, and the dashboard's counts and distributions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from dopascope.reading import Reading
from dopascope.reading.schema import NO_VERDICT
from dopascope.report import wording
from dopascope.web.tables import ReadingRow

VERDICTS: Final = ("normal", "reduced", "uncertain", "refused", NO_VERDICT)
RETEST_PERCENT: Final = 11.0
"""Test-retest variability of binding ratios in healthy people, the larger of the published 7.8 and 11.1 %.

Source: PMID 15586635.
"""
TOP_SBR: Final = 6.0
"""Right end of the dashboard's axis; what lies beyond is drawn at the end."""
MOST_PLACES: Final = 300
"""Marks on one axis of the dashboard at the most."""


@dataclass(frozen=True)
class Group:
    """How many readings of one month are alike."""

    month: str
    """Such as `2026-11`, UTC."""
    verdict: str
    unusual: bool
    count: int
    disagreements: int


class month_of(FunctionElement[str]):  # noqa: N801  (named like SQL's functions)
    """The month of seconds since 1970, UTC, such as `2026-11`, as the database counts it."""

    type = String()
    inherit_cache = True


@compiles(month_of, "sqlite")
def _(element: month_of, compiler: Any, **words: Any) -> str:
    return f"strftime('%Y-%m', {compiler.process(element.clauses, **words)}, 'unixepoch')"


@compiles(month_of, "postgresql")
def _(element: month_of, compiler: Any, **words: Any) -> str:
    return f"to_char(to_timestamp({compiler.process(element.clauses, **words)}) AT TIME ZONE 'UTC', 'YYYY-MM')"


@dataclass(frozen=True)
class Visit:
    """One reading of a person."""

    reading_id: str
    day: str
    """Of the scan as its header says, else of the reading."""
    day_from: str
    verdict: str
    camera: str
    method: str
    ratios: dict[str, float]


@dataclass(frozen=True)
class Change:
    """A region over the visits."""

    region: str
    ratios: tuple[float | None, ...]
    percents: tuple[float | None, ...]
    """Change from the first visit; the first is None."""


def visit_of(row: ReadingRow, reading: Reading, study_date: str | None) -> Visit:
    """A visit as its reading and, for those who may see it, its header tell it."""
    dated = study_date is not None and len(study_date) == 8 and study_date.isdigit()
    day = f"{study_date[:4]}-{study_date[4:6]}-{study_date[6:]}" if study_date and dated else day_of(row.created)
    numbers = reading.quantification
    measured = {} if numbers is None or reading.verdict == "refused" else numbers.regions
    return Visit(
        reading_id=row.id,
        day=day,
        day_from="scan" if dated else "read",
        verdict=row.verdict,
        camera=row.camera,
        method="" if numbers is None else numbers.method_id,
        ratios={name: one.sbr for name, one in measured.items() if one.sbr is not None},
    )


def changes(visits: Sequence[Visit]) -> list[Change]:
    """Every region that was measured at least once, with its change from the first visit where both have it."""
    found = []
    for region in dict.fromkeys(name for one in visits for name in one.ratios):
        ratios = tuple(one.ratios.get(region) for one in visits)
        first = ratios[0]
        percents = tuple(
            None if number == 0 or value is None or first is None or first <= 0 else 100 * (value / first - 1)
            for number, value in enumerate(ratios)
        )
        found.append(Change(" ".join(wording.sided(region)).strip(), ratios, percents))
    return found


def not_comparable(visits: Sequence[Visit]) -> list[str]:
    """Why changes between these visits may be the camera's or the method's and not the person's."""
    told = []
    visits = [one for one in visits if one.ratios]
    if len({one.camera for one in visits}) > 1:
        told.append("The visits were scanned by different cameras, or the camera is not stated for all of them.")
    if len({one.method for one in visits if one.method}) > 1:
        told.append("The visits were measured by different methods.")
    return told


@dataclass(frozen=True)
class Month:
    """Readings of one month."""

    name: str
    counts: dict[str, int]
    unusual: int
    """Scans whose passport was not in-distribution."""

    @property
    def total(self) -> int:
        """Of all verdicts."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Distribution:
    """The worse putamen's binding ratio of one camera's scans."""

    camera: str
    count: int
    quartiles: tuple[float, float, float]
    values: tuple[float, ...]
    """In order; of very many as many as can be told apart, spread evenly over their ranks, with both ends."""

    def strokes(self) -> str:
        """An SVG path with a stroke for each value on an axis of 100 by 10 from 0 to `TOP_SBR`."""
        places = np.clip(np.array(self.values) / TOP_SBR, 0, 1)
        return "".join(f"M{0.4 + 99.2 * place:.1f} 1v8" for place in places)


def months(groups: Sequence[Group]) -> list[Month]:
    """The counts of each month that has a reading, in order of time."""
    found = []
    for name in sorted({one.month for one in groups}):
        members = [one for one in groups if one.month == name]
        counts: Counter[str] = Counter()
        for one in members:
            counts[one.verdict] += one.count
        found.append(Month(name, dict(counts), sum(one.count for one in members if one.unusual)))
    return found


def distributions(ratios: Mapping[str, ArrayLike]) -> list[Distribution]:
    """Of ratios by camera, the distribution of each, most scans first."""
    found = []
    for camera, values in ratios.items():
        ordered = np.sort(np.asarray(values, float))
        low, middle, high = np.percentile(ordered, (25, 50, 75)).tolist()
        count = len(ordered)
        if count > MOST_PLACES:
            ordered = ordered[np.linspace(0, count - 1, MOST_PLACES).round().astype(int)]
        found.append(Distribution(camera or "not stated", count, (low, middle, high), tuple(ordered.tolist())))
    return sorted(found, key=lambda one: (-one.count, one.camera))


def day_of(moment: float) -> str:
    """The day of a time, UTC."""
    return _day(int(moment // 86_400))


@lru_cache(maxsize=10_000)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * 86_400))
