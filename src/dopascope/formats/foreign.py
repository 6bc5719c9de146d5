"""Files that are not read here, known by their first bytes or name, and how to convert each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dopascope.errors import InputError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.inflate import inflated_head

_HEAD_BYTES: Final = 512


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is refused by name: how it is known, and what to do instead."""

    name: str
    fix: str
    starts: tuple[bytes, ...] = ()
    contains: tuple[tuple[int, bytes], ...] = ()
    """(offset, bytes) pairs of which one must match."""
    suffixes: tuple[str, ...] = ()

    def matches(self, head: bytes, name: str) -> bool:
        """True when the first bytes say so, or, for kinds without a signature, the name does."""
        by_bytes = head.startswith(self.starts) if self.starts else False
        by_place = any(head[at : at + len(mark)] == mark for at, mark in self.contains)
        return by_bytes or by_place or name.lower().endswith(self.suffixes or ("\0",))


_UNPACK: Final = "Unpack it and pass the folder, or pack the scan as a zip."
_FROM_DICOM: Final = "Pass the DICOM files, or convert to NIfTI"

KINDS: Final = (
    Foreign("Gzipped DICOM", "Unpack it with gunzip and pass the DICOM file.", contains=((128, b"DICM"),)),
    Foreign("Philips PAR/REC", "Convert it with dcm2niix or nibabel's parrec2nii.", (b"# === DATA DESCRIPTION",)),
    Foreign("Philips PAR/REC", "Convert it with dcm2niix or nibabel's parrec2nii.", suffixes=(".par", ".rec")),
    Foreign("AFNI HEAD/BRIK", "Convert it with AFNI's 3dAFNItoNIFTI.", suffixes=(".head", ".brik", ".brik.gz")),
    Foreign("MINC 1", "Convert it with mnc2nii.", (b"CDF\x01", b"CDF\x02")),
    Foreign("HDF5 (MINC 2 or other)", "A MINC 2 file: convert it with mnc2nii.", (b"\x89HDF\r\n\x1a\n",)),
    Foreign("ECAT 7", f"{_FROM_DICOM}, for example with nibabel or ecat2nii.", (b"MATRIX7",)),
    Foreign("Interfile", f"{_FROM_DICOM}, for example with SimpleITK or STIR.", (b"!INTERFILE", b"!interfile")),
    Foreign("Interfile", f"{_FROM_DICOM}, for example with SimpleITK or STIR.", suffixes=(".h33", ".i33", ".hv")),
    Foreign(".img (without its .hdr)", "Put the .hdr file of its name beside it.", suffixes=(".img", ".img.gz")),
    Foreign("MetaImage", f"{_FROM_DICOM} with SimpleITK.", (b"ObjectType", b"NDims"), suffixes=(".mhd", ".mha")),
    Foreign("NRRD", f"{_FROM_DICOM} with SimpleITK or 3D Slicer.", (b"NRRD00",)),
    Foreign("GIFTI or other XML", "Pass the volume, not the surface.", (b"<?xml",)),
    Foreign("tar archive", _UNPACK, contains=((257, b"ustar"),), suffixes=(".tar", ".tgz")),
    Foreign("bzip2", _UNPACK, (b"BZh",)),
    Foreign("xz", _UNPACK, (b"\xfd7zXZ\0",)),
    Foreign("Zstandard", _UNPACK, (b"\x28\xb5\x2f\xfd",)),
    Foreign("7-Zip archive", _UNPACK, (b"7z\xbc\xaf\x27\x1c",)),
    Foreign("RAR archive", _UNPACK, (b"Rar!\x1a\x07",)),
    Foreign("TIFF", "Save the slice as PNG.", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Foreign("GIF", "Save the slice as PNG.", (b"GIF87a", b"GIF89a")),
    Foreign("BMP", "Save the slice as PNG.", (b"BM",)),
    Foreign("WebP", "Save the slice as PNG.", contains=((8, b"WEBPVP8"),)),
    Foreign("JPEG 2000", "Save the slice as PNG.", (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
    Foreign("PDF", "Pass the scan itself; from a report save the slice as PNG.", (b"%PDF-",)),
    Foreign("NumPy array", "It has no geometry: save a NIfTI with its affine instead.", (b"\x93NUMPY",)),
    Foreign("DICOM as JSON", "Pass the DICOM file itself.", (b'{"00', b'{\n    "00', b'{\n  "00')),
)

_READ_SUFFIXES: Final = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".mgh": "MGH",
    ".mgz": "MGZ",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".dcm": "DICOM",
    ".zip": "zip",
}


def refusal(blob: Blob) -> InputError:
    """The error for a file that no reader claims: its kind and how to convert it, as far as they are known."""
    plain, inner = blob.head(_HEAD_BYTES), inflated_head(blob, _HEAD_BYTES)
    for kind in KINDS:
        if kind.matches(plain, blob.name) or kind.matches(inner, blob.name):
            return UnsupportedError(
                f"{kind.name} files are not read.",
                where=blob.name,
                found=kind.name,
                expected="NIfTI, MGZ, DICOM (file, folder or zip), PNG or JPEG",
                fix=kind.fix,
            )
    ending = max((s for s in _READ_SUFFIXES if blob.name.lower().endswith(s)), key=len, default=None)
    if ending:
        return UnreadableError(
            f"The name says {_READ_SUFFIXES[ending]}, the content does not.",
            where=blob.name,
            found=f"first bytes {plain[:8].hex(' ')}",
            expected=f"a {_READ_SUFFIXES[ending]} signature",
            fix="Copy or download the file again, or give it its right name.",
        )
    return UnsupportedError(
        "The file is of no kind that is known here.",
        where=blob.name,
        found=f"first bytes {plain[:8].hex(' ')}",
        expected="NIfTI, MGZ, DICOM (file, folder or zip), PNG or JPEG",
        fix="Convert the scan to NIfTI or DICOM.",
    )
