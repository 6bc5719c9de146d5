"""DICOM NM multi-frame images: reconstructed tomography into a Volume, everything else refused by name.

Geometry (PS3.3):
- C.8.4.11, Detector Information Sequence: Image Position (Patient) is the centre of the first voxel
  transmitted, Image Orientation (Patient) the directions of row and column.
- C.8.4.15, Spacing Between Slices: "measured from center-to-center of each slice along the normal to the
  first image. The sign [...] determines the direction of stacking. The normal is determined by the cross
  product of the direction cosines of the first row and first column of the first frame, such that a positive
  spacing indicates slices are stacked behind the first slice and a negative spacing [...] in front of" it.
- C.8.4.8, Slice Vector: the slice number of each frame, in whatever order the frames come.

So the centre of frame n, with slice numbers v, spacing s and normal = row x column, lies at
`position + (v[n] - v[0]) * s * normal`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import GeometryError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_acquisition import acquisition_of
from dopascope.formats.dicom_file import Header, contents, header_of, is_dicom
from dopascope.formats.dicom_pixels import PixelModule, pixel_module, stored_values
from dopascope.formats.dicom_plane import Plane, affine_of, plane_of
from dopascope.formats.dicom_values import Scaling, real_world_of, rescale_of
from dopascope.formats.registry import ReadOptions, Strictness, reader
from dopascope.volume import Grid, Source, Volume

NM_CLASS: Final = "1.2.840.10008.5.1.4.1.1.20"
"""Nuclear Medicine Image Storage."""

SAME_PLACE_MM: Final = 0.01
"""Detectors whose positions differ by more than this do not describe one volume."""

_SLICE_VECTOR: Final = (0x0054, 0x0080)

_RECONSTRUCT: Final = "Reconstruct it on the camera's workstation and export the RECON TOMO image."
_REFUSED: Final = {
    "STATIC": ("planar views, not a volume", "Export the reconstructed slices (RECON TOMO) of the tomographic scan."),
    "WHOLE BODY": ("whole-body planar views, not a volume", "Export the reconstructed slices (RECON TOMO)."),
    "DYNAMIC": ("a dynamic planar series, not a volume", "Export the reconstructed slices (RECON TOMO)."),
    "GATED": ("gated planar views, not a volume", "Export the reconstructed slices (RECON TOMO)."),
    "TOMO": ("raw projections that are not reconstructed yet", _RECONSTRUCT),
    "GATED TOMO": ("raw gated projections that are not reconstructed yet", _RECONSTRUCT),
    "RECON GATED TOMO": ("one volume per heart phase", "Export the ungated reconstruction (RECON TOMO)."),
}
"""Image Type value 3 (C.8.4.9.1.1.3): why it is refused, and what to do."""


def is_nuclear(blob: Blob) -> bool:
    """True for a DICOM file whose head names the NM storage class."""
    head = blob.head(4096)
    return is_dicom(blob) and any(NM_CLASS.encode() + end in head for end in (b"\0", b"\x08", b" "))


@reader("dicom-nm", sniff=is_nuclear, description="DICOM nuclear medicine, reconstructed tomography (multi-frame)")
def read(blobs: Sequence[Blob], options: ReadOptions) -> Volume:
    """The one reconstructed volume of an NM multi-frame file.

    Raises:
        UnsupportedError: STATIC, DYNAMIC, GATED, WHOLE BODY or TOMO, or several volumes in one file.
        GeometryError: position, orientation or spacing is missing or contradictory.
        UnreadableError, HostileError: damaged, or over a limit.
    """
    blob = blobs[0]
    header = header_of(blob, options.limits)
    layout = layout_of(header, options)
    stored_bytes = blob.read()
    values = stored_values(header, layout.module, contents(header, stored_bytes, options.limits))
    if layout.order is not None:
        values = values[layout.order]
    data = np.asarray(layout.scaling.applied(values), np.float32).transpose(2, 1, 0)
    source = Source(
        path=blob.name,
        format="dicom-nm",
        sha256=hashlib.sha256(stored_bytes).hexdigest(),
        assumed=layout.assumed,
        orientation_from=layout.orientation_from,
    )
    return Volume(data, layout.grid, acquisition=acquisition_of(header, layout.scaling.units), source=source)


@dataclass(frozen=True, eq=False)
class NuclearLayout:
    """Where each frame goes, known from the header alone."""

    module: PixelModule
    grid: Grid
    order: NDArray[np.intp] | None
    """Frame of each slice; None where frames are in slice order."""
    scaling: Scaling
    assumed: tuple[str, ...]
    orientation_from: str


def layout_of(header: Header, options: ReadOptions) -> NuclearLayout:
    """Geometry, order and scale of an NM image, without its pixels; raises as `read` does."""
    assumed = list(check_kind(header))
    module = pixel_module(header, options.limits)
    if module.frames == 1 and options.strictness is Strictness.RAISE:
        raise UnsupportedError(
            "This is one slice of a scan.",
            where=f"{header.name}, NumberOfFrames",
            found="1 frame",
            expected="a reconstructed volume",
            fix="Give the file, or the folder of files, that holds the whole reconstruction.",
        )
    slices = _slice_numbers(header, module.frames, assumed)
    plane, origin = nuclear_plane(header)
    step = plane.normal * _signed_spacing(header, assumed)
    scaling = scaling_of(header, assumed)
    first = replace(plane, position=plane.position + (slices.min() - slices[0]) * step)
    order = np.argsort(slices)
    in_order = bool((order == np.arange(len(order))).all())
    return NuclearLayout(
        module=module,
        grid=Grid((module.columns, module.rows, module.frames), affine_of(first, step)),
        order=None if in_order else order,
        scaling=scaling,
        assumed=tuple(assumed),
        orientation_from=origin,
    )


def check_kind(header: Header) -> tuple[str, ...]:
    """Pass a RECON TOMO image; returns what had to be assumed.

    Raises:
        UnsupportedError: any other kind, by name, with the reason and what to do.
    """
    types = header.texts("ImageType")
    kind = types[2].upper() if len(types) > 2 else ""
    if kind == "RECON TOMO":
        return ()
    pointer = header.numbers("FrameIncrementPointer")
    if kind not in _REFUSED and pointer is not None and pointer[-2:] == _SLICE_VECTOR:
        # Only RECON TOMO is sequenced by the Slice Vector alone (table C.8-8).
        return ("Image Type does not name the kind; the Slice Vector says RECON TOMO",)
    why, fix = _REFUSED.get(kind, ("of a kind that Image Type does not name", "Export the reconstructed slices."))
    raise UnsupportedError(
        f"This nuclear medicine image is {why}.",
        where=f"{header.name}, ImageType value 3",
        found=kind or "nothing",
        expected="RECON TOMO",
        fix=fix,
    )


def _slice_numbers(header: Header, frames: int, assumed: list[str]) -> NDArray[np.int64]:
    """Slice number of each frame, `(frames,)`: unique and without gaps."""
    found = header.numbers("SliceVector")
    if found is None:
        assumed.append("Slice Vector is absent: frames are taken in slice order")
        return np.arange(frames)
    numbers = np.array(found, np.int64)
    if len(numbers) != frames:
        raise UnreadableError(
            "Slice Vector and Number of Frames contradict each other.",
            where=f"{header.name}, SliceVector",
            found=f"{len(numbers)} slice numbers",
            expected=f"{frames}, one for each frame",
            fix="Export the scan again.",
        )
    unique = np.unique(numbers)
    if len(unique) < frames:
        raise _several_volumes(header, frames, len(unique))
    if unique[-1] - unique[0] != frames - 1:
        raise GeometryError(
            "Slices are missing from the reconstructed volume.",
            where=f"{header.name}, SliceVector",
            found=f"{frames} slices numbered {unique[0]} to {unique[-1]}",
            expected="slice numbers without gaps",
            fix="Export the whole reconstruction.",
        )
    if numbers[0] != unique[0]:
        assumed.append(f"Image Position (Patient) belongs to the first frame, which is slice {numbers[0]}")
    return numbers


def _several_volumes(header: Header, frames: int, slices: int) -> UnsupportedError:
    kinds = [
        f"{int(count)} {name}"
        for keyword, name in (
            ("NumberOfEnergyWindows", "energy windows"),
            ("NumberOfDetectors", "detectors"),
            ("NumberOfRotations", "rotations"),
            ("NumberOfRRIntervals", "R-R intervals"),
            ("NumberOfTimeSlots", "time slots"),
        )
        if (count := header.number(keyword) or 1) > 1
    ]
    return UnsupportedError(
        "The file holds several volumes.",
        where=f"{header.name}, SliceVector",
        found=f"{frames} frames for {slices} slices; {', '.join(kinds) or 'the header does not say why'}",
        expected="each slice once",
        fix="Export the volume that is meant (one energy window, one rotation) as a file of its own.",
    )


def nuclear_plane(header: Header) -> tuple[Plane, str]:
    """Plane of the first frame, and where it was found: the Detector Information Sequence, else the image itself.

    Raises:
        GeometryError: no position or orientation, or detectors that contradict each other.
    """
    items = [one for one in header.items("DetectorInformationSequence") if one.raw("ImageOrientationPatient")]
    if not items:
        return plane_of(header), "Image Orientation (Patient)"
    planes = [plane_of(item, header) for item in items]
    first = planes[0]
    for other in planes[1:]:
        apart = float(np.linalg.norm(other.position - first.position))
        turned = max(np.abs(other.row - first.row).max(), np.abs(other.column - first.column).max())
        if apart > SAME_PLACE_MM or turned > 1e-4:
            raise GeometryError(
                "The detectors of one reconstructed volume lie in different places.",
                where=f"{header.name}, DetectorInformationSequence",
                found=f"{apart:.3f} mm apart, directions {turned:.5f} apart",
                expected=f"at most {SAME_PLACE_MM} mm",
                fix="Export the reconstruction with one detector item.",
            )
    return first, "Image Orientation (Patient) in Detector Information Sequence"


def _signed_spacing(header: Header, assumed: list[str]) -> float:
    spacing = header.number("SpacingBetweenSlices")
    if spacing is None:
        spacing = header.number("SliceThickness")
        if spacing is not None:
            assumed.append(f"Spacing Between Slices is absent: Slice Thickness {abs(spacing):g} mm, stacked forwards")
            spacing = abs(spacing)
    if not spacing or not np.isfinite(spacing):
        raise GeometryError(
            "The distance between slices is not known.",
            where=f"{header.name}, SpacingBetweenSlices",
            found="nothing" if spacing is None else f"{spacing} mm",
            expected="a length in mm, not 0, there or in SliceThickness",
            fix="Export the reconstruction with its slice spacing.",
        )
    return spacing


def scaling_of(header: Header, assumed: list[str]) -> Scaling:
    """Real-world value map first, since NM has no modality table (PS3.3 A.5); else rescale; else as stored."""
    real, notes = real_world_of(header)
    assumed.extend(notes)
    return real or rescale_of(header) or Scaling()
