"""Seals: the installation signs each reading's files when they are made, so that anybody can prove them unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dopascope.errors import ChangedError, UnreadableError

FORM: Final = "dopascope.seal/1"
SEAL: Final = "seal.json"
SEALED: Final = ("reading.json", "report.html", "report.pdf")
LARGEST: Final = 1 << 20
"""Bytes of a seal at the most."""


@dataclass(frozen=True)
class Seal:
    """Who sealed which reading, and the digests of its files."""

    reading: str
    created: str
    files: dict[str, str]
    key: str
    """The public key, 64 hexadecimal digits."""
    signature: str
    """Ed25519 (RFC 8032) over `signed`, 128 hexadecimal digits."""

    def signed(self) -> bytes:
        """What the signature covers: everything else, in one form only."""
        told = {"form": FORM, "reading": self.reading, "created": self.created, "files": self.files, "key": self.key}
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def public_key(secret: str) -> str:
    """The public half of `Settings.secret("seal")`, as it may be given to anybody."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).public_key().public_bytes_raw().hex()


def write(folder: Path, secret: str, reading: str, created: str) -> Path:
    """Seal the files of a reading: `seal.json` beside them.

    Raises:
        OSError: a file cannot be read or written.
    """
    files = {name: _digest(folder / name) for name in SEALED if (folder / name).is_file()}
    unsigned = Seal(reading, created, files, public_key(secret), "")
    signature = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(unsigned.signed()).hex()
    told = json.loads(unsigned.signed()) | {"signature": signature}
    path = folder / SEAL
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> Seal:
    """A seal as it stands in its file; nothing is proved yet.

    Raises:
        UnreadableError: it is none.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["form"] != FORM:
            raise ValueError("another form")
        files = {str(name): str(digest) for name, digest in told["files"].items()}
        key, signature = _hex(told)
        found = Seal(_text(told, "reading"), _text(told, "created"), files, key, signature)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(
            "This is not a seal.",
            where=path,
            found=error,
            expected=f"{SEAL} as it was saved beside the report",
            fix="Save it again from the page of the reading.",
        ) from error
    return found


def _text(told: dict[str, Any], name: str) -> str:
    if not isinstance(told[name], str):
        raise TypeError(name)
    return str(told[name])


def _hex(told: dict[str, Any]) -> tuple[str, str]:
    found = _text(told, "key"), _text(told, "signature")
    if tuple(len(bytes.fromhex(one)) for one in found) != (32, 64):
        raise ValueError("key or signature has another length")
    return found


def verify(seal: Seal, key: str, files: Sequence[Path]) -> None:
    """Prove that a seal was made by the holder of `key`, and that `files` are those that it names.

    A file may have been renamed: it is known by its digest, and by its ending.

    Raises:
        ChangedError: another key, a changed seal, or a file that it does not hold.
    """
    if seal.key != key.strip().lower():
        raise ChangedError(
            "The seal is another installation's.",
            where="--key",
            found=seal.key,
            expected=key.strip()[:80],
            fix="Ask the installation for its key over a way that you trust: it stands on its page /key.",
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal.key)).verify(bytes.fromhex(seal.signature), seal.signed())
    except InvalidSignature as error:
        raise ChangedError(
            "The seal itself was changed.",
            where=SEAL,
            found="a signature that does not fit",
            expected="the seal as it was made",
            fix="Save it again from the page of the reading.",
        ) from error
    for path in files:
        held = [digest for name, digest in seal.files.items() if Path(name).suffix == path.suffix]
        if _digest(path) not in held:
            raise ChangedError(
                "This file is not the one that was sealed.",
                where=path,
                found=f"SHA-256 {_digest(path)[:16]}...",
                expected=" or ".join(f"{one[:16]}..." for one in held) or f"one of {', '.join(seal.files)}",
                fix="Do not trust it; save it again from the page of the reading.",
            )


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
