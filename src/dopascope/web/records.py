"""Records: what waits for a signature, one person's visits side by side, and the dashboard."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from flask import Blueprint, abort, render_template
from sqlalchemy import exists, select

from dopascope.reading import Reading
from dopascope.web import summary
from dopascope.web.access import CLINICAL, allow, database, settings, visible, who
from dopascope.web.derive import current
from dopascope.web.tables import Identity, Note, ReadingRow, Upload

blueprint = Blueprint("records", __name__)
MOST: Final = 200
"""Lines of the worklist at the most; those that are signed make room."""
MOST_VISITS: Final = 30


@blueprint.get("/worklist")
@allow(CLINICAL)
def worklist() -> str:
    """Readings that nobody has signed: disagreements first, then uncertain and unusual ones, then the oldest."""
    signed = exists().where(Note.reading_id == ReadingRow.id, Note.kind == "signature")
    wanted = (
        current(visible(who()))
        .join(ReadingRow)
        .where(~signed)
        .order_by(
            ReadingRow.disagreement.desc(),
            (ReadingRow.verdict == "uncertain").desc(),
            (ReadingRow.passport != "in-distribution").desc(),
            ReadingRow.created,
        )
    )
    with database().read() as session:
        found = list(session.scalars(wanted.limit(MOST + 1)).unique())
    return render_template("worklist.html", uploads=found[:MOST], more=len(found) > MOST)


@blueprint.get("/people/<pseudonym>")
@allow(CLINICAL)
def person(pseudonym: str) -> str:
    """One person's readings side by side, with the change of each region since the first scan."""
    wanted = current(visible(who())).join(ReadingRow).where(ReadingRow.pseudonym == pseudonym).order_by(Upload.created)
    with database().read() as session:
        rows = [one.reading for one in session.scalars(wanted.limit(MOST_VISITS)).unique() if one.reading is not None]
        named = select(Identity).where(Identity.reading_id.in_([one.id for one in rows]))
        dates = {one.reading_id: one.fields.get("study_date") for one in session.scalars(named)}
    if not rows:
        abort(404)
    visits = [summary.visit_of(one, _reading(one.id), dates.get(one.id)) for one in rows]
    visits.sort(key=lambda one: one.day)
    return render_template(
        "person.html",
        pseudonym=pseudonym,
        visits=visits,
        changes=summary.changes(visits),
        doubts=summary.not_comparable(visits),
        retest=summary.RETEST_PERCENT,
    )


def _reading(reading_id: str) -> Reading:
    path = settings().readings / reading_id / "reading.json"
    return Reading.model_validate_json(path.read_text(encoding="utf-8"))


@blueprint.get("/dashboard")
@allow(CLINICAL)
def dashboard() -> str:
    """Counts, verdicts and passports over time, and the binding ratios of each camera."""
    columns = [getattr(ReadingRow, one.name) for one in fields(summary.Shown)]
    with database().read() as session:
        found = session.execute(current(visible(who())).join(ReadingRow).with_only_columns(*columns))
        rows = [summary.Shown(*row) for row in found]
    counts = {name: sum(one.verdict == name for one in rows) for name in summary.VERDICTS}
    return render_template(
        "dashboard.html",
        total=len(rows),
        people=len({one.pseudonym for one in rows}),
        counts=counts,
        disagreements=sum(one.disagreement for one in rows),
        months=summary.months(rows),
        distributions=summary.distributions(rows),
        top=summary.TOP_SBR,
    )
