"""What the tables and files of a cohort say is true of its scans."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dopascope import atlas, formats, geometry, phantom
from dopascope.simulate import Plan, run
from dopascope.space import canonical
from dopascope.volume import Volume

CONTRACT = ["participant_id", "session_id", "scan_id", "path", "modality", "label", "site", "camera", "age", "sex"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


def loaded(path: Path) -> Volume:
    found = formats.load(path)
    assert isinstance(found, Volume)
    return found


@pytest.fixture(params=["nifti_cohort", "dicom_cohort"])
def cohort(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_the_cohort_table_keeps_the_contract(cohort: Path) -> None:
    rows = rows_of(cohort / "cohort.tsv")
    assert list(rows[0])[: len(CONTRACT)] == CONTRACT
    assert [row["scan_id"] for row in rows] == [f"sub-{n:05d}_ses-01" for n in (1, 2, 3)]
    for row in rows:
        assert (cohort / row["path"]).is_file()
        assert row["label"] in phantom.LABELS.values()
        assert row["site"] in phantom.SITES
        assert row["camera"] == phantom.SITES[row["site"]].collimator
        assert row["modality"] == "dat"
        assert all(row.values())


def test_scans_say_what_the_table_says(cohort: Path) -> None:
    for row in rows_of(cohort / "cohort.tsv"):
        facts = loaded(cohort / row["path"]).acquisition
        assert facts.age_years == pytest.approx(float(row["age"]), abs=0.5)
        assert (facts.sex, facts.model, facts.collimator) == (row["sex"], row["site"], row["camera"])
        assert (facts.reconstruction, facts.filter) == (row["reconstruction"], row["filter"])
        for name in ("attenuation_corrected", "scatter_corrected"):
            assert row[name] == str(getattr(facts, name)).lower()


def test_truth_is_the_persons(cohort: Path, plan_of: Callable[..., Plan]) -> None:
    for number, row in enumerate(rows_of(cohort / "truth.tsv"), 1):
        one = plan_of().participant(number)
        person = phantom.draw_person(int(row["seed"]), one.group)
        assert row["group"] == one.group
        assert row["label"] == phantom.LABELS[one.group]
        assert row["abnormal"] == {True: "true", False: "false", None: "n/a"}[person.abnormal]
        assert row["read_abnormal"] in ("true", "false")
        assert row["years"] == ("n/a" if person.years is None else str(person.years))
        for region, ratio in person.sbr.items():
            assert float(row[f"sbr_{region}"]) == pytest.approx(ratio, abs=1e-5)
        assert not [name for name in row if name.startswith("ideal")]


def test_transform_and_landmarks_lie_where_the_striatum_is(cohort: Path) -> None:
    for row, place in zip(rows_of(cohort / "truth.tsv"), rows_of(cohort / "cohort.tsv"), strict=True):
        matrix = numbers(row["mni_to_scan"]).reshape(4, 4)
        for region in atlas.PARTS:
            middle = geometry.apply_affine(matrix, atlas.sample_points(region).mean(0))
            assert np.linalg.norm(middle - numbers(row[f"landmark_mm_{region}"])) < 6  # the warp
        volume = loaded(cohort / place["path"])
        voxel = np.rint(volume.grid.to_index(numbers(row["landmark_mm_striatum_right"]))).astype(int)
        around = volume.data[tuple(slice(n - 2, n + 3) for n in voxel)]
        assert around.mean() > 1.5 * volume.data[volume.data > volume.data.mean()].mean()


def test_both_formats_hold_the_same_scans(nifti_cohort: Path, dicom_cohort: Path) -> None:
    pairs = zip(rows_of(nifti_cohort / "cohort.tsv"), rows_of(dicom_cohort / "cohort.tsv"), strict=True)
    for left, right in pairs:
        one, other = loaded(nifti_cohort / left["path"]), loaded(dicom_cohort / right["path"])
        assert formats.load(dicom_cohort / right["path"]).source.format == "dicom-nm"  # type: ignore[union-attr]
        first, second = canonical(one), canonical(other)
        assert first.grid.same_as(second.grid, tolerance_mm=0.01)
        step = float(np.ptp(first.data)) / 65535
        assert np.abs(first.data - second.data).max() <= 0.51 * step
        left_truth, right_truth = (
            json.loads((folder / "truth" / f"{left['scan_id']}.json").read_text())["truth"]
            for folder in (nifti_cohort, dicom_cohort)
        )
        assert left_truth["spacing_sign"] is None
        assert right_truth.pop("spacing_sign") in (1, -1)
        left_truth.pop("spacing_sign")
        assert left_truth == right_truth


def test_the_scan_is_the_phantoms(nifti_cohort: Path, plan_of: Callable[..., Plan]) -> None:
    one = plan_of().participant(1)
    volume, truth = phantom.scan(one.person(), phantom.SITES[one.site].camera, one.pose, one.seed)
    found = loaded(nifti_cohort / "scans" / f"{one.scan_id}.nii.gz")
    assert np.array_equal(found.data, volume.data)
    assert found.grid.same_as(volume.grid)
    record = json.loads((nifti_cohort / "truth" / f"{one.scan_id}.json").read_text())
    assert np.allclose(record["truth"]["mni_to_scan"], truth.mni_to_scan, atol=1e-6)
    assert record["truth"]["person"]["seed"] == one.seed


def test_ideal_ratios_are_those_of_the_phantom_for_both_references(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = plan_of(subjects=1, sites=("siemens-leap-fbp",), ideal=True)
    run(plan, tmp_path / "cohort")
    (row,) = rows_of(tmp_path / "cohort" / "truth.tsv")
    one = plan.participant(1)
    camera, regions = phantom.SITES[one.site].camera, ("putamen_left", "caudate_right")
    means = phantom.ideal_means(one.person(), camera, one.pose, (*regions, *atlas.REFERENCES))
    for reference in atlas.REFERENCES:
        for region in regions:
            ratio = means[region] / means[reference] - 1
            # Made on a coarser lattice than the default of `ideal_means`.
            found = float(row[f"ideal_sbr_{reference}_{region}"])
            assert found == pytest.approx(ratio, abs=0.004 * (1 + ratio))


@pytest.mark.slow
def test_projections_go_through_the_physics_with_the_same_bytes_in_a_worker(
    plan_of: Callable[..., Plan], tree_of: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    physics = pytest.importorskip("dopascope.physics")
    plan = plan_of(subjects=2, sites=("siemens-leap-fbp",), physics="projection")
    for processes in (1, 2):
        run(plan, tmp_path / str(processes), processes=processes)
    assert tree_of(tmp_path / "1") == tree_of(tmp_path / "2")
    one = plan.participant(2)
    volume, _ = physics.scan(one.person(), phantom.SITES[one.site], one.pose, one.seed)
    found = loaded(tmp_path / "1" / "scans" / f"{one.scan_id}.nii.gz")
    np.testing.assert_allclose(found.data, volume.data, rtol=1e-4, atol=1e-4 * volume.data.max())
    assert found.grid.same_as(volume.grid)
    rows = rows_of(tmp_path / "1" / "truth.tsv")
    assert {row["physics"] for row in rows} == {"projection"}
