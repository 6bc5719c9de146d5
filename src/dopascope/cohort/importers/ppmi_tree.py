"""The folders of a download from the image archive: person, description, time and image id of each image file."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from dopascope.cohort.importers.files import files_below, scans_below, shown
from dopascope.cohort.importers.found import LeftOut
from dopascope.cohort.importers.ppmi_dates import folder_day

TABLES: Final = (".csv", ".xlsx", ".xml")
NO_PLACE: Final = "The file does not lie in PERSON/DESCRIPTION/DATE_TIME/IMAGE."
NO_IMAGE: Final = "The image's folder has no image; the download was cut off, or it was not asked for."
SEVERAL: Final = "The image's folder has several images; only one can be meant."
RAW: Final = "Raw projections, not a reconstructed scan."
OTHER: Final = "Another modality than DaTSCAN."
_DEPTH: Final = 4
_PERSON: Final = re.compile(r"\d{2,8}")
_IMAGE: Final = re.compile(r"[SI]\d+")
_IN_FILE: Final = re.compile(r"_(I\d+)(?=[._])")


@dataclass(frozen=True)
class Image:
    """A reconstructed DaTSCAN."""

    path: str
    """Relative to the source, with forward slashes."""
    person: str
    day: date
    image: str
    """Image id: that in the file's name (I...), else that of its folder (S... or I...)."""

    @property
    def in_own_folder(self) -> bool:
        """Whether the folder has the image's own id: older downloads have the series' one."""
        return PurePosixPath(self.path).parent.name == self.image


def number_of(image: str) -> str:
    """An image id without its I: tables write it with and without."""
    return image[1:] if re.fullmatch(r"I\d+", image) else image


def images_below(root: Path, left_out: list[LeftOut]) -> tuple[list[Image], set[str]]:
    """The reconstructed DaTSCANs of a download, and the numbers of images whose folder is empty.

    Everything that is no such image goes to `left_out` with the reason.
    """
    stubs = _stubs(root)
    left_out += [LeftOut(told, NO_IMAGE) for told in stubs]
    files = [path for path in files_below(root) if path.suffix.casefold() not in TABLES]
    reasons = {path: _why_not(_place(path.relative_to(root).parent)) for path in files}
    left_out += [LeftOut(shown(path.relative_to(root).as_posix()), why) for path, why in reasons.items() if why]
    found = []
    for scan in scans_below(root, left_out, [path for path, why in reasons.items() if why is None]):
        told = PurePosixPath(scan.path)
        place = _place(Path(told)) or _place(Path(told.parent))
        assert place is not None
        person, _, day, image = place
        named = _IN_FILE.search(told.name)
        found.append(Image(scan.path, person, day, named[1] if named else image))
    return _alone(found, left_out), {number_of(PurePosixPath(told).name) for told in stubs}


def _place(folder: Path) -> tuple[str, str, date, str] | None:
    """(person, description, day, image) of an image's folder, by its last four names."""
    parts = folder.parts[-_DEPTH:]
    if len(parts) < _DEPTH or not _PERSON.fullmatch(parts[0]) or not _IMAGE.fullmatch(parts[3]):
        return None
    day = folder_day(parts[2])
    return None if day is None else (parts[0], parts[1], day, parts[3])


def _why_not(place: tuple[str, str, date, str] | None) -> str | None:
    """Why images that lie here are not taken."""
    if place is None:
        return NO_PLACE
    description = place[1].casefold()
    if "datscan" not in description:
        return OTHER
    return None if "recon" in description else RAW


def _stubs(root: Path) -> list[str]:
    """Image folders without a file: what the archive makes for images that were not downloaded."""
    found = []
    for folder, names, files in os.walk(root):
        told = Path(folder).relative_to(root)
        if _place(told) is not None and not names and all(name.startswith(".") for name in files):
            found.append(shown(told.as_posix()))
    return sorted(found)


def _alone(images: list[Image], left_out: list[LeftOut]) -> list[Image]:
    """Images whose folder has no other one."""
    folders = [PurePosixPath(one.path).parent for one in images]
    crowded = {folder for folder, n in Counter(folders).items() if n > 1 and _place(Path(folder)) is not None}
    left_out += [LeftOut(str(folder), SEVERAL) for folder in sorted(crowded)]
    return [one for one, folder in zip(images, folders, strict=True) if folder not in crowded]
