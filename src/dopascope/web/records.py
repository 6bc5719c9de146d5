"""Records: what waits for a signature, one person's visits side by side, and the dashboard."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, abort, render_template
from sqlalchemy import Integer, Select, String, cast, exists, func, select

from dopascope.web import summary
from dopascope.web.access import CLINICAL, allow, database, visible_readings, who
from dopascope.web.readings import whole_of
from dopascope.web.tables import Identity, Note, ReadingRow

blueprint = Blueprint("records", __name__)
MOST: Final = 100
"""Lines of the worklist at the most; those that are signed make room."""
MOST_VISITS: Final = 30


@blueprint.get("/worklist")
@allow(CLINICAL)
def worklist() -> str:
    """Readings that nobody has signed."""
    with database().read() as session:
        found = list(session.scalars(unsigned().limit(MOST + 1)))
    return render_template("worklist.html", readings=found[:MOST], more=len(found) > MOST)


def unsigned() -> Select[ReadingRow]:
    """Readings without a signature: disagreements first, then uncertain and unusual ones, then the oldest."""
    signed = exists().where(Note.reading_id == ReadingRow.id, Note.kind == "signature")
    order = (ReadingRow.urgency.desc(), ReadingRow.created, ReadingRow.id)
    return visible_readings(who()).where(ReadingRow.current, ~signed).order_by(*order)


@blueprint.get("/people/<pseudonym>")
@allow(CLINICAL)
def person(pseudonym: str) -> str:
    """One person's readings side by side, with the change of each region since the first scan."""
    visits = visits_of(pseudonym)
    return render_template(
        "person.html",
        pseudonym=pseudonym,
        visits=visits,
        changes=summary.changes(visits),
        doubts=summary.not_comparable(visits),
        retest=summary.RETEST_PERCENT,
    )


def visits_of(pseudonym: str) -> list[summary.Visit]:
    """A person's visits that the user of this request may see, oldest first; else 404."""
    wanted = visible_readings(who()).where(ReadingRow.current, ReadingRow.pseudonym == pseudonym)
    with database().read() as session:
        rows = list(session.scalars(wanted.order_by(ReadingRow.created, ReadingRow.id).limit(MOST_VISITS)))
        named = select(Identity).where(Identity.reading_id.in_([one.id for one in rows]))
        dates = {one.reading_id: one.fields.get("study_date") for one in session.scalars(named)}
    if not rows:
        abort(404)
    visits = [summary.visit_of(one, whole_of(one.id), dates.get(one.id)) for one in rows]
    return sorted(visits, key=lambda one: one.day)


@blueprint.get("/dashboard")
@allow(CLINICAL)
def dashboard() -> str:
    """Counts, verdicts and passports over time, and the binding ratios of each camera."""
    return render_template("dashboard.html", **figures(), top=summary.TOP_SBR)


def figures() -> dict[str, Any]:
    """Of all readings that the user of this request may see; counted by the database."""
    wanted = visible_readings(who()).where(ReadingRow.current)
    kinds = (summary.month_of(ReadingRow.created), ReadingRow.verdict, ReadingRow.passport != "in-distribution")
    counted = wanted.with_only_columns(*kinds, func.count(), func.sum(cast(ReadingRow.disagreement, Integer)))
    people = wanted.with_only_columns(func.count(ReadingRow.pseudonym.distinct()))
    # One text a camera: a row a reading would take the server much longer than the database.
    listed = func.aggregate_strings(cast(ReadingRow.worse_putamen, String), " ")
    measured = wanted.where(ReadingRow.worse_putamen.is_not(None)).with_only_columns(ReadingRow.camera, listed)
    with database().read() as session:
        groups = [summary.Group(*row) for row in session.execute(counted.group_by(*kinds))]
        ratios = {camera: text.split() for camera, text in session.execute(measured.group_by(ReadingRow.camera))}
        seen = session.scalar(people)
    return {
        "total": sum(one.count for one in groups),
        "people": seen,
        "counts": {name: sum(one.count for one in groups if one.verdict == name) for name in summary.VERDICTS},
        "disagreements": sum(one.disagreements for one in groups),
        "months": summary.months(groups),
        "distributions": summary.distributions(ratios),
    }
