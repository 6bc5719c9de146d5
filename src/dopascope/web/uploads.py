"""Uploads: files come in, and their reading is queued in the same transaction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, Response, redirect, render_template, request, stream_with_context, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from dopascope.errors import UsageError
from dopascope.web import once, storage
from dopascope.web.access import CLINICAL, allow, database, settings, upload_of, visible, who
from dopascope.web.accounts import note
from dopascope.web.forms import OnlyToken, UploadForm
from dopascope.web.queue import restart
from dopascope.web.tables import FINAL_STATES, Job, Upload, new_id

blueprint = Blueprint("uploads", __name__)
WATCH_S: Final = 0.5
LONGEST_WATCH_S: Final = 120.0
"""After which the browser has to ask again, so that nobody holds a thread for ever."""


@blueprint.route("/upload", methods=["GET", "POST"])
@allow(CLINICAL)
def upload() -> AnyResponse | str | tuple[str, int]:
    """Take files in and queue their reading."""
    form = UploadForm()
    if not form.validate_on_submit():
        return render_template("upload.html", form=form, limit=settings().largest_upload)
    try:
        said = choices_of(form.age.data, form.sex.data, form.modality.data, form.counterfactual.data)
        found = take(request.files.getlist("files"), said)
    except UsageError as error:
        return render_template("upload.html", form=form, limit=settings().largest_upload, error=error), 400
    return redirect(url_for("uploads.job", upload_id=found))


def take(files: Sequence[FileStorage], choices: dict[str, Any], key: str = "") -> str:
    """Store the files and queue their reading; returns the upload's id, or that of an equal one.

    Args:
        files: as they were sent.
        choices: of `choices_of`.
        key: the sender's own name of this upload: the same key is taken once in `once.KEPT_S`.

    Raises:
        UsageError: nothing that can be read, no room, or a key that came with something else before.
    """
    storage.check_disk(settings().data)
    name = new_id()
    incoming = settings().incoming / name
    stored = storage.store(files, incoming)
    sent = once.Sent(who().id, key, stored, choices)
    try:
        with database().write() as session:
            twin = sent.before(session) or _equal(session, stored.sha256, choices)
            if twin is None:
                _check_room(session, stored.size)
                os.replace(incoming, settings().uploads / name)
                session.add(
                    Upload(
                        id=name,
                        owner_id=who().id,
                        original_name=stored.name,
                        files=stored.files,
                        size=stored.size,
                        sha256=stored.sha256,
                        choices=choices,
                    )
                )
                session.flush()
                session.add(Job(upload_id=name))
                note(session, "upload", name, files=stored.files, size=stored.size, sha256=stored.sha256)
            sent.keep(session, twin or name)
    finally:
        storage.remove([incoming])
    return name if twin is None else twin


def choices_of(
    age: Decimal | float | None, sex: str | None, modality: str | None, counterfactual: str | None
) -> dict[str, Any]:
    """What the uploader says of the person and the examination and asks for, where he says anything."""
    given = {
        "age": None if age is None else float(age),
        "sex": sex or None,
        "modality": modality or None,
        "counterfactual": counterfactual or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _equal(session: Session, sha256: str, choices: dict[str, Any]) -> str | None:
    """One's own upload of the same files and choices, if it was read or will be."""
    own = select(Upload).where(Upload.owner_id == who().id, Upload.sha256 == sha256)
    for one in session.scalars(own.order_by(Upload.created)).unique():
        asked = {name: value for name, value in one.choices.items() if name != "series"}
        if asked == choices and one.job.state in ("queued", "running", "done"):
            return str(one.id)
    return None


def _check_room(session: Session, size: int) -> None:
    kept = session.scalar(select(func.sum(Upload.size)).where(Upload.owner_id == who().id))
    used = int(kept or 0)  # PostgreSQL adds whole numbers up to a decimal
    if used + size > settings().quota:
        raise UsageError(
            "There is no room for this upload.",
            where="files",
            found=f"{(used + size) / 1e9:.2f} GB with this one",
            expected=f"{settings().quota / 1e9:.2f} GB at most",
            fix="Ask the administrator for more room.",
        )


@blueprint.get("/uploads/<upload_id>")
@allow(CLINICAL)
def job(upload_id: str) -> AnyResponse | str:
    """How far the reading of an upload is; leads to the reading when it is done."""
    with database().read() as session:
        found = upload_of(session, upload_id)
    if found.job.state == "done":
        return redirect(url_for("readings.reading", reading_id=found.job.id))
    return render_template("job.html", upload=found, final=FINAL_STATES, button=OnlyToken())


@blueprint.get("/uploads/<upload_id>/events")
@allow(CLINICAL)
def events(upload_id: str) -> Response:
    """Server-sent events: a line for each change, until the job has ended."""
    with database().read() as session:
        upload_of(session, upload_id)  # 404 for what one may not see
    wanted = visible(who()).where(Upload.id == upload_id)
    held = database()

    def lines() -> Iterator[str]:
        told, ends = None, time.monotonic() + LONGEST_WATCH_S
        while time.monotonic() < ends:
            with held.read() as session:
                found = session.scalars(wanted).unique().first()
            if found is None:
                return
            now = {"state": found.job.state, "progress": found.job.progress}
            if now != told:
                yield f"data: {json.dumps(now)}\n\n"
                told = now
            if found.job.state in FINAL_STATES:
                return
            time.sleep(WATCH_S)

    answer = Response(stream_with_context(lines()), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


@blueprint.post("/uploads/<upload_id>/again")
@allow(CLINICAL)
def again(upload_id: str) -> AnyResponse:
    """Queue a reading again that was given up."""
    with database().write() as session:
        queue_again(session, upload_of(session, upload_id).job)
    return redirect(url_for("uploads.job", upload_id=upload_id))


def queue_again(session: Session, job: Job) -> bool:
    """Queue a reading again; False where it was not given up."""
    queued = restart(session, job.id)
    if queued:
        note(session, "reading queued again", job.upload_id)
    return queued
