"""Compressed pixel data: fragments into code streams, code streams into pixels (PS3.5 A.4 and section 8.2).

RLE is decoded here; JPEG, JPEG-LS and JPEG 2000 by GDCM in SimpleITK, which is handed a small file of our own making
with the pixel module and the fragments, so that nothing else of a foreign file reaches it. The size that a code stream
claims is read first and must be the size that the header claims.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnreadableError, UnsupportedError
from dopascope.formats.dicom_file import Header
from dopascope.formats.dicom_pixels import PixelModule

RLE: Final = "1.2.840.10008.1.2.5"
GDCM_DECODES: Final = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
}
"""Transfer syntaxes handed to GDCM."""

_CAPTURE_CLASS: Final = {8: b"1.2.840.10008.5.1.4.1.1.7.2", 16: b"1.2.840.10008.5.1.4.1.1.7.3"}
"""Multi-frame grayscale byte and word secondary capture: the plainest images there are."""


def decoded(header: Header, module: PixelModule, data: bytes) -> NDArray[Any]:
    """Pixels `(frames, rows, columns)` of compressed pixel data.

    Raises:
        UnsupportedError: a transfer syntax that is not decoded.
        UnreadableError: damaged fragments or code streams, or a size other than the header's.
    """
    syntax = header.transfer_syntax
    if header.pixels is None or (syntax != RLE and syntax not in GDCM_DECODES):
        raise UnsupportedError(
            "The DICOM file is compressed in a way that is not read.",
            where=f"{header.name}, TransferSyntaxUID",
            found=syntax,
            expected="uncompressed, deflated, RLE, JPEG, JPEG-LS or JPEG 2000",
            fix="Export the scan uncompressed.",
        )
    fragments = _fragments(header, data)
    if syntax == RLE:
        return _from_rle(header, module, fragments)
    _check_streams(header, module, fragments)
    return _by_gdcm(header, module, data)


def _fragments(header: Header, data: bytes) -> list[bytes]:
    """The fragments after the offset table, in order."""
    return encapsulated(header, data)[0][1:]


def encapsulated(header: Header, data: bytes) -> tuple[list[bytes], int]:
    """The items of encapsulated pixel data, offset table first, and where what follows them begins.

    Raises:
        UnreadableError: they end in the middle.
    """
    found: list[bytes] = []
    position = header.pixels.offset if header.pixels else 0
    while position + 8 <= len(data):
        group, element, length = unpack_from("<HHI", data, position)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return found, position
        if (group, element) != (0xFFFE, 0xE000) or position + length > len(data):
            break
        found.append(data[position : position + length])
        position += length
    raise _damaged(header, "fragments that end in the middle", "a sequence delimiter")


def _damaged(header: Header, found: str, expected: str) -> UnreadableError:
    return UnreadableError(
        "The compressed pixels are damaged.",
        where=header.name,
        found=found,
        expected=expected,
        fix="Copy or export the file again.",
    )


def _check_streams(header: Header, module: PixelModule, fragments: list[bytes]) -> None:
    """Every code stream must claim the size and the depth of the header: decoders allocate by their own claim."""
    streams = [size for fragment in fragments if (size := stream_size(fragment)) is not None]
    if not streams:
        raise _damaged(header, "no code stream", f"{module.frames} code streams")
    for rows, columns, samples in streams:
        if (rows, columns, samples) != (module.rows, module.columns, 1):
            raise _damaged(
                header,
                f"a code stream of {rows} x {columns} pixels with {samples} samples",
                f"{module.rows} x {module.columns} with 1 sample, as the header says",
            )


def stream_size(stream: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples that a JPEG, JPEG-LS or JPEG 2000 code stream claims; None where none starts here."""
    if stream[:4] == b"\xff\x4f\xff\x51" and len(stream) >= 42:  # JPEG 2000: SIZ (ISO 15444-1 A.5.1)
        right, bottom, left, top = unpack_from(">IIII", stream, 8)
        return bottom - top, right - left, unpack_from(">H", stream, 40)[0]
    if stream[4:8] == b"jP  ":  # the same in its own box file
        start = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
        return stream_size(stream[start:]) if start > 0 else None
    if stream[:2] != b"\xff\xd8":
        return None
    position = 2
    while position + 9 < len(stream):
        marker, length = stream[position + 1], unpack_from(">H", stream, position + 2)[0]
        if stream[position] != 0xFF:
            return None
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # frame headers, LS too
            rows, columns, samples = unpack_from(">HHB", stream, position + 5)
            return rows, columns, samples
        position += 1 if marker == 0xFF else 2 + length
    return None


def _by_gdcm(header: Header, module: PixelModule, data: bytes) -> NDArray[Any]:
    import SimpleITK

    sitk: Any = SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryDirectory(prefix="dopascope-") as folder:
        path = Path(folder, "pixels.dcm")
        path.write_bytes(_plain_file(header, module, data))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            values: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise _damaged(header, reason, f"a {GDCM_DECODES[header.transfer_syntax]} stream") from error
    values = values.reshape(-1, *values.shape[-2:])
    if values.shape != (module.frames, module.rows, module.columns):
        raise _damaged(header, f"{values.shape} decoded", f"{module.frames} x {module.rows} x {module.columns}")
    return values


def _plain_file(header: Header, module: PixelModule, data: bytes) -> bytes:
    """A DICOM file with the pixel module and the code streams only: values come back as stored."""
    kind = _CAPTURE_CLASS[8 if module.bits_allocated == 8 else 16]
    uid = b"2.25.1"
    meta = b"".join(
        (
            _element(0x0002, 0x0001, b"OB", b"\0\1"),
            _element(0x0002, 0x0002, b"UI", kind),
            _element(0x0002, 0x0003, b"UI", uid),
            _element(0x0002, 0x0010, b"UI", header.transfer_syntax.encode()),
            _element(0x0002, 0x0012, b"UI", uid),
        )
    )
    body = b"".join(
        (
            _element(0x0008, 0x0016, b"UI", kind),
            _element(0x0008, 0x0018, b"UI", uid),
            _element(0x0028, 0x0002, b"US", pack("<H", 1)),
            _element(0x0028, 0x0004, b"CS", b"MONOCHROME2"),
            _element(0x0028, 0x0008, b"IS", str(module.frames).encode()),
            _element(0x0028, 0x0010, b"US", pack("<H", module.rows)),
            _element(0x0028, 0x0011, b"US", pack("<H", module.columns)),
            _element(0x0028, 0x0100, b"US", pack("<H", module.bits_allocated)),
            _element(0x0028, 0x0101, b"US", pack("<H", module.bits_stored)),
            _element(0x0028, 0x0102, b"US", pack("<H", module.bits_stored - 1)),
            _element(0x0028, 0x0103, b"US", pack("<H", int(module.signed))),
            pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
        )
    )
    pixels = data[header.pixels.offset :] if header.pixels else b""
    return bytes(128) + b"DICM" + _element(0x0002, 0, b"UL", pack("<I", len(meta))) + meta + body + pixels


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    padded = value + (b"\0" if vr in (b"UI", b"OB") else b" ") * (len(value) % 2)
    if vr == b"OB":
        return pack("<HH2sHI", group, element, vr, 0, len(padded)) + padded
    return pack("<HH2sH", group, element, vr, len(padded)) + padded


def _from_rle(header: Header, module: PixelModule, fragments: list[bytes]) -> NDArray[Any]:
    """RLE (PS3.5 annex G): per frame a header of 16 numbers, then one run-length segment per byte plane."""
    if len(fragments) != module.frames:
        raise _damaged(header, f"{len(fragments)} RLE fragments", f"{module.frames}, one for each frame")
    width = module.bits_allocated // 8
    size = module.rows * module.columns
    planes = np.empty((module.frames, width, size), np.uint8)
    for frame, fragment in enumerate(fragments):
        starts = unpack_from("<16I", fragment) if len(fragment) >= 64 else (0,)
        if starts[0] != width:
            raise _damaged(header, f"{starts[0]} RLE segments", f"{width}, one for each byte of a pixel")
        ends = [*starts[2 : width + 1], len(fragment)]
        for plane, (start, end) in enumerate(zip(starts[1 : width + 1], ends, strict=True)):
            unpacked = _unpacked(fragment[start:end], size)
            if len(unpacked) < size:
                raise _damaged(header, f"{len(unpacked)} bytes in an RLE segment", f"{size} bytes")
            planes[frame, plane] = np.frombuffer(unpacked, np.uint8, size)
    kind = f">{'i' if module.signed else 'u'}{width}"  # the first segment holds the most significant bytes
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(kind)
    return values.reshape(module.frames, module.rows, module.columns)


def _unpacked(segment: bytes, size: int) -> bytes:
    """Undo PackBits (PS3.5 G.3.2) as far as `size` bytes."""
    out = bytearray()
    position, end = 0, len(segment)
    while position < end and len(out) < size:
        code = segment[position]
        if code < 128:
            out += segment[position + 1 : position + 2 + code]
            position += 2 + code
        elif code > 128:
            out += segment[position + 1 : position + 2] * (257 - code)
            position += 2
        else:
            position += 1
    return bytes(out[:size])
