"""T1 cohorts: the same bytes however they come about, tables that say what is in the scans, effects as asked for."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats, geometry
from dopascope.atlas.brain import Tissue, structure
from dopascope.errors import UsageError
from dopascope.phantom.mr.anatomy import PUTAMEN_IN_PD, SPREAD
from dopascope.phantom.mr.scanners import SCANNERS
from dopascope.simulate import T1Plan, parse_scanners, run
from dopascope.simulate.t1_scans import body_of
from dopascope.volume import LabelMap

Trees = Callable[[Path], dict[str, str]]
SITES = ("ge-3t-axial", "siemens-3t-sagittal")


def plan(subjects: int = 3, seed: int = 5, **choices: object) -> T1Plan:
    return T1Plan(subjects, seed, **{"sites": SITES, "spacing_mm": 4.0} | choices)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def t1_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("t1") / "cohort"
    run(plan(), out)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one_and_go_on_from_fewer_people(
    t1_cohort: Path, tree_of: Trees, tmp_path: Path
) -> None:
    run(plan(subjects=2), tmp_path / "again", processes=2)
    kept: list[int] = []
    run(plan(), tmp_path / "again", progress=lambda done, old, total: kept.append(old))
    assert kept[-1] == 2
    assert tree_of(tmp_path / "again") == tree_of(t1_cohort)


def test_a_changed_brain_and_a_missing_sidecar_are_made_again(t1_cohort: Path, tree_of: Trees, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    shutil.copytree(t1_cohort, out)
    brain = out / "brains" / "sub-00001_ses-01.nii.gz"
    brain.write_bytes(brain.read_bytes()[:-1] + b"x")
    (out / "scans" / "sub-00002_ses-01.json").unlink()
    kept: list[int] = []
    run(plan(), out, progress=lambda done, old, total: kept.append(old))
    assert kept[-1] == 1
    assert tree_of(out) == tree_of(t1_cohort)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"effect": 0.0}, "effect"), ({"spacing_mm": 3.0}, "spacing_mm"), ({"seed": 6}, "seed")],
)
def test_another_plan_is_refused_in_the_same_folder(t1_cohort: Path, change: dict[str, object], field: str) -> None:
    with pytest.raises(UsageError, match="another plan") as refused:
        run(plan(**change), t1_cohort)  # type: ignore[arg-type]
    assert refused.value.where.startswith(field)


def test_the_tables_say_what_the_images_hold(t1_cohort: Path) -> None:
    cohort, truth = rows(t1_cohort / "cohort.tsv"), rows(t1_cohort / "truth.tsv")
    assert [row["scan_id"] for row in cohort] == [row["scan_id"] for row in truth]
    for row, true in zip(cohort, truth, strict=True):
        scan, mask = formats.load(t1_cohort / row["path"]), formats.load(t1_cohort / row["mask"])
        assert scan.grid.same_as(mask.grid)
        assert scan.grid.axis_codes == SCANNERS[row["site"]].axes == true["axes"]
        assert scan.acquisition.manufacturer == row["manufacturer"]
        assert (scan.acquisition.age_years, scan.acquisition.sex) == (float(row["age"]), row["sex"])
        assert (mask.data > 0).sum() * mask.grid.voxel_ml == pytest.approx(float(true["brain_ml"]), rel=0.02)
        matrix = np.array([float(one) for one in true["mni_to_scan"].split()]).reshape(4, 4)
        at = mask.grid.to_world(np.argwhere(np.rint(mask.data) == Tissue.PONS)).mean(0)
        assert np.linalg.norm(at - [float(one) for one in true["landmark_mm_pons"].split()]) < 1.5
        assert np.linalg.norm(geometry.apply_affine(np.linalg.inv(matrix), at) - (0, -26, -34)) < 8
        assert float(true["putamen_ml"]) == pytest.approx(
            float(true["putamen_left_ml"]) + float(true["putamen_right_ml"]), abs=1e-4
        )


def test_true_volumes_are_those_of_the_painted_brain(t1_cohort: Path) -> None:
    asked = plan(spacing_mm=1.0)
    person = asked.participant(1)
    record = json.loads((t1_cohort / "truth" / "sub-00001_ses-01.json").read_text())["truth"]
    body = body_of(asked, person)
    assert record["volumes_ml"] == {name: round(value, 5) for name, value in body.volumes_ml.items()}
    grid = body.brain.labels.grid
    size = float(np.prod(body.anatomy.axes))
    painted = LabelMap(body.labels_on(grid), grid)
    for name in ("putamen_left", "midbrain", "pons"):
        ml = structure(painted, name).sum() * grid.voxel_ml * size
        assert ml == pytest.approx(record["volumes_ml"][name], rel=0.03)


def test_one_person_with_no_and_with_a_large_effect_differs_by_that_effect() -> None:
    """The same seeds make the cohorts of effect zero and of a large effect: only what is planted differs."""
    none, large = (plan(subjects=6, mix={"pd": 1.0}, effect=effect) for effect in (0.0, 3.0))
    for number in range(1, 4):
        one, other = none.participant(number), large.participant(number)
        assert one == other
        before, after = body_of(none, one).volumes_ml, body_of(large, other).volumes_ml
        for side in ("putamen_left", "putamen_right"):
            wanted = 3.0 * PUTAMEN_IN_PD * SPREAD["putamen"]
            assert np.log(after[side] / before[side]) == pytest.approx(wanted, abs=1e-4)
        for name in ("caudate_left", "midbrain", "pons"):
            assert after[name] == pytest.approx(before[name], rel=1e-4)


def test_healthy_alone_on_request() -> None:
    people = [plan(subjects=30, mix={"healthy": 1.0}).participant(number) for number in range(1, 31)]
    assert {one.group for one in people} == {"healthy"}
    assert {one.scanner.name for one in people} == set(SITES)


def test_participants_are_the_people_of_a_dat_cohort() -> None:
    from dopascope.simulate import Plan

    for number in (1, 7):
        one, other = Plan(9, 4).participant(number), T1Plan(9, 4).participant(number)
        assert (one.seed, one.group, one.person()) == (other.seed, other.group, other.person())


def test_the_plan_tells_its_effects_and_none_where_none_is_planted(t1_cohort: Path) -> None:
    assert any("pd: putamen -0.16" in line for line in plan().assumed())
    assert not any("standardised" in line for line in plan(effect=0.0).assumed())
    assert not any("standardised" in line for line in plan(mix={"healthy": 0.5, "et": 0.5}).assumed())
    known = json.loads((t1_cohort / "plan.json").read_text())
    assert known["people"]["effects_d"]["pd"] == {"putamen": PUTAMEN_IN_PD}
    assert known["sites"]["ge-3t-axial"]["voxel_mm"] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"subjects": 0}, "subjects"),
        ({"modality": "dat"}, "modality"),
        ({"format": "dicom"}, "format"),
        ({"sites": ("nowhere",)}, "sites"),
        ({"effect": -1.0}, "effect"),
        ({"effect": 9.0}, "effect"),
        ({"spacing_mm": 0.1}, "spacing"),
        ({"mix": {"healthy": 0.4}}, "mix"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(choices: dict[str, object], field: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan(**choices)  # type: ignore[arg-type]
    assert refused.value.where.startswith(field)


def test_sites_are_read_from_text() -> None:
    assert parse_scanners(" ge-3t-axial, siemens-3t-sagittal") == SITES
    for text in ("", "nowhere", "ge-3t-axial,ge-3t-axial"):
        with pytest.raises(UsageError) as refused:
            parse_scanners(text)
        assert refused.value.where == "sites"


@pytest.mark.data
def test_label_maps_are_told_by_content_and_stand_in_the_truth(data_dir: Path, tmp_path: Path) -> None:
    labels = data_dir / "t1_mri" / "fs_subject1" / "aseg.mgz"
    copy = tmp_path / "aseg.mgz"
    shutil.copy(labels, copy)
    one, other = plan(labels=(labels,)), plan(labels=(copy,))
    assert one.as_dict() == other.as_dict()
    drawn = [one.participant(number).labels for number in range(1, 41)]
    assert {labels, None} == set(drawn)
    assert replace(one, labels=()).as_dict()["asked"]["labels"]["names"] == []
