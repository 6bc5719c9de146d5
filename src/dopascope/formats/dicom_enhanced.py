"""Enhanced multi-frame MR, CT and PET: geometry and scale from the functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import AmbiguousError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_acquisition import acquisition_of
from dopascope.formats.dicom_file import Header, contents, header_of, is_dicom
from dopascope.formats.dicom_pixels import PixelModule, pixel_module, stored_values
from dopascope.formats.dicom_plane import Plane, plane_of
from dopascope.formats.dicom_stack import SAME_POSITION_MM, Stack, stack_of
from dopascope.formats.dicom_values import Scaling, rescale_of
from dopascope.formats.registry import ReadOptions, reader
from dopascope.volume import Grid, Source, Volume

ENHANCED_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.130": "Enhanced PET",
    "1.2.840.10008.5.1.4.1.1.128.1": "Legacy Converted Enhanced PET",
}
"""Storage classes read here (PS3.4 B.5)."""


def is_enhanced(blob: Blob) -> bool:
    """True for a DICOM file whose head names one of `ENHANCED_CLASSES`."""
    head = blob.head(4096)
    return is_dicom(blob) and any(name.encode() + end in head for name in ENHANCED_CLASSES for end in (b"\0", b"\x08"))


@dataclass(frozen=True, eq=False)
class EnhancedLayout:
    """Where each frame goes, known from the header alone."""

    module: PixelModule
    frames: NDArray[np.intp]
    """The frames of the chosen volume, as they come."""
    scalings: tuple[Scaling, ...]
    """Of those frames."""
    stack: Stack

    @property
    def grid(self) -> Grid:
        """Grid of the volume."""
        return Grid((self.module.columns, self.module.rows, self.stack.slices), self.stack.affine)


@reader("dicom-enhanced", sniff=is_enhanced, description="DICOM enhanced multi-frame MR, CT and PET")
def read(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """The one volume of an enhanced multi-frame file, or the one that `options.frame` names.

    Raises:
        GeometryError: geometry missing, mixed, uneven or tilted.
        AmbiguousError: several volumes (echoes, time points) and no `frame`.
        UsageError: a `frame` that is not there.
        UnsupportedError, UnreadableError, HostileError: as the other readers.
    """
    blob = blobs[0]
    header = header_of(blob, options.limits)
    layout = layout_of(header, options)
    stored_bytes = blob.read()
    values = stored_values(header, layout.module, contents(header, stored_bytes, options.limits))
    out = np.empty((len(layout.frames), layout.module.rows, layout.module.columns), np.float32)
    for k, index in enumerate(layout.stack.order):
        out[k] = layout.scalings[index].applied(values[layout.frames[index]])
    if layout.stack.weights is not None:
        out = np.tensordot(layout.stack.weights.astype(np.float32), out, axes=1)
    source = Source(
        path=blob.name,
        format="dicom-enhanced",
        sha256=hashlib.sha256(stored_bytes).hexdigest(),
        assumed=layout.stack.notes,
        orientation_from="Plane Orientation Sequence",
    )
    return Volume(out.transpose(2, 1, 0), layout.grid, acquisition=acquisition_of(header), source=source)


def layout_of(header: Header, options: ReadOptions) -> EnhancedLayout:
    """Order, geometry and scale, without the pixels; raises as `read` does."""
    module = pixel_module(header, options.limits)
    shared = header.item("SharedFunctionalGroupsSequence")
    each = header.items("PerFrameFunctionalGroupsSequence")
    if len(each) != module.frames:
        raise UnreadableError(
            "Number of Frames and the functional groups contradict each other.",
            where=f"{header.name}, PerFrameFunctionalGroupsSequence",
            found=f"{len(each)} items",
            expected=f"{module.frames}, one for each frame",
            fix="Export the scan again.",
        )
    planes = [_plane(group, shared) for group in each]
    frames = _one_volume(header, each, planes, options)
    if len(frames) == 1:
        raise UnsupportedError(
            "This enhanced image has one slice only.",
            where=header.name,
            found="1 position",
            expected="a volume",
            fix="Give the series that holds the whole volume.",
        )
    return EnhancedLayout(
        module=module,
        frames=frames,
        scalings=tuple(_scaling(each[frame], shared) for frame in frames),
        stack=stack_of(header.name, [planes[frame] for frame in frames], options.strictness),
    )


def _group(each: Header, shared: Header | None, keyword: str) -> Header | None:
    """A functional group: of the frame itself, else the one shared by all frames (C.7.6.16.1.1)."""
    return each.item(keyword) or (shared.item(keyword) if shared is not None else None)


def _plane(each: Header, shared: Header | None) -> Plane:
    """Plane Position, Plane Orientation and Pixel Measures (C.7.6.16.2.1, .3, .4) put together."""
    together: dict[int, tuple[bytes, bytes]] = {}
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        group = _group(each, shared, keyword)
        together |= group.elements if group is not None else {}
    return plane_of(Header(each.name, together, each.encoding, each.budget))


def _scaling(each: Header, shared: Header | None) -> Scaling:
    """Pixel Value Transformation (C.7.6.16.2.9)."""
    group = _group(each, shared, "PixelValueTransformationSequence")
    return (rescale_of(group) if group is not None else None) or Scaling()


def _one_volume(
    header: Header, each: Sequence[Header], planes: Sequence[Plane], options: ReadOptions
) -> NDArray[np.intp]:
    """Frames of the one volume, or of volume `options.frame` where every position is imaged several times."""
    heights = np.array([plane.position @ planes[0].normal for plane in planes])
    order = np.argsort(heights, kind="stable")
    starts = np.concatenate([[True], np.diff(heights[order]) > SAME_POSITION_MM])
    positions = np.split(order, np.flatnonzero(starts)[1:])
    counts = {len(frames) for frames in positions}
    volumes = max(counts)
    wanted = options.frame
    if wanted is not None and not 0 <= wanted < volumes:
        raise UsageError(
            "There is no such volume in the file.",
            where=header.name,
            found=f"frame {wanted}",
            expected=f"0 to {volumes - 1}",
            fix="Choose one of these.",
        )
    if volumes == 1:
        return np.arange(len(planes), dtype=np.intp)
    if wanted is None or len(counts) > 1:
        raise AmbiguousError(
            "The file holds several images of each slice: echoes, time points or directions.",
            where=header.name,
            found=f"{len(planes)} frames at {len(positions)} positions",
            expected="one image for each position",
            fix=f"Choose one with frame = 0 to {volumes - 1}."
            if len(counts) == 1
            else "Export the volume that is meant as a series of its own.",
        )
    ranked = [sorted(frames, key=lambda frame: _rank(each[frame], int(frame))) for frames in positions]
    return np.array([frames[wanted] for frames in ranked], np.intp)


def _rank(each: Header, frame: int) -> tuple[float, ...]:
    """Frames at one position are told apart by their dimension indices (C.7.6.17), else by their order."""
    content = each.item("FrameContentSequence")
    indices = content.numbers("DimensionIndexValues") if content is not None else None
    return (*(indices or ()), float(frame))
