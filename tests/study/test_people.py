"""Who takes part, and folds: everything that is wrong is said before anything is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dopascope.cohort.scan import CohortScan
from dopascope.errors import LeakError, UnsuitableError, UsageError
from dopascope.study import load
from dopascope.study.people import FINAL, chosen, folds
from dopascope.study.plan import Labels, Plan, parse
from small_plan import SMALL

LABELS = Labels(positive=["PD"], negative=["control"], leave_out=["SWEDD"])


def scan(name: str, label: str | None, person: str | None = None, **cells: str) -> CohortScan:
    known = {"participant_id": person or f"p-{name}", "label": label} | cells
    return CohortScan(name, Path(f"/nowhere/{name}.nii"), {k: v for k, v in known.items() if v is not None})


def cohort(positive: int, negative: int) -> list[CohortScan]:
    return [scan(f"a{n:03}", "PD") for n in range(positive)] + [scan(f"b{n:03}", "control") for n in range(negative)]


def plan(**validation: object) -> Plan:
    text = SMALL.replace("folds = 3", "\n".join(f"{key} = {value!r}".lower() for key, value in validation.items()))
    return parse(text, where="test")


def test_ppmis_ten_folds_are_those_of_s3() -> None:
    """449 and 210 people: nine folds of 66 with 45 and 21, one of 65 with 44 and 21; 527 to learn from in the end."""
    scans = chosen(cohort(449, 210), load("s3").labels)
    found, _ = folds(scans, load("s3"))
    truth = np.array([one.label == "PD" for one in scans])
    counts = sorted((len(one.test), int(truth[one.test].sum())) for one in found if one.name != FINAL)
    assert counts == [(65, 44)] + [(66, 45)] * 9
    last = next(one for one in found if one.name == FINAL)
    assert (len(last.train), len(last.test)) == (527, 132)
    assert int(truth[last.test].sum()) in (89, 90)


def test_left_out_labels_and_later_sessions_take_no_part() -> None:
    scans = [
        scan("2", "PD", "x", session_id="ses-2"),
        scan("1", "PD", "x", session_id="ses-1"),
        scan("3", "SWEDD"),
        scan("4", "control"),
    ]
    assert [one.name for one in chosen(scans, LABELS)] == ["1", "2", "4"]
    first = LABELS.model_copy(update={"first_session": True})
    assert [one.name for one in chosen(scans, first)] == ["1", "4"]


@pytest.mark.parametrize(
    ("scans", "where", "found"),
    [
        ([scan("1", "PD"), scan("2", None)], "scan 2", "n/a"),
        ([scan("1", "PD"), CohortScan("2", Path("x"), {"label": "PD"})], "scan 2", "n/a"),
        ([scan("1", "PD"), scan("2", "ET"), scan("3", "ET")], "column label", "ET (2 scans)"),
        ([scan("1", "PD"), scan("2", "PD")], "column label", "2 positive"),
        ([scan("1", "SWEDD")], "column label", "0 positive"),
    ],
)
def test_labels_that_cannot_be_meant(scans: list[CohortScan], where: str, found: str) -> None:
    with pytest.raises(UnsuitableError) as caught:
        chosen(scans, LABELS)
    assert caught.value.where == where
    assert found in caught.value.found
    assert caught.value.fix


def test_too_few_people_of_a_class_are_counted() -> None:
    """One of each class for every fold, of classes that networks tell apart too; scans of one person are one."""
    with pytest.raises(UnsuitableError, match="too few people") as caught:
        folds(chosen(cohort(20, 2), LABELS), plan(folds=4))
    assert caught.value.where == "column label: control"
    assert "PD 20, control 2" in caught.value.found
    assert caught.value.expected.startswith("4 people")
    twice = [scan(f"b{n}", "control", f"p{n // 2}") for n in range(6)]
    with pytest.raises(UnsuitableError, match="too few people"):
        folds(chosen([*cohort(20, 0), *twice], LABELS), plan(folds=4))
    s5 = load("s5")
    three = [*cohort(5, 5), *(scan(f"c{n}", "ET") for n in range(5))]
    assert len(folds(chosen(three, s5.labels), s5)[0]) == 6, "five folds, and every scan"
    with pytest.raises(UnsuitableError, match="too few people") as caught:
        folds(chosen(three[1:-1], s5.labels), s5)
    assert caught.value.where == "column label: PD, ET"
    assert "PD 4, ET 4, unclear 5" in caught.value.found


def test_a_fold_without_a_class_is_named() -> None:
    with pytest.raises(UnsuitableError, match="one class only") as caught:
        folds(chosen(cohort(20, 5), LABELS), plan(folds=5, inner=8))
    assert caught.value.where.startswith("fold ")
    assert "inner fold" in caught.value.where


def test_cameras_of_one_class_cannot_be_left_out() -> None:
    scans = [scan(str(n), "PD" if n < 6 else "control", camera="one" if n < 6 else "two") for n in range(12)]
    with pytest.raises(UnsuitableError, match="one class only"):
        folds(chosen(scans, LABELS), plan(leave_out="camera"))
    bare = [scan(str(n), "PD" if n % 2 else "control") for n in range(12)]
    with pytest.raises(UsageError, match="no camera"):
        folds(chosen(bare, LABELS), plan(leave_out="camera"))


def test_a_cohort_whose_folds_leak_is_refused(tmp_path: Path) -> None:
    """The same file under two people's names."""
    paths = []
    for n in range(12):
        path = tmp_path / f"{n}.nii"
        path.write_bytes(b"same" if n in (0, 11) else bytes([n]) * 50)
        paths.append(path)
    scans = [
        CohortScan(f"s{n:02}", path, {"participant_id": f"p{n}", "label": "PD" if n % 2 else "control"})
        for n, path in enumerate(paths)
    ]
    # Leave-one-out by cameras puts the two on both sides whatever the dealing.
    seen_at = [CohortScan(one.name, one.path, one.cells | {"camera": f"c{n % 4 // 2}"}) for n, one in enumerate(scans)]
    with pytest.raises(LeakError) as caught:
        folds(chosen(seen_at, LABELS), plan(leave_out="camera"))
    assert "p0, p11" in caught.value.found


@pytest.mark.parametrize("final", ["none", "held-out", "all"])
def test_people_are_never_divided_whatever_the_folds(final: str) -> None:
    scans = [scan(f"s{n:02}", "PD" if (n // 3) % 2 else "control", f"person{n // 3}") for n in range(60)]
    found, places = folds(chosen(scans, LABELS), plan(folds=3, inner=2, final=final))
    assert len(places) == 60 * len(found)
    for one in found:
        people = [{scans[row].cells["participant_id"] for row in rows} for rows in (one.train, one.test)]
        assert not people[0] & people[1]
        for number in (1, 2):
            held = {scans[row].cells["participant_id"] for row in one.train[one.inner == number]}
            rest = {scans[row].cells["participant_id"] for row in one.train[one.inner != number]}
            assert held
            assert not held & rest
    tested = np.concatenate([one.test for one in found if one.name != FINAL])
    assert sorted(tested.tolist()) == list(range(60))
    last = [one for one in found if one.name == FINAL]
    assert [len(one.test) for one in last] == {"none": [], "held-out": [12], "all": [0]}[final]


def test_watched_people_are_not_learned_from() -> None:
    scans = [scan(f"s{n:02}", "PD" if (n // 2) % 2 else "control", f"person{n // 2}") for n in range(80)]
    found, _ = folds(chosen(scans, LABELS), plan(folds=4, watched=0.2))
    for one in found:
        watched = {scans[row].cells["participant_id"] for row in one.train[one.watched]}
        learned = {scans[row].cells["participant_id"] for row in one.train[~one.watched]}
        assert 8 <= one.watched.sum() <= 16
        assert not watched & learned


def test_the_order_of_the_table_changes_nothing() -> None:
    scans = cohort(30, 20)
    one = folds(chosen(scans, LABELS), plan(folds=5, inner=3))[1]
    other = folds(chosen(scans[::-1], LABELS), plan(folds=5, inner=3))[1]
    assert one == other
