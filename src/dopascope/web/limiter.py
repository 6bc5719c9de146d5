"""How often a password or a token may be guessed: counted per account and per address, in the database."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy.orm import Session

from dopascope.web.tables import Throttle

FREE: Final = {"account": 5, "address": 30, "token": 30}
"""Failures before the first wait."""
LONGEST_WAIT_S: Final = 900.0
FORGOTTEN_S: Final = 3600.0
"""Failures are forgotten so long after the last one."""


def wait_s(session: Session, keys: list[str]) -> float:
    """Seconds until another try is allowed; 0 for now. The same for accounts that do not exist."""
    now = time.time()
    found = [session.get(Throttle, key) for key in keys]
    waits = [one.until - now for one in found if one is not None]
    return min(max([0.0, *waits]), LONGEST_WAIT_S)


def failed(session: Session, keys: list[str]) -> None:
    """Note a failure: each one above what is free doubles the wait."""
    now = time.time()
    for key in keys:
        known = session.get(Throttle, key)
        if known is None:
            known = Throttle(key=key, failures=0, last=now, until=0.0)
            session.add(known)
        if now - known.last > FORGOTTEN_S:
            known.failures = 0
        known.failures += 1
        known.last = now
        above = known.failures - FREE[key.partition(":")[0]]
        if above >= 0:
            known.until = now + min(2.0 ** min(above, 20), LONGEST_WAIT_S)


def succeeded(session: Session, keys: list[str]) -> None:
    """Forget the account's failures, and take this try back from the address: its other failures stay, so that nobody
    clears them by logging in to an account of his own."""
    for key in keys:
        known = session.get(Throttle, key)
        if known is None:
            continue
        if key.startswith("account:"):
            session.delete(known)
        else:
            known.failures = max(0, known.failures - 1)
            known.until = 0.0


def keys_of(name: str, address: str) -> list[str]:
    """What a try is counted under."""
    return [f"account:{name.lower()[:64]}", f"address:{address[:64]}"]


def token_key(address: str) -> str:
    """What a wrong token of the programming interface is counted under; apart from log-ins."""
    return f"token:{address[:64]}"
