"""NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz`, and pairs of `.hdr` and `.img`, in both byte orders."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import GeometryError, UnreadableError
from dopascope.formats.blob import Blob
from dopascope.formats.claims import check_volume_claim, chosen_frame, grid_of
from dopascope.formats.inflate import ForwardReader, inflated_head
from dopascope.formats.limits import Limits
from dopascope.formats.nifti_header import (
    SIZES,
    NiftiHeader,
    affine_of,
    looks_like_analyze,
    notes,
    parse,
    sniff_version,
)
from dopascope.formats.registry import ReadOptions, reader
from dopascope.formats.sidecar import FROM_SIDECAR, sidecar_of
from dopascope.volume import Acquisition, Source, Volume

_PAIR_SUFFIXES: Final = (".hdr", ".hdr.gz", ".img", ".img.gz")


def _sniff(blob: Blob) -> bool:
    head = inflated_head(blob, SIZES[2])
    return sniff_version(head) is not None or looks_like_analyze(head)


@reader("nifti", sniff=_sniff, description="NIfTI-1 and NIfTI-2 (.nii, .nii.gz, .hdr with .img)")
def read_nifti(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """One volume of a NIfTI file, float32 `(I, J, K)` in the file's own axis order.

    Trailing axes of length 1 are dropped; of a real 4-D file `options.frame` chooses the volume. How the scan was made
    comes from the JSON file of ours beside it (`formats.sidecar`), where there is one.

    Raises:
        GeometryError: no orientation (also Analyze 7.5), or a contradictory one.
        UnsupportedError: RGB, complex or other types refused by name; 4-D without a frame; five axes and more.
        HostileError: the header claims more than a limit allows.
        UnreadableError: damaged, truncated, or claiming more than is there.
    """
    head_blob = first_of_pair(blobs[0])
    facts = sidecar_of(blobs[0])
    with ForwardReader(head_blob, options.limits) as stream:
        header = read_header(stream, head_blob)
        frame = chosen_frame(header.name, header.volumes, options.frame)
        affine, orientation, assumed = affine_of(header, options.strictness)
        grid = grid_of(header.name, header.shape, affine)
        if not header.pair:
            data = _voxels(stream, header, frame, options.limits)
            digests = [stream.finish()]
        else:
            digests = [stream.finish()]
            with ForwardReader(image_blob(head_blob), options.limits) as image:
                data = _voxels(image, header, frame, options.limits)
                digests.append(image.finish())
    source = Source(
        path=blobs[0].name,
        format="nifti",
        sha256=digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
        files=len(digests),
        assumed=notes(header) + assumed + ((FROM_SIDECAR,) if facts else ()),
        orientation_from=orientation,
    )
    return Volume(data, grid, facts or Acquisition(), source)


def read_header(stream: ForwardReader, blob: Blob) -> NiftiHeader:
    """The header at the start of a `.nii` or `.hdr`.

    Raises:
        GeometryError: Analyze 7.5.
        UnreadableError, UnsupportedError: see `nifti_header.parse`.
    """
    head = stream.read(SIZES[1])
    if looks_like_analyze(head):
        raise GeometryError(
            "An Analyze 7.5 header does not say which way the head lies.",
            where=blob.name,
            found="a 348-byte header without the NIfTI magic",
            expected="a NIfTI header with sform or qform",
            fix="Convert the scan again from its DICOM files to NIfTI (for example with dcm2niix).",
        )
    version = sniff_version(head)
    if version == 2:
        head += stream.read(SIZES[2] - SIZES[1])
    return parse(head, blob.name)


def _voxels(stream: ForwardReader, header: NiftiHeader, frame: int, limits: Limits) -> NDArray[np.float32]:
    start = header.offset + frame * header.volume_bytes
    check_volume_claim(
        header.name,
        header.shape,
        header.dtype.itemsize,
        first_byte=start,
        capacity=stream.capacity,
        limits=limits,
    )
    stream.skip(start - stream.position)
    i, j, k = header.shape
    return stream.array(i * j * k, header.dtype, *header.scaling).reshape(header.shape, order="F")


def first_of_pair(blob: Blob) -> Blob:
    """The `.hdr` beside an `.img` that has no header of its own; any other blob itself."""
    if not blob.name.lower().endswith((".img", ".img.gz")) or sniff_version(inflated_head(blob, SIZES[2])):
        return blob
    return _partner(blob, ".hdr") or blob


def image_blob(header_blob: Blob) -> Blob:
    """The `.img` that belongs to a `.hdr`.

    Raises:
        UnreadableError: it is not here.
    """
    image = _partner(header_blob, ".img")
    if image is None:
        raise UnreadableError(
            "The header's voxels are in another file, and it is not here.",
            where=header_blob.name,
            found="no .img or .img.gz of the same name beside it",
            expected="a pair of .hdr and .img",
            fix="Put the .img file into the same folder.",
        )
    return image


def _partner(blob: Blob, suffix: str) -> Blob | None:
    """The other file of a pair: same name, `suffix` or `suffix` with .gz."""
    name = blob.path.name if blob.path else blob.name
    ending = next((s for s in sorted(_PAIR_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), None)
    stem = name[: -len(ending)] if ending else name.rsplit(".", 1)[0]
    found = (blob.sibling(stem + end) for end in (suffix, suffix + ".gz", suffix.upper()))
    return next((other for other in found if other is not None), None)
