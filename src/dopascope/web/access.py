"""Who may do what: one place that knows the user of a request, and one that finds what he may see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from flask import Flask, abort, current_app, g, redirect, request, url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from dopascope.web import changes, sessions
from dopascope.web.api import bearer, problems
from dopascope.web.database import Database
from dopascope.web.settings import Settings
from dopascope.web.tables import ReadingRow, Role, Upload, User, WebSession

View = TypeVar("View", bound=Callable[..., object])
ANYONE: Final = "anyone"
SIGNED_IN: Final[tuple[Role, ...]] = ("reader", "reviewer", "administrator")
CLINICAL: Final[tuple[Role, ...]] = ("reader", "reviewer")
"""Administrators run the app; they see no scans."""
ADMINISTRATORS: Final[tuple[Role, ...]] = ("administrator",)
_MARK: Final = "_dopascope_roles"


@dataclass(frozen=True)
class Who:
    """The user of a request, and the session's token; of a program, the digest of its token."""

    id: str
    name: str
    role: Role
    token: str


def allow(roles: tuple[Role, ...] | str) -> Callable[[View], View]:
    """Decorator: who may ask for a view; without it nobody may."""

    def mark(view: View) -> View:
        setattr(view, _MARK, roles)
        return view

    return mark


def roles_of(view: Callable[..., object]) -> tuple[Role, ...] | str | None:
    """Who may ask for a view, as `allow` said; None where nothing was said."""
    return cast("tuple[Role, ...] | str | None", getattr(view, _MARK, None))


def database() -> Database:
    """Of the app that answers."""
    return cast(Database, current_app.extensions["dopascope_database"])


def settings() -> Settings:
    """Of the app that answers, as they are at the moment of the request."""
    if "settings" not in g:
        g.settings = changes.current(cast(Settings, current_app.extensions["dopascope_settings"]))
    return cast(Settings, g.settings)


def who() -> Who:
    """The user of this request.

    Raises:
        RuntimeError: asked in a view that anyone may call; such a view asks `known`.
    """
    found = known()
    if found is None:
        raise RuntimeError("nobody is logged in")
    return found


def known() -> Who | None:
    """The user of this request, if there is one."""
    return cast("Who | None", g.get("who"))


def guard(app: Flask) -> None:
    """Look at every request before its view does: who asks, and whether he may."""

    @app.before_request
    def _() -> Response | None:
        if problems.wanted():
            _let_program_in(app)
            return None
        if request.endpoint == "static":
            return None
        g.who = _who_asks()
        if request.endpoint is None:
            return None  # 404 and 405
        if any("\0" in str(value) for value in (request.view_args or {}).values()):
            abort(404)  # PostgreSQL takes no such text, and nothing has such an id
        roles = roles_of(app.view_functions[request.endpoint])
        if roles == ANYONE:
            return None
        if g.who is None:
            return redirect(url_for("accounts.login", to=request.path if request.method == "GET" else None))
        if roles is None or g.who.role not in roles:
            abort(404)  # not 403: what one may not see is not there
        return None


def _let_program_in(app: Flask) -> None:
    """The same for the programming interface, which goes by tokens alone and never by a browser's session."""
    g.who = None
    if request.endpoint is None:
        return  # 404 and 405
    view = app.view_functions[request.endpoint]
    roles = roles_of(view)
    if roles == ANYONE:
        return
    token = bearer.token_of_request(database())
    g.who = Who(token.user.id, token.user.name, cast(Role, token.user.role), token.id)
    if roles is None or g.who.role not in roles:
        abort(404)
    bearer.check_scope(view, token)


def _who_asks() -> Who | None:
    token = request.cookies.get(sessions.cookie_name(settings()))
    if not token:
        return None
    with database().read() as session:
        found = sessions.find(session, token, settings())
        if found is None:
            return None
        who = Who(found.user.id, found.user.name, cast(Role, found.user.role), token)
        stale = time.time() - found.seen > sessions.SEEN_EVERY_S
    if stale:
        with database().write() as session:
            own = session.get(WebSession, sessions.digest(token))
            if own is not None:
                own.seen = time.time()
    return who


def visible(user: Who) -> Select[Upload]:
    """The uploads that a user may see: his own, and all of them for a reviewer. Every view asks through this."""
    chosen = select(Upload)
    if user.role == "reviewer":
        return chosen
    return chosen.where(Upload.owner_id == user.id)


def visible_readings(user: Who) -> Select[ReadingRow]:
    """The finished readings that a user may see: of the uploads of `visible`."""
    chosen = select(ReadingRow)
    return chosen if user.role == "reviewer" else chosen.where(ReadingRow.owner_id == user.id)


def upload_of(session: Session, upload_id: str) -> Upload:
    """The upload of this id where the user of this request may see it; else 404, as if there were none."""
    found = session.scalars(visible(who()).where(Upload.id == upload_id)).first()
    if found is None:
        abort(404)
    return found


def may_see_identity(user: Who, upload: Upload) -> bool:
    """Whom a scan shows is for its owner and for reviewers."""
    return user.role == "reviewer" or upload.owner_id == user.id


def any_user(session: Session) -> bool:
    """Whether the app has been set up."""
    return session.scalars(select(User.id).limit(1)).first() is not None
