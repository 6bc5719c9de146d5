"""Stored pixel values of one DICOM file as an array `(frames, rows, columns)`, checked before anything is allocated.

Native data is viewed in place; RLE is decoded by pydicom; the JPEG family by GDCM, which is handed nothing but the
pixel module and the code stream, so that no other element reaches it (PS3.3 C.7.6.3, PS3.5 section 8 and annex A.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import HostileError, UnreadableError, UnsupportedError
from dopascope.formats.dicom_file import Header
from dopascope.formats.dicom_walk import PixelSpan
from dopascope.formats.limits import Limits

_FLOATS: Final = {0x7FE00008: 32, 0x7FE00009: 64}
"""Float and Double Float Pixel Data, with their bits."""


@dataclass(frozen=True)
class PixelModule:
    """The attributes that say how stored values are laid out (PS3.3 C.7.6.3)."""

    frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    real: bool = False
    """Float or Double Float Pixel Data."""

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return self.frames * self.rows * self.columns * self.bits_allocated // 8


def pixel_module(header: Header, limits: Limits) -> PixelModule:
    """Read and check the pixel module.

    Raises:
        UnsupportedError: colour, no pixel data, or an unusual number of bits.
        UnreadableError: Rows, Columns or bits are missing or contradict each other.
        HostileError: the claimed array is larger than `max_volume_bytes` or has more than `max_frames`.
    """
    if header.pixels is None:
        raise UnsupportedError(
            "The DICOM file holds no image.",
            where=header.name,
            found=f"SOP class {header.text('SOPClassUID') or 'not stated'}, no pixel data",
            expected="an image object",
            fix="Choose an image series; reports, plans and structure sets are not read.",
        )
    _check_grey(header)
    real = header.pixels.tag in _FLOATS
    bits = _FLOATS[header.pixels.tag] if real else _count(header, "BitsAllocated")
    frames = header.integer("NumberOfFrames")
    module = PixelModule(
        frames=1 if frames is None else frames,
        rows=_count(header, "Rows"),
        columns=_count(header, "Columns"),
        bits_allocated=bits,
        bits_stored=bits if real else header.integer("BitsStored") or bits,
        signed=bool(header.integer("PixelRepresentation")),
        real=real,
    )
    _check_bits(header, module)
    _check_claim(header, module, limits)
    return module


def _check_grey(header: Header) -> None:
    samples = header.integer("SamplesPerPixel")
    photometric = header.text("PhotometricInterpretation") or "MONOCHROME2"
    if samples not in (None, 1) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedError(
            "The DICOM image is in colour.",
            where=header.name,
            found=f"{samples or 1} samples per pixel, {photometric}",
            expected="1 sample per pixel, MONOCHROME1 or MONOCHROME2",
            fix="Export the scan itself, not a screen capture of it.",
        )


def _count(header: Header, keyword: str) -> int:
    found = header.integer(keyword)
    if found is None or found < 1:
        raise UnreadableError(
            "The DICOM image does not say how large it is.",
            where=f"{header.name}, {keyword}",
            found="nothing" if found is None else found,
            expected="a positive whole number",
            fix="Export the file again.",
        )
    return found


def _check_bits(header: Header, module: PixelModule) -> None:
    if module.bits_allocated not in (8, 16, 32, 64) or (module.bits_allocated == 64 and not module.real):
        raise UnsupportedError(
            "The DICOM image stores its pixels in an unusual number of bits.",
            where=f"{header.name}, BitsAllocated",
            found=module.bits_allocated,
            expected="8, 16 or 32 bits",
            fix="Export the scan as 16-bit DICOM.",
        )
    if not 1 <= module.bits_stored <= module.bits_allocated:
        raise UnreadableError(
            "The DICOM image contradicts itself about its bits.",
            where=f"{header.name}, BitsStored",
            found=module.bits_stored,
            expected=f"1 to {module.bits_allocated} (BitsAllocated)",
            fix="Export the file again.",
        )


def _check_claim(header: Header, module: PixelModule, limits: Limits) -> None:
    if not 1 <= module.frames <= limits.max_frames:
        raise HostileError(
            "The DICOM file claims an unreasonable number of frames.",
            where=f"{header.name}, NumberOfFrames",
            found=module.frames,
            expected=f"1 to max_frames = {limits.max_frames}",
            fix="If you trust the file, raise the limit with --limit max_frames=N.",
        )
    if module.nbytes > limits.max_volume_bytes:
        raise HostileError(
            "The DICOM file claims an image larger than is allowed.",
            where=header.name,
            found=f"{module.frames} frames of {module.rows} x {module.columns}, {module.nbytes} bytes",
            expected=f"at most max_volume_bytes = {limits.max_volume_bytes}",
            fix="If you trust the file, raise the limit with --limit max_volume_bytes=N.",
        )


def stored_values(header: Header, module: PixelModule, data: bytes) -> NDArray[Any]:
    """Stored values `(frames, rows, columns)`, integers or floats, before any rescale.

    Args:
        header: of the file.
        module: its checked pixel module.
        data: its data set's bytes (`dicom_file.contents`).

    Raises:
        UnreadableError: fewer bytes than the pixel module claims, or a damaged code stream.
        UnsupportedError: a transfer syntax that cannot be decoded.
    """
    span = header.pixels
    if span is None:
        raise ValueError("pixel_module has refused this header")
    if span.encapsulated:
        from dopascope.formats.dicom_codecs import decoded

        return _significant_bits(decoded(header, module, data), module)
    return _significant_bits(_native(header, module, span, data), module)


def _native(header: Header, module: PixelModule, span: PixelSpan, data: bytes) -> NDArray[Any]:
    present = min(span.length, len(data) - span.offset)
    if present < module.nbytes:
        raise UnreadableError(
            "The DICOM file holds fewer pixels than it claims.",
            where=header.name,
            found=f"{present} bytes",
            expected=f"{module.nbytes} bytes: {module.frames} x {module.rows} x {module.columns}, "
            f"{module.bits_allocated} bits",
            fix="The file is truncated or damaged: copy or export it again.",
        )
    kind = "f" if module.real else "i" if module.signed else "u"
    dtype = np.dtype(f"{'<' if header.encoding.little else '>'}{kind}{module.bits_allocated // 8}")
    count = module.frames * module.rows * module.columns
    values = np.frombuffer(data, dtype, count, span.offset)
    return values.reshape(module.frames, module.rows, module.columns)


def _significant_bits(values: NDArray[Any], module: PixelModule) -> NDArray[Any]:
    """Drop the bits above Bits Stored (old overlays live there) and extend the sign."""
    spare = module.bits_allocated - module.bits_stored
    if module.real or spare == 0 or not _uses_spare_bits(values, module):
        return values
    native = values.astype(values.dtype.newbyteorder("="))
    shifted: NDArray[Any] = (native << spare) >> spare
    return shifted


def _uses_spare_bits(values: NDArray[Any], module: PixelModule) -> bool:
    if module.signed:
        half = 1 << (module.bits_stored - 1)
        return bool(values.min() < -half or values.max() >= half)
    return bool(values.max() >= 1 << module.bits_stored)
