"""The peer of the records list: same template and queries on bare Flask, without log-in, guards, tokens and headers.

Served by gunicorn as `bare:create("sqlite:////...")`.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

from flask import Flask, render_template
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

import dopascope.web
from dopascope.reading.schema import DISCLAIMER
from dopascope.web.history import PAGE
from dopascope.web.summary import VERDICTS
from dopascope.web.tables import Job, Note, ReadingRow, Upload, User

LINKED = {
    "accounts.account": "/account",
    "accounts.logout": "/logout",
    "administration.models": "/models",
    "history.table": "/history.csv",
    "readings.reading": "/readings/<reading_id>",
    "records.dashboard": "/dashboard",
    "records.worklist": "/worklist",
    "uploads.job": "/uploads/<upload_id>",
    "uploads.upload": "/upload",
}
"""What the template leads to."""


def create(url: str) -> Flask:
    """The whole app: one page, for whoever asks."""
    app = Flask("bare", root_path=dopascope.web.__path__[0], static_folder="static", template_folder="templates")
    app.secret_key = "bare"
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals |= {
        "csrf_token": lambda: "bare",
        "day": lambda moment: time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)),
        "disclaimer": DISCLAIMER,
        "user": SimpleNamespace(name="bare", role="reviewer"),
    }
    engine = create_engine(url)

    @app.get("/", endpoint="history.shown")
    def history() -> str:
        wanted = select(Upload).join(Job).outerjoin(ReadingRow).order_by(Upload.created.desc()).limit(PAGE + 1)
        signers = select(Note.reading_id, User.name).join(User, User.id == Note.user_id)
        with Session(engine) as session:
            found = list(session.scalars(wanted).unique())
            ids = [one.job.id for one in found]
            signed = dict(
                row._tuple()
                for row in session.execute(signers.where(Note.kind == "signature", Note.reading_id.in_(ids)))
            )
            return render_template(
                "history.html",
                uploads=found[:PAGE],
                more=len(found) > PAGE,
                page=1,
                asked={"find": "", "verdict": ""},
                verdicts=VERDICTS,
                signed=signed,
            )

    for endpoint, rule in LINKED.items():
        app.add_url_rule(rule, endpoint, lambda **_: "")
    return app
