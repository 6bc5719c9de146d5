"""NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz`, and pairs of `.hdr` and `.img`, in both byte orders."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from dopascope.errors import GeometryError, HostileError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats.blob import Blob
from dopascope.formats.inflate import ForwardReader, inflated_head
from dopascope.formats.limits import Limits
from dopascope.formats.nifti_header import SIZES, NiftiHeader, affine_of, looks_like_analyze, notes, parse, sniff_version
from dopascope.formats.registry import ReadOptions, reader
from dopascope.volume import Grid, Source, Volume

_PAIR_SUFFIXES: Final = (".hdr", ".hdr.gz", ".img", ".img.gz")


def _sniff(blob: Blob) -> bool:
    head = inflated_head(blob, SIZES[2])
    if sniff_version(head) or looks_like_analyze(head):
        return True
    return blob.name.lower().endswith((".img", ".img.gz")) and _partner(blob, ".hdr") is not None


@reader("nifti", sniff=_sniff, description="NIfTI-1 and NIfTI-2 (.nii, .nii.gz, .hdr with .img)")
def read_nifti(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """One volume of a NIfTI file, float32 `(I, J, K)` in the file's own axis order.

    Trailing axes of length 1 are dropped; of a real 4-D file `options.frame` chooses the volume.

    Raises:
        GeometryError: no orientation (also Analyze 7.5), or a contradictory one.
        UnsupportedError: RGB, complex or other types refused by name; 4-D without a frame; five axes and more.
        HostileError: the header claims more than a limit allows.
        UnreadableError: damaged, truncated, or claiming more than is there.
    """
    head_blob = _header_blob(blobs[0])
    with ForwardReader(head_blob, options.limits) as stream:
        header = _read_header(stream, head_blob)
        frame = _frame(header, options.frame)
        affine, orientation, assumed = affine_of(header, options.strictness)
        grid = _grid(header, affine)
        if not header.pair:
            data = _voxels(stream, header, frame, options.limits)
            digests = [stream.finish()]
        else:
            digests = [stream.finish()]
            with ForwardReader(_image_blob(head_blob), options.limits) as image:
                data = _voxels(image, header, frame, options.limits)
                digests.append(image.finish())
    source = Source(
        path=blobs[0].name,
        format="nifti",
        sha256=digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
        files=len(digests),
        assumed=notes(header) + assumed,
        orientation_from=orientation,
    )
    return Volume(data.reshape(header.shape, order="F"), grid, source=source)


def _read_header(stream: ForwardReader, blob: Blob) -> NiftiHeader:
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


def _voxels(stream: ForwardReader, header: NiftiHeader, frame: int, limits: Limits) -> np.ndarray:
    _check_claim(stream, header, frame, limits)
    start = header.offset + frame * header.volume_bytes
    stream.skip(start - stream.position)
    i, j, k = header.shape
    return stream.array(i * j * k, header.dtype, *header.scaling)


def _check_claim(stream: ForwardReader, header: NiftiHeader, frame: int, limits: Limits) -> None:
    """Compare what the header claims with the limits and with what the file can hold, before anything is allocated."""
    claim = header.volume_bytes
    if claim > limits.max_volume_bytes:
        raise HostileError(
            "The header claims a larger volume than the limit.",
            where=header.name,
            found=f"{header.shape} x {header.dtype.itemsize} bytes = {claim} bytes",
            expected=f"at most max_volume_bytes = {limits.max_volume_bytes}",
            fix="If you trust the file, raise the limit max_volume_bytes.",
        )
    needed = header.offset + (frame + 1) * claim
    if needed > stream.capacity:
        raise UnreadableError(
            "The header claims more voxels than the file can hold.",
            where=header.name,
            found=f"room for {stream.capacity} bytes",
            expected=f"{needed} bytes",
            fix="Copy or download the file again; it was cut off or its header is wrong.",
        )


def _frame(header: NiftiHeader, asked: int | None) -> int:
    if asked is None and header.volumes > 1:
        raise UnsupportedError(
            "The file holds several volumes.",
            where=header.name,
            found=f"{header.volumes} volumes, axis lengths {header.dims}",
            expected="one volume",
            fix=f"Choose one with frame 0 to {header.volumes - 1}.",
        )
    chosen = asked or 0
    if not 0 <= chosen < header.volumes:
        raise UsageError(
            "The file has no such frame.",
            where=header.name,
            found=f"frame {chosen}",
            expected=f"0 to {header.volumes - 1}",
            fix="Choose a frame that is there.",
        )
    return chosen


def _grid(header: NiftiHeader, affine: np.ndarray) -> Grid:
    try:
        return Grid(header.shape, affine)
    except GeometryError as error:
        error.where = header.name
        raise


def _header_blob(blob: Blob) -> Blob:
    """The blob with the header: the blob itself, or the `.hdr` beside an `.img`."""
    if not blob.name.lower().endswith((".img", ".img.gz")) or sniff_version(inflated_head(blob, SIZES[2])):
        return blob
    return _partner(blob, ".hdr") or blob


def _image_blob(header_blob: Blob) -> Blob:
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
