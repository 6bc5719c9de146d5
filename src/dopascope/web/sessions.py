"""Sessions that live on the server: ended by log-out, by time, by another password, or by an administrator."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dopascope.web.settings import Settings
from dopascope.web.tables import User, WebSession

SEEN_EVERY_S: Final = 30.0
"""A request within so many seconds of the last one that was noted is not noted."""


def cookie_name(settings: Settings) -> str:
    """`__Host-` binds the cookie to this host and to TLS; browsers refuse it without TLS."""
    return "__Host-dopascope" if settings.secure else "dopascope"


def digest(token: str) -> str:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_for(session: Session, user: User) -> str:
    """Start a session; returns its token, which only the browser keeps."""
    token = secrets.token_urlsafe(32)
    now = time.time()
    session.add(WebSession(id=digest(token), user_id=user.id, created=now, seen=now))
    return token


def find(session: Session, token: str, settings: Settings) -> WebSession | None:
    """The session of a token where it is still good."""
    found = session.get(WebSession, digest(token))
    if found is None or found.user.disabled:
        return None
    now = time.time()
    idle, age = now - found.seen, now - found.created
    # A clock that was set back ends sessions too: nothing is good from the future.
    ended = idle > 60 * settings.idle_minutes or age > 3600 * settings.session_hours or min(idle, age) < -60
    return None if ended else found


def end(session: Session, token: str) -> None:
    """End one session."""
    session.execute(delete(WebSession).where(WebSession.id == digest(token)))


def end_all(session: Session, user_id: str, *, but: str | None = None) -> int:
    """End a user's sessions, but the one of the token `but`; returns how many."""
    kept = digest(but) if but else ""
    ended = session.execute(delete(WebSession).where(WebSession.user_id == user_id, WebSession.id != kept))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def sweep(session: Session, settings: Settings) -> None:
    """Remove sessions that are over."""
    now = time.time()
    session.execute(
        delete(WebSession).where(
            (WebSession.seen < now - 60 * settings.idle_minutes)
            | (WebSession.created < now - 3600 * settings.session_hours)
        )
    )


def of_user(session: Session, user_id: str) -> list[WebSession]:
    """A user's sessions, newest first."""
    return list(
        session.scalars(select(WebSession).where(WebSession.user_id == user_id).order_by(WebSession.created.desc()))
    )
