"""One DICOM file as a bounded `Header`: raw elements by tag with typed accessors, and where the pixels are.

The meta information, deflated files and files without preamble follow PS3.10 section 7 and PS3.5 annex A.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from struct import unpack
from typing import Final

from dopascope.errors import HostileError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_dictionary import ELEMENTS, tag
from dopascope.formats.dicom_walk import (
    VALUE_REPRESENTATIONS,
    Budget,
    Element,
    Encoding,
    PixelSpan,
    elements_of,
    items_of,
)
from dopascope.formats.inflate import check_file_size
from dopascope.formats.limits import Limits

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_TRANSFER_SYNTAX: Final = 0x00020010
_PREAMBLE: Final = 132
_CHUNK: Final = 1 << 20
_MOST_CACHED: Final = 64
HEAD_BYTES: Final = 1 << 15
"""Bytes that hold the header of most single-frame files."""
_BINARY: Final = {
    b"US": ("H", 2),
    b"SS": ("h", 2),
    b"UL": ("I", 4),
    b"SL": ("i", 4),
    b"FL": ("f", 4),
    b"FD": ("d", 8),
    b"AT": ("H", 2),
}
"""Struct code and bytes of the binary value representations; AT is a pair of US (PS3.5 table 6.2-1)."""


@dataclass(frozen=True, eq=False)
class Header:
    """Elements of one data set. Accessors take a keyword of the DICOM dictionary and give None when it is absent."""

    name: str
    elements: dict[int, Element]
    encoding: Encoding
    budget: Budget = field(repr=False)
    transfer_syntax: str = EXPLICIT
    pixels: PixelSpan | None = None
    """Where the pixel data lies in the data set's bytes (`contents`)."""
    _items: dict[str, list[Header]] = field(default_factory=dict, repr=False)
    """Sequences that were asked for before."""

    def raw(self, keyword: str) -> bytes | None:
        """Raw value, or None when the element is absent or empty."""
        element = self.elements.get(tag(keyword))
        return element[1] or None if element is not None else None

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Values of a text element, without padding; empty when absent. Latin-1 unless the VR is ASCII anyway."""
        raw = self.raw(keyword)
        if raw is None:
            return ()
        return tuple(part.strip(" \0") for part in raw.decode("latin-1").split("\\"))

    def text(self, keyword: str) -> str | None:
        """The first value of a text element, or None when there is none."""
        found = self.texts(keyword)
        return found[0] or None if found else None

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """Values of a numeric element (DS, IS, US, SS, UL, SL, FL, FD).

        Raises:
            UnreadableError: a value is not a number.
        """
        element = self.elements.get(tag(keyword))
        if element is None or not element[1]:
            return None
        try:
            decode = _numbers if len(element[1]) <= _MOST_CACHED else _numbers.__wrapped__
            return decode(element[0] or ELEMENTS[keyword][1], element[1], self.encoding.little)
        except (ValueError, struct.error):
            raise UnreadableError(
                "A DICOM element does not hold a number.",
                where=f"{self.name}, {keyword}",
                found=element[1][:40].decode("latin-1"),
                expected="a decimal number",
                fix="Export the file again; its header is damaged.",
            ) from None

    def number(self, keyword: str) -> float | None:
        """The first value of a numeric element, or None."""
        found = self.numbers(keyword)
        return found[0] if found else None

    def integer(self, keyword: str) -> int | None:
        """The first value of a numeric element as a whole number, or None."""
        found = self.number(keyword)
        return None if found is None or found != found or abs(found) > 2**53 else int(found)

    def items(self, keyword: str) -> list[Header]:
        """The items of a sequence; empty when it is absent."""
        if keyword not in self._items:
            self._items[keyword] = self._parsed_items(keyword)
        return self._items[keyword]

    def _parsed_items(self, keyword: str) -> list[Header]:
        element = self.elements.get(tag(keyword))
        if element is None:
            return []
        inner = Encoding(little=True, implicit=True) if element[0] == b"UN" else self.encoding
        found = []
        for item in items_of(element[1], inner, self.budget):
            elements, _ = elements_of(item, 0, inner, self.budget)
            found.append(Header(f"{self.name}, {keyword}", elements, inner, self.budget))
        return found

    def item(self, keyword: str) -> Header | None:
        """The first item of a sequence, or None."""
        found = self.items(keyword)
        return found[0] if found else None


@lru_cache(maxsize=4096)
def _numbers(vr: bytes, raw: bytes, little: bool) -> tuple[float, ...] | None:
    """Values of a raw numeric element; cached, since the slices of a series share most of them."""
    kind = _BINARY.get(vr)
    if kind is not None:
        count = len(raw) // kind[1]
        return unpack(f"{'<' if little else '>'}{count}{kind[0]}", raw[: count * kind[1]])
    stripped = raw.strip(b" \0")
    return tuple(map(float, stripped.split(b"\\"))) if stripped else None


def is_dicom(blob: Blob) -> bool:
    """True when the bytes start like DICOM: the prefix at byte 128, or a first element of group 2 or 8 without it."""
    head = blob.head(_PREAMBLE)
    return head[128:132] == b"DICM" or _starts_with_element(head)


def _starts_with_element(head: bytes) -> bool:
    """Group 0002 or 0008 with a known VR, or with a low element number and a small implicit length."""
    if len(head) < 8:
        return False
    for order in ("<", ">"):
        group, element = unpack(order + "HH", head[:4])
        (length,) = unpack(order + "I", head[4:8])
        if group in (2, 8) and (head[4:6] in VALUE_REPRESENTATIONS or (element <= 0x20 and length <= 1024)):
            return True
    return False


@dataclass(frozen=True)
class ParsedBlob(Blob):
    """A DICOM file whose header a survey has parsed already."""

    header: Header | None = field(default=None, repr=False, compare=False)


def header_of(blob: Blob, limits: Limits, wanted: Container[int] | None = None, head: int = HEAD_BYTES) -> Header:
    """The header of one DICOM file: the one a survey has kept, or parsed as far as the pixel data.

    Args:
        blob: the file.
        limits: bounds on size, inflation, elements and nesting.
        wanted: tags to keep (`dicom_dictionary.tags`); None keeps all.
        head: first bytes to look at before the whole file is read, where only some tags are wanted.

    Raises:
        UnsupportedError: the bytes are not DICOM.
        UnreadableError: damaged or truncated.
        HostileError: a limit would be passed.
    """
    if isinstance(blob, ParsedBlob) and blob.header is not None:
        return blob.header
    check_file_size(blob, limits)
    try:
        if wanted is not None and blob.size > head and (quick := _from_head(blob, limits, wanted, head)):
            return quick
        data = blob.read()
        return _parse(blob.name, data, limits, wanted, len(data))
    except (struct.error, ValueError, IndexError, OSError) as error:
        raise UnreadableError(
            "The DICOM file cannot be parsed.",
            where=blob.name,
            found=f"{type(error).__name__}: {error}",
            expected="data elements as in DICOM PS3.5",
            fix="Copy or export the file again.",
        ) from error


def _from_head(blob: Blob, limits: Limits, wanted: Container[int], head: int) -> Header | None:
    """The header from the first bytes alone, or None when it is longer than they are."""
    with suppress(UnreadableError, struct.error, IndexError):
        header = _parse(blob.name, blob.head(head), limits, wanted, blob.size)
        if header.pixels is not None and header.transfer_syntax != DEFLATED:
            return header
    return None


def contents(header: Header, stored: bytes, limits: Limits) -> bytes:
    """The bytes of the data set that `header.pixels` points into: `stored`, the file's bytes, unless it is deflated."""
    return data_set(header, stored, limits)[0] if header.transfer_syntax == DEFLATED else stored


def data_set(header: Header, stored: bytes, limits: Limits) -> tuple[bytes, int]:
    """The same bytes, and where in them the first element after the meta information begins."""
    start = _meta(stored, _PREAMBLE if stored[128:132] == b"DICM" else 0, Budget(header.name, limits))[1]
    if header.transfer_syntax != DEFLATED:
        return stored, start
    return _inflate(header.name, stored[start:], limits), 0


def _parse(name: str, data: bytes, limits: Limits, wanted: Container[int] | None, size: int) -> Header:
    budget = Budget(name, limits)
    start = _PREAMBLE if data[128:132] == b"DICM" else 0
    if start == 0 and not _starts_with_element(data[:_PREAMBLE]):
        raise UnsupportedError(
            "This is not a DICOM file.",
            where=name,
            found=f"first bytes {data[:8]!r}",
            expected="the prefix DICM at byte 128, or a DICOM element at the start",
            fix="Give a DICOM file, or a format listed by the documentation of formats.",
        )
    meta, start = _meta(data, start, budget)
    syntax = _syntax(meta, data, start)
    if syntax == DEFLATED:
        data, start = _inflate(name, data[start:], limits), 0
        size = len(data)
    encoding = Encoding(little=syntax != BIG_ENDIAN, implicit=_is_implicit(syntax, data, start))
    elements, pixels = elements_of(data, start, encoding, budget, wanted, size)
    return Header(name, meta | elements, encoding, budget, syntax, pixels)


def _meta(data: bytes, start: int, budget: Budget) -> tuple[dict[int, Element], int]:
    """Group 0002, always explicit little endian (PS3.10 7.1), and where the data set begins."""
    end = start
    while data[end : end + 2] == b"\x02\0":
        long = data[end + 4 : end + 6] in (b"OB", b"OW", b"UN", b"UT", b"SQ")
        size = unpack("<I", data[end + 8 : end + 12])[0] if long else unpack("<H", data[end + 6 : end + 8])[0]
        end += (12 if long else 8) + size
    return elements_of(data[:end], start, Encoding(), budget)[0], end


def _syntax(meta: dict[int, Element], data: bytes, start: int) -> str:
    """The transfer syntax named by the meta information; without it, what the first element looks like."""
    named = meta.get(_TRANSFER_SYNTAX)
    if named is not None and named[1].strip(b" \0"):
        return named[1].strip(b" \0").decode("latin-1")
    head = data[start : start + 8]
    if len(head) < 8 or not re.fullmatch(rb"[A-Z]{2}", head[4:6]):
        return IMPLICIT
    return BIG_ENDIAN if head[0] == 0 and head[1] != 0 else EXPLICIT


def _is_implicit(syntax: str, data: bytes, start: int) -> bool:
    # Some files say implicit and are explicit, or the other way round: the first element decides, as in pydicom.
    if len(data) < start + 8 or syntax not in (IMPLICIT, EXPLICIT):
        return syntax == IMPLICIT
    return not re.fullmatch(rb"[A-Z]{2}", data[start + 4 : start + 6])


def _inflate(name: str, packed: bytes, limits: Limits) -> bytes:
    """Raw deflate (PS3.5 A.5) with a bound on the result, and on its ratio to the bytes stored."""
    most = min(limits.max_inflated_bytes, max(len(packed) * limits.max_inflation_ratio, _CHUNK))
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    made = bytearray()
    rest = packed
    try:
        while not engine.eof and (rest or not made):
            part = engine.decompress(rest, _CHUNK)
            made += part
            rest = engine.unconsumed_tail
            if len(made) > most:
                raise HostileError(
                    "A deflated DICOM file inflates to more than is allowed.",
                    where=name,
                    found=f"{len(packed)} bytes grow beyond {most}",
                    expected=f"at most max_inflated_bytes = {limits.max_inflated_bytes} "
                    f"and {limits.max_inflation_ratio} times its stored size (max_inflation_ratio)",
                    fix="If you trust the file, raise that limit with --limit NAME=VALUE.",
                )
            if not part and not rest:
                break
    except zlib.error as error:
        raise UnreadableError(
            "The deflated part of a DICOM file is damaged.",
            where=name,
            found=str(error),
            expected="a raw deflate stream (PS3.5 A.5)",
            fix="Copy or export the file again.",
        ) from error
    return bytes(made)
