"""What several readings say together: one person's visits, and the dashboard's counts and distributions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dopascope.reading import Reading
from dopascope.report import wording
from dopascope.web.tables import ReadingRow

VERDICTS: Final = ("normal", "reduced", "uncertain", "refused")
RETEST_PERCENT: Final = 11.0
"""Test-retest variability of binding ratios in healthy people, the larger of the published 7.8 and 11.1 %.

Source: PMID 15586635.
"""
TOP_SBR: Final = 6.0
"""Right end of the dashboard's axis; what lies beyond is drawn at the end."""
MOST_PLACES: Final = 300
"""Marks on one axis of the dashboard at the most."""


@dataclass(frozen=True)
class Shown:
    """What the dashboard needs of a reading, by the names of its columns."""

    created: float
    pseudonym: str
    verdict: str
    passport: str
    disagreement: bool
    camera: str
    ratios: dict[str, float]


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
    values: tuple[float, ...]
    quartiles: tuple[float, float, float]

    def places(self) -> tuple[float, ...]:
        """The values as fractions of the axis from 0 to `TOP_SBR`; of very many, as many as can be told apart, spread
        evenly over their ranks."""
        count = len(self.values)
        drawn = self.values
        if count > MOST_PLACES:
            drawn = tuple(self.values[round(rank)] for rank in np.linspace(0, count - 1, MOST_PLACES))
        return tuple(min(1.0, max(0.0, one / TOP_SBR)) for one in drawn)


def months(rows: Sequence[Shown]) -> list[Month]:
    """The counts of each month that has a reading, in order of time."""
    by_month: dict[str, list[Shown]] = {}
    for one in sorted(rows, key=lambda row: row.created):
        by_month.setdefault(day_of(one.created)[:7], []).append(one)
    return [
        Month(
            name,
            dict(Counter(one.verdict for one in members)),
            sum(one.passport != "in-distribution" for one in members),
        )
        for name, members in by_month.items()
    ]


def distributions(rows: Sequence[Shown]) -> list[Distribution]:
    """The worse putamen's binding ratio by camera, most scans first."""
    by_camera: dict[str, list[float]] = {}
    for one in rows:
        worse = [value for name, value in one.ratios.items() if wording.sided(name)[0] == "Putamen"]
        if worse:
            by_camera.setdefault(one.camera or "not stated", []).append(min(worse))
    found = []
    for camera, values in sorted(by_camera.items(), key=lambda one: (-len(one[1]), one[0])):
        low, middle, high = np.percentile(values, (25, 50, 75))
        found.append(Distribution(camera, tuple(sorted(values)), (float(low), float(middle), float(high))))
    return found


def day_of(moment: float) -> str:
    """The day of a time, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
