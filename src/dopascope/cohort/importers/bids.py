"""Kind `bids`: DaT scans below `spect/` and `pet/`, T1 images below `anat/`, with the tables and sidecars of BIDS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.bids_sidecar import acquisition_of, is_dat_tracer, sidecar_of, tracer_of
from dopascope.cohort.importers.cells import SCAN_DATE, columns_of
from dopascope.cohort.importers.files import files_below, scans_below
from dopascope.cohort.importers.foreign import read_foreign
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut
from dopascope.cohort.importers.registry import importer
from dopascope.cohort.importers.table import cells_of, check_values, finish
from dopascope.cohort.table import Row
from dopascope.errors import UsageError

LABELS: Final = ("diagnosis", "group", "label")
"""Columns of `participants.tsv` that may hold the label, the likeliest first."""
OTHER_TRACER: Final = "The sidecar names a tracer that does not show the dopamine transporter."
NO_SCAN: Final = "The line's participant has no scan that is taken."
NO_TRACER: Final = "a scan is DaT where no sidecar names its tracer"
_WANTED: Final = re.compile(r"(sub-[0-9A-Za-z]+)/(?:(ses-[0-9A-Za-z]+)/)?(spect|pet|anat)/[^/]+")
_ENDINGS: Final = {"spect": r"\.nii(\.gz)?", "pet": r"_pet\.nii(\.gz)?", "anat": r"_T1w\.nii(\.gz)?"}


@importer(
    "bids",
    "a BIDS folder with sub-*/[ses-*/]spect/*.nii.gz, pet/*_pet.nii.gz or anat/*_T1w.nii.gz",
    *("columns", "labels", "sexes", "encoding"),
)
def find_bids(source: Path, options: ImportOptions) -> Found:
    """The scans of a BIDS folder with what `participants.tsv`, `sub-*_sessions.tsv` and sidecars say of them.

    Raises:
        UsageError: a column, label or sex that is not there.
        InputError: a table or sidecar that cannot be meant.
    """
    found = Found(source)
    people, columns = _participants(source, options, found)
    sessions: dict[str, dict[str, Row]] = {}
    wanted = [path for path in files_below(source) if _is_wanted(path.relative_to(source).as_posix())]
    nameless = False
    for one in scans_below(source, found.left_out, wanted):
        person, session, kind = _parts(one.path)
        said = sidecar_of(source, one.path)
        tracer = tracer_of(said)
        if kind != "anat" and tracer is not None and not is_dat_tracer(tracer):
            found.left_out.append(LeftOut(one.path, OTHER_TRACER, tracer))
            continue
        nameless |= kind != "anat" and tracer is None
        row: dict[str, str] = cells_of(people[person], columns, options) if person in people else {}
        row |= {"participant_id": person, "path": one.path, "modality": "t1" if kind == "anat" else "dat"}
        if session is not None:
            if person not in sessions:
                sessions[person] = _sessions(source, person, options)
            told = sessions[person].get(session)
            row |= {"session_id": session, **(_of_session(told) if told else {})}
        found.rows.append(row | (acquisition_of(said) if kind != "anat" else {}))
    met = {row["participant_id"] for row in found.rows}
    found.left_out += [
        LeftOut(f"participants.tsv, line {row.line}", NO_SCAN) for who, row in people.items() if who not in met
    ]
    _name(found.rows)
    finish(found)
    found.assumed += [NO_TRACER] if nameless else []
    return found


def _is_wanted(told: str) -> bool:
    met = _WANTED.fullmatch(told)
    return met is not None and re.search(_ENDINGS[met[3]] + "$", told) is not None


def _parts(told: str) -> tuple[str, str | None, str]:
    """Participant, session and kind of a path that was chosen."""
    met = _WANTED.fullmatch(told)
    if met is None:
        raise ValueError(f"{told} was not chosen")
    return met[1], met[2], met[3]


def _participants(source: Path, options: ImportOptions, found: Found) -> tuple[dict[str, Row], dict[str, str]]:
    """Row of `participants.tsv` by participant, and which of its columns is which of ours."""
    table = source / "participants.tsv"
    if not table.is_file():
        if options.columns or options.labels or options.sexes:
            raise UsageError(
                "There is no participants.tsv that this could be about.",
                where="--column, --label, --sex",
                found="given",
                expected=f"the file {table}",
                fix="Leave it out.",
            )
        return {}, {}
    rows = read_foreign(table, ("participant_id",), delimiter="\t", encoding=options.encoding)
    chosen = dict(options.columns)
    likely = [name for name in LABELS if name in rows[0].columns]
    if "label" not in chosen and likely:
        chosen["label"] = likely[0]
        found.assumed += [f"the label is the column {likely[0]}"] if len(likely) > 1 else []
    if "label" in likely and chosen["label"] != "label":
        chosen["label_of_source"] = "label"
    columns = columns_of(rows[0].columns, chosen, table)
    check_values(rows, columns, options)
    columns = {ours: theirs for ours, theirs in columns.items() if ours not in ("path", "scan_id", "modality")}
    people: dict[str, Row] = {}
    for row in rows:
        person = row.get("participant_id") or ""
        if person in people:
            expected = f"each participant once; {person} is in line {people[person].line} too"
            raise row.fault("participant_id", person, expected)
        people[person] = row
    return people, columns


def _sessions(source: Path, person: str, options: ImportOptions) -> dict[str, Row]:
    table = source / person / f"{person}_sessions.tsv"
    if not table.is_file():
        return {}
    rows = read_foreign(table, ("session_id",), delimiter="\t", encoding=options.encoding)
    return {row.cells["session_id"]: row for row in rows if "session_id" in row.cells}


def _of_session(row: Row) -> dict[str, str]:
    """Age at that visit and its day; both are nearer to the scan than what `participants.tsv` says."""
    return cells_of(row, {"age": "age", SCAN_DATE: "acq_time"}, ImportOptions())


def _name(rows: Sequence[dict[str, str]]) -> None:
    """The file's name as id, since BIDS names hold person, session and kind; where it is there twice, the path."""
    names = [Path(row["path"]).name.split(".nii")[0] for row in rows]
    counts = Counter(names)
    for row, name in zip(rows, names, strict=True):
        if counts[name] == 1:
            row["scan_id"] = name
