"""A folder or a zip as a list of blobs, within limits: no member name is ever used as a path.

Everything about a zip is judged by its central directory before a byte is inflated, and no member may inflate to more
than that directory claims, so the checks hold for the bytes that really come (threats T5 and T6).
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from struct import unpack_from
from typing import Final

from dopascope.errors import HostileError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.inflate import check_file_size
from dopascope.formats.limits import MIB, Limits

ZIP_MAGIC: Final = b"PK\x03\x04"
EMPTY_ZIP_MAGIC: Final = b"PK\x05\x06"
_DIRECTORY_END: Final = b"PK\x05\x06"
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_DIRECTORY_END_64: Final = b"PK\x06\x06"
_LONGEST_COMMENT: Final = 65535
_LOCAL_HEADER: Final = 30
_DEEPEST_NAME: Final = 64
_LONGEST_NAME: Final = 1024
_ENCRYPTED: Final = 1
_JUNK: Final = (".", "__MACOSX")
_MOST_DIRECTORY_BYTES: Final = 512
"""Bytes of central directory per allowed file: 46 fixed and a generous name."""


@dataclass(frozen=True)
class Listing:
    """Files found, in order of their names, and how many were passed over for which reason."""

    blobs: tuple[Blob, ...]
    skipped: Counter[str] = field(default_factory=Counter)


def is_zip(blob: Blob) -> bool:
    """True when the bytes begin like a zip (PKWARE APPNOTE 4.3.7; an empty one begins with its end record)."""
    return blob.head(4) in (ZIP_MAGIC, EMPTY_ZIP_MAGIC)


def blobs_of(path: Path, limits: Limits) -> Listing:
    """The files of a folder or the members of a zip.

    Hidden files, devices, links that lead outside, and archives inside the archive are passed over and
    counted in `Listing.skipped`.

    Raises:
        HostileError: too many files, too much or too dense content, or names and links that only an attack has.
        UnreadableError: not a sound zip.
        UnsupportedError: an encrypted zip, or a compression other than deflate.
    """
    return _folder(path, limits) if path.is_dir() else _zip(path, limits)


def _too_many(where: object, limits: Limits) -> HostileError:
    return HostileError(
        "There are more files than are allowed.",
        where=where,
        found=f"more than {limits.max_files}",
        expected=f"at most max_files = {limits.max_files}",
        fix="Give the folder of the one scan; or raise the limit with --limit max_files=N.",
    )


def _folder(root: Path, limits: Limits) -> Listing:
    skipped: Counter[str] = Counter()
    found: list[Blob] = []
    for entry in _files_below(root, skipped):
        if len(found) + skipped.total() >= limits.max_files:
            raise _too_many(root, limits)
        found.append(Blob(entry.path, path=Path(entry.path)))
    return Listing(tuple(sorted(found, key=lambda blob: blob.name)), skipped)


def _files_below(root: Path, skipped: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """Regular files, depth first; links are followed to files that lie inside `root` only."""
    inside = str(root.resolve()) + os.sep
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    skipped["hidden files"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif not entry.is_file():
                    skipped["links to folders, devices and pipes"] += 1
                elif entry.is_symlink() and not os.path.realpath(entry.path).startswith(inside):
                    skipped["links that lead outside"] += 1
                else:
                    yield entry


def _zip(path: Path, limits: Limits) -> Listing:
    archive = Blob(str(path), path=path)
    check_file_size(archive, limits)
    try:
        _check_directory(path, limits)
        with zipfile.ZipFile(path) as opened:
            return _members(path, opened, limits)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, zipfile.LargeZipFile) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, found: str) -> UnreadableError:
    return UnreadableError(
        "The zip is damaged.",
        where=path,
        found=found,
        expected="a sound zip archive",
        fix="Copy or export the archive again.",
    )


def _check_directory(path: Path, limits: Limits) -> None:
    """Count the entries of the central directory before the standard library builds an object for each."""
    offset, size = _directory_span(path)
    if size > limits.max_files * _MOST_DIRECTORY_BYTES:
        raise _too_many(path, limits)
    with open(path, "rb") as stream:
        stream.seek(offset)
        directory = stream.read(size)
    position = count = 0
    while directory[position : position + 4] == _DIRECTORY_ENTRY and position + 46 <= len(directory):
        name, extra, comment = unpack_from("<HHH", directory, position + 28)
        position += 46 + name + extra + comment
        count += 1
        if count > limits.max_files:
            raise _too_many(path, limits)


def _directory_span(path: Path) -> tuple[int, int]:
    """Offset and size of the central directory (APPNOTE 4.3.14 to 4.3.16), before any data prepended to the zip."""
    with open(path, "rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        start = max(0, end - _LONGEST_COMMENT - 22 - 76)
        stream.seek(start)
        tail = stream.read()
    at = tail.rfind(_DIRECTORY_END)
    if at < 0 or at + 22 > len(tail):
        raise _damaged(path, "no end of central directory")
    size, _ = unpack_from("<II", tail, at + 12)
    at64 = tail.rfind(_DIRECTORY_END_64, 0, at)
    if at64 >= 0:
        (size,) = unpack_from("<Q", tail, at64 + 40)
        at = at64
    # As the standard library does: the directory ends where its end record begins.
    offset = start + at - size
    if offset < 0:
        raise _damaged(path, f"a central directory of {size} bytes")
    return offset, size


def _members(path: Path, opened: zipfile.ZipFile, limits: Limits) -> Listing:
    skipped: Counter[str] = Counter()
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    for entry in entries:
        _check_entry(path, entry, limits)
    _check_apart(path, entries)
    total = sum(entry.file_size for entry in entries)
    if total > limits.max_inflated_bytes:
        raise HostileError(
            "The zip inflates to more than is allowed.",
            where=path,
            found=f"{total} bytes",
            expected=f"at most max_inflated_bytes = {limits.max_inflated_bytes}",
            fix="If you trust the archive, raise the limit with --limit max_inflated_bytes=N.",
        )
    beside: dict[str, Blob] = {}
    for entry in sorted(entries, key=lambda one: one.filename):
        if any(part.startswith(_JUNK) for part in PurePosixPath(entry.filename).parts):
            skipped["hidden files"] += 1
        elif (content := opened.read(entry))[:4] in (ZIP_MAGIC, EMPTY_ZIP_MAGIC):
            skipped["archives inside the archive"] += 1
        else:
            beside[entry.filename] = Blob(entry.filename, content=content, beside=beside)
    return Listing(tuple(beside.values()), skipped)


def _check_entry(path: Path, entry: zipfile.ZipInfo, limits: Limits) -> None:
    if fault := _fault_in_name(entry):
        raise HostileError(
            "The zip has a member that no honest archive has.",
            where=path,
            found=f"{fault}: {entry.orig_filename[:80]!r}",
            expected="relative names of ordinary files",
            fix="Do not use this archive; ask its sender for another.",
        )
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(
            "The zip is encrypted, or compressed in a way that is not read.",
            where=f"{path}, {entry.filename[:80]}",
            found="encrypted" if entry.flag_bits & _ENCRYPTED else f"compression {entry.compress_type}",
            expected="stored or deflated members without a password",
            fix="Unpack it and give the folder.",
        )
    ratio = limits.max_inflation_ratio
    if entry.file_size > max(MIB, entry.compress_size * ratio) or entry.file_size > limits.max_file_bytes:
        raise HostileError(
            "A member of the zip inflates to more than is allowed.",
            where=f"{path}, {entry.filename[:80]}",
            found=f"{entry.compress_size} bytes grow to {entry.file_size}",
            expected=f"at most max_inflation_ratio = {ratio} times, and max_file_bytes = {limits.max_file_bytes}",
            fix="If you trust the archive, raise that limit with --limit NAME=VALUE.",
        )


def _fault_in_name(entry: zipfile.ZipInfo) -> str | None:
    """What makes a name or an entry an attack; None for an ordinary one."""
    name = entry.orig_filename.replace("\\", "/")
    parts = name.split("/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or device"
    if "\0" in name:
        return "a name with a NUL"
    if name.startswith("/") or ":" in parts[0] or ".." in parts:
        return "a name that leads out of the archive"
    if len(parts) > _DEEPEST_NAME or len(name) > _LONGEST_NAME:
        return "a name that is too deep or too long"
    return None


def _check_apart(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Members that share bytes are a bomb (D. Fifield, 2019): the next may begin only where this one ends."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    for this, following in pairwise(ordered):
        if this.header_offset + _LOCAL_HEADER + this.compress_size > following.header_offset:
            raise HostileError(
                "Members of the zip overlap.",
                where=path,
                found=f"{following.filename[:80]!r} begins inside {this.filename[:80]!r}",
                expected="members one after the other",
                fix="Do not use this archive; ask its sender for another.",
            )
