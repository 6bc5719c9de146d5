"""One reading with its report, what is read again of it, comments and the signature."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, send_file, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from dopascope.reading import Reading
from dopascope.reading.counterfactual import FILE as SIMULATED
from dopascope.reading.counterfactual import NORMAL
from dopascope.reading.schema import ManualAdjustment
from dopascope.reading.t1 import MASK_FILE
from dopascope.report import content, t1_content, wording
from dopascope.web import viewing
from dopascope.web.access import (
    CLINICAL,
    allow,
    database,
    may_see_identity,
    settings,
    upload_of,
    who,
)
from dopascope.web.accounts import note, password_trouble
from dopascope.web.derive import derive
from dopascope.web.forms import AdjustForm, NoteForm, SignForm, SimulateForm
from dopascope.web.seal import SEAL
from dopascope.web.tables import Identity, Job, Note, ReadingRow, Upload

blueprint = Blueprint("readings", __name__)
FILES: Final = {
    "report.html": "text/html",
    "report.pdf": "application/pdf",
    "reading.json": "application/json",
    SEAL: "application/json",
    viewing.SCAN: "application/gzip",
    viewing.MNI: "application/gzip",
    MASK_FILE: "application/gzip",
    SIMULATED: "image/png",
}
REPORT_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
Three = tuple[float, float, float]
EVIDENCE: Final = re.compile(r"evidence-[A-Za-z0-9._-]+\.nii\.gz")


@blueprint.get("/readings/<reading_id>")
@allow(CLINICAL)
def reading(reading_id: str) -> str:
    """One reading: passport first, then binding ratios, readers and report."""
    see(reading_id)
    return _page(reading_id)


def see(reading_id: str) -> None:
    """Write down that the user of this request sees a reading; 404 where he may not."""
    with database().write() as session:
        row_of(session, reading_id)
        note(session, "reading seen", reading_id)


def _page(
    reading_id: str,
    *,
    note_form: NoteForm | None = None,
    sign_form: SignForm | None = None,
    adjust_form: AdjustForm | None = None,
    simulate_form: SimulateForm | None = None,
) -> str:
    with database().read() as session:
        row, upload = row_of(session, reading_id)
        before = _reading_of(session, upload.replaces)
        after = session.scalars(
            select(ReadingRow).join(Upload).where(Upload.replaces == upload.id).order_by(ReadingRow.created.desc())
        ).first()
        notes = notes_of(session, reading_id)
        identity = identity_of(session, row, upload)
        moved_before = before is not None and moved(before.upload, upload)
        moved_after = after is not None and moved(upload, after.upload)
    whole = whole_of(reading_id)
    numbers = None if whole.verdict == "refused" else whole.quantification
    manual = whole.registration.manual if whole.registration else None
    return render_template(
        "reading.html",
        row=row,
        upload=upload,
        r=whole,
        identity=identity or {},
        headline=wording.HEADLINES[whole.word],
        symbols=wording.SYMBOLS,
        readers=content.reader_rows(whole),
        ratios=content.ratio_table(numbers) if numbers else None,
        indices=content.index_rows(numbers) if numbers else (),
        changed=content.changed_rows(whole.counterfactual) if whole.counterfactual else (),
        changed_words=wording.changed_sentences(whole.counterfactual) if whole.counterfactual else (),
        measured=whole.morphometry,
        volumes=t1_content.rows(whole.morphometry),
        volume_indices=content.plain_index_rows(whole.morphometry.indices) if whole.morphometry else (),
        volume_notes=t1_content.notes(whole.morphometry) if whole.brain else (),
        passport=content.passport_rows(whole),
        passport_reasons=content.passport_reasons(whole),
        notes=notes,
        signature=next((one for one in notes if one.kind == "signature"), None),
        note_form=note_form or NoteForm(),
        sign_form=sign_form or SignForm.of(t1=whole.is_t1),
        adjust_form=adjust_form or AdjustForm(formdata=None, **_as_fields(manual)),
        adjusting=adjust_form is not None,
        simulate_form=simulate_form or SimulateForm(formdata=None),
        viewer=viewing.told(whole, settings().readings / reading_id, _addresses(reading_id, whole)),
        script=viewing.SCRIPT if Path(current_app.static_folder or "", viewing.SCRIPT).is_file() else None,
        manual=manual,
        before=before,
        moved_before=moved_before,
        after=after,
        moved_after=moved_after,
    )


def _reading_of(session: Session, upload_id: str | None) -> ReadingRow | None:
    return session.scalars(select(ReadingRow).where(ReadingRow.upload_id == upload_id)).first() if upload_id else None


def _as_fields(manual: ManualAdjustment | None) -> dict[str, float]:
    if manual is None:
        return {}
    shift, turn = manual.shift_mm, manual.rotate_deg
    return dict(zip(("right", "front", "up", "nod", "tilt", "turn"), (*shift, *turn), strict=True))


def _addresses(reading_id: str, whole: Reading) -> dict[str, str]:
    """Where the viewer finds each volume."""
    own = (viewing.SCAN, viewing.MNI, *viewing.evidence(whole))
    addresses = {one: url_for("readings.file", reading_id=reading_id, name=one) for one in own}
    return addresses | {one: url_for("readings.beside", name=one) for one in viewing.BESIDE}


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
    mimetype = "application/gzip" if EVIDENCE.fullmatch(name) else FILES.get(name)
    if mimetype is None:
        abort(404)
    with database().read() as session:
        row, _ = row_of(session, reading_id)
    path = path_of(reading_id, name)
    if not path.is_file():
        abort(404)
    answer = send_file(path, mimetype=mimetype, as_attachment=saved, download_name=f"{row.pseudonym}-{name}", max_age=0)
    if name == "report.html":
        answer.headers["Content-Security-Policy"] = REPORT_POLICY
    return answer


def files_of(reading_id: str) -> list[str]:
    """Names of a reading's files that may be asked for."""
    folder = settings().readings / reading_id
    names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    return [one for one in names if one in FILES or EVIDENCE.fullmatch(one)]


@blueprint.get("/volumes/<name>")
@allow(CLINICAL)
def beside(name: str) -> Response:
    """What the viewer shows beside or above any scan."""
    if name not in viewing.BESIDE:
        abort(404)
    return Response(viewing.beside(name), mimetype="application/gzip")


@blueprint.post("/readings/<reading_id>/adjust")
@allow(CLINICAL)
def adjust(reading_id: str) -> AnyResponse | str:
    """Queue the same scan to be read with its registration corrected by hand; the earlier reading stays."""
    form = AdjustForm()
    if not form.validate_on_submit():
        return _page(reading_id, adjust_form=form)
    return _to_job(correct(reading_id, form.shift_mm, form.rotate_deg), reading_id)


@blueprint.post("/readings/<reading_id>/simulate")
@allow(CLINICAL)
def simulate(reading_id: str) -> AnyResponse | str:
    """Queue the same scan to be read with a simulation as an age-matched normal; the earlier reading stays."""
    form = SimulateForm()
    if not form.validate_on_submit():
        return _page(reading_id, simulate_form=form)
    return _to_job(with_simulation(reading_id, None if form.age.data is None else float(form.age.data)), reading_id)


def _to_job(made: str | Closed, reading_id: str) -> AnyResponse:
    """To the job of a scan that is read again, or back with the reason why it is not."""
    if isinstance(made, Closed):
        flash(made.told, "alarm")
        return redirect(url_for("readings.reading", reading_id=reading_id))
    return redirect(url_for("uploads.job", upload_id=made))


class Closed(NamedTuple):
    """Why a reading can be neither read again nor signed any more: a word for programs, a sentence for people."""

    kind: str
    told: str


SIGNED_BEFORE: Final = Closed("signed", "This reading is signed and stays as it is; add an addendum.")
REPLACED_BEFORE: Final = Closed(
    "replaced", "This scan was read again from here before; go on with that reading, so that one stands."
)
NOT_MOVED: Final = Closed("t1", "A T1 MRI is not corrected by hand: nothing of its reading could be moved.")
NOT_SIMULATED: Final = Closed("no-ratios", "Only a DaT SPECT whose binding ratios were measured can be simulated.")
AGE_KNOWN: Final = Closed("age-known", "This reading knows the age; ask without one, or upload the scan with another.")
SIMULATED_BEFORE: Final = Closed("simulated", "This reading was made with a simulation.")


def _closed(session: Session, reading_id: str, upload: Upload) -> Closed | None:
    """A second reading that still waits counts, so that two people at once do not leave two current readings."""
    if _is_signed(session, reading_id):
        return SIGNED_BEFORE
    again = select(Upload.id).join(Job).where(Upload.replaces == upload.id, Job.state.not_in(("refused", "dead")))
    return REPLACED_BEFORE if session.scalars(again).first() is not None else None


def correct(reading_id: str, shift_mm: Three, rotate_deg: Three) -> str | Closed:
    """Queue a scan that the user of this request may see to be read with its registration moved and turned.

    Returns:
        The id of the upload that stands for it, or why this reading is corrected no more.
    """
    with database().write() as session:
        row, upload = row_of(session, reading_id)
        closed = NOT_MOVED if whole_of(reading_id).is_t1 else _closed(session, reading_id, upload)
        if closed is not None:
            return closed
        choices = upload.choices | {"shift_mm": shift_mm, "rotate_deg": rotate_deg}
        made = derive(session, settings(), upload, choices, replaces=upload.id)
        note(session, "registration corrected", row.id, upload=made, shift_mm=shift_mm, rotate_deg=rotate_deg)
        return made


def with_simulation(reading_id: str, age: float | None) -> str | Closed:
    """Queue a scan that the user of this request may see to be read with a simulation as an age-matched normal.

    Args:
        reading_id: of the reading without one.
        age: in years, where the reading knows none: what was measured must not change by it.

    Returns:
        The id of the upload that stands for it, or why there is none.
    """
    with database().write() as session:
        row, upload = row_of(session, reading_id)
        if upload.choices.get("counterfactual"):
            return SIMULATED_BEFORE
        whole = whole_of(reading_id)
        if age is not None and whole.person.age_years is not None:
            return AGE_KNOWN
        closed = _closed(session, reading_id, upload) if whole.quantification else NOT_SIMULATED
        if closed is not None:
            return closed
        choices = upload.choices | {"counterfactual": NORMAL} | ({} if age is None else {"age": age})
        made = derive(session, settings(), upload, choices, replaces=upload.id)
        note(session, "simulation asked for", row.id, upload=made)
        return made


def moved(earlier: Upload, later: Upload) -> bool:
    """Whether a scan was read again with its registration corrected, and not for a simulation."""
    return bool(earlier.choices.get("counterfactual")) or not later.choices.get("counterfactual")


def _is_signed(session: Session, reading_id: str) -> bool:
    signed = select(Note.id).where(Note.reading_id == reading_id, Note.kind == "signature")
    return session.scalars(signed).first() is not None


@blueprint.post("/readings/<reading_id>/notes")
@allow(CLINICAL)
def add_note(reading_id: str) -> AnyResponse | str:
    """A comment; after the signature, an addendum."""
    form = NoteForm()
    if not form.validate_on_submit():
        return _page(reading_id, note_form=form)
    comment(reading_id, form.text.data)
    return redirect(url_for("readings.reading", reading_id=reading_id))


def comment(reading_id: str, text: str) -> Note:
    """Add a comment to a reading that the user of this request may see; after the signature, an addendum."""
    with database().write() as session:
        row_of(session, reading_id)
        kind = "addendum" if _is_signed(session, reading_id) else "comment"
        made = Note(reading_id=reading_id, user_id=who().id, kind=kind, text=text)
        session.add(made)
        note(session, made.kind, reading_id)
        return made


@blueprint.post("/readings/<reading_id>/sign")
@allow(CLINICAL)
def sign(reading_id: str) -> AnyResponse | str:
    """Sign a reading, once, with the password asked again."""
    with database().read() as session:
        row_of(session, reading_id)
    form = SignForm.of(t1=whole_of(reading_id).is_t1)
    if not form.validate_on_submit():
        return _page(reading_id, sign_form=form)
    trouble = password_trouble(form.password.data)
    if trouble:
        form.password.errors = [trouble]
        return _page(reading_id, sign_form=form)
    with database().write() as session:
        row, upload = row_of(session, reading_id)
        closed = _closed(session, reading_id, upload)
        if closed is None:
            made = Note(reading_id=reading_id, user_id=who().id, kind="signature", text=form.conclusion.data)
            made.label, made.confidence = form.label.data, int(form.confidence.data)
            session.add(made)
            note(session, "signed", reading_id, sha256=row.sha256, label=made.label, confidence=made.confidence)
        else:
            flash(closed.told, "alarm")
    return redirect(url_for("readings.reading", reading_id=reading_id))
