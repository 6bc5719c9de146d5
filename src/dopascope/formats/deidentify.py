"""Scans without names: DICOM by PS3.15 Annex E, other formats by what their readers know.

What is kept and why, and what this cannot do (faces, text in pixels): docs/deidentification.md.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dopascope.errors import InputError, UnsuitableError, UnsupportedError, UsageError
from dopascope.formats import nifti, registry
from dopascope.formats.archive import Listing, blobs_of, is_zip
from dopascope.formats.blob import Blob
from dopascope.formats.deidentify_dicom import clean_dicom
from dopascope.formats.deidentify_images import clean_mgz, clean_nifti, clean_picture, clean_sidecar
from dopascope.formats.deidentify_person import Key, Person, key_of, new_key
from dopascope.formats.deidentify_report import Removed
from dopascope.formats.dicom_dictionary import tags
from dopascope.formats.dicom_file import header_of, is_dicom
from dopascope.formats.foreign import refusal
from dopascope.formats.inflate import check_file_size
from dopascope.formats.limits import Limits
from dopascope.provenance import write_bytes

__all__ = [
    "CleanOptions",
    "Key",
    "Person",
    "Removed",
    "deidentify",
    "deidentify_scan",
    "key_of",
    "new_folder",
    "new_key",
    "pseudonym_of",
]

_UNNAMED: Final = "nobody"


@dataclass(frozen=True)
class CleanOptions:
    """What a caller may choose."""

    allow_burned_in: bool = False
    """Let images through whose pixels may show a name, with a warning."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class _Clean:
    """One cleaned file in memory."""

    content: bytes
    suffix: str
    sidecar: bytes | None = None


def deidentify(
    source: Path, out: Path, *, key: Key, pseudonym: str | None = None, options: CleanOptions | None = None
) -> Removed:
    """A clean copy of one file at `out`, or of a folder or zip in the new folder `out`.

    Args:
        source: a file of a format that is read, a folder, or a zip; it is only read.
        out: file to write, whole or not at all; for a folder or zip a folder that is not there yet, filled with files
            named by the pseudonym.
        key: the project's secret.
        pseudonym: the person's new name; without it one that follows from the key and who the header says this is.
        options: what to let through, and the bounds on the read.

    Raises:
        UsageError: `out` is the source, lies inside it, or is there already.
        InputError: nothing here can be cleaned; says why.
    """
    chosen = options or CleanOptions()
    person = key.person(pseudonym or pseudonym_of(source, key, chosen.limits))
    _check_apart(source, out)
    if _is_many(source):
        return _folder(source, out, key, person, chosen)
    removed = Removed(person.pseudonym)
    name = out.name[: len(out.name) - len("".join(out.suffixes))]
    clean = _cleaned(Blob(str(source), path=source), name, key, person, removed, chosen)
    if not out.name.lower().endswith(clean.suffix):
        raise UsageError(
            "The copy cannot have this name.",
            where=out,
            expected=f"a name ending in {clean.suffix}",
            fix=f"Name it {person.pseudonym}{clean.suffix}.",
        )
    _write(clean, out)
    return removed


def deidentify_scan(
    path: Path,
    folder: Path,
    pseudonym: str,
    key: bytes,
    *,
    name: str | None = None,
    options: CleanOptions | None = None,
) -> tuple[Path, Removed]:
    """A clean copy of a scan in `folder`: what an importer calls.

    Args:
        path: a file, a folder with a series, or a zip.
        folder: where to put the copy, made where it is missing.
        pseudonym: the person's new name, the same for all of a person's scans: the shift of dates follows from it.
        key: the project's secret, 16 bytes or more.
        name: of the copy, without suffix; the pseudonym where it is not given.
        options: what to let through, and the bounds on the read.

    Returns:
        The file or folder written, and what was removed.

    Raises:
        UsageError: a pseudonym or name that is no file name; the copy is there already and is a folder.
        InputError: nothing here can be cleaned; says why.
    """
    secret, chosen = Key(key), options or CleanOptions()
    person = secret.person(pseudonym)
    target = folder / secret.person(name or pseudonym).pseudonym
    _check_apart(path, target)
    if _is_many(path):
        return target, _folder(path, target, secret, person, chosen)
    removed = Removed(pseudonym)
    clean = _cleaned(Blob(str(path), path=path), target.name, secret, person, removed, chosen)
    out = target.with_name(target.name + clean.suffix)
    _write(clean, out)
    return out, removed


def pseudonym_of(source: Path, key: Key, limits: Limits | None = None) -> str:
    """The name that follows from the key and the Patient ID (else name and birth date) of the first DICOM header.

    A scan that says nothing of the person gets the name that follows from its file's name.
    """
    bounds = limits or Limits()
    for blob in blobs_of(source, bounds).blobs if _is_many(source) else (Blob(str(source), path=source),):
        if not is_dicom(blob):
            continue
        try:
            header = header_of(Blob(blob.name, blob.path, blob.content), bounds)
        except InputError:
            continue
        said = [header.text(one) or "" for one in ("PatientID", "PatientName", "PatientBirthDate")]
        if any(said):
            return key.pseudonym(said[0] or "\0".join(said))
    return key.pseudonym(source.name or _UNNAMED)


def _is_many(path: Path) -> bool:
    return path.is_dir() or (path.is_file() and is_zip(Blob(str(path), path=path)))


def _check_apart(source: Path, out: Path) -> None:
    """A copy never goes where it came from."""
    if not source.exists():
        raise UnsupportedError("There is no such file or folder.", where=source, fix="Check the path.")
    inside = source.resolve() if source.is_dir() else None
    target = out.resolve()
    if target == source.resolve() or (inside is not None and target.is_relative_to(inside)):
        raise UsageError(
            "The clean copy would lie in its own source.",
            where=out,
            expected="a path outside the source",
            fix="Choose another place.",
        )


def _cleaned(blob: Blob, name: str, key: Key, person: Person, removed: Removed, options: CleanOptions) -> _Clean:
    """The clean content; warnings name the copy, since the source's name may be a person's."""
    check_file_size(blob, options.limits)
    part = Removed(person.pseudonym, files=1)
    clean = _by_format(blob, key, person, part, options)
    removed.add(part, name + clean.suffix)
    return clean


def _by_format(blob: Blob, key: Key, person: Person, removed: Removed, options: CleanOptions) -> _Clean:
    if is_dicom(blob):
        data = clean_dicom(blob, key, person, removed, options.limits, allow_burned_in=options.allow_burned_in)
        return _Clean(data, ".dcm")
    known = next((one.name for one in registry.READERS.values() if one.sniff(nifti.first_of_pair(blob))), None)
    if known == "nifti":
        return _Clean(*clean_nifti(blob, removed, options.limits), clean_sidecar(blob, removed))
    if known == "mgz":
        return _Clean(*clean_mgz(blob, removed, options.limits))
    if known == "picture":
        return _Clean(*clean_picture(blob, removed, options.limits))
    raise refusal(blob)


def _write(clean: _Clean, out: Path) -> None:
    if clean.sidecar is not None:
        write_bytes(out.with_name(out.name.removesuffix(clean.suffix) + ".json"), clean.sidecar)
    write_bytes(out, clean.content)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes when not.

    Raises:
        UsageError: `path` is there and is no empty folder.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(
            "The place for the clean copy is taken.",
            where=path,
            expected="a folder that is not there yet, or an empty one",
            fix="Remove it, or name another.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".", suffix="-" + path.name, dir=path.parent))
    try:
        yield making
        making.chmod(0o755)
        if path.exists():
            path.rmdir()
        making.rename(path)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _folder(source: Path, out: Path, key: Key, person: Person, options: CleanOptions) -> Removed:
    """All images of a folder or zip, numbered in the order of their names; the folder appears when all is done."""
    removed = Removed(person.pseudonym)
    first: InputError | None = None
    with new_folder(out) as making:
        listing = blobs_of(source, options.limits)
        _check_one_person(source, listing, options.limits)
        removed.left_out += listing.skipped
        for blob in listing.blobs:
            try:
                _one_of_many(blob, making, key, person, removed, options)
            except UnsuitableError:
                raise
            except InputError as error:
                first = first or error
                removed.left_out[error.what] += 1
        if not removed.files:
            raise first or _nothing(source)
    return removed


def _check_one_person(source: Path, listing: Listing, limits: Limits) -> None:
    """Two people under one pseudonym would be one person for whoever gets the copy."""
    found = set()
    for blob in listing.blobs:
        with suppress(InputError):
            if is_dicom(blob):
                found.add(
                    header_of(Blob(blob.name, blob.path, blob.content), limits, tags("PatientID")).text("PatientID")
                )
    if len(found - {None}) > 1:
        raise UnsuitableError(
            "Scans of several people are here.",
            where=source,
            found=f"{len(found - {None})} Patient IDs",
            expected="one person",
            fix="De-identify the scans of each person apart.",
        )


def _one_of_many(blob: Blob, folder: Path, key: Key, person: Person, removed: Removed, options: CleanOptions) -> None:
    name = blob.name.lower()
    if name.endswith((".img", ".img.gz")) and nifti.first_of_pair(blob) is not blob:
        return  # its header is cleaned with it
    if name.endswith(".json"):
        return  # what is known of it goes with its scan
    copy = f"{person.pseudonym}_{removed.files + 1:05d}"
    clean = _cleaned(blob, copy, key, person, removed, options)
    _write(clean, folder / (copy + clean.suffix))


def _nothing(source: Path) -> UnsupportedError:
    return UnsupportedError(
        "Nothing here can be de-identified.",
        where=source,
        found="no image of a format that is read",
        expected="DICOM, NIfTI, MGZ, PNG or JPEG",
        fix="Give the file or folder of a scan.",
    )
