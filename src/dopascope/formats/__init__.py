"""Bytes to Volume and back: one registry of readers, one way in (`load`), every read bounded by `Limits`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dopascope.errors import UnreadableError, UsageError
from dopascope.formats import choose
from dopascope.formats import mgz as mgz  # imported so that its reader is registered; so are the next two
from dopascope.formats import nifti as nifti
from dopascope.formats import picture as picture
from dopascope.formats.archive import is_zip
from dopascope.formats.blob import Blob
from dopascope.formats.choose import Candidate, meant_among, read_chosen
from dopascope.formats.dicom_file import is_dicom
from dopascope.formats.foreign import refusal
from dopascope.formats.identity import Identity, identity_of
from dopascope.formats.inflate import check_file_size
from dopascope.formats.limits import Limits
from dopascope.formats.registry import READERS, Reader, ReadOptions, Strictness, reader
from dopascope.formats.save import save_nifti
from dopascope.volume import SliceImage, Volume

if TYPE_CHECKING:
    from dopascope.formats.dicom_write import write_nm

__all__ = [
    "READERS",
    "Blob",
    "Candidate",
    "Identity",
    "Limits",
    "ReadOptions",
    "Reader",
    "Strictness",
    "identity_of",
    "load",
    "meant_among",
    "reader",
    "save_nifti",
    "survey",
    "write_nm",
]


def __getattr__(name: str) -> Any:
    # Writing needs pydicom whole, 0.2 s that no reading and no refusal should wait for.
    if name == "write_nm":
        from dopascope.formats.dicom_write import write_nm

        return write_nm
    raise AttributeError(f"module 'dopascope.formats' has no attribute {name!r}")


def load(
    source: str | Path,
    *,
    series: str | None = None,
    frame: int | None = None,
    strictness: Strictness = Strictness.RAISE,
    limits: Limits | None = None,
) -> Volume | SliceImage:
    """The scan in a file, a folder or a zip.

    Args:
        source: path of a file, a folder with one or more series, or a zip.
        series: which of several series, by the id that `choose.survey` gives.
        frame: which volume of a 4-D file, from 0.
        strictness: what to do about flaws that can be measured and lived with.
        limits: bounds on the read; the defaults of `Limits` without it.

    Returns:
        A `Volume` (float32 `(I, J, K)`), or a `SliceImage` for a PNG or JPEG.

    Raises:
        InputError: one of its kinds, saying what, where and how to mend it.
        UsageError: a frame or series that is not there.
    """
    path, bounds = Path(source), limits or Limits()
    options = ReadOptions(frame=frame, strictness=strictness, limits=bounds)
    if path.is_dir():
        return read_chosen(path, series, options)
    blob = _blob_of(path, bounds)
    if is_zip(blob) or is_dicom(blob):
        return read_chosen(path, series, options)
    known = next((one for one in READERS.values() if one.sniff(blob)), None)
    if known is None:
        raise refusal(blob)
    if series is not None:
        raise UsageError(
            "The file holds no series to choose from.",
            where=path,
            found=f"series {series}",
            fix="Leave the series out.",
        )
    return known.read([blob], options)


def survey(source: str | Path, limits: Limits | None = None) -> list[Candidate]:
    """Every image in a file, a folder or a zip, readable or not, without its pixels.

    Raises:
        InputError: nothing is there, a damaged archive, or a limit passed.
    """
    path, bounds = Path(source), limits or Limits()
    return choose.survey(path if path.is_dir() else _blob_of(path, bounds).name, bounds)


def _blob_of(path: Path, limits: Limits) -> Blob:
    if not path.is_file():  # a pipe or device would block or never end
        raise UnreadableError(
            "There is no such file or folder." if not path.exists() else "This is neither a file nor a folder.",
            where=path,
            fix="Check the path.",
        )
    blob = Blob(str(path), path=path)
    check_file_size(blob, limits)
    return nifti.first_of_pair(blob)
