"""The NIfTI-1 and NIfTI-2 header: what it claims, checked before a voxel is read, and the affine it gives.

Layout after the standard's nifti1.h and nifti2.h (https://nifti.nimh.nih.gov); the choice between sform and
qform is nibabel's: the sform where its code is above 0, else the qform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import GeometryError, UnreadableError, UnsupportedError
from dopascope.formats.claims import header_floats
from dopascope.formats.registry import Strictness

SIZES: Final = {1: 348, 2: 540}
"""Header bytes by NIfTI version; also the value of `sizeof_hdr`."""

_MAGICS: Final = {b"n+1\0": 1, b"ni1\0": 1, b"n+2\0": 2, b"ni2\0": 2}

_FIELDS: Final[dict[int, dict[str, tuple[str, int]]]] = {
    1: {
        "sizeof_hdr": ("i4", 0),
        "dim": ("(8,)i2", 40),
        "datatype": ("i2", 70),
        "bitpix": ("i2", 72),
        "pixdim": ("(8,)f4", 76),
        "vox_offset": ("f4", 108),
        "scl_slope": ("f4", 112),
        "scl_inter": ("f4", 116),
        "xyzt_units": ("u1", 123),
        "qform_code": ("i2", 252),
        "sform_code": ("i2", 254),
        "quatern": ("(3,)f4", 256),
        "qoffset": ("(3,)f4", 268),
        "srow": ("(3,4)f4", 280),
        "magic": ("V4", 344),
    },
    2: {
        "sizeof_hdr": ("i4", 0),
        "magic": ("V4", 4),
        "datatype": ("i2", 12),
        "bitpix": ("i2", 14),
        "dim": ("(8,)i8", 16),
        "pixdim": ("(8,)f8", 104),
        "vox_offset": ("i8", 168),
        "scl_slope": ("f8", 176),
        "scl_inter": ("f8", 184),
        "qform_code": ("i4", 344),
        "sform_code": ("i4", 348),
        "quatern": ("(3,)f8", 352),
        "qoffset": ("(3,)f8", 376),
        "srow": ("(3,4)f8", 400),
        "xyzt_units": ("i4", 500),
    },
}

DATATYPES: Final = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""NIfTI datatype codes that are read, as numpy types."""

REFUSED_DATATYPES: Final = {
    0: "unknown",
    1: "binary (1 bit per voxel)",
    32: "complex64",
    128: "RGB24",
    1536: "float128",
    1792: "complex128",
    2048: "complex256",
    2304: "RGBA32",
}
"""Datatype codes of the standard that are refused by name."""

_MM_PER_UNIT: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES: Final = {1: "metres", 3: "micrometres"}

QUATERNION_SLACK: Final = 1e-6
"""How far b2 + c2 + d2 may exceed 1 by rounding of float32 before the rotation is called impossible."""


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI header claims, in plain numbers; nothing of it has been believed yet."""

    name: str
    version: int
    order: Literal["<", ">"]
    pair: bool
    """True where the voxels stand in a separate `.img` file."""
    fields: NDArray[Any]

    @property
    def dims(self) -> tuple[int, ...]:
        """All axis lengths as claimed, one to seven of them."""
        dim = self.fields["dim"]
        return tuple(int(n) for n in dim[1 : int(dim[0]) + 1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """The three spatial axis lengths; 1 for those the file does not have."""
        i, j, k = (*self.dims, 1, 1)[:3]
        return i, j, k

    @property
    def volumes(self) -> int:
        """How many volumes stand one after the other along the fourth axis."""
        return int(np.prod(self.dims[3:], dtype=object)) if len(self.dims) > 3 else 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type of a voxel, in the file's byte order."""
        return np.dtype(self.order + DATATYPES[int(self.fields["datatype"])])

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume at its stored type."""
        i, j, k = self.shape
        return i * j * k * self.dtype.itemsize

    @property
    def offset(self) -> int:
        """First byte of the voxels in their file."""
        value = int(self.fields["vox_offset"])
        return value if value or self.pair else SIZES[self.version] + 4

    @property
    def scaling(self) -> tuple[float, float]:
        """`scl_slope` and `scl_inter`; (1, 0) where the slope says that there is none."""
        slope, inter = float(self.fields["scl_slope"]), float(self.fields["scl_inter"])
        return (slope, inter) if slope and np.isfinite(slope) else (1.0, 0.0)


def sniff_version(head: bytes) -> int | None:
    """The NIfTI version that the first bytes of a header file announce, if any."""
    if len(head) >= 348 and head[344:348] in _MAGICS and _MAGICS[head[344:348]] == 1:
        return 1
    if len(head) >= 8 and _MAGICS.get(head[4:8]) == 2:
        return 2
    return None


def looks_like_analyze(head: bytes) -> bool:
    """True for a 348-byte header in either byte order that carries no NIfTI magic: Analyze 7.5."""
    sized = head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
    return sized and sniff_version(head) is None


def parse(head: bytes, name: str) -> NiftiHeader:
    """Header from its first 348 (or 540) bytes.

    Raises:
        UnreadableError: sizes, axis lengths, offset or scaling contradict the standard.
        UnsupportedError: a datatype or number of axes that is refused by name.
    """
    version = sniff_version(head)
    if version is None or len(head) < SIZES[version]:
        raise _wrong("This is not a NIfTI header.", name, f"{len(head)} bytes", "348 bytes with the magic n+1 or ni1")
    layout = _FIELDS[version]
    for order in ("<", ">"):
        dtype = np.dtype(
            {
                "names": list(layout),
                "formats": [order + form if "(" not in form else _ordered(form, order) for form, _ in layout.values()],
                "offsets": [at for _, at in layout.values()],
                "itemsize": SIZES[version],
            }
        )
        fields = np.frombuffer(head, dtype, 1)[0]
        if int(fields["sizeof_hdr"]) == SIZES[version]:
            pair = fields["magic"].tobytes().startswith(b"ni")
            header = NiftiHeader(name, version, order, pair, fields)
            _check(header)
            return header
    raise _wrong("The header does not state its own size.", name, head[:4].hex(), str(SIZES[version]))


def _ordered(form: str, order: str) -> tuple[str, tuple[int, ...]]:
    shape, _, kind = form.partition(")")
    return order + kind, tuple(int(n) for n in shape.strip("(").split(",") if n)


def _check(header: NiftiHeader) -> None:
    fields, name = header.fields, header.name
    count = int(fields["dim"][0])
    if not 1 <= count <= 7:
        raise _wrong("The header gives an impossible number of axes.", name, f"dim[0] = {count}", "1 to 7")
    if min(header.dims) < 1:
        raise _wrong("An axis has no voxels.", name, f"dim = {header.dims}", "every axis length 1 or more")
    if any(n > 1 for n in header.dims[4:]):
        raise UnsupportedError(
            "A file with five or more real axes is not one scan.",
            where=name,
            found=f"axis lengths {header.dims}",
            expected="three spatial axes, at most one more",
            fix="Extract one volume, for example with nibabel's slicer or fslroi.",
        )
    code = int(fields["datatype"])
    if code not in DATATYPES:
        raise UnsupportedError(
            f"Voxels of type {REFUSED_DATATYPES.get(code, 'unknown')} are not intensities.",
            where=name,
            found=f"datatype {code}",
            expected="integers or real numbers: " + ", ".join(map(str, DATATYPES)),
            fix="Save the scan as int16 or float32; of complex data save the magnitude.",
        )
    _check_offset(header)
    slope, inter = header.scaling
    if not np.isfinite(inter):
        raise _wrong("The intercept is not a number.", name, f"scl_slope {slope}, scl_inter {inter}", "a finite number")


def _check_offset(header: NiftiHeader) -> None:
    value = float(header.fields["vox_offset"])
    least = 0 if header.pair else SIZES[header.version]
    whole = np.isfinite(value) and value == int(value)
    if not whole or (value != 0 and value < least) or value < 0 or value >= 2**62:
        raise _wrong("The voxels cannot begin there.", header.name, f"vox_offset = {value}", f"0, or {least} and more")


def _wrong(what: str, name: str, found: str, expected: str) -> UnreadableError:
    return UnreadableError(
        what, where=name, found=found, expected=expected, fix="Convert the scan again from its DICOM files."
    )


def notes(header: NiftiHeader) -> tuple[str, ...]:
    """What has to be assumed to read a header that is a little off, in words for `Source.assumed`."""
    found = []
    bits = int(header.fields["bitpix"])
    if bits != header.dtype.itemsize * 8:
        found.append(f"bitpix says {bits} bits, the datatype {header.dtype.itemsize * 8}: the datatype is believed")
    unit = int(header.fields["xyzt_units"]) & 7
    if unit in _UNIT_NAMES:
        found.append(f"lengths are in {_UNIT_NAMES[unit]} as the header says, and were turned into mm")
    return tuple(found)


def affine_of(header: NiftiHeader, strictness: Strictness) -> tuple[geometry.Affine, str, tuple[str, ...]]:
    """Affine (4, 4) in RAS mm, where it is from, and what had to be assumed for it.

    The sform is used where its code is above 0, else the qform. Neither: GeometryError, or at WARN and IGNORE
    a box centred on the origin whose axes are taken as R, A, S.

    Raises:
        GeometryError: no orientation, an impossible one, or two that contradict each other about left and right.
    """
    sform_code, qform_code = int(header.fields["sform_code"]), int(header.fields["qform_code"])
    if sform_code > 0:
        assumed = _agreement(header, strictness) if qform_code > 0 else ()
        return _in_mm(header, _sform(header)), f"sform (code {sform_code})", assumed
    if qform_code > 0:
        return _in_mm(header, _qform(header)), f"qform (code {qform_code})", ()
    return (
        _in_mm(header, _from_pixdim(header, strictness)),
        "assumed",
        (
            "the file has no orientation (sform and qform codes are 0): axes taken as right, anterior, superior, "
            "centred; left and right are not known",
        ),
    )


def _in_mm(header: NiftiHeader, affine: geometry.Affine) -> geometry.Affine:
    affine[:3] *= _MM_PER_UNIT.get(int(header.fields["xyzt_units"]) & 7, 1.0)
    return affine


def _sform(header: NiftiHeader) -> geometry.Affine:
    affine = np.eye(4)
    affine[:3] = header_floats(header.fields["srow"])
    return affine


def _qform(header: NiftiHeader) -> geometry.Affine:
    """Method 2 of nifti1.h: unit quaternion (a, b, c, d), pixdim, qfac = pixdim[0]."""
    b, c, d = header_floats(header.fields["quatern"])
    rest = 1.0 - (b * b + c * c + d * d)
    if not rest >= -QUATERNION_SLACK:
        raise GeometryError(
            "The qform is not a rotation.",
            where=header.name,
            found=f"quaternion b, c, d = {b:.4g}, {c:.4g}, {d:.4g}",
            expected="b2 + c2 + d2 of at most 1",
            fix="Convert the scan again from its DICOM files.",
        )
    a = np.sqrt(max(rest, 0.0))
    directions = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    spacing = _pixdim(header)
    if float(header.fields["pixdim"][0]) < 0:
        spacing = spacing * [1, 1, -1]
    return geometry.from_parts(directions, spacing, header_floats(header.fields["qoffset"]))


def _pixdim(header: NiftiHeader) -> NDArray[np.float64]:
    # Axes that a 1-D or 2-D file does not have may leave their pixdim empty.
    spacing = header_floats(header.fields["pixdim"][1:4])
    spacing[len(header.dims) :] = np.where(spacing[len(header.dims) :] > 0, spacing[len(header.dims) :], 1.0)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise GeometryError(
            "The voxel size is not a length.",
            where=header.name,
            found=f"pixdim = {', '.join(f'{s:g}' for s in spacing)}",
            expected="three positive numbers",
            fix="Convert the scan again from its DICOM files.",
        )
    return spacing


def _from_pixdim(header: NiftiHeader, strictness: Strictness) -> geometry.Affine:
    if strictness is Strictness.RAISE:
        raise GeometryError(
            "The file does not say which way the head lies.",
            where=header.name,
            found="sform_code 0 and qform_code 0",
            expected="one of them above 0",
            fix="Convert the scan again from its DICOM files, or pass --strictness warn to have axes R, A, S assumed.",
        )
    spacing = _pixdim(header)
    return geometry.from_parts(np.eye(3), spacing, -spacing * (np.array(header.shape) - 1) / 2)


def _agreement(header: NiftiHeader, strictness: Strictness) -> tuple[str, ...]:
    """A note where the qform says something else than the sform that is used."""
    sform = _sform(header)
    try:
        qform = _qform(header)
    except GeometryError:
        return ("the qform is not a rotation; the sform is used",)
    if not np.isfinite([sform, qform]).all():
        return ()  # refused by the grid where it is used
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        if strictness is Strictness.RAISE:
            raise GeometryError(
                "The header contradicts itself about left and right.",
                where=header.name,
                found=f"sform {geometry.axis_codes(sform)}, qform {geometry.axis_codes(qform)}",
                expected="two orientations of the same handedness",
                fix="Find out which is right and rewrite the file, or pass --strictness warn to use the sform.",
            )
        return ("sform and qform have opposite handedness; the sform is used",)
    corners = np.array([[0, 0, 0], header.shape]) - [[0], [1]]
    apart = np.abs(geometry.apply_affine(sform - qform, corners)).max()
    return (f"sform and qform differ by {apart:.1f} mm; the sform is used",) if apart > 1.0 else ()
