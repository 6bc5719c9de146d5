"""Which files of a folder are scans, judged by their first bytes; every other one with the reason why not."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.found import LeftOut
from dopascope.errors import InputError, UnreadableError
from dopascope.formats import READERS, Blob, survey
from dopascope.formats.dicom_file import is_dicom

BROKEN: Final = "The link leads nowhere; fetch its content (git-annex, datalad) or copy the file."
EMPTY: Final = "The file is empty; the copy or download was cut off."
MISSING_FILE: Final = "There is no such file."
NO_SCAN: Final = "The file is no NIfTI, MGZ, DICOM, PNG or JPEG."
NO_TEXT: Final = "The name has marks that a table cannot hold."
MIXED: Final = "Several images share a folder of DICOM slices; put each series in a folder of its own."
NO_SERIES: Final = "The folder is not one DICOM series."
LINKED: Final = "A link to a folder is not followed; name that folder instead, or copy it."
UNREADABLE: Final = "The file or folder cannot be read."
PICTURE: Final = "picture"


@dataclass(frozen=True)
class ScanFile:
    """A file, or a folder of DICOM slices, that is one scan."""

    path: str
    """Relative to the source, with forward slashes."""
    reader: str
    """`nifti`, `mgz`, `picture` or `dicom`."""


def fault_of(path: Path) -> str | None:
    """Why a file, or a folder of DICOM slices, is no scan; None where it is one."""
    try:
        # Not Path.exists and its like, which raise at a name that is too long.
        if not os.path.exists(path):  # noqa: PTH110
            return BROKEN if os.path.islink(path) else MISSING_FILE  # noqa: PTH114
        if path.is_dir():
            return None if len(scans_below(path.parent, [], files_below(path))) == 1 else NO_SERIES
        if not path.is_file():
            return NO_SCAN
        if path.stat().st_size == 0:
            return EMPTY
        return NO_SCAN if reader_of(path) is None else None
    except (OSError, InputError):
        return UNREADABLE


def reader_of(path: Path) -> str | None:
    """The name of the reader that a file's first bytes ask for."""
    blob = Blob(str(path), path=path)
    if is_dicom(blob):
        return "dicom"
    return next((one.name for one in READERS.values() if not one.name.startswith("dicom") and one.sniff(blob)), None)


def files_below(root: Path) -> list[Path]:
    """Every file and link below a folder that is not hidden, sorted; a link to a folder is given, not followed.

    Raises:
        UnreadableError: a folder cannot be listed.
    """
    found = []
    for folder, names, files in os.walk(root, onerror=_cannot_list):
        names[:] = sorted(name for name in names if not name.startswith("."))
        links = [name for name in names if Path(folder, name).is_symlink()]
        found += [Path(folder, name) for name in (*links, *files) if not name.startswith(".")]
    return sorted(found)


def _cannot_list(error: OSError) -> None:
    raise UnreadableError(
        "A folder of the source cannot be listed.",
        where=error.filename,
        found=error.strerror,
        expected="a folder that may be read",
        fix="Change its permissions.",
    ) from error


def scans_below(root: Path, left_out: list[LeftOut], files: Iterable[Path] | None = None) -> list[ScanFile]:
    """The scans among `files` (default: all below `root`); what is none is added to `left_out`.

    DICOM files of one folder that are slices of one series are one scan: the folder.
    """
    found: list[ScanFile] = []
    dicom: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files_below(root) if files is None else files:
        told = path.relative_to(root).as_posix()
        why = (LINKED if path.is_dir() else fault_of(path)) or (None if can_stand_in_table(told) else NO_TEXT)
        if why is not None:
            if not _belongs_to_scan(path):
                left_out.append(LeftOut(shown(told), why))
        elif (reader := reader_of(path)) == "dicom":
            dicom[path.parent].append(path)
        elif reader is not None:
            found.append(ScanFile(told, reader))
    for folder, members in dicom.items():
        found += _dicom(root, folder, members, left_out)
    return sorted(found, key=lambda one: one.path)


def can_stand_in_table(text: str) -> bool:
    """Whether a table's cell can hold this, unchanged."""
    return text.isprintable() and text == text.strip() and text.encode("utf-8", "replace").decode() == text


def shown(text: str) -> str:
    """A name that may be no text, as it can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def _belongs_to_scan(path: Path) -> bool:
    """A JSON sidecar, or the voxels of a NIfTI pair: nothing that should have been a scan."""
    name = path.name.casefold()
    headers = [path.with_name(path.name[: name.rfind(".img")] + ending) for ending in (".hdr", ".hdr.gz")]
    return name.endswith(".json") or (name.endswith((".img", ".img.gz")) and any(one.is_file() for one in headers))


def _dicom(root: Path, folder: Path, members: list[Path], left_out: list[LeftOut]) -> list[ScanFile]:
    """Each multi-frame file for itself, and the folder where all its files are one series."""
    told = {str(path): path.relative_to(root).as_posix() for path in members}
    if len(members) == 1:
        return [ScanFile(told[str(members[0])], "dicom")]
    try:
        candidates = [one for one in survey(folder) if all(blob.name in told for blob in one.blobs)]
    except InputError as error:
        left_out.append(LeftOut(shown(folder.relative_to(root).as_posix()), UNREADABLE, error.what))
        return []
    series = [one for one in candidates if len(one.blobs) > 1]
    alone = [one for one in candidates if len(one.blobs) == 1]
    if len(series) == 1 and not alone and folder != root and not any(one.is_dir() for one in folder.iterdir()):
        return [ScanFile(folder.relative_to(root).as_posix(), "dicom")]
    for one in series:
        left_out += [LeftOut(told[blob.name], MIXED) for blob in one.blobs]
    return [ScanFile(told[one.blobs[0].name], "dicom") for one in alone]


def scan_ids(paths: Iterable[str]) -> dict[str, str]:
    """An id for each relative path, from its name alone: without ending where that stays unique, else with it."""
    listed = list(paths)
    short = {path: _stem(path) for path in listed}
    counts = Counter(short.values())
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for path in listed:
        wanted = short[path] if counts[short[path]] == 1 else _name(path)
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        ids[path] = name
    return ids


def _stem(path: str) -> str:
    name = path.removesuffix(".gz")
    for ending in (".nii", ".mgz", ".mgh", ".dcm", ".ima", ".hdr", ".img", ".png", ".jpg", ".jpeg"):
        if name.casefold().endswith(ending):
            name = name[: -len(ending)]
            break
    return _name(name)


def _name(path: str) -> str:
    return re.sub(r"\s+", "-", path.strip("/").replace("/", "_"))
