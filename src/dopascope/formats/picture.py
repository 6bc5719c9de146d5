"""PNG and JPEG pictures of one slice: pixels without a place, a size or a side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import HostileError, InputError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.inflate import ForwardReader
from dopascope.formats.limits import Limits
from dopascope.formats.registry import ReadOptions, reader
from dopascope.volume import SliceImage, Source

if TYPE_CHECKING:
    from PIL import Image

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"

_KEPT_MODES: Final = ("L", "RGB", "I;16", "I;16B", "I", "F")
_CONVERTED_MODES: Final = {"1": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB"}
"""Pillow modes that lose nothing an intensity needs: palettes are looked up, transparency is dropped."""

NO_GEOMETRY: Final = "a picture has no geometry: position, size and side are not known"


def _sniff(blob: Blob) -> bool:
    head = blob.head(len(_PNG))
    return head == _PNG or head.startswith(_JPEG)


@reader("picture", sniff=_sniff, description="PNG or JPEG picture of one slice (2-D, no geometry)")
def read_picture(blobs: Sequence[Blob], options: ReadOptions) -> SliceImage:
    """A picture as float32 `(rows, columns)` or `(rows, columns, 3)`, values as stored (0-255 or 0-65535).

    Raises:
        HostileError: more pixels than `max_pixels`, seen in the header before decoding.
        UnsupportedError: a colour space other than grey, palette or RGB.
        UnreadableError: damaged or truncated.
    """
    blob = blobs[0]
    with ForwardReader(blob, options.limits) as stream:
        digest = stream.finish()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data, notes = _decoded(blob, options.limits)
    except InputError:
        raise
    except Exception as reason:  # whatever a decoder throws at damaged bytes
        raise UnreadableError(
            "The picture cannot be decoded.",
            where=blob.name,
            found=f"{type(reason).__name__}: {reason}",
            expected="a complete PNG or JPEG",
            fix="Copy or save the picture again.",
        ) from reason
    source = Source(blob.name, "picture", digest, assumed=(NO_GEOMETRY, *notes), orientation_from="none")
    return SliceImage(data, source)


def _decoded(blob: Blob, limits: Limits) -> tuple[NDArray[np.float32], list[str]]:
    from PIL import ImageOps

    with blob.open() as stream, _opened(stream, blob.name, limits) as image:
        notes = []
        pictures = getattr(image, "n_frames", 1)
        if pictures > 1:
            notes.append(f"the first of {pictures} pictures was read")
        depth = _png_depth(blob)
        turned = ImageOps.exif_transpose(image)
        mode = turned.mode
        if mode in _CONVERTED_MODES:
            turned = turned.convert(_CONVERTED_MODES[mode])
            notes += ["transparency was dropped"] if mode.lower().endswith("a") else []
        elif mode not in _KEPT_MODES:
            raise UnsupportedError(
                "The picture has a colour space that is not read.",
                where=blob.name,
                found=mode,
                expected="grey, palette or RGB",
                fix="Save the picture as a grey or RGB PNG.",
            )
        if depth == 16 and turned.mode == "RGB":
            notes.append("16-bit colour was reduced to 8 bits")
        return np.asarray(turned).astype(np.float32), notes


def _opened(stream: BinaryIO, name: str, limits: Limits) -> Image.Image:
    """The picture with its header read and its pixels counted, not yet decoded."""
    from PIL import Image

    try:
        image = Image.open(stream, formats=["PNG", "JPEG"])
        width, height = image.size
        size = f"{width} x {height} = {width * height} pixels"
        too_many = width * height > limits.max_pixels
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as reason:
        size, too_many = str(reason), True
    if too_many:
        raise HostileError(
            "The picture has more pixels than the limit.",
            where=name,
            found=size,
            expected=f"at most max_pixels = {limits.max_pixels}",
            fix="Save a smaller picture; if you trust the file, raise the limit max_pixels.",
        )
    return image


def _png_depth(blob: Blob) -> int:
    """Bits per sample of a PNG, from IHDR (PNG specification, 11.2.1); 8 for a JPEG."""
    head = blob.head(25)
    return head[24] if head.startswith(_PNG) and len(head) == 25 else 8
