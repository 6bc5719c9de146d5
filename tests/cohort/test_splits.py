"""Splits: whole people, exact class counts, nothing lost, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.cohort import CohortScan
from dopascope.cohort.splits import Place, grouped, k_fold, leave_one_out, read_splits, write_splits
from dopascope.errors import UnreadableError, UsageError


def scan(name: str, person: str, label: str | None = None, **cells: str) -> CohortScan:
    known = {"participant_id": person, **({"label": label} if label else {}), **cells}
    return CohortScan(name, Path(f"{name}.nii.gz"), known)


def people(counts: dict[str, int], visits: int = 1) -> list[CohortScan]:
    return [
        scan(f"{label}{n}_{visit}", f"{label}{n}", label)
        for label, count in counts.items()
        for n in range(count)
        for visit in range(visits)
    ]


def class_counts(places: list[Place]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for one in places:
        if one.role == "test":
            found.setdefault(one.fold, Counter())[str(one.label)] += 1
    return found


def test_the_folds_of_quan_2019_come_out_exactly() -> None:
    """S3: 449 PD and 210 others in ten folds are nine of 45 + 21 and one of 44 + 21."""
    for seed in range(5):
        counts = class_counts(k_fold(people({"PD": 449, "control": 210}), 10, seed=seed))
        sizes = Counter((one["PD"], one["control"]) for one in counts.values())
        assert sizes == {(45, 21): 9, (44, 21): 1}


COHORTS = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(["PD", "control", "ET", None]), st.sampled_from("abc")),
    min_size=4,
    max_size=60,
).map(lambda rows: [scan(f"s{k}", f"p{p}", label, camera=camera) for k, (p, label, camera) in enumerate(rows)])


@given(COHORTS, st.integers(2, 5), st.integers(0, 3), st.sampled_from([None, "camera"]), st.sampled_from([0, 2]))
def test_no_person_is_apart_and_no_scan_is_lost(scans, folds, seed, together, inner) -> None:  # type: ignore[no-untyped-def]
    groups = grouped(scans, together)
    if len(groups) < folds + max(map(len, groups)) + inner:
        return  # too few to be dealt
    places = k_fold(scans, folds, seed=seed, together=together, inner=inner)
    assert places == k_fold(scans, folds, seed=seed, together=together, inner=inner)
    columns = ["participant_id", *([together] if together else [])]
    cells = {one.name: one.cells for one in scans}
    tests = [one.scan_id for one in places if one.role == "test"]
    assert sorted(tests) == sorted(cells)
    for fold in {one.fold for one in places}:
        ours = [one for one in places if one.fold == fold]
        assert [one.scan_id for one in ours] == [one.name for one in scans]
        for column in columns:
            sides = [{cells[one.scan_id][column] for one in ours if one.role == role} for role in ("train", "test")]
            assert not sides[0] & sides[1]
            if inner:
                trained = [one for one in ours if one.role == "train"]
                inners = [
                    {cells[one.scan_id][column] for one in trained if one.inner_fold == number}
                    for number in range(1, inner + 1)
                ]
                assert not inners[0] & inners[1]
                assert {one.inner_fold for one in trained} <= set(range(1, inner + 1))


@given(st.dictionaries(st.sampled_from(["PD", "control", "ET"]), st.integers(5, 40), min_size=1), st.integers(2, 5))
def test_class_counts_of_single_scans_differ_by_at_most_one(counts, folds) -> None:  # type: ignore[no-untyped-def]
    found = class_counts(k_fold(people(counts), folds, seed=1))
    for label, count in counts.items():
        sizes = [one[label] for one in found.values()]
        assert (max(sizes) - min(sizes) <= 1, sum(sizes)) == (True, count)
    totals = [one.total() for one in found.values()]
    assert max(totals) - min(totals) <= len(counts)


def test_another_seed_deals_otherwise() -> None:
    scans = people({"PD": 20, "control": 20})
    assert k_fold(scans, 5, seed=1) != k_fold(scans, 5, seed=2)


def test_a_chain_of_people_and_cameras_stays_together() -> None:
    scans = [
        scan("1", "a", camera="x"),
        scan("2", "a", camera="y"),
        scan("3", "b", camera="y"),
        scan("4", "c", camera="z"),
    ]
    assert [[one.name for one in group] for group in grouped(scans, "camera")] == [["1", "2", "3"], ["4"]]


def test_what_is_held_out_is_never_trained_or_tested_on() -> None:
    scans = people({"PD": 40, "control": 20}, visits=2)
    places = k_fold(scans, 4, seed=1, held_out=0.25)
    aside = {one.scan_id for one in places if one.role == "held_out"}
    assert {one.fold for one in places if one.scan_id in aside} == {"1", "2", "3", "4"}
    assert all(one.role == "held_out" for one in places if one.scan_id in aside)
    labels = Counter(one.label for one in places if one.role == "held_out" and one.fold == "1")
    assert labels == {"PD": 20, "control": 10}


def test_each_site_is_tested_alone() -> None:
    scans = [scan(f"{site}{n}", f"{site}{n}", "PD", site=site) for site in ("Ulm", "Bonn") for n in range(3)]
    places = leave_one_out(scans, "site")
    for one in places:
        assert (one.role == "test") == one.scan_id.startswith(one.fold)
    with pytest.raises(UsageError) as caught:
        leave_one_out([*scans, scan("again", "Ulm0", "PD", site="Bonn")], "site")
    assert caught.value.found == "Ulm0 at Bonn, Ulm"
    with pytest.raises(UsageError, match="cannot be made"):
        leave_one_out(scans[:3], "site")


@pytest.mark.parametrize(
    ("scans", "choices", "where"),
    [
        ([CohortScan("x", Path("x"), {}), scan("y", "b")], {}, "scan x, column participant_id"),
        ([scan("x", "a", camera="c"), scan("y", "b")], {"together": "camera"}, "scan y, column camera"),
        (people({"PD": 3}), {"folds": 4}, "folds"),
        (people({"PD": 3}), {"folds": 1}, "folds"),
        (people({"PD": 3}), {"held_out": 1.0}, "held_out"),
    ],
)
def test_impossible_splits_are_refused_with_the_place(scans, choices, where) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError) as caught:
        k_fold(scans, **{"folds": 2, "seed": 1} | choices)
    assert caught.value.where == where


def test_a_split_goes_to_a_file_and_back(tmp_path: Path) -> None:
    places = k_fold(people({"PD": 6, "control": 5}), 3, seed=1, inner=2, held_out=0.2)
    write_splits(places, tmp_path / "splits.tsv")
    assert read_splits(tmp_path / "splits.tsv") == places


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("1\tvalid\ta", "line 2, column role"),
        ("n/a\ttest\ta", "line 2, column fold"),
        ("1\ttest\tn/a", "column scan_id"),
    ],
)
def test_a_faulty_split_is_refused_with_the_place(tmp_path: Path, line: str, where: str) -> None:
    (tmp_path / "s.tsv").write_text(f"fold\trole\tscan_id\n{line}\n")
    with pytest.raises(UnreadableError) as caught:
        read_splits(tmp_path / "s.tsv")
    assert where in caught.value.where
    (tmp_path / "s.tsv").write_text("fold\trole\tscan_id\n1\ttest\ta\n1\ttrain\ta\n")
    with pytest.raises(UnreadableError) as caught:
        read_splits(tmp_path / "s.tsv")
    assert "line 3, column scan_id" in caught.value.where
