"""FreeSurfer's MGH and MGZ: a 284-byte big-endian header, then voxels with the first axis fastest.

Layout after FreeSurfer's "MGH file format" page (https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import GeometryError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.claims import check_volume_claim, chosen_frame, grid_of, header_floats
from dopascope.formats.inflate import ForwardReader, inflated_head
from dopascope.formats.registry import ReadOptions, Strictness, reader
from dopascope.volume import Source, Volume

HEADER_BYTES: Final = 284
USED_BYTES: Final = 90
"""Of the header, those that mean something."""

_HEADER: Final = np.dtype(
    {
        "names": ["version", "dims", "type", "good_ras", "delta", "directions", "centre"],
        "formats": [">i4", (">i4", 4), ">i4", ">i2", (">f4", 3), (">f4", (3, 3)), (">f4", 3)],
        "offsets": [0, 4, 20, 28, 30, 42, 78],
        "itemsize": HEADER_BYTES,
    }
)

_TYPES: Final = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
_REFUSED_TYPES: Final = {2: "long", 5: "bitmap", 6: "tensor", 11: "RGB"}

_DEFAULT_DIRECTIONS: Final = ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
"""FreeSurfer's documented default where goodRASFlag is 0: coronal slices, axes left, inferior, anterior."""


def _sniff(blob: Blob) -> bool:
    head = inflated_head(blob, HEADER_BYTES)
    if len(head) < 24 or head[:4] != b"\0\0\0\1":
        return False
    dims = np.frombuffer(head, ">i4", 4, 4)
    kind = int(np.frombuffer(head, ">i4", 1, 20)[0])
    return bool((dims >= 1).all()) and kind in (_TYPES | _REFUSED_TYPES)


@reader("mgz", sniff=_sniff, description="FreeSurfer MGH and MGZ (.mgh, .mgz)")
def read_mgz(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """One volume of an MGH or MGZ file, float32 `(I, J, K)` in the file's own axis order.

    Raises:
        GeometryError: goodRASFlag is 0 (unless the strictness allows FreeSurfer's default), or the axes are degenerate.
        UnsupportedError: a voxel type refused by name; several frames and none chosen.
        HostileError: the header claims more than a limit allows.
        UnreadableError: damaged, truncated, or claiming more than is there.
    """
    blob = blobs[0]
    with ForwardReader(blob, options.limits) as stream:
        header = np.frombuffer(stream.read(HEADER_BYTES), _HEADER, 1)[0]
        shape, dtype = _claimed(header, blob.name)
        frame = chosen_frame(blob.name, int(header["dims"][3]), options.frame)
        affine, orientation, assumed = _affine(header, shape, blob.name, options.strictness)
        grid = grid_of(blob.name, shape, affine)
        count = shape[0] * shape[1] * shape[2]
        start = HEADER_BYTES + frame * count * dtype.itemsize
        check_volume_claim(
            blob.name, shape, dtype.itemsize, first_byte=start, capacity=stream.capacity, limits=options.limits
        )
        stream.skip(start - stream.position)
        data = stream.array(count, dtype).reshape(shape, order="F")
        digest = stream.finish()
    source = Source(blob.name, "mgz", digest, assumed=assumed, orientation_from=orientation)
    return Volume(data, grid, source=source)


def claimed(head: bytes, name: str) -> tuple[tuple[int, int, int], int, int]:
    """Voxels (I, J, K), frames and bytes of a voxel that a header claims.

    Raises:
        UnreadableError, UnsupportedError: see `read_mgz`.
    """
    header = np.frombuffer(head, _HEADER, 1)[0]
    shape, dtype = _claimed(header, name)
    return shape, int(header["dims"][3]), dtype.itemsize


def _claimed(header: NDArray[Any], name: str) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    i, j, k, frames = (int(n) for n in header["dims"])
    if int(header["version"]) != 1 or min(i, j, k, frames) < 1:
        raise UnreadableError(
            "This is not an MGH header.",
            where=name,
            found=f"version {int(header['version'])}, axis lengths {i}, {j}, {k}, frames {frames}",
            expected="version 1 and lengths of 1 or more",
            fix="Save the volume again with FreeSurfer's mri_convert.",
        )
    kind = int(header["type"])
    if kind not in _TYPES:
        raise UnsupportedError(
            f"Voxels of type {_REFUSED_TYPES.get(kind, 'unknown')} are not intensities.",
            where=name,
            found=f"MGH type {kind}",
            expected="uchar, int, float, short or ushort",
            fix="Save the volume as float with mri_convert -odt float.",
        )
    return (i, j, k), np.dtype(_TYPES[kind])


def _affine(
    header: NDArray[Any], shape: tuple[int, int, int], name: str, strictness: Strictness
) -> tuple[geometry.Affine, str, tuple[str, ...]]:
    """Affine (4, 4) in RAS mm: the header's centre is the world position of index shape / 2."""
    assumed: tuple[str, ...] = ()
    if int(header["good_ras"]) > 0:
        directions = header_floats(header["directions"]).T
        spacing, centre = header_floats(header["delta"]), header_floats(header["centre"])
        orientation = "MGH direction cosines"
    elif strictness is Strictness.RAISE:
        raise GeometryError(
            "The file does not say which way the head lies.",
            where=name,
            found="goodRASFlag 0",
            expected="goodRASFlag 1 with direction cosines",
            fix="Convert the scan again from its DICOM files, or pass --strictness warn to have FreeSurfer's default "
            "(coronal slices of 1 mm) assumed.",
        )
    else:
        directions, spacing, centre = np.array(_DEFAULT_DIRECTIONS).T, np.ones(3), np.zeros(3)
        orientation = "assumed"
        assumed = ("the file has no orientation (goodRASFlag 0): FreeSurfer's default, coronal slices of 1 mm",)
    if not (np.isfinite(spacing).all() and (spacing > 0).all() and np.isfinite(directions).all()):
        raise GeometryError(
            "The voxel size or direction is not a number.",
            where=name,
            found=f"spacing {', '.join(f'{s:g}' for s in spacing)} mm",
            expected="three positive numbers and finite direction cosines",
            fix="Convert the scan again from its DICOM files.",
        )
    affine = geometry.from_parts(directions, spacing, np.zeros(3))
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) / 2)
    return affine, orientation, assumed
