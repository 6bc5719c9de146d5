"""Leaks of a split: people, files, slices or synthetic images that stand on both sides of a fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dopascope import formats
from dopascope.cohort import similarity
from dopascope.cohort.content import HALVES, content_of
from dopascope.cohort.scan import CohortScan
from dopascope.cohort.similarity import Texture, texture
from dopascope.cohort.splits import Place
from dopascope.errors import DopascopeError, LeakError, UsageError
from dopascope.volume import Volume

Kind = Literal["person", "session", "file", "slice", "synthetic", "copy", "mirrored"]
MEANING: Final[dict[Kind, str]] = {
    "person": "scans of one person on both sides",
    "session": "scans of one person's session on both sides",
    "file": "the same bytes on both sides",
    "slice": "slices of one scan on both sides",
    "synthetic": "a synthetic image is trained on, and what it was made from is tested on",
    "copy": "one image, resampled, rescaled or cropped, on both sides",
    "mirrored": "one image and its mirror image on both sides",
}
_SHOWN: Final = 10


@dataclass(frozen=True)
class Leak:
    """One leak: a scan that is trained on, and one that is tested on, which must not be apart."""

    kind: Kind
    fold: str
    trained: str
    tested: str
    people: tuple[str, ...]
    """Whom it concerns."""

    def as_dict(self) -> dict[str, object]:
        """JSON-ready data."""
        return {
            "kind": self.kind,
            "meaning": MEANING[self.kind],
            "fold": self.fold,
            "trained": self.trained,
            "tested": self.tested,
            "people": list(self.people),
        }


@dataclass(frozen=True)
class _Tie:
    """What two scans can have in common; they leak where it is on both sides."""

    kind: Kind
    of: Callable[[CohortScan], Iterable[str]]


def leaks(
    scans: Sequence[CohortScan],
    places: Sequence[Place],
    *,
    contents: bool = True,
    copies: Sequence[tuple[str, str, bool]] = (),
) -> list[Leak]:
    """Every leak of a split, the closest tie of each pair of scans alone, in the order of the split.

    Args:
        scans: the cohort that the split is of. A column `volume` names the scan that slices were cut from; a column
            `parents` the scans (ids with commas between) from which a synthetic image was made.
        places: the split.
        contents: whether files are compared by their bytes.
        copies: (scan id, scan id, mirrored) of images that are of one scan: see `image_copies`.

    Raises:
        UsageError: the split names scans that the cohort does not have.
    """
    known = {scan.name: scan for scan in scans}
    strangers = sorted({place.scan_id for place in places} - set(known))
    if strangers:
        raise UsageError(
            "The split names scans that the cohort does not have.",
            where="column scan_id",
            found=f"{len(strangers)}: {', '.join(strangers[:_SHOWN])}",
            expected="scan ids of the cohort table",
            fix="Give the table that the split was made of.",
        )
    digests = {name: _digest(scan) for name, scan in known.items()} if contents else {}
    ties = [
        _Tie("slice", lambda scan: [found] if (found := scan.further.get("volume")) else []),
        _Tie("file", lambda scan: [digests.get(scan.name) or f"\0{scan.name}"]),
        _Tie("session", lambda scan: _session(scan)),
        _Tie("person", lambda scan: [scan.person] if scan.person else []),
    ]
    ties += [_copy_tie(mirrored, [pair[:2] for pair in copies if pair[2] == mirrored]) for mirrored in (False, True)]
    found: dict[tuple[str, str, str], Leak] = {}
    for fold, train, test in _folds(places, known):
        for leak in (*_synthetic(fold, train, test, known), *_tied(fold, train, test, ties)):
            found.setdefault((fold, leak.trained, leak.tested), leak)
    return list(found.values())


def image_copies(
    scans: Sequence[CohortScan], progress: Callable[[int, int], None] = lambda _done, _of: None
) -> tuple[list[tuple[str, str, bool]], list[str]]:
    """Scans that are copies of each other by their images, whoever they are said to be of, and those not compared.

    Args:
        scans: whose images to read.
        progress: is told how many images of how many are read.

    Returns:
        (scan id, scan id, mirrored) of each pair, and the ids of scans that are no volume or cannot be read.
    """
    textures: list[Texture] = []
    names: list[str] = []
    skipped: list[str] = []
    for number, scan in enumerate(scans, 1):
        try:
            image = formats.load(scan.path)
        except DopascopeError:
            image = None
        if isinstance(image, Volume):
            names.append(scan.name)
            textures.append(texture(image))
        else:
            skipped.append(scan.name)
        progress(number, len(scans))
    found = similarity.copies(textures)
    return [(names[one.one], names[one.other], one.mirrored) for one in found], skipped


def check(scans: Sequence[CohortScan], places: Sequence[Place]) -> None:
    """Nothing where a split is clean.

    Raises:
        LeakError: it leaks; the text lists the people.
    """
    found = leaks(scans, places)
    if found:
        raise leak_error(found)


def leak_error(found: Sequence[Leak]) -> LeakError:
    """The error that a split leaks, with the people that it concerns."""
    people = sorted({person for leak in found for person in leak.people})
    more = f" and {len(people) - _SHOWN} more" if len(people) > _SHOWN else ""
    kinds = sorted({leak.kind for leak in found})
    return LeakError(
        "The split leaks.",
        where=f"fold {found[0].fold}: {found[0].trained} is trained on, {found[0].tested} tested on",
        found=f"{len(found)} pairs ({', '.join(kinds)}) of {', '.join(people[:_SHOWN])}{more}",
        expected="each person, file and volume on one side",
        fix="Split anew with dopascope cohort split, which keeps people together.",
    )


def _folds(
    places: Sequence[Place], known: dict[str, CohortScan]
) -> Iterator[tuple[str, list[CohortScan], list[CohortScan]]]:
    """(fold, trained on, tested on): each fold's test, its inner tests, and what is held out of all."""
    by_fold: dict[str, list[Place]] = {}
    for place in places:
        by_fold.setdefault(place.fold, []).append(place)
    for fold, ours in by_fold.items():
        train = [known[one.scan_id] for one in ours if one.role == "train"]
        yield fold, train, [known[one.scan_id] for one in ours if one.role in ("test", "held_out")]
        for inner in sorted({one.inner_fold for one in ours if one.inner_fold is not None}):
            rest = [known[one.scan_id] for one in ours if one.role == "train" and one.inner_fold != inner]
            yield f"{fold}, inner {inner}", rest, [known[one.scan_id] for one in ours if one.inner_fold == inner]
    aside = {one.scan_id for one in places if one.role == "held_out"}
    used = {one.scan_id for one in places if one.role != "held_out"}
    if aside:
        yield "held out", [known[name] for name in sorted(used)], [known[name] for name in sorted(aside)]


def _tied(fold: str, train: Sequence[CohortScan], test: Sequence[CohortScan], ties: Sequence[_Tie]) -> Iterator[Leak]:
    """Pairs that share something, the closest tie first. A scan on both sides is a pair of itself."""
    for tie in ties:
        trained: dict[str, CohortScan] = {}
        for scan in train:
            for value in tie.of(scan):
                trained.setdefault(value, scan)
        for scan in test:
            for value in tie.of(scan):
                if (other := trained.get(value)) is not None:
                    yield Leak(tie.kind, fold, other.name, scan.name, _people(other, scan))


def _synthetic(
    fold: str, train: Sequence[CohortScan], test: Sequence[CohortScan], known: dict[str, CohortScan]
) -> Iterator[Leak]:
    """Synthetic images whose parents, or anything else of their parents' people, is tested on."""
    tested: dict[str, CohortScan] = {}
    for scan in test:
        tested.setdefault(scan.name, scan)
        if scan.person:
            tested.setdefault(f"\0{scan.person}", scan)
    for scan in train:
        for name in _parents(scan):
            parent = known.get(name)
            hit = tested.get(name) or (tested.get(f"\0{parent.person}") if parent and parent.person else None)
            if hit is not None:
                yield Leak("synthetic", fold, scan.name, hit.name, _people(hit))


def _parents(scan: CohortScan) -> list[str]:
    return [name.strip() for name in scan.further.get("parents", "").split(",") if name.strip()]


def _people(*scans: CohortScan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scan.person or scan.name for scan in scans))


def _copy_tie(mirrored: bool, pairs: Sequence[tuple[str, str]]) -> _Tie:
    """What copies have in common is their pair."""
    pairs_of: dict[str, list[str]] = {}
    for pair in pairs:
        for name in pair:
            pairs_of.setdefault(name, []).append("\0".join(pair))
    return _Tie("mirrored" if mirrored else "copy", lambda scan: pairs_of.get(scan.name, []))


def _session(scan: CohortScan) -> list[str]:
    session = scan.cells.get("session_id")
    return [f"{scan.person}\0{session}"] if scan.person and session else []


def _digest(scan: CohortScan) -> str | None:
    """Of a file's bytes, both halves of a pair; None for folders, and for what is not there: `cohort check` tells."""
    return content_of(scan.path, HALVES) if scan.path.is_file() else None
