"""What an administrator looks after: the queue and what was given up, the audit trail, the readers, and figures."""

from __future__ import annotations

import hmac
import time
from typing import Final

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from dopascope.bundle import store
from dopascope.errors import BundleError
from dopascope.web import audit, changes
from dopascope.web.access import ADMINISTRATORS, ANYONE, SIGNED_IN, allow, database, settings
from dopascope.web.accounts import all_users, note
from dopascope.web.forms import OnlyToken, settings_form
from dopascope.web.history import LAST_PAGE
from dopascope.web.tables import JOB_STATES, AuditEntry, Job, ReadingRow, Upload, WebSession
from dopascope.web.uploads import queue_again

blueprint = Blueprint("administration", __name__)
LINES: Final = 100
"""Of the audit trail on one page."""
MOST_DEAD: Final = 200


@blueprint.get("/queue")
@allow(ADMINISTRATORS)
def queue() -> str:
    """How many uploads wait, and which were given up; by id, since administrators see no scans."""
    with database().read() as session:
        counts, dead = counts_of(session), given_up(session)
    return render_template("queue.html", counts=counts, dead=dead, button=OnlyToken())


def given_up(session: Session) -> list[Job]:
    """Jobs that were given up, latest first."""
    wanted = select(Job).where(Job.state == "dead").order_by(Job.finished.desc(), Job.id).limit(MOST_DEAD)
    return list(session.scalars(wanted).unique())


@blueprint.post("/queue/<job_id>/again")
@allow(ADMINISTRATORS)
def again(job_id: str) -> AnyResponse:
    """Queue a reading again that was given up."""
    with database().write() as session:
        job = session.get(Job, job_id)
        if job is None:
            abort(404)
        queue_again(session, job)
    return redirect(url_for("administration.queue"))


@blueprint.route("/settings", methods=["GET", "POST"])
@allow(ADMINISTRATORS)
def change_settings() -> AnyResponse | str:
    """What may be changed while the app runs, with its help, and what the command line decides."""
    held = settings()
    form = settings_form(held)
    if form.validate_on_submit():
        changed = changes.change(held, {one.name: form[one.name].data for one in changes.CHANGEABLE})
        if changed:
            with database().write() as session:
                note(session, "settings changed", **changed)
        flash("Saved." if changed else "Nothing was changed.", "good")
        return redirect(url_for("administration.change_settings"))
    return render_template("settings.html", form=form, changeable=changes.CHANGEABLE, fixed=changes.fixed(held))


@blueprint.get("/audit")
@allow(ADMINISTRATORS)
def trail() -> str:
    """The audit trail, newest line first, and whether it is whole."""
    page = min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)
    with database().read() as session:
        lines = list(session.scalars(newest_lines().offset((page - 1) * LINES).limit(LINES + 1)))
        names = {one.id: one.name for one in all_users(session)}
        verified = audit.verify(session, settings().secret("audit"))
    return render_template(
        "audit.html", lines=lines[:LINES], more=len(lines) > LINES, page=page, names=names, verified=verified
    )


def newest_lines() -> Select[AuditEntry]:
    """The audit trail, newest line first."""
    return select(AuditEntry).order_by(AuditEntry.number.desc())


@blueprint.get("/models")
@allow(SIGNED_IN)
def models() -> str:
    """The readers that scans are shown to; they are added on the server's command line alone."""
    asked = store.default_readers(settings().models_dir)
    try:
        return render_template("models.html", models=store.list_models(settings().models_dir), asked=asked)
    except BundleError as damaged:
        return render_template("models.html", models=(), asked=asked, damaged=damaged)


@blueprint.get("/metrics")
@allow(ANYONE)
def metrics() -> Response:
    """Figures for Prometheus (text format 0.0.4); asked with the token of the data folder, and not there without it."""
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings().secret('metrics')}".encode()):
        abort(404)
    with database().read() as session:
        jobs = counts_of(session)
        verdicts = session.execute(select(ReadingRow.verdict, func.count()).group_by(ReadingRow.verdict)).all()
        oldest = session.scalar(select(func.min(Job.created)).where(Job.state == "queued"))
        size = int(session.scalar(select(func.sum(Upload.size))) or 0)
        people = session.scalar(select(func.count()).select_from(WebSession)) or 0
    lines = _gauge("jobs", "Readings by state.", {f'state="{name}"': count for name, count in jobs.items()})
    lines += _gauge("readings", "Finished readings by verdict.", {f'verdict="{name}"': n for name, n in verdicts})
    waited = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    lines += _gauge("oldest_waiting_seconds", "Age of the oldest job that waits.", {"": round(waited, 1)})
    lines += _gauge("uploads_bytes", "Size of all uploads.", {"": size})
    lines += _gauge("sessions", "Sessions that were not ended.", {"": people})
    return Response("\n".join([*lines, ""]), mimetype="text/plain")


def counts_of(session: Session) -> dict[str, int]:
    """How many jobs are in each state."""
    found = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
    return dict.fromkeys(map(str, JOB_STATES), 0) | {str(state): int(count) for state, count in found}


def _gauge(name: str, told: str, values: dict[str, float]) -> list[str]:
    full = f"dopascope_{name}"
    shown = [f"{full}{{{label}}} {value}" if label else f"{full} {value}" for label, value in values.items()]
    return [f"# HELP {full} {told}", f"# TYPE {full} gauge", *shown]
