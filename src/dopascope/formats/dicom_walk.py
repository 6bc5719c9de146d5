"""A bounded walk over DICOM data elements (PS3.5 section 7): no recursion, no allocation by a claimed length.

pydicom is not used to find elements, since it recurses into sequences, inflates without a limit and
believes the lengths it reads. This walk checks every length against the bytes present, counts elements
and nesting, and hands out the raw value of the elements asked for.
"""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import Final

from dopascope.errors import HostileError, UnreadableError
from dopascope.formats.limits import Limits

Element = tuple[bytes, bytes]
"""Value representation (two letters, empty in implicit VR) and raw value."""

PIXEL_DATA: Final = 0x7FE00010
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
"""Float, double and integer pixel data (PS3.3 C.7.6.3 and C.7.6.24)."""

_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_ITEM_BYTES: Final = {True: b"\xfe\xff\x00\xe0", False: b"\xff\xfe\xe0\x00"}
_UNDEFINED: Final = 0xFFFFFFFF
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a length of 32 bits (PS3.5 table 7.1-1)."""
_SHORT: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()  # PS3.5 table 7.1-2
)


VALUE_REPRESENTATIONS: Final = _SHORT | _LONG


@dataclass(frozen=True)
class Encoding:
    """How elements are written: byte order and whether they carry a value representation."""

    little: bool = True
    implicit: bool = False


_IMPLICIT: Final = Encoding(little=True, implicit=True)


class _Layout:
    """Compiled structs of one byte order."""

    def __init__(self, order: str) -> None:
        self.explicit = Struct(order + "HH2sH")
        self.implicit = Struct(order + "HHI")
        self.long = Struct(order + "I")


_LITTLE: Final = _Layout("<")
_BIG: Final = _Layout(">")


@dataclass(frozen=True)
class PixelSpan:
    """Where the pixel data lies: `tag`, offset, length (to the end of the data when encapsulated)."""

    tag: int
    offset: int
    length: int
    encapsulated: bool


class Budget:
    """What is left of the element count of one file; shared by all walks over it."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.left = limits.max_elements
        self.deep_bytes = 16 * limits.max_nesting
        """A shorter sequence cannot be nested too deep: each level takes a tag, a length and an item's, 16 bytes."""

    def spent(self) -> HostileError:
        """The error for more than `max_elements`."""
        return HostileError(
            "The file has more DICOM elements than are allowed.",
            where=self.name,
            found=f"more than {self.limits.max_elements} elements",
            expected=f"at most max_elements = {self.limits.max_elements}",
            fix="If you trust the file, raise the limit with --limit max_elements=N.",
        )

    def check_depth(self, depth: int) -> None:
        """Raises HostileError when sequences are nested deeper than `max_nesting`."""
        if depth > self.limits.max_nesting:
            raise HostileError(
                "DICOM sequences are nested deeper than is allowed.",
                where=self.name,
                found=f"{depth} levels",
                expected=f"at most max_nesting = {self.limits.max_nesting}",
                fix="If you trust the file, raise the limit with --limit max_nesting=N.",
            )


def elements_of(
    data: bytes,
    start: int,
    encoding: Encoding,
    budget: Budget,
    wanted: Container[int] | None = None,
    size: int | None = None,
) -> tuple[dict[int, Element], PixelSpan | None]:
    """The elements of `data` from `start`, as far as the pixel data, and where the pixel data lies.

    Args:
        data: bytes of a whole data set.
        start: offset of its first element.
        encoding: byte order and kind of VR.
        budget: limits of this file.
        wanted: tags to keep; None keeps all. Others are checked and passed over.
        size: bytes of the whole data set where `data` is only its beginning; pixel data may lie beyond `data`.

    Raises:
        UnreadableError: a length reaches beyond the bytes present, or an element is garbled.
        HostileError: too many elements or too deep a nesting.
    """
    found: dict[int, Element] = {}
    position, end = start, len(data)
    layout = _LITTLE if encoding.little else _BIG
    implicit, left = encoding.implicit, budget.left
    unpack_implicit, unpack_explicit = layout.implicit.unpack_from, layout.explicit.unpack_from
    while position + 8 <= end:
        # The common cases of `_header`, written out: this loop is most of the time that a large series takes.
        if implicit:
            group, element, length = unpack_implicit(data, position)
            tag, vr, offset = group << 16 | element, b"", position + 8
        else:
            group, element, vr, length = unpack_explicit(data, position)
            tag, offset = group << 16 | element, position + 8
            if vr not in _SHORT:
                tag, vr, offset, length = _header(data, position, encoding, budget)
        left -= 1
        if left < 0:
            raise budget.spent()
        if tag in _PIXELS:
            budget.left = left
            return found, _pixel_span(tag, offset, length, end if size is None else size, budget)
        stop = position = offset + length
        if length >= budget.deep_bytes:  # undefined lengths too
            budget.left = left
            vr, stop, position = _long_value(data, vr, offset, length, encoding, budget)
            left = budget.left
        if position > end:
            raise _beyond(budget, tag, length, end - offset)
        if wanted is None or tag in wanted:
            found[tag] = (vr, data[offset:stop])
    budget.left = left
    return found, None


def _long_value(
    data: bytes, vr: bytes, offset: int, length: int, encoding: Encoding, budget: Budget
) -> tuple[bytes, int, int]:
    """VR, end and follower of a value that may be a deep sequence, walked where it is one."""
    if length == _UNDEFINED:
        unknown = vr == b"UN"  # implicit inside: PS3.5 6.2.2 note 4
        inner = _IMPLICIT if unknown else encoding
        stop, position = _skip(data, offset, len(data), _SEQUENCE, None, inner, budget)
        return (b"UN" if unknown else b"SQ"), stop, position
    stop = offset + length
    if stop <= len(data) and _is_sequence(data, vr, offset, encoding):
        with suppress(UnreadableError):  # damage inside is left to whoever reads it
            _skip(data, offset, stop, _SEQUENCE, stop, encoding, budget)
    return vr, stop, stop


def items_of(value: bytes, encoding: Encoding, budget: Budget) -> list[bytes]:
    """The items of a sequence's raw value, each the bytes of a data set.

    Raises:
        UnreadableError: an item reaches beyond the value.
    """
    found = []
    position, end = 0, len(value)
    while position + 8 <= end:
        tag, _, position, length = _header(value, position, encoding, budget)
        if tag != _ITEM:
            break
        if length == _UNDEFINED:
            stop, after = _skip(value, position, end, _ITEM_LEVEL, None, encoding, budget)
        else:
            stop = after = position + length
            if stop > end:
                raise _beyond(budget, tag, length, end - position)
        found.append(value[position:stop])
        position = after
    return found


def _header(data: bytes, position: int, encoding: Encoding, budget: Budget) -> tuple[int, bytes, int, int]:
    """Tag, VR, offset of the value and its length."""
    layout = _LITTLE if encoding.little else _BIG
    if encoding.implicit:
        group, element, length = layout.implicit.unpack_from(data, position)
        return group << 16 | element, b"", position + 8, length
    group, element, vr, length = layout.explicit.unpack_from(data, position)
    tag = group << 16 | element
    if vr in _SHORT:
        return tag, vr, position + 8, length
    if vr in _LONG:
        if position + 12 > len(data):
            raise _beyond(budget, tag, 12, len(data) - position)
        return tag, vr, position + 12, layout.long.unpack_from(data, position + 8)[0]
    if vr.isalpha() and vr.isupper():
        return tag, vr, position + 8, length  # a VR of the future: PS3.5 7.1.2 gives it 16 bits only if listed
    # Items and delimiters have no VR; some writers also leave single elements implicit.
    return tag, b"", position + 8, layout.long.unpack_from(data, position + 4)[0]


def _pixel_span(tag: int, offset: int, length: int, end: int, budget: Budget) -> PixelSpan:
    if length == _UNDEFINED:
        return PixelSpan(tag, offset, end - offset, True)
    if offset + length > end:
        raise _beyond(budget, tag, length, end - offset)
    return PixelSpan(tag, offset, length, False)


def _is_sequence(data: bytes, vr: bytes, offset: int, encoding: Encoding) -> bool:
    """By its VR; without one by its first bytes, which are an item's tag in no other value that matters here."""
    return vr == b"SQ" or (not vr and data[offset : offset + 4] == _ITEM_BYTES[encoding.little])


def _skip(
    data: bytes, position: int, end: int, kind: int, stop: int | None, encoding: Encoding, budget: Budget
) -> tuple[int, int]:
    """Walk over a sequence, an item or fragments from `position`: the end of its value, and what follows it.

    Open brackets are two lists, what each is and where it ends (beyond `end` where a delimiter ends it): no recursion,
    except once into a sequence of VR UN, which is implicit inside and cannot hold another.
    """
    never = end + 1
    kinds, stops = [kind], [never if stop is None else stop]
    value_end = position
    while kinds:
        if position >= stops[-1]:
            kinds.pop()
            stops.pop()
            value_end = position
            continue
        if position + 8 > end:
            raise _beyond(budget, _SEQUENCE_END, 8, end - position)
        tag, vr, offset, length = _header(data, position, encoding, budget)
        budget.left -= 1
        if budget.left < 0:
            raise budget.spent()
        if tag in (_SEQUENCE_END, _ITEM_END):
            kinds.pop()
            stops.pop()
            value_end, position = position, offset
            continue
        opened = _opens(data, tag, vr, offset, length, kinds[-1], encoding)
        if opened == _NOTHING:
            position = offset + length
            if length == _UNDEFINED or position > end:
                raise _beyond(budget, tag, length, end - offset)
        elif vr == b"UN":
            position = _skip(data, offset, end, _SEQUENCE, None, _IMPLICIT, budget)[1]
        else:
            kinds.append(opened)
            stops.append(never if length == _UNDEFINED else offset + length)
            position = offset
            if len(kinds) > budget.limits.max_nesting:
                budget.check_depth(kinds.count(_SEQUENCE))
    return value_end, position


_NOTHING, _SEQUENCE, _ITEM_LEVEL, _FRAGMENTS = range(4)
"""What an element opens; fragments are pixel data in pieces, whose items hold no elements."""


def _opens(data: bytes, tag: int, vr: bytes, offset: int, length: int, within: int, encoding: Encoding) -> int:
    if within == _ITEM_LEVEL:
        if length == _UNDEFINED:
            return _FRAGMENTS if tag in _PIXELS else _SEQUENCE
        return _SEQUENCE if length and _is_sequence(data, vr, offset, encoding) else _NOTHING
    return _ITEM_LEVEL if within == _SEQUENCE and tag == _ITEM else _NOTHING


def _beyond(budget: Budget, tag: int, claimed: int, present: int) -> UnreadableError:
    """The error for a claim that the bytes do not keep."""
    return UnreadableError(
        "A DICOM element claims more bytes than the file has.",
        where=f"{budget.name}, element ({tag >> 16:04X},{tag & 0xFFFF:04X})",
        found=f"{max(present, 0)} bytes",
        expected="a closing delimiter" if claimed == _UNDEFINED else f"{claimed} bytes",
        fix="The file is truncated or damaged: copy or export it again.",
    )
