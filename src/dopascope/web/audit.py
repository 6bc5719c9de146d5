"""The audit trail: lines that are only ever added, each chained to the one before by a keyed digest."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from dopascope.web.tables import AuditEntry

FIRST: Final = "0" * 64
"""What the first line holds as the digest before it."""


def add(session: Session, key: str, actor: str, action: str, target: str = "", **detail: Any) -> None:
    """Add a line within the transaction of what it tells of: neither is there without the other.

    Args:
        session: of a `Database.write`; on SQLite its lock keeps numbers and chain in order, on PostgreSQL that of the
            last line.
        key: `Settings.secret("audit")`, which does not lie in the database.
        actor: id of a user, `-` or `system`.
        action: such as `log in`.
        target: id of what it was done to.
        detail: names and plain values; never names of patients.
    """
    last = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1).with_for_update()).first()
    entry = AuditEntry(
        number=1 if last is None else last.number + 1,
        at=round(time.time(), 3),
        actor=actor,
        action=action,
        target=target,
        detail=json.dumps(detail, sort_keys=True),
        digest="",
    )
    entry.digest = _digest(key, FIRST if last is None else last.digest, entry)
    session.add(entry)
    session.flush()


@dataclass(frozen=True)
class Verified:
    """What came of looking at the whole trail."""

    lines: int
    broken: int | None
    """Number of the first line that was changed, or that is missing; None where all is whole."""
    head: str
    """Digest of the last line: kept elsewhere, it shows whether lines were cut off at the end."""
    head_seen: bool = True
    """Whether a head of earlier is still in the chain."""


def verify(session: Session, key: str, *, head: str | None = None) -> Verified:
    """Follow the chain from the first line to the last, past the earlier `head` where one is given."""
    before, count, seen = FIRST, 0, head is None
    for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.number)):
        count += 1
        if entry.number != count or not hmac.compare_digest(entry.digest, _digest(key, before, entry)):
            return Verified(count - 1, count, before, seen)
        before = entry.digest
        seen = seen or before == head
    return Verified(count, None, before, seen)


def _digest(key: str, before: str, entry: AuditEntry) -> str:
    line = [before, entry.number, f"{entry.at:.3f}", entry.actor, entry.action, entry.target, entry.detail]
    return hmac.new(bytes.fromhex(key), json.dumps(line).encode(), hashlib.sha256).hexdigest()
