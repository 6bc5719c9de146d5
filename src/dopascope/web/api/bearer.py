"""Who asks the programming interface, by the token of the request, and what that token may do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, TypeVar, cast

from flask import request

from dopascope.web import limiter
from dopascope.web.api import tokens
from dopascope.web.api.problems import Problem
from dopascope.web.database import Database
from dopascope.web.sessions import SEEN_EVERY_S
from dopascope.web.tables import ApiToken

View = TypeVar("View", bound=Callable[..., object])
_MARK: Final = "_dopascope_scopes"


def scoped(scope: str, **by_role: str) -> Callable[[View], View]:
    """Decorator: the scope that a view needs, and another one for a role where it differs."""

    def mark(view: View) -> View:
        setattr(view, _MARK, (scope, by_role))
        return view

    return mark


def scope_of(view: Callable[..., object], role: str) -> str | None:
    """The scope that a view needs of a role; None where nothing was said."""
    marked = cast("tuple[str, dict[str, str]] | None", getattr(view, _MARK, None))
    return None if marked is None else marked[1].get(role, marked[0])


def token_of_request(database: Database) -> ApiToken:
    """The good token that this request came with.

    Raises:
        Problem: none, one that is not good, or too many of those from this address.
    """
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given.strip():
        raise Problem(401, "A token is needed: Authorization: Bearer dps_...", headers=_asks())
    with database.read() as session:
        found = tokens.find(session, given.strip())
    # Only what is not good is counted, and slowed: nobody can lock out a program by guessing beside it.
    if found is None:
        raise _counted(database)
    if found.seen is None or time.time() - found.seen > SEEN_EVERY_S:
        with database.write() as session:
            own = session.get(ApiToken, found.id)
            if own is not None:
                own.seen = time.time()
    return found


def check_scope(view: Callable[..., object], token: ApiToken) -> None:
    """Refuse a token that was not made for a view.

    Raises:
        Problem: its scope is missing.
    """
    needed = scope_of(view, token.user.role)
    if needed is None or needed not in tokens.scopes_now(token):
        raise Problem(
            403,
            f"This token was not made for this: it needs the scope {needed}.",
            kind="insufficient-scope",
            headers=_asks(f'error="insufficient_scope", scope="{needed}"'),
            fields={"scope": needed},
        )


def _counted(database: Database) -> Problem:
    key = limiter.token_key(request.remote_addr or "unknown")
    with database.read() as session:
        wait = limiter.wait_s(session, [key])
    if wait > 0:
        told = "Too many tokens that are not good came from this address: wait as Retry-After says."
        return Problem(429, told, headers={"Retry-After": str(math.ceil(wait))})
    with database.write() as session:
        limiter.failed(session, [key])
    told = "This token is not good: it is wrong, over or was ended, or its account is disabled."
    return Problem(401, told, kind="invalid-token", headers=_asks('error="invalid_token"'))


def _asks(more: str = "") -> dict[str, str]:
    told = 'Bearer realm="dopascope"'
    return {"WWW-Authenticate": f"{told}, {more}" if more else told}
