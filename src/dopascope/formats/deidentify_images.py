"""NIfTI, MGZ and pictures without what identifies a person: header and pixels written anew."""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
from typing import Any, Final

import numpy as np

from dopascope.errors import UnreadableError
from dopascope.formats import mgz, nifti, nifti_header, picture
from dopascope.formats.blob import Blob
from dopascope.formats.claims import check_volume_claim
from dopascope.formats.deidentify_elements import OLDEST
from dopascope.formats.deidentify_report import Removed
from dopascope.formats.deidentify_terms import technical
from dopascope.formats.inflate import ForwardReader
from dopascope.formats.limits import Limits
from dopascope.formats.registry import ReadOptions
from dopascope.formats.sidecar import FORM, FORM_KEY, KEYS, MAX_BYTES, json_beside, sidecar_of

_NIFTI_TEXTS: Final = {
    1: {
        "data_type": (4, 10),
        "db_name": (14, 18),
        "descrip": (148, 80),
        "aux_file": (228, 24),
        "intent_name": (328, 16),
    },
    2: {"descrip": (240, 80), "aux_file": (320, 24), "intent_name": (508, 16), "unused_str": (525, 15)},
}
_NIFTI_UNUSED: Final = {1: ((32, 7), (140, 8)), 2: ()}
"""Analyze's extents, session error and regular; glmax and glmin."""
_PADDING: Final = b"\0\0\0\0"
"""No extension follows (nifti1.h)."""


def clean_nifti(blob: Blob, removed: Removed, limits: Limits) -> tuple[bytes, str]:
    """A `.nii.gz` with the numbers of the header and the voxels, one file also for a pair; and its suffix.

    Raises:
        InputError: see `nifti.read_nifti`.
    """
    first = nifti.first_of_pair(blob)
    with ForwardReader(first, limits) as stream:
        header = nifti.read_header(stream, first)
        size = nifti_header.SIZES[header.version]
        # The header once more as bytes: what is read of it above is in numbers.
        made = bytearray(_head(first, size, limits))
        if not header.pair:
            voxels = _voxels(stream, header, limits)
        else:
            with ForwardReader(nifti.image_blob(first), limits) as image:
                voxels = _voxels(image, header, limits)
        stream.finish()
    for name, (at, length) in _NIFTI_TEXTS[header.version].items():
        _wipe(made, at, length, name, removed)
    for at, length in _NIFTI_UNUSED[header.version]:
        made[at : at + length] = bytes(length)
    _point(made, header)
    removed.note("header extensions", "removed")
    return gzip.compress(bytes(made) + _PADDING + voxels, mtime=0), ".nii.gz"


def _head(blob: Blob, size: int, limits: Limits) -> bytes:
    with ForwardReader(blob, limits) as stream:
        return stream.read(size)


def _voxels(stream: ForwardReader, header: nifti_header.NiftiHeader, limits: Limits) -> bytes:
    shape = (*header.shape[:2], header.shape[2] * header.volumes)
    check_volume_claim(
        header.name,
        shape,
        header.dtype.itemsize,
        first_byte=header.offset,
        capacity=stream.capacity,
        limits=limits,
    )
    stream.skip(header.offset - stream.position)
    voxels = stream.read(header.volume_bytes * header.volumes)
    stream.finish()
    return voxels


def _wipe(made: bytearray, at: int, length: int, name: str, removed: Removed) -> None:
    if any(made[at : at + length]):
        removed.note(name, "emptied")
    made[at : at + length] = bytes(length)


def _point(made: bytearray, header: nifti_header.NiftiHeader) -> None:
    """Voxels follow the header and its four bytes, in the same file."""
    size = nifti_header.SIZES[header.version]
    if header.version == 1:
        made[108:112] = struct.pack(header.order + "f", size + 4)
        made[344:348] = b"n+1\0"
    else:
        made[168:176] = struct.pack(header.order + "q", size + 4)
        made[4:8] = b"n+2\0"


def clean_sidecar(blob: Blob, removed: Removed) -> bytes | None:
    """The JSON file beside a NIfTI scan, with the facts that `formats.sidecar` knows; None where there is none.

    Raises:
        UnreadableError, HostileError: it is ours and cannot be meant.
    """
    found = json_beside(blob)
    if found is None:
        return None
    ours = sidecar_of(blob) is not None
    try:
        said = json.loads(found.head(MAX_BYTES + 1))
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}
    kept: dict[str, Any] = {FORM_KEY: FORM} if ours else {}
    for key, value in said.items():
        fact = _plain(key, value) if key in KEYS.values() else None
        if fact is not None:
            kept[key] = fact
        if fact != value and key != FORM_KEY:
            known = key in KEYS.values()
            removed.note(f"sidecar {key}" if known else "sidecar, other keys", "replaced" if fact else "removed")
    return (json.dumps(kept, indent=2) + "\n").encode()


def _plain(key: str, value: Any) -> Any:
    """A fact that cannot hold a name: truth, a number, technical words; None for any other."""
    if isinstance(value, list):
        texts = [one for one in value if isinstance(one, str) and technical(one)]
        return texts or None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if key == KEYS["age_years"] and isinstance(value, int | float):
        return min(value, OLDEST)
    if isinstance(value, bool | int | float):
        return value
    return value if isinstance(value, str) and technical(value) else None


def clean_mgz(blob: Blob, removed: Removed, limits: Limits) -> tuple[bytes, str]:
    """An `.mgz` of header and voxels: the tags after them (paths, command lines) stay behind; and its suffix."""
    with ForwardReader(blob, limits) as stream:
        head = stream.read(mgz.HEADER_BYTES)
        shape, frames, itemsize = mgz.claimed(head, blob.name)
        whole = (*shape[:2], shape[2] * frames)
        check_volume_claim(
            blob.name, whole, itemsize, first_byte=mgz.HEADER_BYTES, capacity=stream.capacity, limits=limits
        )
        voxels = stream.read(whole[0] * whole[1] * whole[2] * itemsize)
        stream.finish()
    removed.note("MGH tags", "removed")
    return gzip.compress(head[: mgz.USED_BYTES].ljust(mgz.HEADER_BYTES, b"\0") + voxels, mtime=0), ".mgz"


def clean_picture(blob: Blob, removed: Removed, limits: Limits) -> tuple[bytes, str]:
    """A PNG of the pixels as `load` gives them: no text chunks, EXIF, profiles or comments; and its suffix."""
    from PIL import Image

    removed.warn("a picture may show text: look whether its pixels name somebody")
    pixels = np.asarray(picture.read_picture([blob], ReadOptions(limits=limits)).data)
    depth = np.uint8 if pixels.max(initial=0) <= 255 else np.uint16
    if not np.array_equal(pixels, pixels.astype(depth)):
        raise UnreadableError(
            "The picture has values that a PNG cannot hold.",
            where=blob.name,
            found=f"{pixels.min():g} to {pixels.max():g}",
            expected="whole numbers, 0 to 65535",
            fix="Save it as a grey or RGB PNG.",
        )
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(depth)).save(stream, format="PNG")
    removed.note("texts and profiles", "removed")
    return stream.getvalue(), ".png"
