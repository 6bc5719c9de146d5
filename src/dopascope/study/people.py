"""Who takes part in a study: labels, sessions and folds, checked before anything is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dopascope.cohort import leaks
from dopascope.cohort.scan import CohortScan
from dopascope.cohort.splits import Place, k_fold, leave_one_out
from dopascope.errors import UnsuitableError
from dopascope.learn.fit import NO_GRADE
from dopascope.study.plan import Labels, Plan, Validation

GRADES = ("0", "1", "2", "3", "4")
"""Normal, borderline, moderately reduced, strongly reduced, almost missing."""
FINAL = "final"
"""Name of the final model's fold."""


@dataclass(frozen=True)
class Fold:
    """Which scans, by their place, are learned from and which are tested on."""

    name: str
    train: NDArray[np.int_]
    test: NDArray[np.int_]
    inner: NDArray[np.int_]
    """(len(train),): the inner fold of each training scan, from 1; 0 without inner folds."""
    watched: NDArray[np.bool_]
    """(len(train),): scans that are watched instead of learned from."""
    also: NDArray[np.int_] = field(default_factory=lambda: np.empty(0, int))
    """Further scans of the people tested on, answered and judged apart."""

    @property
    def asked(self) -> NDArray[np.int_]:
        """All scans that the fold's models answer."""
        return np.concatenate([self.test, self.also])


def chosen(scans: Sequence[CohortScan], labels: Labels) -> list[CohortScan]:
    """The scans that take part, in the order of their names.

    Raises:
        UnsuitableError: a scan without label or person, a label unknown to the plan, or one class only.
    """
    for scan in scans:
        for column in ("label", "participant_id"):
            if scan.cells.get(column) is None:
                raise _unfit(f"A scan has no {column}.", f"scan {scan.name}", "n/a", f"a {column} for each scan")
    known = {*labels.positive, *labels.negative, *labels.leave_out}
    strange = Counter(str(scan.label) for scan in scans if scan.label not in known)
    if strange:
        raise _unfit(
            "The cohort has labels that the plan does not know.",
            "column label",
            ", ".join(f"{name} ({count} scans)" for name, count in sorted(strange.items())),
            ", ".join(sorted(known)),
            "Add them to labels.positive, labels.negative or labels.leave_out of the plan.",
        )
    taken = [scan for scan in scans if scan.label not in labels.leave_out]
    if labels.first_session:
        taken = _first(taken)
    positives = sum(scan.label in labels.positive for scan in taken)
    if not 0 < positives < len(taken):
        raise _unfit(
            "The cohort has one class only.",
            "column label",
            f"{positives} positive ({', '.join(labels.positive)}), {len(taken) - positives} negative",
            "scans of both classes",
            "Complete the cohort, or correct labels.positive and labels.negative.",
        )
    return sorted(taken, key=lambda scan: scan.name)


def further(scans: Sequence[CohortScan], of: Sequence[CohortScan], labels: Labels) -> list[CohortScan]:
    """Scans of a second table that are answered by the models that did not learn from their person.

    Raises:
        UnsuitableError: a scan of nobody in the cohort, of the same name as one of its scans, or with a label unknown.
    """
    people, names = {scan.cells["participant_id"] for scan in of}, {scan.name for scan in of}
    known = {*labels.positive, *labels.negative}
    for scan in scans:
        person, label = scan.cells.get("participant_id", "n/a"), scan.label or "n/a"
        checks = (
            (person, person in people, "a person of the cohort"),
            (scan.name, scan.name not in names, "scan ids of their own"),
            (label, label in known, ", ".join(sorted(known))),
        )
        for found, right, expected in checks:
            if not right:
                raise _unfit("A further scan does not belong to the cohort.", f"scan {scan.name}", found, expected)
    return sorted(scans, key=lambda scan: scan.name)


def grades_of(scans: Sequence[CohortScan], columns: Sequence[str]) -> NDArray[np.int_]:
    """Grades (N, regions) from columns of the table, `NO_GRADE` where they hold `n/a`.

    Raises:
        UnsuitableError: a column is not there, or a cell is no grade.
    """
    found = np.full((len(scans), len(columns)), NO_GRADE)
    for at, column in enumerate(columns):
        for row, scan in enumerate(scans):
            cell = scan.cells.get(column, scan.further.get(column))
            if cell in (None, "n/a"):
                continue
            if cell not in GRADES:
                raise _unfit("A grade is none.", f"scan {scan.name}, column {column}", str(cell), ", ".join(GRADES))
            found[row, at] = int(cell)
        if (found[:, at] == NO_GRADE).all():
            raise _unfit("No scan has a grade.", f"column {column}", "n/a for all", "grades of some scans at least")
    return found


def classes_of(scans: Sequence[CohortScan], labels: Labels) -> NDArray[np.int_]:
    """The place of each scan's class in `labels.classes`, (N, 1); every label is in one, as the plan checks."""
    at = {label: place for place, own in enumerate(labels.classes.values()) for label in own}
    return np.array([[at[str(scan.label)]] for scan in scans], int).reshape(-1, 1)


def _first(scans: Sequence[CohortScan]) -> list[CohortScan]:
    """The first scan of each person, by session and then by name."""
    by_person: dict[str, CohortScan] = {}
    for scan in sorted(scans, key=lambda one: (one.cells.get("session_id", ""), one.name)):
        by_person.setdefault(scan.cells["participant_id"], scan)
    return list(by_person.values())


def folds(scans: Sequence[CohortScan], plan: Plan) -> tuple[list[Fold], list[Place]]:
    """The folds of a study and their lines for `splits.tsv`, the final model's among them.

    Raises:
        UsageError: the scans cannot be divided so.
        LeakError: people, files or volumes would stand on both sides.
        UnsuitableError: fewer people of a class than folds, or a fold without one of the classes.
    """
    how = plan.validation
    _check_people(scans, plan)
    places = _places(scans, how)
    leaks.check(scans, places)
    found = [_fold(name, scans, places, how, plan) for name in dict.fromkeys(place.fold for place in places)]
    return found, places


def _check_people(scans: Sequence[CohortScan], plan: Plan) -> None:
    """Every fold is to be tested on a person of every class."""
    how, labels = plan.validation, plan.labels
    if how.folds is None:
        return
    classed = any(one.classes for one in plan.networks)
    parts = labels.classes if classed else {" or ".join(own): own for own in (labels.positive, labels.negative)}
    held = {name: {one.person for one in scans if one.label in own} for name, own in parts.items()}
    needed = max(how.folds, how.final_folds if how.final == "held-out" else 0)
    few = [name for name, people in held.items() if len(people) < needed]
    if few:
        raise _unfit(
            "The cohort has too few people of a class for its folds.",
            f"column label: {', '.join(few)}",
            ", ".join(f"{name} {len(people)}" for name, people in held.items()) + ", counting scans that can be used",
            f"{needed} people of each class at least: one of each in every fold",
            f"Add people of {' and '.join(few)}, or lower validation.folds of the plan.",
        )


def _places(scans: Sequence[CohortScan], how: Validation) -> list[Place]:
    if how.leave_out is not None:
        places = leave_one_out(scans, how.leave_out, seed=how.seed, inner=how.inner)
    else:
        places = k_fold(scans, how.folds or 2, seed=how.seed, together=how.together, inner=how.inner)
    if how.final == "held-out":
        once = k_fold(scans, how.final_folds, seed=how.seed + 1, together=how.together, inner=how.inner)
        # The largest test set is 20 % rounded up, as 132 of 659 in S3.
        sizes = Counter(place.fold for place in once if place.role == "test")
        largest = max(sizes, key=lambda name: (sizes[name], name))
        places += [_renamed(place) for place in once if place.fold == largest]
    elif how.final == "all":
        # Every scan is trained on; inner folds are those of a split that leaves nothing out.
        dealt = k_fold(scans, max(2, how.inner or 2), seed=how.seed + 1, together=how.together)
        tested = {place.scan_id: int(place.fold) for place in dealt if place.role == "test"}
        places += [
            Place(FINAL, "train", scan.name, scan.cells["participant_id"], scan.label, tested[scan.name])
            for scan in scans
        ]
    return places


def _renamed(place: Place) -> Place:
    return Place(FINAL, place.role, place.scan_id, place.participant_id, place.label, place.inner_fold)


def _fold(name: str, scans: Sequence[CohortScan], places: Sequence[Place], how: Validation, plan: Plan) -> Fold:
    at = {scan.name: index for index, scan in enumerate(scans)}
    own = [place for place in places if place.fold == name]
    train = [place for place in own if place.role == "train"]
    test = [place for place in own if place.role == "test"]
    inner = np.array([place.inner_fold or 0 for place in train]) if how.inner else np.zeros(len(train), int)
    people = [scans[at[place.scan_id]] for place in train]
    fold = Fold(
        name,
        np.array([at[place.scan_id] for place in train]),
        np.array([at[place.scan_id] for place in test], int),
        inner,
        _watched(people, how),
    )
    _check_classes(fold, scans, plan)
    return fold


def _watched(people: Sequence[CohortScan], how: Validation) -> NDArray[np.bool_]:
    """Which training scans are set aside to be watched: about a share of each class, whole people."""
    if not how.watched or how.inner:
        return np.zeros(len(people), bool)
    places = k_fold(people, 2, seed=how.seed, together=how.together, held_out=how.watched)
    aside = {place.scan_id for place in places if place.role == "held_out"}
    return np.array([scan.name in aside for scan in people])


def _check_classes(fold: Fold, scans: Sequence[CohortScan], plan: Plan) -> None:
    truth = np.array([scan.label in plan.labels.positive for scan in scans])
    learned = truth[fold.train][~fold.watched]
    parts = {"training set": learned, "watched set": truth[fold.train][fold.watched], "test set": truth[fold.test]}
    for number in sorted(set(fold.inner) - {0}):
        parts[f"inner fold {number}"] = truth[fold.train][fold.inner == number]
    for part, held in parts.items():
        if len(held) and (held.all() or not held.any()):
            raise _unfit(
                "A fold has one class only.",
                f"fold {fold.name}, {part}",
                f"{int(held.sum())} positive, {int((~held).sum())} negative",
                "both classes in every part of every fold",
                "Use fewer folds, another grouping, or more scans.",
            )


def _unfit(what: str, where: str, found: str, expected: str, fix: str = "Complete the table.") -> UnsuitableError:
    return UnsuitableError(what, where=where, found=found, expected=expected, fix=fix)
