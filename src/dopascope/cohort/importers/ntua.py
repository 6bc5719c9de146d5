"""Kind `ntua`: the folders of the NTUA Parkinson data set, slices as 8-bit PNG."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.cells import check_used, named
from dopascope.cohort.importers.files import PICTURE, scans_below
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut
from dopascope.cohort.importers.registry import importer
from dopascope.cohort.importers.table import finish

CLASSES: Final = {"PD Patients": "PD", "Non PD Patients": "non-PD"}
"""Folder -> label. What the people of the second one have is not said, so they are not called controls."""
DAT: Final = "0.DAT"
MRI: Final = "1.MRI"
WRONG_PLACE: Final = "The file does not lie in CLASS/SUBJECT/0.DAT/SERIES or CLASS/SUBJECT/1.MRI."
NOT_QUANTITATIVE: Final = (
    "The slices are 8-bit pictures without geometry or scale: not quantitative, no binding ratios."
)
TWO_PEOPLE: Final = "a subject number that stands in both classes is of two people"
_SEQUENCES: Final = {"flair": "flair", "t1": "t1", "t2": "t2"}
_SLICE: Final = re.compile(r"\d+$")


@importer(
    "ntua", "the folders PD Patients and Non PD Patients, with SUBJECT/0.DAT/s1/001.png and SUBJECT/1.MRI", "labels"
)
def find_ntua(source: Path, options: ImportOptions) -> Found:
    """Every slice as a row; `volume` names the series it is of, `slice` its number there.

    Raises:
        UsageError: `--label` names a label that is not there.
    """
    check_used(options.labels, CLASSES.values(), "--label")
    found = Found(source)
    for one in scans_below(source, found.left_out):
        row = _row(one.path, options)
        if one.reader != PICTURE or row is None:
            found.left_out.append(LeftOut(one.path, WRONG_PLACE))
        else:
            found.rows.append(row)
    finish(found)
    found.warnings.append(NOT_QUANTITATIVE)
    subjects = {
        label: {row["path"].split("/")[1] for row in found.rows if row["path"].startswith(label)} for label in CLASSES
    }
    found.assumed += [TWO_PEOPLE] if set.intersection(*subjects.values()) else []
    return found


def _row(path: str, options: ImportOptions) -> dict[str, str] | None:
    parts = path.split("/")
    label = CLASSES.get(parts[0])
    if label is None or len(parts) not in (4, 5) or parts[2] not in (DAT, MRI):
        return None
    if parts[2] == DAT and len(parts) != 5:
        return None
    stem = Path(parts[-1]).stem
    number = _SLICE.search(stem)
    series = stem[: number.start()] if number else stem
    row = {
        "participant_id": f"{label}_{parts[1].replace(' ', '')}",
        "path": path,
        "modality": "dat" if parts[2] == DAT else _sequence(path),
        "label": named(label, options.labels),
        "volume": "/".join((*parts[:-1], series)).rstrip("/_"),
    }
    return row | ({"slice": str(int(number[0]))} if number else {})


def _sequence(path: str) -> str:
    """The MR sequence that the name says, else `mri`."""
    return next((name for mark, name in _SEQUENCES.items() if mark in path.casefold().split("/1.mri/")[1]), "mri")
