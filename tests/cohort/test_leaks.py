"""Planted leaks are found, each by its name; clean splits are clean."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.cohort import CohortScan
from dopascope.cohort.leaks import check, leaks
from dopascope.cohort.splits import Place, k_fold
from dopascope.errors import LeakError, UsageError


def scan(folder: Path, name: str, person: str | None, content: bytes | None = None, **cells: str) -> CohortScan:
    path = folder / f"{name}.png"
    path.write_bytes(name.encode() if content is None else content)
    known = {"session_id": cells.pop("session_id", "")} | ({"participant_id": person} if person else {})
    return CohortScan(name, path, {k: v for k, v in known.items() if v}, further=cells)


def split(**roles: str) -> list[Place]:
    return [Place("1", role, name, "") for name, role in roles.items()]  # type: ignore[arg-type]


@pytest.fixture
def planted(tmp_path: Path) -> dict[str, list[CohortScan]]:
    """Kind of leak -> a scan that is trained on and one that is tested on."""
    return {
        "person": [scan(tmp_path, "a", "ann"), scan(tmp_path, "b", "ann")],
        "session": [scan(tmp_path, "c", "bea", session_id="1"), scan(tmp_path, "d", "bea", session_id="1")],
        "file": [scan(tmp_path, "e", "cem", b"same"), scan(tmp_path, "f", "dan", b"same")],
        "slice": [scan(tmp_path, "g", None, volume="v1"), scan(tmp_path, "h", None, volume="v1")],
        "synthetic": [scan(tmp_path, "i", None, parents="x, j"), scan(tmp_path, "j", "eve")],
    }


def test_every_planted_leak_is_found_by_its_name(planted: dict[str, list[CohortScan]]) -> None:
    scans = [one for pair in planted.values() for one in pair]
    places = [
        Place("1", role, one.name, "")  # type: ignore[arg-type]
        for pair in planted.values()
        for one, role in zip(pair, ("train", "test"), strict=True)
    ]
    found = leaks(scans, places)
    assert {leak.kind: (leak.trained, leak.tested) for leak in found} == {
        kind: (pair[0].name, pair[1].name) for kind, pair in planted.items()
    }
    assert len(found) == len(planted)
    same_side = [Place("1", "train", one.name, "") for one in scans]
    assert leaks(scans, same_side) == []


def test_a_child_of_another_scan_of_a_tested_person_leaks(tmp_path: Path) -> None:
    scans = [
        scan(tmp_path, "made", None, parents="first"),
        scan(tmp_path, "first", "ann"),
        scan(tmp_path, "later", "ann"),
    ]
    (leak,) = leaks(scans, split(made="train", later="test"))
    assert (leak.kind, leak.tested, leak.people) == ("synthetic", "later", ("ann",))
    assert leaks(scans, split(first="train", later="train", made="test")) == []


def test_a_scan_on_both_sides_of_two_folds_is_no_leak_but_held_out_is(tmp_path: Path) -> None:
    scans = [scan(tmp_path, "a", "ann"), scan(tmp_path, "b", "ben")]
    crossed = [
        Place("1", "train", "a", ""),
        Place("1", "test", "b", ""),
        Place("2", "test", "a", ""),
        Place("2", "train", "b", ""),
    ]
    assert leaks(scans, crossed) == []
    aside = [Place("1", "train", "a", ""), Place("1", "held_out", "b", ""), Place("2", "train", "b", "")]
    assert [(leak.kind, leak.fold, leak.tested) for leak in leaks(scans, aside)] == [("file", "held out", "b")]


def test_a_scan_of_nobody_known_that_is_both_held_out_and_used_leaks(tmp_path: Path) -> None:
    """A series in a folder has no one file to compare, and no participant here."""
    scans = [CohortScan(name, tmp_path, {}) for name in "ab"]
    aside = [Place("1", "train", "a", ""), Place("1", "held_out", "b", ""), Place("2", "train", "b", "")]
    for contents in (True, False):
        assert [leak.tested for leak in leaks(scans, aside, contents=contents)] == ["b"]


def test_inner_folds_are_looked_at_too(tmp_path: Path) -> None:
    scans = [scan(tmp_path, name, "ann" if name != "t" else "zoe") for name in "abt"]
    places = [Place("1", "train", "a", "", None, 1), Place("1", "train", "b", "", None, 2), Place("1", "test", "t", "")]
    assert {leak.fold for leak in leaks(scans, places)} == {"1, inner 1", "1, inner 2"}


def test_a_leak_is_an_exception_that_names_the_people(planted: dict[str, list[CohortScan]]) -> None:
    with pytest.raises(LeakError, match="leaks") as caught:
        check(planted["person"], split(a="train", b="test"))
    assert "ann" in caught.value.found
    assert caught.value.exit_code == 4
    with pytest.raises(UsageError) as strange:
        check(planted["person"], split(a="train", stranger="test"))
    assert "stranger" in strange.value.found


@given(
    st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["PD", "control"])), min_size=6, max_size=40),
    st.integers(2, 3),
    st.sampled_from([0, 2]),
)
def test_our_own_splits_are_clean(rows, folds, inner) -> None:  # type: ignore[no-untyped-def]
    scans = [
        CohortScan(f"s{k}", Path("nowhere"), {"participant_id": f"p{p}", "label": label, "session_id": f"{k}"})
        for k, (p, label) in enumerate(rows)
    ]
    sizes = Counter(p for p, _ in rows)
    if len(sizes) < folds + inner + max(sizes.values()):
        return  # too few people to be dealt
    places = k_fold(scans, folds, seed=1, inner=inner)
    assert leaks(scans, places) == []
    moved = next(k for k, place in enumerate(places) if place.role == "test")
    person = places[moved].participant_id
    siblings = [place for place in places if place.participant_id == person and place.fold == places[moved].fold]
    if len(siblings) > 1:
        wrong = list(places)
        wrong[moved] = Place(places[moved].fold, "train", places[moved].scan_id, person, None, 1 if inner else None)
        assert {leak.people for leak in leaks(scans, wrong)} == {(person,)}


def test_pairs_of_header_and_image_leak_by_both_halves(tmp_path: Path) -> None:
    scans = []
    for name, image in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        (tmp_path / f"{name}.hdr").write_bytes(b"the same header")
        (tmp_path / f"{name}.img").write_bytes(image)
        scans.append(CohortScan(name, tmp_path / f"{name}.hdr", {"participant_id": name}))
    assert leaks(scans[:2], split(a="train", b="test")) == []
    assert [leak.kind for leak in leaks(scans, split(a="train", b="train", c="test"))] == ["file"]
