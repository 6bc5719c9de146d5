"""Bytes to Volume and back: one registry of readers, one way in (`load`), every read bounded by `Limits`."""

from __future__ import annotations

from pathlib import Path

from dopascope.errors import UnreadableError, UnsupportedError
from dopascope.formats import nifti as nifti
from dopascope.formats.blob import Blob
from dopascope.formats.limits import Limits
from dopascope.formats.registry import READERS, Reader, ReadOptions, Strictness, reader
from dopascope.volume import SliceImage, Volume

__all__ = ["READERS", "Blob", "Limits", "ReadOptions", "Reader", "Strictness", "load", "reader"]


def load(
    source: str | Path,
    *,
    series: str | None = None,
    frame: int | None = None,
    strictness: Strictness = Strictness.RAISE,
    limits: Limits = Limits(),
) -> Volume | SliceImage:
    """The scan in a file, a folder or a zip.

    Args:
        source: path of a file, a folder with one or more series, or a zip.
        series: which series of several, as `survey` names it.
        frame: which volume of a 4-D file, from 0.
        strictness: what to do about flaws that can be measured and lived with.
        limits: bounds on the read.

    Returns:
        A `Volume` (float32 `(I, J, K)`), or a `SliceImage` for a PNG or JPEG.

    Raises:
        InputError: one of its kinds, saying what, where and how to mend it.
        UsageError: a frame or series that is not there.
    """
    path = Path(source)
    options = ReadOptions(frame=frame, strictness=strictness, limits=limits)
    if not path.exists():
        raise UnreadableError("There is no such file or folder.", where=path, fix="Check the path.")
    blob = Blob(str(path), path=path)
    for known in READERS.values():
        if known.sniff(blob):
            return known.read([blob], options)
    raise UnsupportedError("The file is of no kind that is read here.", where=path, fix="Convert it to NIfTI or DICOM.")
