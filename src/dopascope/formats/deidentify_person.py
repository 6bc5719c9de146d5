"""The secret of a project, and what follows from it: pseudonyms, new UIDs and the days by which a person's dates move.

Everything is an HMAC-SHA256 (RFC 2104) of the original under the key: the same key gives the same answer in every run,
and without the key nobody can go back, not even by trying every possible original.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from dopascope.errors import UnreadableError, UsageError

KEY_BYTES: Final = 32
_LEAST_KEY: Final = 16
_LONGEST_SHIFT: Final = 3652
"""Days, ten years: dates move back by 1 to so many, and never into the future."""
_PSEUDONYM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DATE: Final = re.compile(r"(\d{4})(-|\.|)(\d{2})\2(\d{2})")


@dataclass(frozen=True)
class Key:
    """A project's secret.

    Raises:
        UsageError: fewer than 16 bytes.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < _LEAST_KEY:
            raise UsageError(
                "The key is too short to keep a secret.",
                where="key",
                found=f"{len(self.secret)} bytes",
                expected=f"at least {_LEAST_KEY}",
                fix="Name a file that is not there yet: a key is made.",
            )

    def digest(self, purpose: str, original: str) -> bytes:
        """32 bytes that only this key gives for `original`; different for each purpose."""
        return hmac.new(self.secret, f"{purpose}\0{original}".encode(), hashlib.sha256).digest()

    def pseudonym(self, original: str, prefix: str = "sub-") -> str:
        """Such as `sub-K7QH2MZD`: 40 bits, so that among 1,000 people two are alike once in two million projects."""
        return prefix + base64.b32encode(self.digest("person", original)[:5]).decode()

    def uid(self, original: str) -> str:
        """A UID under 2.25 (PS3.5 B.2) for another; what referred to one object still does."""
        return f"2.25.{int.from_bytes(self.digest('uid', original)[:16], 'big')}"

    def term(self, original: str) -> str:
        """A code string for a term that is not known: alike for alike terms, at most 16 characters (VR CS)."""
        return "X" + self.digest("term", original).hex()[:7].upper()

    def person(self, pseudonym: str) -> Person:
        """Whoever is called so from now on.

        Raises:
            UsageError: a pseudonym that is no file name.
        """
        if not _PSEUDONYM.fullmatch(pseudonym):
            raise UsageError(
                "This pseudonym cannot be a file name.",
                where="pseudonym",
                expected="letters, digits, - and _, at most 64",
                fix="Choose another.",
            )
        days = 1 + int.from_bytes(self.digest("days", pseudonym)[:8], "big") % _LONGEST_SHIFT
        return Person(pseudonym, days)


@dataclass(frozen=True)
class Person:
    """Whose scans are cleaned: one name and one shift for all of them."""

    pseudonym: str
    days_back: int = field(repr=False)
    """By how many days every date moves into the past: secret, like the key."""

    def shifted(self, text: str) -> str | None:
        """A date (`YYYYMMDD`, `YYYY-MM-DD`, `YYYY.MM.DD`) moved, in its own form; None where it is no date."""
        parts = _DATE.fullmatch(text)
        if parts is None:
            return None
        try:
            moved = date(int(parts[1]), int(parts[3]), int(parts[4])) - timedelta(days=self.days_back)
        except (ValueError, OverflowError):
            return None
        return f"{moved.year:04d}{parts[2]}{moved.month:02d}{parts[2]}{moved.day:02d}"


def new_key() -> Key:
    """A key for one run, kept nowhere."""
    return Key(secrets.token_bytes(KEY_BYTES))


def key_of(path: Path) -> Key:
    """The key in a file; where the file is missing, a new one is made that only its owner may read (mode 0600).

    Raises:
        UnreadableError: the file is no key.
    """
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES) + "\n")
    except FileExistsError:
        pass
    with open(path, "rb") as stream:
        text = stream.read(4096).strip()
    if not re.fullmatch(rb"(?:[0-9a-f]{2}){%d,1024}" % _LEAST_KEY, text):
        raise UnreadableError(
            "This file holds no key.",
            where=path,
            found=f"{len(text)} bytes",
            expected=f"at least {2 * _LEAST_KEY} hexadecimal digits and nothing else",
            fix="Name the project's key file, or one that is not there yet: a key is made.",
        )
    return Key(bytes.fromhex(text.decode()))
