"""A BIDS derivatives folder: names, sidecars, tables. BIDS has no proposal for SPECT yet, so names follow PET's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dopascope import __version__, provenance
from dopascope.batch.drive import Outcome
from dopascope.batch.sheet import cell_text
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UsageError

MNI_SPACE: Final = "MNI152NLin2009aSym"
"""The ICBM152 2009a nonlinear symmetric template, whose tissue maps our DaT template is built on."""
CENTRED_SPACE: Final = "centred"
"""The MNI grid with the scan put in its middle: a box of the same size, not the same anatomy."""
REFERENCES: Final = {
    MNI_SPACE: "ICBM152 2009a nonlinear symmetric, 91 x 109 x 91 voxels of 2 mm",
    CENTRED_SPACE: "The grid of 91 x 109 x 91 voxels of 2 mm used for MNI152, with the centre of the scan's grid on "
    "its centre; not registered",
}
DAT: Final = "spect"
T1: Final = "T1w"
FOLDERS: Final = {DAT: "spect", T1: "anat"}
TITLES: Final = {DAT: "DaT SPECT", T1: "T1-weighted MRI"}
BIDS_VERSION: Final = "1.10.0"
DESCRIPTION: Final = "dataset_description.json"
IGNORED: Final = "# There is no BIDS proposal for SPECT yet.\n*_spect.nii.gz\n*_spect.json\n*_spect.tsv\n/*.tsv\n"
FIELDS: Final = {
    "manufacturer": "Manufacturer",
    "model": "ManufacturersModelName",
    "collimator": "CollimatorType",
    "reconstruction": "ReconMethodName",
    "filter": "ReconFilterType",
    "attenuation_corrected": "AttenuationCorrected",
    "scatter_corrected": "ScatterCorrected",
}
"""What we know of an acquisition -> PET-BIDS's name for it, or one in its manner."""
COLUMNS: Final = (
    *("scan_id", "participant_id", "session_id", "status", "path", "registered", "quality", "accepted"),
    *("intensity", "divisor", "sha256", "assumed", "warnings", "error"),
)


Table = tuple[Sequence[str], Sequence[dict[str, str]]]
"""Columns, and for each line its cells by column."""


@dataclass(frozen=True)
class Target:
    """Where the derivative of one scan is written."""

    root: Path
    folder: str
    """Below `root`, such as `sub-01/ses-01/spect`."""
    entities: str
    """Such as `sub-01_ses-01`."""
    space: str
    kind: str = DAT
    """BIDS suffix of the image."""

    def path(self, description: str, ending: str) -> Path:
        """The derivative's file of a description, such as `normalised`."""
        return self.root / self.folder / f"{self.entities}_space-{self.space}_desc-{description}_{ending}"

    @property
    def image(self) -> Path:
        """The normalised scan."""
        return self.path("normalised", f"{self.kind}.nii.gz")

    @property
    def sidecar(self) -> Path:
        """What the normalised scan is, as JSON."""
        return self.path("normalised", f"{self.kind}.json")


def targets_of(scans: Sequence[CohortScan], root: Path, space: str) -> dict[str, Target]:
    """By scan name, where each is written: by participant and session; several of one session get a run.

    Raises:
        UsageError: a participant or session without a letter or digit, or two that become one without other marks.
    """
    places = [_place(scan) for scan in scans]
    _check_apart(scans, places)
    kinds = [T1 if scan.is_t1 else DAT for scan in scans]
    counts = Counter(zip(places, kinds, strict=True))
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    targets = {}
    for scan, place, kind in zip(scans, places, kinds, strict=True):
        seen[place, kind] += 1
        run = (f"run-{seen[place, kind]}",) if counts[place, kind] > 1 else ()
        folder = "/".join((*place, FOLDERS[kind]))
        targets[scan.name] = Target(root.absolute(), folder, "_".join((*place, *run)), space, kind)
    return targets


def assumed_of(scans: Sequence[CohortScan]) -> list[str]:
    """What the names assume, each to be printed as ASSUMED."""
    nameless = sum("participant_id" not in scan.cells for scan in scans)
    return [f"a participant of its own for each of {nameless} scans without participant_id"] if nameless else []


def _place(scan: CohortScan) -> tuple[str, ...]:
    person = _label(scan.cells.get("participant_id", scan.name), "sub", scan)
    session = scan.cells.get("session_id")
    return (person,) if session is None else (person, _label(session, "ses", scan))


def _label(text: str, entity: str, scan: CohortScan) -> str:
    label = re.sub("[^0-9A-Za-z]", "", text.removeprefix(f"{entity}-"))
    if not label:
        raise UsageError(
            "BIDS names are made of letters and digits.",
            where=f"scan {scan.name}",
            found=text,
            expected="a participant or session with a letter or digit",
            fix="Rename it in the table.",
        )
    return f"{entity}-{label}"


def _check_apart(scans: Sequence[CohortScan], places: Sequence[tuple[str, ...]]) -> None:
    """Two people, or two sessions of one, must not meet in one folder because a mark between letters was left out."""
    # Compared without case too: some file systems do not tell it apart.
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    for scan, place in zip(scans, places, strict=True):
        told = (scan.cells.get("participant_id", scan.name), scan.cells.get("session_id", ""))
        for depth in range(1, len(place) + 1):
            key = tuple(part.casefold() for part in place[:depth])
            bare = tuple(text.removeprefix(mark) for text, mark in zip(told[:depth], ("sub-", "ses-"), strict=False))
            if first.setdefault(key, bare) != bare:
                raise UsageError(
                    "Two names become one in BIDS, which knows letters and digits only.",
                    where="/".join(place[:depth]),
                    found=f"{' '.join(first[key])} and {' '.join(bare)}",
                    expected="names that differ in letters or digits",
                    fix="Rename one of them in the table.",
                )


def write_derivative(target: Target, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
    """Write image and sidecar, each whole or not at all; one that is there already and the same is left."""
    _write(target.image, payload)
    _write(target.sidecar, (json.dumps(_sidecar(target, scan, record), indent=2) + "\n").encode())


def remove(target: Target) -> None:
    """Remove what an earlier run wrote."""
    for path in (target.image, target.sidecar):
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    if not (path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data):
        provenance.write_bytes(path, data)


def _sidecar(target: Target, scan: CohortScan, record: dict[str, Any]) -> dict[str, Any]:
    told = Path(scan.cells.get("path", scan.path.name))
    return {
        "Description": _description(record),
        "Sources": [told.name if told.is_absolute() else told.as_posix()],
        "SourceSHA256": record["sha256"],
        "SpatialReference": REFERENCES[target.space],
        "MNIToSource": record["transform"],
        "Registration": {name: record[name] for name in ("registered", "method", "quality", "accepted")},
        "IntensityMethod": record["intensity"],
        "IntensityFactor": None if (divisor := record["divisor"]) is None else 1 / divisor,
        **({} if "bias" not in record else _t1_facts(record)),
        **{FIELDS[name]: value for name, value in record["acquisition"].items() if name in FIELDS},
        "Assumed": record["assumed"],
        "Warnings": record["warnings"],
        "Software": record["software"],
    }


def _description(record: dict[str, Any]) -> str:
    if "bias" in record:
        return "T1-weighted MRI of the brain alone, shading corrected, on the MNI grid, linear interpolation, z-score"
    divided = "" if record["divisor"] is None else ", divided by its reference value"
    return f"DaT SPECT on the MNI grid, linear interpolation{divided}"


def _t1_facts(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "SkullStripped": True,
        "IntensityMean": record["mean"],
        "BrainMask": record["mask"],
        "BrainOverlap": record["overlap"],
        "BiasCorrection": record["bias"],
    }


def write_dataset(root: Path, outcomes: Sequence[Outcome], targets: dict[str, Target], table: Table) -> None:
    """Write what belongs to the folder as a whole: description, `.bidsignore`, `cohort.tsv` and `normalise.tsv`.

    Args:
        root: the folder.
        outcomes: of every scan, in the order of the table.
        targets: as `targets_of` gives them.
        table: the cohort's columns, and the cells of each line in the same order.
    """
    for stray in root.glob("sub-*/**/.????????-sub-*"):  # what a worker left that was killed while it wrote
        stray.unlink(missing_ok=True)
    write_description(root, sorted({target.kind for target in targets.values()}, key=list(TITLES).index))
    text = _table(COLUMNS, [_line(one, targets[one.scan.name]) for one in outcomes])
    provenance.write_text(root / "normalise.tsv", text)
    done = [
        dict(cells) | {"path": targets[one.scan.name].image.relative_to(root.absolute()).as_posix()}
        for cells, one in zip(table[1], outcomes, strict=True)
        if one.error is None
    ]
    provenance.write_text(root / "cohort.tsv", _table(table[0], done))


def write_description(root: Path, kinds: Sequence[str] = (DAT,)) -> None:
    """Write `dataset_description.json` and `.bidsignore`."""
    known = {
        "Name": f"Normalised {' and '.join(TITLES[kind] for kind in kinds)}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "dopascope", "Version": __version__}],
    }
    provenance.write_text(root / DESCRIPTION, json.dumps(known, indent=2) + "\n")
    provenance.write_text(root / ".bidsignore", IGNORED)


def _line(one: Outcome, target: Target) -> dict[str, object]:
    cells: dict[str, object] = {
        **{name: one.scan.cells.get(name) for name in ("participant_id", "session_id")},
        "scan_id": one.scan.name,
        "status": "done" if one.error is None else "failed",
    }
    if one.record is None:
        return cells | {"error": "; ".join(f"{name}: {text}" for name, text in (one.error or {}).items())}
    cells |= {name: one.record[name] for name in COLUMNS if name in one.record}
    cells |= {name: "; ".join(one.record[name]) or None for name in ("assumed", "warnings")}
    return cells | {"path": target.image.relative_to(target.root).as_posix()}


def _table(columns: Sequence[str], lines: Sequence[dict[str, Any]]) -> str:
    rows = [columns, *([cell_text(line.get(column)) for column in columns] for line in lines)]
    return "".join("\t".join(row) + "\n" for row in rows)
