"""What came of a scan, kept by the content of the scan and by how it was worked on."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dopascope import provenance

FORM: Final = b"dopascope.cache/1"
ABANDONED_S: Final = 3600.0
"""Age from which on a temporary file is nobody's: entries are written in less than a second."""


@dataclass(frozen=True)
class Cache:
    """A folder of entries, each one file: a line with the SHA-256 of the rest, a JSON record, and a payload.

    Entries hold no names of people or files. Any number of processes and machines may share the folder.
    """

    folder: Path

    def get(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """The record and payload under `key`; None where there is none, or it is damaged."""
        try:
            head, rest = self._path(key).read_bytes().split(b"\n", 1)
            if head != _head(rest):
                return None
            record, payload = rest.split(b"\n", 1)
            return json.loads(record), payload
        except (OSError, ValueError):
            return None

    def put(self, key: str, record: dict[str, Any], payload: bytes) -> None:
        """Keep both under `key`, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        rest = json.dumps(record).encode() + b"\n" + payload
        provenance.write_bytes(self._path(key), _head(rest) + b"\n" + rest)

    def sweep(self) -> None:
        """Remove what killed runs left half written, but nothing so young that another run may be writing it.

        Raises:
            OSError: the folder cannot be written.
        """
        for path in self.folder.glob("??/.*"):
            with suppress(FileNotFoundError):  # another run may sweep too
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def cache_of(out: Path) -> Path:
    """Where the results for `out`, a table or a folder, are kept unless another folder is named."""
    return out.with_name(f"{out.name}.cache")


def _head(rest: bytes) -> bytes:
    return FORM + b" " + hashlib.sha256(rest).hexdigest().encode()
