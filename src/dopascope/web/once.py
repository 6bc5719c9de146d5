"""Uploads that are sent again, because the answer was lost: taken once under the sender's own key."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from dopascope.errors import UsageError
from dopascope.web.storage import Stored
from dopascope.web.tables import SentOnce

KEPT_S: Final = 24 * 3600.0


@dataclass(frozen=True)
class Sent:
    """What a user sent; without a key nothing is remembered."""

    user_id: str
    key: str
    stored: Stored
    choices: dict[str, Any]

    def before(self, session: Session) -> str | None:
        """The upload that was made of it before, if it was sent before.

        Raises:
            UsageError: something else came under this key.
        """
        known = session.get(SentOnce, self._id()) if self.key else None
        if known is None or known.created < time.time() - KEPT_S:
            return None
        if known.body != self._body():
            raise UsageError(
                "Something else was sent under this key.",
                where="Idempotency-Key",
                found=self.key,
                expected="what was sent under it first, or a new key",
                fix="Make a new key for each upload; keep it only to send the same upload again.",
            )
        return known.upload_id

    def keep(self, session: Session, upload_id: str) -> None:
        """Remember which upload was made of it, and forget what is over."""
        if not self.key:
            return
        session.execute(delete(SentOnce).where(SentOnce.created < time.time() - KEPT_S))
        if session.get(SentOnce, self._id()) is None:
            session.add(SentOnce(id=self._id(), upload_id=upload_id, body=self._body(), created=time.time()))

    def _id(self) -> str:
        return _digest([self.user_id, self.key])

    def _body(self) -> str:
        return _digest([self.stored.sha256, self.stored.files, self.stored.name, self.choices])


def _digest(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
