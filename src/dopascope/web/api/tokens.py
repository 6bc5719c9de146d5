"""Tokens of the programming interface: made on the account's page, shown once, ended by time or by hand."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Final, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dopascope.errors import UsageError
from dopascope.web.sessions import digest
from dopascope.web.tables import ApiToken, User

PREFIX: Final = "dps_"
"""Scanners of published code find a leaked token by it."""
Scope = Literal["read", "upload", "annotate", "admin"]
SCOPES: Final[dict[str, tuple[Scope, ...]]] = {
    "reader": ("read", "upload", "annotate"),
    "reviewer": ("read", "upload", "annotate"),
    "administrator": ("read", "admin"),
}
"""Role -> what its tokens may be made for. Nobody signs by a token: a signature asks for the password."""
LONGEST_DAYS: Final = 365
MOST: Final = 50
"""Tokens of one user."""
DAY_S: Final = 24 * 3600.0


def make(session: Session, user: User, name: str, scopes: Sequence[str], days: int) -> str:
    """A new token; only the caller ever knows it.

    Raises:
        UsageError: the user has too many.
    """
    now = time.time()
    session.execute(delete(ApiToken).where(ApiToken.expires < now))
    if (session.scalar(select(func.count()).where(ApiToken.user_id == user.id)) or 0) >= MOST:
        raise UsageError(
            "You have too many tokens.", where="tokens", expected=f"{MOST} at most", fix="End one that is not used."
        )
    token = PREFIX + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            id=digest(token),
            user_id=user.id,
            name=name,
            scopes=[one for one in SCOPES[user.role] if one in scopes],
            created=now,
            expires=now + days * DAY_S,
        )
    )
    return token


def find(session: Session, token: str) -> ApiToken | None:
    """What is known of a token where it is still good."""
    found = session.get(ApiToken, digest(token))
    now = time.time()
    # Made in the future: a clock was set back, as with sessions.
    if found is None or found.user.disabled or found.expires <= now or found.created > now + 60:
        return None
    return found


def scopes_now(token: ApiToken) -> frozenset[str]:
    """What it may do at this moment: never more than its user's role."""
    return frozenset(token.scopes) & frozenset(SCOPES[token.user.role])


def of_user(session: Session, user_id: str) -> list[ApiToken]:
    """A user's tokens, newest first."""
    wanted = select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.created.desc(), ApiToken.id)
    return list(session.scalars(wanted))


def end(session: Session, user_id: str, token_id: str) -> bool:
    """End one of a user's tokens; False where he has none of that id."""
    ended = session.execute(delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id))
    return bool(ended.rowcount)  # type: ignore[attr-defined]


def end_all(session: Session, user_id: str) -> int:
    """End all of a user's tokens; returns how many."""
    ended = session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
    return int(ended.rowcount)  # type: ignore[attr-defined]
