"""Kind `folders`: one folder for each class, holding scans or PNG and JPEG slices, of people or not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.cells import check_used, named
from dopascope.cohort.importers.files import PICTURE, ScanFile, scans_below
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut
from dopascope.cohort.importers.registry import importer
from dopascope.cohort.importers.table import finish
from dopascope.cohort.scan import read_cohort
from dopascope.cohort.table import read_table
from dopascope.errors import UnsuitableError

MANIFEST: Final = "slices.tsv"
"""The table that `cohort export-png` writes beside its class folders."""
NO_CLASS: Final = "The file lies in no class folder."
TOO_DEEP: Final = "The file lies deeper than CLASS/PERSON/SCAN."
UNLISTED: Final = f"The file is not in {MANIFEST}."
SAME_NAME: Final = "a name that stands in several classes is of different people"
ENTITY: Final = "files named sub-X_... are of person sub-X, as in BIDS"
_SUBJECT: Final = re.compile(r"(sub-[0-9A-Za-z]+)[_.]")
_NUMBERED: Final = re.compile(r"(.*?)[-_ .]?(?:slice|z)?[-_ .]?\d+", re.IGNORECASE)
ONE_LABEL: Final = "All scans have one label: is the source the folder that holds the classes' folders?"


@importer(
    "folders",
    "a folder for each class with CLASS/SCAN or CLASS/PERSON/SCAN: NIfTI, MGZ, DICOM, or PNG and JPEG slices",
    "labels",
)
def find_in_folders(source: Path, options: ImportOptions) -> Found:
    """The scans of class folders; where `cohort export-png` left its table, that says who is who.

    Raises:
        UsageError: a class that is not there.
        UnsuitableError: slices that may be of one person, or not.
    """
    found = Found(source)
    scans = scans_below(source, found.left_out)
    if (source / MANIFEST).is_file():
        _from_manifest(found, scans, options)
    else:
        _from_places(found, scans, options)
    check_used(options.labels, (one.path.split("/")[0] for one in scans), "--label")
    if found.rows and len({row.get("label") for row in found.rows}) == 1:
        found.warnings.append(ONE_LABEL)
    finish(found)
    return found


def _from_manifest(found: Found, scans: list[ScanFile], options: ImportOptions) -> None:
    table = found.root / MANIFEST
    read_cohort(table)  # its ages, sexes and names are checked as any cohort's
    listed = {row.cells["path"]: row.cells for row in read_table(table, ("path", "label"))}
    found.left_out = [one for one in found.left_out if one.where not in (MANIFEST, *listed)]
    there = {one.path for one in scans}
    for path, cells in listed.items():
        if path in there:
            label = {"label": named(cells["label"], options.labels)} if "label" in cells else {}
            found.rows.append(cells | label)
    found.left_out += [LeftOut(path, "There is no such file.") for path in listed if path not in there]
    found.left_out += [LeftOut(one.path, UNLISTED) for one in scans if one.path not in listed]


def _from_places(found: Found, scans: list[ScanFile], options: ImportOptions) -> None:
    people: defaultdict[str, set[str]] = defaultdict(set)
    placed = []
    for one in scans:
        parts = one.path.split("/")
        if len(parts) not in (2, 3):
            found.left_out.append(LeftOut(one.path, NO_CLASS if len(parts) < 2 else TOO_DEEP))
            continue
        person = _person(parts, is_folder=(found.root / one.path).is_dir())
        if person is not None:
            people[person].add(parts[0])
        placed.append((one, parts[0], person))
    _check_slices(found.root, [one for one, _, person in placed if person is None and one.reader == PICTURE])
    several = {person for person, classes in people.items() if len(classes) > 1}
    for one, name, person in placed:
        row = {"path": one.path, "label": named(name, options.labels)}
        if person is not None:
            row["participant_id"] = f"{name}_{person}" if person in several else person
        if one.reader == PICTURE and person is not None:
            row["volume"] = row["participant_id"]
        found.rows.append(row)
    found.assumed += [SAME_NAME] if several else []
    if any(person not in (None, one.path.split("/")[1]) for one, _, person in placed):
        found.assumed.append(ENTITY)
    if any(one.reader == PICTURE for one, _, _ in placed):
        found.warnings.append("Pictures have no geometry and no scale: they are for networks, not for binding ratios.")


def _person(parts: list[str], *, is_folder: bool) -> str | None:
    """The folder's name below the class, or what a file's name says; a folder of DICOM slices is such a folder."""
    if len(parts) == 3 or is_folder:
        return parts[1]
    subject = _SUBJECT.match(parts[1])
    return subject[1] if subject else None


def _check_slices(root: Path, pictures: list[ScanFile]) -> None:
    """Pictures that differ in a number alone may be slices of one person, which a split must not part."""
    stems = [(one.path.split("/")[0], Path(one.path).stem) for one in pictures]
    shared = Counter((name, found[1]) for name, stem in stems if (found := _NUMBERED.fullmatch(stem)))
    if any(count > 1 for count in shared.values()):
        raise UnsuitableError(
            "Pictures whose names differ in a number alone may be slices of one person, or of a person each.",
            where=root,
            found=f"{sum(count for count in shared.values() if count > 1)} such pictures straight in class folders",
            expected="CLASS/PERSON/SLICE.png, names that say sub-X_, or a table that says who is who",
            fix="Give each person a folder, or list the files with their people and use the kind table.",
        )
