"""Which lines of PPMI's tables belong to a scan: measurements by visit and month, clinical scores by date."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from dopascope.cohort.importers.ppmi_dates import Month
from dopascope.cohort.importers.ppmi_tables import Measured

NEAREST_MONTHS: Final = 12
"""Clinical scores further than this from the scan are not taken."""
APART: Final = "_months_apart"
"""Ending of the column that says how many months after the scan a score was taken."""

Cells = dict[str, str]


def event_of(measured: Iterable[Measured], day: date) -> str | None:
    """The visit code under which the scan of this month was measured; None where there is none, or several."""
    events = {one.event for one in measured if one.month == Month.of(day) and one.event}
    return events.pop() if len(events) == 1 else None


def measured_in(measured: Iterable[Measured], visit: str | None, day: date) -> tuple[Cells, int]:
    """Binding ratios and readings of the scan, and how many lines of its visit are of another month or say otherwise.

    Args:
        measured: lines of the person.
        visit: code of the scan's visit; a line without a month must have it.
        day: of the scan; a line with a month must be of this month.
    """
    cells: Cells = {}
    doubtful = 0
    for one in (one for one in measured if visit is not None and one.event == visit):
        contradicts = any(cells.get(name, cell) != cell for name, cell in one.cells.items())
        if contradicts or one.month not in (None, Month.of(day)):
            doubtful += 1
        else:
            cells |= one.cells
    return cells, doubtful


def scores_near(measured: Iterable[Measured], visit: str | None, day: date) -> Cells:
    """Each clinical score from the nearest month, with how many months after the scan it was taken.

    Of several as near, the one of the scan's visit comes first, then one without medication, then the earlier one.

    Args:
        measured: lines of the person.
        visit: code of the scan's visit.
        day: of the scan.
    """
    cells: Cells = {}
    near = [(one.month.apart(Month.of(day)), one) for one in measured if one.month is not None]
    near = [(apart, one) for apart, one in near if abs(apart) <= NEAREST_MONTHS]
    for apart, one in sorted(near, key=lambda n: (abs(n[0]), n[1].event != visit, not n[1].off, n[0])):
        for name in one.cells.keys() - cells.keys():
            cells |= {name: one.cells[name], name + APART: str(apart)}
    return cells
