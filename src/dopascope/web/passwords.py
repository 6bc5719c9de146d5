"""Passwords: argon2id, and what may be one. ASVS 5.0, 6.2."""

from __future__ import annotations

import threading
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dopascope.errors import UsageError

SHORTEST, LONGEST = 8, 128
COMMON: Final = 10_000
"""So many of the most frequent passwords are refused."""
_HASHER: Final = PasswordHasher()
_AT_ONCE: Final = threading.BoundedSemaphore(4)
"""Each hash holds 64 MB: a flood of log-ins waits in line instead of filling the memory."""


def hashed(password: str) -> str:
    """For the database; all of the password counts, however long."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether a password is the one that was stored; as slow where there is none, so that nobody learns who exists."""
    unknown = _nobody()
    try:
        with _AT_ONCE:
            return _HASHER.verify(stored or unknown, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether it was hashed with weaker settings than today's."""
    return _HASHER.check_needs_rehash(stored)


def check(password: str, name: str) -> None:
    """Refuse what is easily guessed.

    Raises:
        UsageError: too short, too long, common, or the user's own name.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        found, expected = f"{len(password)} characters", f"{SHORTEST} to {LONGEST} characters"
    elif password.lower() in _common():
        found, expected = "one of the most frequent passwords", "one that others do not use"
    elif name.lower() in password.lower() and len(password) < len(name) + SHORTEST:
        found, expected = "little more than the user name", "one that does not follow from the name"
    else:
        return
    raise UsageError(
        "This password cannot be used.",
        where="password",
        found=found,
        expected=expected,
        fix="Choose a longer phrase, or let your password manager make one.",
    )


@cache
def _nobody() -> str:
    return _HASHER.hash("nobody")


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMON])
