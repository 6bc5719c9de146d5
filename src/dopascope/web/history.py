"""What was uploaded and read: found, shown and exported."""

from __future__ import annotations

import csv
import io
from typing import Final, NamedTuple

from flask import Blueprint, Response, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from dopascope.web import storage
from dopascope.web.access import CLINICAL, SIGNED_IN, allow, database, visible, visible_readings, who
from dopascope.web.summary import VERDICTS, day_of
from dopascope.web.tables import Job, Note, ReadingRow, Upload, User

blueprint = Blueprint("history", __name__)
PAGE: Final = 50
LAST_PAGE: Final = 1_000_000
"""Of any list: what a database can count to."""
EXPORTED: Final = ("pseudonym", "read_on", "verdict", "passport", "p_abnormal", "disagreement", "camera")
SIGNED: Final = ("signed_by", "label", "confidence")


@blueprint.get("/")
@allow(SIGNED_IN)
def shown() -> AnyResponse | str:
    """What was uploaded and read, newest first."""
    if who().role == "administrator":
        return redirect(url_for("accounts.users"))
    asked = {name: storage.printable(request.args.get(name, ""))[:80] for name in ("find", "verdict")}
    page = min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)
    with database().read() as session:
        found = list(session.scalars(chosen(**asked).offset((page - 1) * PAGE).limit(PAGE + 1)).unique())
        signed = signatures(session, [one.job.id for one in found])
    return render_template(
        "history.html",
        uploads=found[:PAGE],
        more=len(found) > PAGE,
        page=page,
        asked=asked,
        verdicts=VERDICTS,
        signed=signed,
    )


def chosen(find: str = "", verdict: str = "") -> Select[Upload]:
    """What the user of this request may see of what he looks for, newest first."""
    wanted = visible(who()).join(Job).outerjoin(ReadingRow).where(*conditions(find, verdict))
    return wanted.order_by(Upload.created.desc(), Upload.id)


def conditions(find: str, verdict: str) -> list[ColumnElement[bool]]:
    """What uploads and readings together must fulfil to be among those looked for."""
    found: list[ColumnElement[bool]] = []
    if verdict in VERDICTS:
        found.append(ReadingRow.verdict == verdict)
    if find:
        part = f"%{_literal(find)}%"
        columns = (ReadingRow.pseudonym, Upload.original_name, ReadingRow.camera)
        found.append(or_(*(one.ilike(part, escape="\\") for one in columns)))
    return found


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class Signature(NamedTuple):
    """Who signed a reading, as what, and how surely."""

    by: str
    label: str | None = None
    confidence: int | None = None


def signatures(session: Session, ids: list[str] | Select[str]) -> dict[str, Signature]:
    """Reading -> its signature; the readings by their ids, or by the query for them."""
    wanted = select(Note.reading_id, User.name, Note.label, Note.confidence).join(User, User.id == Note.user_id)
    found = session.execute(wanted.where(Note.kind == "signature", Note.reading_id.in_(ids)))
    return {row[0]: Signature(*row[1:]) for row in found}


@blueprint.get("/history.csv")
@allow(CLINICAL)
def table() -> Response:
    """The history as a table; no cell can be taken for a formula."""
    columns = (
        ReadingRow.id,
        ReadingRow.pseudonym,
        ReadingRow.created,
        ReadingRow.verdict,
        ReadingRow.passport,
        ReadingRow.p_abnormal,
        ReadingRow.disagreement,
        ReadingRow.camera,
    )
    wanted = visible_readings(who())
    with database().read() as session:
        found = session.execute(wanted.with_only_columns(*columns).order_by(ReadingRow.created, ReadingRow.id)).all()
        signed = signatures(session, wanted.with_only_columns(ReadingRow.id))
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\r\n")
    lines.writerow([*EXPORTED, *SIGNED])
    for reading_id, pseudonym, created, verdict, passport, p, disagreement, camera in found:
        shared = (verdict, passport, "" if p is None else f"{p:.4f}", "true" if disagreement else "false")
        said = signed.get(reading_id)
        ours = (said.by, said.label or "", said.confidence or "") if said else ("", "", "")
        lines.writerow((harmless(pseudonym), day_of(created), *shared, harmless(camera), harmless(ours[0]), *ours[1:]))
    answer = Response(stream.getvalue(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = "attachment; filename=readings.csv"
    return answer


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers. ASVS 5.0, 1.2.10."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell
