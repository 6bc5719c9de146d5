"""The application: blueprints, guards, headers and errors put together."""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flask import Flask, Request, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from dopascope.reading.schema import DISCLAIMER
from dopascope.report.wording import visible
from dopascope.web import accounts, administration, history, readings, records, seal, storage, uploads
from dopascope.web.access import ANYONE, allow, any_user, database, guard, known
from dopascope.web.access import settings as settings_here
from dopascope.web.api import interface, problems
from dopascope.web.database import Database
from dopascope.web.settings import SETUP_FILE, Settings, write_private

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}
STATIC: Final = Path(__file__).parent / "static"
FOREVER: Final = "public, max-age=31536000, immutable"
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
FORM_PARTS: Final = 10_000
"""Fields and files of one form at the most."""
_log = logging.getLogger("dopascope.web")


def create_app(settings: Settings) -> Flask:
    """The app of an installation, its database brought up to date.

    Raises:
        UsageError: settings that would open it to strangers.
        OSError: the data folder cannot be written.
    """
    settings.check()
    settings.prepare()

    class Streaming(Request):
        """Files of a form go to the data folder block by block, never through the system's temporary folder."""

        max_form_parts = FORM_PARTS

        def _get_file_stream(self, *_: object, **__: object):  # type: ignore[no-untyped-def]
            import tempfile

            return tempfile.TemporaryFile("rb+", dir=settings.incoming)

    app = Flask("dopascope.web", static_folder="static", template_folder="templates")
    app.request_class = Streaming
    app.config.update(
        SECRET_KEY=settings.secret("cookies"),
        MAX_CONTENT_LENGTH=settings.largest_upload,
        MAX_FORM_MEMORY_SIZE=1 << 20,
        SESSION_COOKIE_NAME="__Host-dopascope-form" if settings.secure else "dopascope-form",
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        TRUSTED_HOSTS=[*LOCAL_HOSTS, *settings.trusted_hosts],
    )
    app.url_defaults(_with_version)
    app.jinja_env.finalize = lambda value: visible(value) if type(value) is str else value
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    base = Database(settings.url)
    base.upgrade()
    app.extensions |= {"dopascope_database": base, "dopascope_settings": settings}
    if settings.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.before_request(_from_here)
    CSRFProtect(app)
    guard(app)
    for one in (accounts, uploads, history, readings, records, administration):
        app.register_blueprint(one.blueprint)
    interface.register(app)
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)
    app.add_url_rule("/key", view_func=key)
    app.after_request(lambda answer: _with_headers(answer, settings))
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(CSRFError, _refused)
    app.register_error_handler(Exception, _failed)
    app.context_processor(lambda: {"user": known(), "disclaimer": DISCLAIMER, "day": _day})
    return app


def setup_token(settings: Settings, base: Database) -> str | None:
    """The token of the first account, made once; None when there is an account."""
    path = settings.data / SETUP_FILE
    with base.read() as session:
        if any_user(session):
            path.unlink(missing_ok=True)
            return None
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


@allow(ANYONE)
def healthz() -> tuple[dict[str, str], int]:
    """Whether the server answers."""
    return {"status": "ok"}, 200


@allow(ANYONE)
def readyz() -> tuple[dict[str, str], int]:
    """Whether it can work: the database answers."""
    try:
        with database().read() as session:
            any_user(session)
    except Exception:
        return {"status": "database away"}, 503
    return {"status": "ready"}, 200


@allow(ANYONE)
def key() -> Response:
    """The public key that seals of this installation are proved by."""
    return Response(f"{seal.public_key(settings_here().secret('seal'))}\n", mimetype="text/plain")


def _from_here() -> None:
    """Refuse what another site's page sends. Browsers say where a request comes from; others leave it out."""
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        sent_from = request.headers.get("Sec-Fetch-Site", "same-origin")
        if sent_from not in ("same-origin", "none"):
            raise CSRFError("The request came from another site.")


def _with_headers(answer: Response, settings: Settings) -> Response:
    answer.headers.setdefault("Content-Security-Policy", POLICY)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    # Not as a default: Flask gives files a caching of their own.
    answer.headers["Cache-Control"] = _caching()
    if settings.secure:
        answer.headers["Strict-Transport-Security"] = "max-age=31536000"
    return answer


def _caching() -> str:
    if request.endpoint != "static":
        return HEADERS["Cache-Control"]
    version = _versions().get((request.view_args or {}).get("filename", ""))
    return FOREVER if version is not None and request.args.get("v") == version else "no-cache"


def _with_version(endpoint: str, values: dict[str, Any]) -> None:
    """Addresses of static files change with their content, so that browsers need not ask for them again."""
    if endpoint == "static" and values["filename"] in _versions():
        values.setdefault("v", _versions()[values["filename"]])


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Name of each static file -> the beginning of its digest."""
    found = [one for one in STATIC.rglob("*") if one.is_file()]
    return {one.relative_to(STATIC).as_posix(): sha256(one.read_bytes()).hexdigest()[:12] for one in found}


TEXTS: Final = {
    400: ("This request cannot be understood.", "Go back, load the page again, and try once more."),
    404: ("There is no such page.", "It may never have been here, or it is not yours to see."),
    405: ("This page is not asked like that.", "Go back and use the buttons of the page."),
    413: ("This upload is too large.", "Send fewer or smaller files at once."),
    429: ("Too many requests.", "Wait a moment, then try again."),
    507: ("The server's disk is full.", "Nothing of this was stored. Tell your administrator, and try again later."),
}


def _refused(error: HTTPException) -> Response | tuple[str, int]:
    if problems.wanted():
        return problems.answer(error)
    code = error.code or 500
    if isinstance(error, SecurityError):  # before any page of ours can be found: the host is not one of ours
        return "This address is not served here.", 400
    title, fix = TEXTS.get(code, ("This did not work.", "Try again; if it stays, tell your administrator."))
    return render_template("error.html", title=title, fix=fix, code=code), code


def _failed(error: Exception) -> Response | tuple[str, int]:
    """Our own fault: a number to tell the administrator; what is in the log names no person."""
    number = secrets.token_hex(4)
    # Not the error's text, which may hold what a file says of a person.
    at = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
    _log.error("failure %s: %s in %s at %s", number, type(error).__name__, request.endpoint, " > ".join(at))
    if storage.disk_is_full(error):
        return _refused(storage.FullDiskError())
    if problems.wanted():
        return problems.broken(number)
    fix = f"Tell your administrator this number: {number}. Nothing of yours was lost."
    return render_template("error.html", title="Something broke on our side.", fix=fix, code=500), 500


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
