"""Where the template lies in a brain: against the truth, whatever the axes and contrast; failures that are said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats, geometry
from dopascope.atlas.brain import BRAIN
from dopascope.errors import UnsuitableError, UsageError
from dopascope.phantom.mr import HeadScan
from dopascope.space import canonical, resample
from dopascope.space.bias import correct_bias
from dopascope.space.brain_registration import BrainRegistration, on_mni, register_brain
from dopascope.space.quality import HEAD_MM
from dopascope.volume import MNI_2MM, LabelMap, Volume
from simulated_brain import mask_of, simulated


@pytest.fixture(scope="module")
def scan() -> HeadScan:
    return simulated()


@pytest.fixture(scope="module")
def even(scan: HeadScan) -> Volume:
    return correct_bias(scan.volume, mask_of(scan))[0]


@pytest.fixture(scope="module")
def found(scan: HeadScan, even: Volume) -> BrainRegistration:
    return register_brain(even, mask_of(scan))


def apart_mm(one: geometry.Affine, other: geometry.Affine) -> np.ndarray:
    return np.linalg.norm(geometry.apply_affine(one, HEAD_MM) - geometry.apply_affine(other, HEAD_MM), axis=1)


def test_the_template_lies_where_the_truth_says(scan: HeadScan, found: BrainRegistration) -> None:
    assert found.accepted, found.reasons
    assert apart_mm(found.mni_to_scan, scan.mni_to_scan).max() < 3.5  # the warp, which no affine follows, is 1 to 2.5
    assert found.overlap > 0.95


def test_axes_and_intensity_scale_do_not_matter(scan: HeadScan, even: Volume, found: BrainRegistration) -> None:
    other = canonical(even)
    again = register_brain(other.with_data(other.data * 3, other.history[-1]), canonical(mask_of(scan)))
    assert apart_mm(found.mni_to_scan, again.mni_to_scan).max() < 0.05


def test_another_contrast_does_not_matter(scan: HeadScan, even: Volume, found: BrainRegistration) -> None:
    """Grey values turned round within the brain, as T2 has them."""
    inside = scan.brain.data > 0
    bright = float(np.percentile(even.data[inside], 99.5))
    turned = even.with_data(np.where(inside, np.clip(1.2 * bright - even.data, 0, None), 0), even.history[-1])
    again = register_brain(turned, mask_of(scan))
    assert apart_mm(found.mni_to_scan, again.mni_to_scan).max() < 2.5


def test_on_the_grid_the_brain_lies_on_the_templates(scan: HeadScan, even: Volume, found: BrainRegistration) -> None:
    inside = scan.brain.data > 0
    placed = on_mni(even.with_data(np.where(inside, even.data, 0), even.history[-1]), found)
    assert placed.grid == MNI_2MM
    labels = resample(LabelMap(inside.astype(np.uint8), scan.brain.grid), MNI_2MM, to_image=found.mni_to_scan)
    assert placed.data[labels.data == 0].mean() < 0.1 * placed.data[labels.data > 0].mean()


def test_a_part_of_a_brain_and_a_foreign_grid_are_refused(scan: HeadScan, even: Volume) -> None:
    part = mask_of(scan).data.copy()
    middle = np.nonzero(part)[0].mean().astype(int)
    part[middle:] = 0
    found = register_brain(even, LabelMap(part, scan.brain.grid))
    assert not found.accepted
    part[: middle - 10] = 0
    with pytest.raises(UnsuitableError, match="whole brain"):
        register_brain(even, LabelMap(part, scan.brain.grid))
    with pytest.raises(UsageError, match="different grids"):
        register_brain(even, canonical(mask_of(scan)))
    data = even.data.copy()
    data[scan.brain.data > 0] = np.nan
    with pytest.raises(UnsuitableError):
        register_brain(replace(even, data=data), mask_of(scan))


def test_a_ball_is_no_brain(scan: HeadScan) -> None:
    grid = scan.brain.grid
    away = np.linalg.norm(grid.centres_mm() - grid.to_world((np.array(grid.shape) - 1) / 2), axis=-1)
    noise = np.random.default_rng(2).uniform(0.5, 1.5, grid.shape).astype(np.float32)
    ball = LabelMap((away < 68).astype(np.uint8), grid)
    found = register_brain(Volume(noise, grid), ball)
    assert not found.accepted
    assert found.reasons


def test_as_data_it_says_what_it_found(found: BrainRegistration) -> None:
    known = found.as_dict()
    assert np.allclose(known["mni_to_scan"], found.mni_to_scan)
    assert known["accepted"] is True
    assert {"template", "method", "quality", "reasons", "overlap", "explained"} <= set(known)


REAL = (
    ("mne_ecog_subject/T1.mgz", "mne_ecog_subject/aseg.mgz"),
    ("ixi012_2mm/IXI012-HH-1211_T1.nii.gz", "ixi012_2mm/IXI012_DLMUSE.nii.gz"),
    ("openms_longitudinal/patient01_study1_T1W.nii.gz", "openms_longitudinal/patient01_study1_T1W_brainmask.nii.gz"),
    ("cstar_stroke/T1.nii.gz", "cstar_stroke/T1.nii.gz"),
)
"""Whole heads, a pitched one, one of thick slices whose cerebellum is cut, one with a large stroke."""


@pytest.mark.data
@pytest.mark.parametrize(("path", "labels"), REAL, ids=[path.split("/")[0] for path, _ in REAL])
def test_real_scans_are_placed(data_dir: Path, path: str, labels: str) -> None:
    from dopascope.phantom.mr import from_freesurfer

    image, marked = (formats.load(data_dir / "t1_mri" / one) for one in (path, labels))
    known = LabelMap(np.rint(marked.data).clip(0, None).astype(np.int32), marked.grid)
    if "aseg" in labels:
        known = from_freesurfer(known)
        assert set(np.unique(known.data)) <= {0, *BRAIN}
    mask = LabelMap((known.data > 0).astype(np.uint8), known.grid)
    found = register_brain(correct_bias(image, mask)[0], mask)
    assert found.accepted, found.reasons
    assert found.overlap > 0.93
    assert max(abs(one) for one in found.tilt_deg) < 35
