"""Records: what waits for a signature, one person's visits side by side, and the dashboard."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from flask import Blueprint, abort, render_template
from sqlalchemy import Select, exists, select

from dopascope.web import summary
from dopascope.web.access import CLINICAL, allow, database, visible, who
from dopascope.web.derive import current
from dopascope.web.readings import whole_of
from dopascope.web.tables import Identity, Note, ReadingRow, Upload

blueprint = Blueprint("records", __name__)
MOST: Final = 200
"""Lines of the worklist at the most; those that are signed make room."""
MOST_VISITS: Final = 30


@blueprint.get("/worklist")
@allow(CLINICAL)
def worklist() -> str:
    """Readings that nobody has signed."""
    with database().read() as session:
        found = list(session.scalars(unsigned().limit(MOST + 1)).unique())
    return render_template("worklist.html", uploads=found[:MOST], more=len(found) > MOST)


def unsigned() -> Select[Upload]:
    """Readings without a signature: disagreements first, then uncertain and unusual ones, then the oldest."""
    signed = exists().where(Note.reading_id == ReadingRow.id, Note.kind == "signature")
    return (
        current(visible(who()))
        .join(ReadingRow)
        .where(~signed)
        .order_by(
            ReadingRow.disagreement.desc(),
            (ReadingRow.verdict == "uncertain").desc(),
            (ReadingRow.passport != "in-distribution").desc(),
            ReadingRow.created,
            ReadingRow.id,
        )
    )


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
    wanted = current(visible(who())).join(ReadingRow).where(ReadingRow.pseudonym == pseudonym).order_by(Upload.created)
    with database().read() as session:
        rows = [one.reading for one in session.scalars(wanted.limit(MOST_VISITS)).unique() if one.reading is not None]
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
    """Of all readings that the user of this request may see."""
    columns = [getattr(ReadingRow, one.name) for one in fields(summary.Shown)]
    with database().read() as session:
        found = session.execute(current(visible(who())).join(ReadingRow).with_only_columns(*columns))
        rows = [summary.Shown(*row) for row in found]
    return {
        "total": len(rows),
        "people": len({one.pseudonym for one in rows}),
        "counts": {name: sum(one.verdict == name for one in rows) for name in summary.VERDICTS},
        "disagreements": sum(one.disagreement for one in rows),
        "months": summary.months(rows),
        "distributions": summary.distributions(rows),
    }
