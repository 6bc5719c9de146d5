"""What came of a scan, kept by the content of the scan and by how it was worked on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dopascope import provenance

FORM: Final = b"dopascope.cache/1"
ABANDONED_S: Final = 3600.0
"""Age from which on a temporary file is nobody's: entries are written in less than a second."""
HALVES: Final = (".img", ".img.gz", ".hdr", ".hdr.gz")
"""Files that belong to an image of the same name: the halves of a NIfTI pair."""
BESIDE: Final = (".json", *HALVES)
"""Files that belong to a scan of the same name: its facts, and those of the image."""


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


def content_of(path: Path, beside: Sequence[str] = BESIDE) -> str:
    """SHA-256 of a scan's bytes: of a folder, of the names and bytes of its files; of a file, with those beside it.

    Args:
        path: of the scan.
        beside: endings of the files beside it that count.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        known = [(one.relative_to(path).as_posix(), provenance.sha256_of(one)) for one in files]
    else:
        stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        others = [(ending, path.with_name(f"{stem}{ending}")) for ending in beside]
        there = [(ending, one) for ending, one in others if one != path and one.is_file()]
        known = [("", provenance.sha256_of(path)), *((ending, provenance.sha256_of(one)) for ending, one in there)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _head(rest: bytes) -> bytes:
    return FORM + b" " + hashlib.sha256(rest).hexdigest().encode()
