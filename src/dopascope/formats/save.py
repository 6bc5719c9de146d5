"""A volume or label map to a NIfTI-1 file, whole or not at all."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.provenance import replacing
from dopascope.volume import LabelMap, Volume

_LABEL_TYPES: Final = (np.uint8, np.int16, np.int32)


def save_nifti(
    image: Volume | LabelMap, path: str | Path, *, code: int = 1, whole: bool = False, note: str = ""
) -> None:
    """Write `image` to `path` (`.nii` or `.nii.gz`) with its affine as sform and, where it has no shear, as qform.

    Intensities are written as float32, labels as the smallest integers that hold them.

    Args:
        image: what to write.
        path: replaced only when the writing went well.
        code: the NIfTI code of both forms: 1 scanner, 2 aligned, 3 Talairach, 4 MNI152.
        whole: write intensities that are whole numbers of 16 bits as integers, as scanners store them.
        note: for the header's `descrip`, cut at 79 characters; its first word stands in `intent_name` too.

    Raises:
        UsageError: another suffix, an unknown code, labels that int32 cannot hold, or intensities that are not `whole`.
    """
    import nibabel

    target = Path(path)
    if not target.name.lower().endswith((".nii", ".nii.gz")) or code not in (1, 2, 3, 4):
        raise UsageError(
            "The NIfTI file cannot be written like this.",
            where=target,
            found=f"code {code}",
            expected="a name ending in .nii or .nii.gz and a code of 1 to 4",
            fix="Correct the name or the code.",
        )
    nifti = _nifti(_as_whole(image, target) if whole else image, code, target)
    nifti.header["descrip"] = note[:79].encode()
    nifti.header["intent_name"] = note.partition(" ")[0][:15].encode()
    with replacing(target) as temporary:
        nibabel.save(nifti, temporary)


STEPS: Final = 32767
"""Of int16 above zero."""


def nifti_gz(volume: Volume, *, code: int, coarse: bool = False) -> bytes:
    """The bytes of a `.nii.gz` file of `volume`: fast to make, and the same each time (no time, no name).

    With `coarse` the values are int16 with a slope, exact to half a 32,767th of the largest, in about half the bytes:
    for looking, not for measuring.

    Noise hardly compresses, so little is lost by ISA-L's fastest level: 3.4 ms and 3.25 MB for a scan on the MNI grid,
    where zlib took 36 ms and as many bytes for runs of zeros alone. CPUs of other kinds may pack the same values into
    other bytes.
    """
    step = (float(np.abs(volume.data).max()) or 1.0) / STEPS
    kept = LabelMap(np.rint(volume.data / step).astype(np.int16), volume.grid) if coarse else volume
    nifti = _nifti(kept, code, Path("volume"))
    if coarse:
        nifti.header.set_slope_inter(step, 0)
    packed: bytes = isal_zlib.compress(nifti.to_bytes(), 1, 16 + zlib.MAX_WBITS)
    return packed


def _as_whole(image: Volume | LabelMap, target: Path) -> LabelMap:
    data = image.data
    if not (np.abs(data) <= STEPS).all() or (data != np.rint(data)).any():
        raise UsageError(
            "These intensities are no whole numbers of 16 bits.",
            where=target,
            found=f"{float(data.min()):g} to {float(data.max()):g}",
            expected=f"whole numbers, -{STEPS} to {STEPS}",
            fix="Round them, or write them as they are.",
        )
    return LabelMap(data.astype(np.int16), image.grid)


def _nifti(image: Volume | LabelMap, code: int, target: Path) -> Any:
    import nibabel

    data = image.data if isinstance(image, Volume) else _labels(image.data, target)
    make: Any = nibabel.Nifti1Image  # nibabel is typed in part only
    nifti = make(data, image.grid.affine, dtype=data.dtype)
    nifti.set_sform(image.grid.affine, code)
    sheared = geometry.shear(image.grid.affine) > geometry.ORTHOGONAL_TOLERANCE
    nifti.set_qform(image.grid.affine, 0 if sheared else code)
    nifti.header.set_xyzt_units("mm")
    return nifti


def _labels(data: NDArray[Any], target: Path) -> NDArray[Any]:
    lowest, highest = int(data.min()), int(data.max())
    for kind in _LABEL_TYPES:
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return data.astype(kind)
    raise UsageError(
        "Labels are too large for a NIfTI file that others can read.",
        where=target,
        found=f"{lowest} to {highest}",
        expected="values that int32 holds",
        fix="Number the labels from 1.",
    )
