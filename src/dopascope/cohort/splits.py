"""Folds of a cohort: whole people, classes shared out evenly, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from dopascope import provenance
from dopascope.cohort.scan import CohortScan
from dopascope.cohort.table import MISSING, Row, read_table
from dopascope.errors import UsageError

Together = Literal["camera", "site"]
Role = Literal["train", "test", "held_out"]
ROLES: Final[tuple[Role, ...]] = ("train", "test", "held_out")
COLUMNS: Final = ("fold", "role", "scan_id", "participant_id", "label", "inner_fold")
UNLABELLED: Final = ""


@dataclass(frozen=True)
class Place:
    """Where one scan stands in one fold: a line of `splits.tsv`."""

    fold: str
    role: Role
    """`held_out`: in no fold trained or tested on; the last test, once, is made there."""
    scan_id: str
    participant_id: str
    label: str | None = None
    inner_fold: int | None = None
    """Of a training scan in a nested split: the inner fold in which it is left out."""


def k_fold(
    scans: Sequence[CohortScan],
    folds: int,
    *,
    seed: int,
    together: Together | None = None,
    inner: int = 0,
    held_out: float = 0.0,
) -> list[Place]:
    """Stratified folds of whole people.

    The counts of each class differ by at most one between folds where every person has one scan; with several scans
    a person they are as even as dealing the largest first makes them.

    Args:
        scans: the cohort; each with a participant.
        folds: how many, from 2.
        seed: of the dealing; folds are numbered from 1.
        together: keep all people of a camera or site in one fold; people seen at two join them.
        inner: folds within each training set, for choosing settings there; 0 for none.
        held_out: share of the scans that is set aside before anything else.

    Raises:
        UsageError: a scan without participant, camera or site; more folds than people or groups; a share that is not
            from 0 to below 1.
    """
    if not 0 <= held_out < 1:
        raise _wrong("held_out", held_out, "a share from 0 to below 1")
    rng = np.random.default_rng(seed)
    groups = grouped(scans, together)
    aside: list[list[CohortScan]] = []
    if held_out:
        aside, groups = _set_aside(groups, held_out, rng)
    dealt = _dealt(groups, folds, rng)
    places = []
    for number in range(1, folds + 1):
        test = [scan for group, fold in zip(groups, dealt, strict=True) if fold == number for scan in group]
        train = [group for group, fold in zip(groups, dealt, strict=True) if fold != number]
        places += _fold(str(number), scans, test, train, inner, rng, [scan for group in aside for scan in group])
    return places


def leave_one_out(scans: Sequence[CohortScan], together: Together, *, seed: int = 0, inner: int = 0) -> list[Place]:
    """A fold for each camera or site: tested there, trained on all others; named after it.

    Raises:
        UsageError: a scan without participant, camera or site; fewer than two of them; a person at two of them.
    """
    rng = np.random.default_rng(seed)
    groups = grouped(scans, together)
    places = []
    for group in groups:
        names = sorted({scan.cells[together] for scan in group})
        if len(names) > 1:
            people = sorted(_people_at_several(group, together))
            raise UsageError(
                f"People were scanned at more than one {together}, so that none can be left out alone.",
                where=f"column {together}",
                found=f"{', '.join(people[:5])} at {', '.join(names)}",
                expected=f"each person at one {together}",
                fix="Leave out their further scans, or split into folds instead.",
            )
        train = [other for other in groups if other is not group]
        places += _fold(names[0], scans, group, train, inner, rng, [])
    if len(groups) < 2:
        raise _wrong(together, f"{len(groups)} in all", "two or more", f"column {together}")
    return places


def grouped(scans: Sequence[CohortScan], together: Together | None = None) -> list[list[CohortScan]]:
    """Scans that must stay together: those of a person, and with `together` of a camera or site, in table order.

    Raises:
        UsageError: a scan without participant, camera or site.
    """
    columns = ("participant_id", *([together] if together else []))
    leader = list(range(len(scans)))

    def lead(index: int) -> int:
        while leader[index] != index:
            leader[index] = index = leader[leader[index]]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, scan in enumerate(scans):
        for column in columns:
            other = first.setdefault((column, _cell(scan, column)), index)
            leader[max(lead(index), lead(other))] = min(lead(index), lead(other))
    groups: dict[int, list[CohortScan]] = {}
    for index, scan in enumerate(scans):
        groups.setdefault(lead(index), []).append(scan)
    return list(groups.values())


def _cell(scan: CohortScan, column: str) -> str:
    found = scan.cells.get(column)
    if found is None:
        raise UsageError(
            f"A scan has no {column}, so nobody can say on which side of a split it belongs.",
            where=f"scan {scan.name}, column {column}",
            found=MISSING,
            expected=f"a {column} for each scan",
            fix="Complete the table.",
        )
    return found


def _people_at_several(group: Sequence[CohortScan], together: Together) -> set[str]:
    places: dict[str, set[str]] = {}
    for scan in group:
        places.setdefault(scan.cells["participant_id"], set()).add(scan.cells[together])
    return {person for person, found in places.items() if len(found) > 1}


def _set_aside(
    groups: list[list[CohortScan]], share: float, rng: np.random.Generator
) -> tuple[list[list[CohortScan]], list[list[CohortScan]]]:
    """Groups that make up `share` of each class, as far as whole groups can, and the others."""
    wanted = {label: share * count for label, count in _classes(scan for one in groups for scan in one).items()}
    taken: Counter[str] = Counter()
    aside: list[list[CohortScan]] = []
    rest: list[list[CohortScan]] = []
    for index in rng.permutation(len(groups)):
        group = groups[index]
        classes = _classes(group)
        fits = all(taken[label] + count <= wanted[label] + 0.5 for label, count in classes.items())
        (aside if fits else rest).append(group)
        if fits:
            taken += classes
    return aside, rest


def _classes(scans: Iterator[CohortScan] | Sequence[CohortScan]) -> Counter[str]:
    return Counter(scan.label or UNLABELLED for scan in scans)


def _dealt(
    groups: Sequence[Sequence[CohortScan]], folds: int, rng: np.random.Generator, what: str = "folds"
) -> list[int]:
    """The fold (from 1) of each group: the largest first, each to where its classes are fewest."""
    if not 2 <= folds <= len(groups):
        raise _wrong(what, folds, f"2 to {len(groups)}, the number of people or groups that stay together")
    counts: list[Counter[str]] = [Counter() for _ in range(folds)]
    dealt = [0] * len(groups)
    order = sorted(rng.permutation(len(groups)), key=lambda index: -len(groups[index]))
    for index in order:
        classes = _classes(groups[index])

        def burden(fold: int, classes: Counter[str] = classes) -> tuple[int, int]:
            return sum(number * counts[fold][label] for label, number in classes.items()), counts[fold].total()

        chosen = min(range(folds), key=burden)
        counts[chosen] += classes
        dealt[index] = chosen + 1
    return dealt


def _fold(
    name: str,
    scans: Sequence[CohortScan],
    test: Sequence[CohortScan],
    train: Sequence[Sequence[CohortScan]],
    inner: int,
    rng: np.random.Generator,
    aside: Sequence[CohortScan],
) -> list[Place]:
    """The lines of one fold, in table order."""
    inners = _dealt(train, inner, rng, "inner") if inner else [None] * len(train)
    roles: dict[str, tuple[Role, int | None]] = {scan.name: ("test", None) for scan in test}
    roles |= {scan.name: ("held_out", None) for scan in aside}
    roles |= {scan.name: ("train", number) for group, number in zip(train, inners, strict=True) for scan in group}
    return [
        Place(name, roles[scan.name][0], scan.name, scan.cells["participant_id"], scan.label, roles[scan.name][1])
        for scan in scans
    ]


def _wrong(what: str, found: object, expected: str, where: str | None = None) -> UsageError:
    return UsageError(
        "This split cannot be made.", where=where or what, found=found, expected=expected, fix=f"Change {what}."
    )


def write_splits(places: Sequence[Place], path: Path) -> None:
    """Write `splits.tsv`, a line for each scan and fold, whole or not at all."""
    lines = ["\t".join(COLUMNS)]
    for one in places:
        cells = (one.fold, one.role, one.scan_id, one.participant_id, one.label, one.inner_fold)
        lines.append("\t".join(MISSING if cell is None else str(cell) for cell in cells))
    provenance.write_text(path, "\n".join(lines) + "\n")


def read_splits(path: Path) -> list[Place]:
    """The lines of a `splits.tsv`; of other people's tables `fold`, `role` and `scan_id` are enough.

    Raises:
        UnreadableError: see `table.read_table`; a role there is not, or a scan twice in a fold. The error names line
            and column.
    """
    places, seen = [], set()
    for row in read_table(path, ("fold", "role", "scan_id")):
        place = _place(row)
        if (place.fold, place.scan_id) in seen:
            raise row.fault("scan_id", f"{place.scan_id} a second time in fold {place.fold}", "each scan once a fold")
        seen.add((place.fold, place.scan_id))
        places.append(place)
    return places


def _place(row: Row) -> Place:
    fold, role, scan = (row.get(name) for name in ("fold", "role", "scan_id"))
    if fold is None or scan is None:
        raise row.fault("fold" if fold is None else "scan_id", MISSING, "a fold and a scan in each line")
    known = next((one for one in ROLES if one == role), None)
    if known is None:
        raise row.fault("role", role or MISSING, ", ".join(ROLES))
    number = row.number("inner_fold", 1, 1000)
    inner = None if number is None else int(number)
    return Place(fold, known, scan, row.get("participant_id") or "", row.get("label"), inner)
