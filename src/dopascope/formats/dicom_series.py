"""DICOM series of single-frame images (MR, CT, PT, NM) into a Volume: one file, one slice."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import GeometryError, HostileError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_acquisition import KEYWORDS as ACQUISITION_KEYWORDS
from dopascope.formats.dicom_acquisition import acquisition_of
from dopascope.formats.dicom_dictionary import tags
from dopascope.formats.dicom_enhanced import is_enhanced
from dopascope.formats.dicom_file import Header, contents, header_of, is_dicom
from dopascope.formats.dicom_nuclear import NM_CLASS, check_kind, is_nuclear, nuclear_plane
from dopascope.formats.dicom_pixels import PixelModule, pixel_module, stored_values
from dopascope.formats.dicom_plane import Plane, affine_of, plane_of
from dopascope.formats.dicom_stack import Stack, stack_of
from dopascope.formats.dicom_values import Scaling, real_world_of, rescale_of
from dopascope.formats.registry import ReadOptions, Strictness, reader
from dopascope.volume import Grid, Source, Volume

SPLIT_KEYWORDS: Final = (
    *("ImageType", "EchoNumbers", "EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber", "DiffusionBValue"),
    *("InversionTime", "TriggerTime", "FlipAngle", "FrameReferenceTime", "AcquisitionDate", "AcquisitionTime"),
    *("ContentTime", "SeriesTime"),
)
"""What may tell apart images that share a position, in the order in which they are tried."""

_HELPERS: Final = 2
_FILES_AHEAD: Final = 8
"""Threads that read and hash, and how many files they may be ahead: what a series costs in memory beyond itself."""

WANTED: Final = tags(
    *ACQUISITION_KEYWORDS,
    *SPLIT_KEYWORDS,
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SeriesNumber", "SeriesDescription"),
    *("InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("SpacingBetweenSlices", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept"),
    *("RealWorldValueMappingSequence", "FrameIncrementPointer", "SliceVector", "NumberOfEnergyWindows"),
    *("NumberOfDetectors", "NumberOfRotations", "NumberOfRRIntervals", "NumberOfTimeSlots", "PatientID"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
"""Elements kept when a series is surveyed or read."""


@dataclass(frozen=True, eq=False)
class SeriesLayout:
    """Where each slice goes, known from the headers alone."""

    headers: tuple[Header, ...]
    modules: tuple[PixelModule, ...]
    scalings: tuple[Scaling, ...]
    stack: Stack
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """Grid of the volume."""
        return Grid((self.modules[0].columns, self.modules[0].rows, self.stack.slices), self.stack.affine)


def is_series(blob: Blob) -> bool:
    """True for DICOM files that the NM and the enhanced reader leave."""
    return is_dicom(blob) and not is_nuclear(blob) and not is_enhanced(blob)


@reader(
    "dicom-series", sniff=is_series, description="DICOM series of single-frame images (MR, CT, PT, NM)", series=True
)
def read(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """The volume of a series, its files in any order.

    Raises:
        UnsupportedError: not an image, colour, a mosaic, a single slice.
        GeometryError: mixed orientation, uneven spacing, missing slices, gantry tilt.
        AmbiguousError: several images at one position.
        UnreadableError, HostileError: damaged, or over a limit.
    """
    check_total(blobs, options)
    headers = tuple(header_of(blob, options.limits, WANTED) for blob in blobs)
    layout = layout_of(headers, options)
    stacked, digest = _stacked_values(blobs, layout, options)
    if layout.stack.weights is not None:
        stacked = np.tensordot(layout.stack.weights.astype(np.float32), stacked, axes=1)
    first = headers[layout.stack.order[0]]
    source = Source(
        path=blobs[0].name,
        format="dicom-series",
        sha256=digest,
        files=len(blobs),
        assumed=(*layout.notes, *layout.stack.notes),
        orientation_from="Image Orientation (Patient)",
    )
    units = layout.scalings[0].units
    return Volume(stacked.transpose(2, 1, 0), layout.grid, acquisition=acquisition_of(first, units), source=source)


def check_total(blobs: Sequence[Blob], options: ReadOptions) -> None:
    """Raises HostileError when the files together are larger than one file may be, or are too many."""
    total = sum(blob.size for blob in blobs)
    limits = options.limits
    if total > limits.max_file_bytes or len(blobs) > limits.max_files:
        raise HostileError(
            "The series is larger than is allowed.",
            where=blobs[0].name,
            found=f"{len(blobs)} files of {total} bytes together",
            expected=f"at most max_file_bytes = {limits.max_file_bytes} and max_files = {limits.max_files}",
            fix="If you trust the files, raise that limit with --limit NAME=VALUE.",
        )


@lru_cache(maxsize=1)
def layout_of(headers: tuple[Header, ...], options: ReadOptions) -> SeriesLayout:
    """Order, geometry and scale of a series, without its pixels; raises as `read` does.

    The last one is kept: what a survey worked out is what the reader needs next.
    """
    first = headers[0]
    _check_is_slice_series(headers)
    modules = tuple(pixel_module(header, options.limits) for header in headers)
    _check_one_size(first.name, modules, options)
    planes = [_plane(header) for header in headers]
    scalings = tuple(_scaling(header) for header in headers)
    if len(headers) == 1:
        stack, notes = _single(first, planes[0], options.strictness)
        return SeriesLayout(headers, modules, scalings, stack, notes)
    return SeriesLayout(headers, modules, scalings, stack_of(first.name, planes, options.strictness))


def _check_is_slice_series(headers: Sequence[Header]) -> None:
    for header in headers:
        if "MOSAIC" in header.texts("ImageType"):
            raise UnsupportedError(
                "A Siemens mosaic tiles a whole volume into one picture; its slice positions are private.",
                where=f"{header.name}, ImageType",
                found="MOSAIC",
                expected="one slice per file",
                fix="Export the series as enhanced DICOM, or convert it with the maker's software.",
            )
        if (header.integer("NumberOfFrames") or 1) > 1:
            raise UnsupportedError(
                "This multi-frame image does not say where its frames lie.",
                where=f"{header.name}, NumberOfFrames",
                found=f"{header.integer('NumberOfFrames')} frames of SOP class {header.text('SOPClassUID')}",
                expected="an enhanced or nuclear medicine multi-frame image, or one slice per file",
                fix="Export the original series, not a capture or a cine loop of it.",
            )
        if header.text("SOPClassUID") == NM_CLASS:
            check_kind(header)


def _check_one_size(name: str, modules: Sequence[PixelModule], options: ReadOptions) -> None:
    shapes = {(module.rows, module.columns) for module in modules}
    if len(shapes) > 1:
        raise GeometryError(
            "The slices do not have one size.",
            where=name,
            found=", ".join(f"{columns} x {rows}" for rows, columns in sorted(shapes)),
            expected="one number of rows and columns",
            fix="Choose a series that is one volume.",
        )
    claimed = sum(module.nbytes for module in modules)
    if claimed > options.limits.max_volume_bytes:
        raise HostileError(
            "The series claims an image larger than is allowed.",
            where=name,
            found=f"{len(modules)} slices, {claimed} bytes",
            expected=f"at most max_volume_bytes = {options.limits.max_volume_bytes}",
            fix="If you trust the files, raise the limit with --limit max_volume_bytes=N.",
        )


def _plane(header: Header) -> Plane:
    return nuclear_plane(header)[0] if header.text("Modality") == "NM" else plane_of(header)


def _scaling(header: Header) -> Scaling:
    """Rescale where there is one; else the one real-world value map of NM and PT; else as stored."""
    rescale = rescale_of(header)
    if rescale is None and header.text("Modality") in ("NM", "PT"):
        rescale = real_world_of(header)[0]
    return rescale or Scaling()


def _single(header: Header, plane: Plane, strictness: Strictness) -> tuple[Stack, tuple[str, ...]]:
    """A stack of one slice, only where the caller asked for leniency: its thickness is then its spacing."""
    thickness = header.number("SpacingBetweenSlices") or header.number("SliceThickness") or 0.0
    if strictness is Strictness.RAISE or thickness <= 0:
        raise UnsupportedError(
            "This is one slice of a scan.",
            where=header.name,
            found=f"one image at position {', '.join(f'{x:g}' for x in plane.position)} mm",
            expected="a series of slices",
            fix="Give the folder or zip that holds the whole series.",
        )
    notes = (f"one slice only; slice thickness {thickness:g} mm",) if strictness is Strictness.WARN else ()
    order = np.array([0], np.intp)
    return Stack(order, affine_of(plane, plane.normal * thickness)), notes


def _stacked_values(
    blobs: Sequence[Blob], layout: SeriesLayout, options: ReadOptions
) -> tuple[NDArray[np.float32], str]:
    """Values `(slices, rows, columns)` in order, and the digest of the files' digests in that order."""
    order = layout.stack.order
    out = np.empty((len(order), layout.modules[0].rows, layout.modules[0].columns), np.float32)
    digest = hashlib.sha256()
    for k, (stored_bytes, file_digest) in enumerate(_read_ahead([blobs[index] for index in order])):
        header, module, scaling = (of[order[k]] for of in (layout.headers, layout.modules, layout.scalings))
        digest.update(file_digest)
        values = stored_values(header, module, contents(header, stored_bytes, options.limits))
        out[k] = scaling.applied(values[0])
    return out, digest.hexdigest()


def _read_ahead(blobs: Sequence[Blob]) -> Iterator[tuple[bytes, bytes]]:
    """Bytes and SHA-256 of each file, a few files ahead of the caller: reading and hashing need no interpreter lock."""

    def read_and_hash(blob: Blob) -> tuple[bytes, bytes]:
        stored_bytes = blob.read()
        return stored_bytes, hashlib.sha256(stored_bytes).digest()

    if len(blobs) <= _FILES_AHEAD:
        yield from map(read_and_hash, blobs)
        return
    with ThreadPoolExecutor(_HELPERS) as pool:
        ahead = deque(pool.submit(read_and_hash, blob) for blob in blobs[:_FILES_AHEAD])
        for index in range(len(blobs)):
            done = ahead.popleft().result()
            if index + _FILES_AHEAD < len(blobs):
                ahead.append(pool.submit(read_and_hash, blobs[index + _FILES_AHEAD]))
            yield done
