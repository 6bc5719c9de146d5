"""Reading forward through stored or gzipped bytes, counted against the limits and hashed on the way.

Nothing is inflated beyond what the caller asks for, so a header can be judged before its pixels exist.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import HostileError, UnreadableError
from dopascope.formats.blob import Blob
from dopascope.formats.limits import Limits

GZIP_MAGIC: Final = b"\x1f\x8b"

DEFLATE_MAX_RATIO: Final = 1032
"""No deflate stream grows by more than 1032 to 1 (zlib technical details): a longer claim is a lie."""

_STORED_CHUNK: Final = 1 << 18
_BLOCK: Final = 1 << 20


def is_gzip(blob: Blob) -> bool:
    """True when the bytes begin with the gzip magic number (RFC 1952, 2.3.1)."""
    return blob.head(2) == GZIP_MAGIC


def inflated_head(blob: Blob, count: int) -> bytes:
    """The first `count` bytes after gunzipping where needed; fewer where the content is short or damaged."""
    stored = blob.head(max(count, 4096))
    if not stored.startswith(GZIP_MAGIC):
        return stored[:count]
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(stored, count)
    except zlib.error:
        return b""


class ForwardReader:
    """The content of a blob from its first byte on, gunzipped where needed; every stored byte is hashed.

    Raises:
        HostileError: the file is larger than `max_file_bytes`, or grows past `max_inflated_bytes`.
        UnreadableError: the content ends early, or the gzip stream is damaged.
    """

    def __init__(self, blob: Blob, limits: Limits) -> None:
        self._name = blob.name
        self._limits = limits
        self._stored_size = blob.size
        check_file_size(blob, limits)
        self._stream = blob.open()
        self._digest = hashlib.sha256()
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_gzip(blob) else None
        self._pending = b""
        self._ended = False
        self.position = 0

    def __enter__(self) -> ForwardReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def capacity(self) -> int:
        """The most content bytes that this file can possibly hold."""
        return self._stored_size * (DEFLATE_MAX_RATIO if self._inflater else 1)

    def read(self, count: int) -> bytes:
        """Exactly the next `count` bytes."""
        return b"".join(self._pieces(count))

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        for _ in self._pieces(count):
            pass

    def array(
        self, count: int, dtype: np.dtype[np.generic], slope: float = 1.0, inter: float = 0.0
    ) -> NDArray[np.float32]:
        """The next `count` numbers of `dtype` as float32 `(count,)`, times `slope` plus `inter`.

        Converted block by block, so that the stored form never exists whole. Scaling is done in float64 where
        the stored type holds more than float32's 24 bits.
        """
        out = np.empty(count, np.float32)
        block = bytearray(_BLOCK)
        step = _BLOCK // dtype.itemsize
        for start in range(0, count, step):
            here = min(step, count - start)
            filled = 0
            for piece in self._pieces(here * dtype.itemsize):
                block[filled : filled + len(piece)] = piece
                filled += len(piece)
            stored = np.frombuffer(block, dtype, here)
            with np.errstate(over="ignore", invalid="ignore"):
                out[start : start + here] = stored if (slope, inter) == (1.0, 0.0) else _scaled(stored, slope, inter)
        return out

    def finish(self) -> str:
        """Hash what is left of the stored bytes and return the SHA-256 of the file.

        A gzip stream that ends here must end well: its check sum is verified, since no more is inflated for it.
        """
        if self._inflater and not self._ended:
            self._inflate(1)
        while chunk := self._stream.read(_STORED_CHUNK):
            self._digest.update(chunk)
        return self._digest.hexdigest()

    def _pieces(self, count: int) -> Iterator[bytes]:
        left = count
        while left:
            piece = self._inflate(min(left, _BLOCK)) if self._inflater else self._stored(min(left, _BLOCK))
            if not piece:
                raise self._ends_early(count - left, count)
            left -= len(piece)
            self.position += len(piece)
            yield piece

    def _stored(self, count: int) -> bytes:
        chunk = self._stream.read(count)
        self._digest.update(chunk)
        return chunk

    def _inflate(self, most: int) -> bytes:
        """Some content bytes, at most `most`; none when the content has ended."""
        if self.position + most > self._limits.max_inflated_bytes:
            raise HostileError(
                "The gzip content grows past the limit.",
                where=self._name,
                found=f"more than {self.position} bytes",
                expected=f"at most max_inflated_bytes = {self._limits.max_inflated_bytes}",
                fix="If you trust the file, raise the limit max_inflated_bytes.",
            )
        while not self._ended and self._inflater:
            stored = self._pending or self._stored(_STORED_CHUNK)
            if not stored:
                raise self._ends_early(self.position, None)
            try:
                piece = self._inflater.decompress(stored, most)
            except zlib.error as reason:
                raise self._damaged(reason) from reason
            self._pending = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._next_member()
            if piece:
                return piece
        return b""

    def _next_member(self) -> None:
        # RFC 1952, 2.2: a gzip file is a series of members; zero padding after the last one is common.
        unused = self._inflater.unused_data if self._inflater else b""
        rest = (unused or self._stored(_STORED_CHUNK)).lstrip(b"\0")
        if rest.startswith(GZIP_MAGIC):
            self._pending, self._inflater = rest, zlib.decompressobj(zlib.MAX_WBITS | 16)
        else:
            self._ended = True

    def _ends_early(self, got: int, wanted: int | None) -> UnreadableError:
        return UnreadableError(
            "The file ends before its content does.",
            where=self._name,
            found=f"{got} bytes",
            expected=f"{wanted} bytes" if wanted else "a complete gzip stream",
            fix="Copy or download the file again; it was cut off.",
        )

    def _damaged(self, reason: zlib.error) -> UnreadableError:
        return UnreadableError(
            "The gzip stream is damaged.",
            where=self._name,
            found=str(reason),
            expected="a sound gzip stream (RFC 1952)",
            fix="Copy or download the file again.",
        )


def check_file_size(blob: Blob, limits: Limits) -> None:
    """Raises HostileError for a file above `max_file_bytes`, UnreadableError for an empty one."""
    if blob.size > limits.max_file_bytes:
        raise HostileError(
            "The file is larger than the limit.",
            where=blob.name,
            found=f"{blob.size} bytes",
            expected=f"at most max_file_bytes = {limits.max_file_bytes}",
            fix="If you trust the file, raise the limit max_file_bytes.",
        )
    if blob.size == 0:
        raise UnreadableError(
            "The file is empty.", where=blob.name, found="0 bytes", fix="Copy or download the file again."
        )


def _scaled(stored: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    exact_in_single = stored.dtype.itemsize <= 2 or stored.dtype == np.float32
    if exact_in_single:
        return stored.astype(np.float32) * np.float32(slope) + np.float32(inter)
    return stored.astype(np.float64) * slope + inter
