"""T1 in a cohort: the brain alone on the MNI grid as z-scores, the mask that was used, and masks that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats
from dopascope.batch import NormaliseSettings, normalise_cohort
from dopascope.batch.derivatives import MNI_SPACE
from dopascope.formats.save import save_nifti
from dopascope.phantom.mr import template
from dopascope.space import canonical
from dopascope.volume import MNI_2MM, LabelMap, Volume
from simulated_brain import mask_of, simulated

COLUMNS = "participant_id session_id scan_id path modality mask"
LINE = ("sub-1", "ses-1", "one", "t1.nii.gz", "t1")


class Known:
    """A finder of brains that knows the answer."""

    name = "the truth"

    def __call__(self, volume: Volume) -> LabelMap:
        return mask_of(simulated())


@pytest.fixture
def t1_scan(tmp_path: Path) -> Path:
    save_nifti(simulated().volume, tmp_path / "t1.nii.gz")
    save_nifti(mask_of(simulated()), tmp_path / "mask.nii.gz")
    return tmp_path


def stem(out: Path) -> Path:
    return out / "sub-1" / "ses-1" / "anat" / f"sub-1_ses-1_space-{MNI_SPACE}_desc-normalised_T1w"


def test_the_derivative_is_the_brain_in_units_of_its_spread(t1_scan: Path, cohort, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    (done,) = normalise_cohort(cohort((*LINE, "mask.nii.gz"), columns=COLUMNS), out, NormaliseSettings())
    assert done.error is None
    image = formats.load(stem(out).with_suffix(".nii.gz"))
    told = json.loads(stem(out).with_suffix(".json").read_text())
    assert image.grid.same_as(MNI_2MM)
    inside = image.data != 0
    hull = template().hull_ml  # brought to the template's size; the blur of the edge adds to it
    assert hull < inside.sum() * MNI_2MM.voxel_ml < 1.25 * hull
    assert image.data[inside].mean() == pytest.approx(0, abs=0.1)
    assert 0.6 < image.data[inside].std() < 1.1  # values between voxels are means of them, so a little less than 1
    assert told["Registration"]["accepted"] is True
    assert told["SkullStripped"] is True
    assert told["BrainMask"]["source"] == "column mask of the table"
    assert told["BiasCorrection"]["method"] == "N4"
    apart = np.array(told["MNIToSource"]) - simulated().mni_to_scan
    assert np.abs(apart[:3, 3]).max() < 3
    (row,) = [line.split("\t") for line in (out / "cohort.tsv").read_text().splitlines()[1:]]
    assert row[3].endswith("_T1w.nii.gz")


def test_a_finder_stands_in_where_the_table_names_no_mask_and_the_mask_is_part_of_the_cache(
    t1_scan: Path,
    cohort,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    table = cohort((*LINE, "n/a"), columns=COLUMNS)
    (refused,) = normalise_cohort(table, tmp_path / "out", NormaliseSettings())
    assert "where the brain is" in refused.error["what"]
    (found,) = normalise_cohort(table, tmp_path / "out", NormaliseSettings(), finder=Known())
    assert found.error is None
    by_finder = formats.load(stem(tmp_path / "out").with_suffix(".nii.gz")).data
    assert json.loads(stem(tmp_path / "out").with_suffix(".json").read_text())["BrainMask"]["source"] == "the truth"
    smaller = mask_of(simulated()).data.copy()
    smaller[tuple(np.argwhere(smaller)[:200].T)] = 0
    save_nifti(LabelMap(smaller, mask_of(simulated()).grid), t1_scan / "mask.nii.gz")
    table = cohort((*LINE, "mask.nii.gz"), columns=COLUMNS)
    (again,) = normalise_cohort(table, tmp_path / "out", NormaliseSettings())
    assert again.error is None
    assert not np.array_equal(formats.load(stem(tmp_path / "out").with_suffix(".nii.gz")).data, by_finder)


def test_a_mask_on_another_grid_is_brought_over_and_that_is_said(t1_scan: Path, cohort, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save_nifti(canonical(mask_of(simulated())), t1_scan / "mask.nii.gz")
    (done,) = normalise_cohort(cohort((*LINE, "mask.nii.gz"), columns=COLUMNS), tmp_path / "out", NormaliseSettings())
    assert done.error is None
    told = json.loads(stem(tmp_path / "out").with_suffix(".json").read_text())
    assert told["BrainMask"]["moved"] is True
    assert any("mask lies in the scan's world" in one for one in told["Assumed"])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_mask_that_marks_nothing_is_refused(t1_scan: Path, cohort, tmp_path: Path, value: float) -> None:  # type: ignore[no-untyped-def]
    grid = simulated().volume.grid
    save_nifti(Volume(np.full(grid.shape, value, np.float32), grid), t1_scan / "mask.nii.gz")
    (done,) = normalise_cohort(cohort((*LINE, "mask.nii.gz"), columns=COLUMNS), tmp_path / "out", NormaliseSettings())
    assert "marks nothing" in done.error["what"]
    assert not [*(tmp_path / "out").rglob("*_T1w.nii.gz")]


def test_without_registration_t1_is_refused(t1_scan: Path, cohort, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    asked = NormaliseSettings(register=False, intensity="p99")
    (done,) = normalise_cohort(cohort((*LINE, "mask.nii.gz"), columns=COLUMNS), tmp_path / "out", asked)
    assert "registration only" in done.error["what"]
