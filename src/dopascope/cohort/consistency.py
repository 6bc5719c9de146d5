"""What a cohort table contradicts or leaves open, without a look at the images."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dopascope.cohort.finding import Finding, of_any
from dopascope.cohort.scan import CohortScan

FEWEST: Final = 10
"""A label of fewer people cannot be validated: even with all answers right, an exact interval reaches below .7."""
UNEVEN: Final = 0.1
"""A covariate whose missing share differs by this much between labels tells the label by being missing."""
_YEAR: Final = 1.0
_DATE: Final = "scan_date"
_PERSONAL: Final = {"sex": "two_sexes", "label": "two_labels"}
_OF_SLICES: Final = "volume"
_COVARIATES: Final = ("age", "sex", "site", "camera")


@dataclass(frozen=True)
class Missing:
    """How much of a covariate is not known."""

    column: str
    share: float
    by_label: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return vars(self)


def table_findings(scans: Sequence[CohortScan]) -> list[Finding]:
    """Everything that the table alone shows, what fails first."""
    found = [
        *_contradictions(scans),
        *_ages(scans),
        *_label_spellings(scans),
        *_nobody(scans),
        *_sessions(scans),
        *_labels(scans),
        *_uneven(scans),
    ]
    return sorted(found, key=lambda one: not one.fails)


def missing_covariates(scans: Sequence[CohortScan]) -> list[Missing]:
    """The share of scans without each covariate, in all and for each label; in the order of the table's columns."""
    further = dict.fromkeys(name for scan in scans for name in scan.further)
    labels = _by_label(scans)
    return [
        Missing(column, _share(scans, column), {label: _share(own, column) for label, own in labels.items()})
        for column in (*_COVARIATES, *further)
    ]


def _share(scans: Sequence[CohortScan], column: str) -> float:
    return sum(_cell(scan, column) is None for scan in scans) / len(scans)


def _cell(scan: CohortScan, column: str) -> str | None:
    return scan.cells.get(column) or scan.further.get(column)


def _by_label(scans: Sequence[CohortScan]) -> dict[str, list[CohortScan]]:
    groups: dict[str, list[CohortScan]] = defaultdict(list)
    for scan in scans:
        groups[scan.label or "n/a"].append(scan)
    return dict(sorted(groups.items()))


def _people(scans: Sequence[CohortScan]) -> dict[str, list[CohortScan]]:
    people: dict[str, list[CohortScan]] = defaultdict(list)
    for scan in scans:
        if scan.person is not None:
            people[scan.person].append(scan)
    return people


def _contradictions(scans: Sequence[CohortScan]) -> Iterator[Finding]:
    for column, kind in _PERSONAL.items():
        who = []
        for person, own in _people(scans).items():
            said = sorted({cell for scan in own if (cell := scan.cells.get(column)) is not None})
            if len(said) > 1:
                who.append(f"{person}: {', '.join(said)}")
        yield from of_any(
            kind,
            who,
            fails=True,
            what=f"{_counted(len(who), 'person has', 'people have')} more than one {column}",
            fix=f"Find out which {column} is right, or whether one id stands for two people.",
        )


def _ages(scans: Sequence[CohortScan]) -> list[Finding]:
    who = []
    for person, own in _people(scans).items():
        dated = sorted((day, scan.age) for scan in own if (day := scan.further.get(_DATE)) and scan.age is not None)
        if any(later - earlier < -_YEAR for (_, earlier), (_, later) in itertools.pairwise(dated)):
            who.append(f"{person}: " + ", ".join(f"{age:g} on {day}" for day, age in dated))
    return of_any(
        "ages_fall",
        who,
        fails=True,
        what=f"{_counted(len(who), 'person gets', 'people get')} younger from one scan to a later one",
        fix="Correct the ages or dates; ages must be those at the scan.",
    )


def _label_spellings(scans: Sequence[CohortScan]) -> list[Finding]:
    spelt: dict[str, set[str]] = defaultdict(set)
    for scan in scans:
        if scan.label is not None:
            spelt["".join(c for c in scan.label.casefold() if c.isalnum())].add(scan.label)
    who = [", ".join(sorted(names)) for names in spelt.values() if len(names) > 1]
    return of_any(
        "label_spellings",
        who,
        fails=True,
        what=f"{_counted(len(who), 'label is', 'labels are')} written in more than one way",
        fix="Write each label one way; they would count as different classes.",
    )


def _nobody(scans: Sequence[CohortScan]) -> list[Finding]:
    nobody = [scan.name for scan in scans if scan.person is None]
    bare = [scan.name for scan in scans if scan.label is None]
    return [
        *of_any(
            "no_person",
            nobody,
            fails=True,
            what=f"{_counted(len(nobody), 'scan has', 'scans have')} no participant_id",
            fix="Complete the table; such a scan cannot be split.",
        ),
        *of_any(
            "no_label",
            bare,
            fails=False,
            what=f"{_counted(len(bare), 'scan has', 'scans have')} no label",
            fix="Complete the table; such a scan cannot be trained on.",
        ),
    ]


def _sessions(scans: Sequence[CohortScan]) -> list[Finding]:
    seen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for scan in scans:
        session = scan.cells.get("session_id")
        if scan.person is not None and session is not None and _OF_SLICES not in scan.further:
            seen[(scan.person, session, scan.cells.get("modality", "dat"))].append(scan.name)
    who = [f"{person}, {session}: {', '.join(names)}" for (person, session, _), names in seen.items() if names[1:]]
    return of_any(
        "same_session",
        who,
        fails=False,
        what=f"{_counted(len(who), 'session has', 'sessions have')} several scans of one modality",
        fix="Keep the one that is meant, unless they are repeats that you want; splits keep them together.",
    )


def _labels(scans: Sequence[CohortScan]) -> list[Finding]:
    counts = {label: len(_people(own)) for label, own in _by_label(scans).items() if label != "n/a"}
    who = [f"{label}: {count}" for label, count in counts.items() if count < FEWEST]
    return of_any(
        "few_people",
        who,
        fails=False,
        what=f"{_counted(len(who), 'label is', 'labels are')} of fewer than {FEWEST} people",
        fix="Leave such scans out of training, or join their label to another; figures on them say little.",
    )


def _uneven(scans: Sequence[CohortScan]) -> list[Finding]:
    who = []
    for one in missing_covariates(scans):
        shares = [share for label, share in one.by_label.items() if label != "n/a"]
        if len(shares) > 1 and max(shares) - min(shares) > UNEVEN:
            who.append(f"{one.column}: " + ", ".join(f"{label} {share:.0%}" for label, share in one.by_label.items()))
    return of_any(
        "missing_unevenly",
        who,
        fails=False,
        what=f"{_counted(len(who), 'covariate is', 'covariates are')} missing more in one label than another",
        fix="Do not train on it: that it is missing tells the label.",
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
