"""Bytes with a name: a file on disk or a member of a zip, read the same way."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Blob:
    """One file's worth of bytes, on disk (`path`) or already in memory (`content`).

    A member of a zip is inflated once, within the limits, by `formats.archive`; its name is shown to
    people and never used as a path.
    """

    name: str
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    beside: Mapping[str, Blob] = field(default_factory=dict, repr=False, compare=False)
    """Members of the same archive by name, for formats of two files."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.content) if self.content is not None else self._disk().stat().st_size

    def open(self) -> BinaryIO:
        """A fresh binary stream at the first byte."""
        return io.BytesIO(self.content) if self.content is not None else open(self._disk(), "rb")

    def head(self, count: int) -> bytes:
        """The first `count` bytes, or fewer where the file is shorter."""
        with self.open() as stream:
            return stream.read(count)

    def read(self) -> bytes:
        """All bytes. The caller has checked `size` against its limit."""
        if self.content is not None:
            return self.content
        return self._disk().read_bytes()

    def sibling(self, name: str) -> Blob | None:
        """The file of that name in the same folder or archive, if there is one."""
        if self.path is None:
            return self.beside.get(name)
        path = self.path.with_name(name)
        return Blob(str(path), path=path) if path.is_file() else None

    def _disk(self) -> Path:
        if self.path is None:
            raise ValueError(f"blob {self.name!r} has neither content nor path")
        return self.path
