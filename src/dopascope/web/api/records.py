"""Worklist, visits of a person, and the dashboard."""

from __future__ import annotations

from typing import Any

from dopascope.web import records, summary
from dopascope.web.access import CLINICAL
from dopascope.web.api.readings import lines
from dopascope.web.api.resource import PAGES, Blueprint, Paged
from dopascope.web.api.schemas import Dashboard, PersonVisits, ReadingLine

blueprint = Blueprint("records", "What several readings say together.")


@blueprint.operation("/worklist", "GET", CLINICAL, "read")
@blueprint.arguments(Paged, location="query")
@blueprint.response(200, ReadingLine(many=True), headers=PAGES)
def get_worklist(asked: dict[str, Any]) -> Any:
    """Readings without a signature: disagreements first, then uncertain and unusual ones, then the oldest."""
    return lines(records.unsigned(), asked)


@blueprint.operation("/people/<pseudonym:pseudonym>", "GET", CLINICAL, "read")
@blueprint.response(200, PersonVisits)
def get_person(pseudonym: str) -> Any:
    """One person's readings side by side, with the change of each region since the first scan."""
    visits = records.visits_of(pseudonym)
    return {
        "pseudonym": pseudonym,
        "visits": visits,
        "changes": summary.changes(visits),
        "doubts": summary.not_comparable(visits),
        "retest_percent": summary.RETEST_PERCENT,
    }


@blueprint.operation("/dashboard", "GET", CLINICAL, "read")
@blueprint.response(200, Dashboard)
def get_dashboard() -> Any:
    """Counts, verdicts and passports over time, and the binding ratios of each camera."""
    return records.figures()
