"""Uploads on disk: streamed in, named by us, owned by one row of the database."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from dopascope.errors import UsageError

SUFFIXES: Final = (".nii.gz", ".nii", ".dcm", ".zip", ".img", ".hdr", ".mgz", ".mgh", ".png", ".jpg", ".jpeg")
"""Endings that are kept, because formats are told apart by them; of any other name nothing is kept."""
MOST_FILES: Final = 5000
BLOCK: Final = 1 << 20
RESERVE: Final = 64 << 20
"""Bytes of the disk that no upload takes: for the database, and for the readings of what came in before."""
PREAMBLE: Final = 128
"""Bytes before the `DICM` of a DICOM file, which mean nothing to it and may be a program's head to something else."""


class FullDiskError(HTTPException):
    """507: there is no room for what was sent."""

    code = 507
    description = "The disk is full."


def disk_is_full(error: Exception) -> bool:
    """Whether something failed for want of room, in a file or in the database."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, SQLAlchemyError) and any(
        one in str(error) for one in ("disk is full", "No space left on device")
    )


def check_disk(folder: Path) -> None:
    """Refuse uploads before the database and the readings that wait have no room.

    Raises:
        FullDiskError: less than `RESERVE` is free.
    """
    if shutil.disk_usage(folder).free < RESERVE:
        raise FullDiskError


@dataclass(frozen=True)
class Stored:
    """What came in."""

    name: str
    files: int
    size: int
    sha256: str
    """Of the content as it is stored: the one file's, or that of the sorted digests of several."""


def store(files: Sequence[FileStorage], folder: Path) -> Stored:
    """Write the files of one form into a new folder under names of our own.

    Files that differ in their ending alone (`.hdr` and `.img`) stay together.

    Raises:
        UsageError: no file, an empty one, or too many.
        OSError: the disk refuses; nothing is left.
    """
    given = [one for one in files if one.filename]
    if not 0 < len(given) <= MOST_FILES:
        raise UsageError(
            "Nothing can be read from this.",
            where="files",
            found=f"{len(given)} files",
            expected=f"1 to {MOST_FILES} files",
            fix="Choose a scan: a file, all files of a series, or a zip.",
        )
    folder.mkdir(mode=0o700)
    try:
        return _written(given, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _written(files: Sequence[FileStorage], folder: Path) -> Stored:
    stems: dict[str, int] = {}
    digests, size = [], 0
    for one in files:
        stem, suffix = parted(str(one.filename))
        number = stems.setdefault(stem, len(stems) + 1)
        path = folder / f"{number:06}{suffix}"
        if path.exists():  # the same name twice, from two folders
            number = stems[f"{stem}/{len(stems)}"] = len(stems) + 1
            path = folder / f"{number:06}{suffix}"
        written, digest = _copied(one.stream, path)
        if not written:
            raise UsageError("A file is empty.", where="files", found=str(one.filename), fix="Copy it again.")
        size += written
        digests.append(digest)
    whole = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
    first = PurePosixPath(str(files[0].filename).replace("\\", "/"))
    name = first.parts[0] if len(files) > 1 and len(first.parts) > 1 else first.name
    return Stored(printable(name)[:255], len(files), size, digests[0] if len(digests) == 1 else whole)


def printable(text: str) -> str:
    """Text without control characters: no database stores all of them, and PostgreSQL refuses NUL."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def parted(name: str) -> tuple[str, str]:
    """A name without its known ending, and the ending."""
    lowered = name.lower()
    for suffix in SUFFIXES:
        if lowered.endswith(suffix):
            return lowered[: -len(suffix)], suffix
    return lowered, ""


def _copied(source: IO[bytes], path: Path) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with open(path, "xb") as stream:
        while block := source.read(BLOCK):
            kept = block if size else without_preamble(block)
            size += len(kept)
            digest.update(kept)
            stream.write(kept)
    return size, digest.hexdigest()


def without_preamble(head: bytes) -> bytes:
    """The first bytes of a file; those of a DICOM file with zeros for its preamble, so that it is nothing else too."""
    return bytes(PREAMBLE) + head[PREAMBLE:] if head[PREAMBLE : PREAMBLE + 4] == b"DICM" else head


def scan_of(folder: Path) -> Path:
    """What is read: the one file of an upload, or the folder of several."""
    files = sorted(folder.iterdir())
    return files[0] if len(files) == 1 else folder


def link(source: Path, target: Path) -> None:
    """Give the files of one upload to another one, without a second copy of them.

    Raises:
        OSError: the disk refuses; nothing is left.
    """
    target.mkdir(mode=0o700)
    try:
        for one in source.iterdir():
            os.link(one, target / one.name)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def put_aside(strays: Iterable[Path]) -> list[Path]:
    """Rename what is to be removed: who still writes there fails then, instead of going on with the half of it."""
    aside = []
    for one in strays:
        with suppress(FileNotFoundError):  # another worker was there first
            aside.append(one.rename(one.with_name(f"stray-{uuid.uuid4().hex}")))
    return aside


def remove(strays: Iterable[Path]) -> None:
    """Remove files and folders, as far as the disk lets us."""
    for one in strays:
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)
