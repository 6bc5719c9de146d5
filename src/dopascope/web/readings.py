"""Readings: the history, one reading with its report, comments and the signature."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, send_file, url_for
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from dopascope.reading import Reading
from dopascope.report import content, wording
from dopascope.web import storage
from dopascope.web.access import (
    CLINICAL,
    SIGNED_IN,
    allow,
    database,
    may_see_identity,
    settings,
    upload_of,
    visible,
    who,
)
from dopascope.web.accounts import note, password_trouble
from dopascope.web.forms import NoteForm, SignForm
from dopascope.web.seal import SEAL
from dopascope.web.summary import VERDICTS
from dopascope.web.tables import Identity, Job, Note, ReadingRow, Upload, User

blueprint = Blueprint("readings", __name__)
PAGE: Final = 50
LAST_PAGE: Final = 1_000_000
"""Of any list: what a database can count to."""
FILES: Final = {
    "report.html": "text/html",
    "report.pdf": "application/pdf",
    "reading.json": "application/json",
    SEAL: "application/json",
}
REPORT_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
EXPORTED: Final = ("pseudonym", "read_on", "verdict", "passport", "p_abnormal", "disagreement", "camera", "signed_by")


@blueprint.get("/")
@allow(SIGNED_IN)
def history() -> AnyResponse | str:
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
    wanted = visible(who()).join(Job).outerjoin(ReadingRow)
    if verdict in VERDICTS:
        wanted = wanted.where(ReadingRow.verdict == verdict)
    if find:
        part = f"%{_literal(find)}%"
        columns = (ReadingRow.pseudonym, Upload.original_name, ReadingRow.camera)
        wanted = wanted.where(or_(*(one.ilike(part, escape="\\") for one in columns)))
    return wanted.order_by(Upload.created.desc(), Upload.id)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def signatures(session: Session, ids: list[str]) -> dict[str, str]:
    """Reading -> who signed it."""
    wanted = select(Note.reading_id, User.name).join(User, User.id == Note.user_id)
    return {row[0]: row[1] for row in session.execute(wanted.where(Note.kind == "signature", Note.reading_id.in_(ids)))}


@blueprint.get("/history.csv")
@allow(CLINICAL)
def history_csv() -> Response:
    """The history as a table; no cell can be taken for a formula."""
    with database().read() as session:
        found = list(session.scalars(visible(who()).join(Job).join(ReadingRow).order_by(Upload.created)).unique())
        signed = signatures(session, [one.job.id for one in found])
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\r\n")
    table.writerow(EXPORTED)
    for one in found:
        row = one.reading
        if row is None:
            continue
        day = time.strftime("%Y-%m-%d", time.gmtime(row.created))
        p = "" if row.p_abnormal is None else f"{row.p_abnormal:.4f}"
        cells = (row.pseudonym, day, row.verdict, row.passport, p, str(row.disagreement).lower(), row.camera)
        table.writerow([harmless(cell) for cell in (*cells, signed.get(row.id, ""))])
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


@blueprint.get("/readings/<reading_id>")
@allow(CLINICAL)
def reading(reading_id: str) -> str:
    """One reading: passport first, then binding ratios, readers and report."""
    see(reading_id)
    return _page(reading_id, NoteForm(), SignForm())


def see(reading_id: str) -> None:
    """Write down that the user of this request sees a reading; 404 where he may not."""
    with database().write() as session:
        row_of(session, reading_id)
        note(session, "reading seen", reading_id)


def _page(reading_id: str, note_form: NoteForm, sign_form: SignForm) -> str:
    with database().read() as session:
        row, upload = row_of(session, reading_id)
        notes = notes_of(session, reading_id)
        identity = identity_of(session, row, upload)
    whole = whole_of(reading_id)
    numbers = None if whole.verdict == "refused" else whole.quantification
    return render_template(
        "reading.html",
        row=row,
        upload=upload,
        r=whole,
        identity=identity or {},
        headline=wording.HEADLINES[whole.verdict],
        symbols=wording.SYMBOLS,
        readers=content.reader_rows(whole),
        ratios=content.ratio_table(numbers) if numbers else None,
        indices=content.index_rows(numbers) if numbers else (),
        passport=content.passport_rows(whole),
        passport_reasons=content.passport_reasons(whole),
        notes=notes,
        signature=next((one for one in notes if one.kind == "signature"), None),
        note_form=note_form,
        sign_form=sign_form,
    )


def notes_of(session: Session, reading_id: str) -> list[Note]:
    """Comments, signature and addenda of a reading, in order of time."""
    wanted = select(Note).where(Note.reading_id == reading_id).order_by(Note.created, Note.id)
    return list(session.scalars(wanted))


def identity_of(session: Session, row: ReadingRow, upload: Upload) -> dict[str, Any] | None:
    """Whom a scan shows, for those who may see it."""
    found = session.get(Identity, row.id) if may_see_identity(who(), upload) else None
    return None if found is None else found.fields


def whole_of(reading_id: str) -> Reading:
    """A reading as it stands in its folder."""
    return Reading.model_validate_json(path_of(reading_id, "reading.json").read_text(encoding="utf-8"))


def row_of(session: Session, reading_id: str) -> tuple[ReadingRow, Upload]:
    """A reading that the user of this request may see, with its upload; else 404, as if there were none."""
    row = session.get(ReadingRow, reading_id)
    if row is None:
        abort(404)
    return row, upload_of(session, row.upload_id)


def path_of(reading_id: str, name: str) -> Path:
    """Of a reading's file."""
    return settings().readings / reading_id / name


@blueprint.get("/readings/<reading_id>/<name>")
@allow(CLINICAL)
def file(reading_id: str, name: str) -> AnyResponse:
    """The report as a page, PDF or data."""
    return send(reading_id, name, saved=request.args.get("save") == "1")


def send(reading_id: str, name: str, *, saved: bool) -> AnyResponse:
    """A file of a reading that the user of this request may see."""
    if name not in FILES:
        abort(404)
    with database().read() as session:
        row, _ = row_of(session, reading_id)
    path = path_of(reading_id, name)
    if not path.is_file():
        abort(404)
    answer = send_file(
        path, mimetype=FILES[name], as_attachment=saved, download_name=f"{row.pseudonym}-{name}", max_age=0
    )
    if name == "report.html":
        answer.headers["Content-Security-Policy"] = REPORT_POLICY
    return answer


@blueprint.post("/readings/<reading_id>/notes")
@allow(CLINICAL)
def add_note(reading_id: str) -> AnyResponse | str:
    """A comment; after the signature, an addendum."""
    form = NoteForm()
    if not form.validate_on_submit():
        return _page(reading_id, form, SignForm())
    comment(reading_id, form.text.data)
    return redirect(url_for("readings.reading", reading_id=reading_id))


def comment(reading_id: str, text: str) -> Note:
    """Add a comment to a reading that the user of this request may see; after the signature, an addendum."""
    with database().write() as session:
        row_of(session, reading_id)
        signed = session.scalars(select(Note.id).where(Note.reading_id == reading_id, Note.kind == "signature")).first()
        made = Note(reading_id=reading_id, user_id=who().id, kind="addendum" if signed else "comment", text=text)
        session.add(made)
        note(session, made.kind, reading_id)
        return made


@blueprint.post("/readings/<reading_id>/sign")
@allow(CLINICAL)
def sign(reading_id: str) -> AnyResponse | str:
    """Sign a reading, once, with the password asked again."""
    form = SignForm()
    if not form.validate_on_submit():
        return _page(reading_id, NoteForm(), form)
    with database().read() as session:
        row_of(session, reading_id)
    trouble = password_trouble(form.password.data)
    if trouble:
        form.password.errors = [trouble]
        return _page(reading_id, NoteForm(), form)
    with database().write() as session:
        row, _ = row_of(session, reading_id)
        signed = select(Note.id).where(Note.reading_id == reading_id, Note.kind == "signature")
        if session.scalars(signed).first() is None:
            session.add(Note(reading_id=reading_id, user_id=who().id, kind="signature", text=form.conclusion.data))
            note(session, "signed", reading_id, sha256=row.sha256)
        else:
            flash("It was signed before; add an addendum.", "alarm")
    return redirect(url_for("readings.reading", reading_id=reading_id))
