"""One scan through the floors: what must hold of every Reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dopascope import geometry, phantom, read
from dopascope.errors import GeometryError, UsageError
from dopascope.formats import save_nifti
from dopascope.reading import Choices, Examination, Images, Reading, examine, reopen
from dopascope.volume import Acquisition, Grid, SliceImage, Volume

Scan = tuple[Volume, phantom.Truth]


def ratios(reading: Reading) -> dict[str, float]:
    assert reading.quantification is not None
    return {name: region.sbr for name, region in reading.quantification.regions.items() if region.sbr is not None}


def test_a_deficit_is_read_with_the_worse_side_true(pd_scan: Scan, pd_read: Examination) -> None:
    reading = pd_read.reading
    found = ratios(reading)
    assert reading.verdict == "reduced"
    assert reading.passport.verdict == "in-distribution"
    assert min(("left", "right"), key=lambda side: found[f"putamen_{side}"]) == pd_scan[1].worse_side


def test_every_null_part_has_its_reason(pd_read: Examination, no_models: Choices) -> None:
    refused = examine(Volume(np.ones((20, 21, 22)), Grid((20, 21, 22), np.diag([4.0, 4, 4, 1]))), no_models)
    for reading in (pd_read.reading, refused.reading):
        parts = ("registration", "quantification", "readers", "maps", "counterfactual", "morphometry")
        empty = [part for part in parts if not getattr(reading, part)]
        assert set(empty) <= set(reading.reasons)
        assert all(reading.reasons[part] for part in empty)
    assert refused.reading.verdict == "refused"
    assert refused.reading.readers == []


def test_intensity_scale_and_axis_order_change_nothing(pd_scan: Scan, pd_read: Examination, no_models: Choices) -> None:
    volume, _ = pd_scan
    affine = volume.grid.affine @ np.array(
        [[0, -1, 0, volume.grid.shape[0] - 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    # Turn the array about its third axis by a quarter: new index (a, b) is old index (N - 1 - b, a).
    turned = Volume(
        1000 * volume.data[::-1].transpose(1, 0, 2), Grid((volume.grid.shape[1], *_first_and_last(volume)), affine)
    )
    other = examine(replace(turned, acquisition=volume.acquisition), no_models).reading
    for name, sbr in ratios(pd_read.reading).items():
        assert ratios(other)[name] == pytest.approx(sbr, rel=0.01), name


def _first_and_last(volume: Volume) -> tuple[int, int]:
    return volume.grid.shape[0], volume.grid.shape[2]


def test_a_mirrored_scan_swaps_left_and_right(pd_scan: Scan, pd_read: Examination, no_models: Choices) -> None:
    volume, _ = pd_scan
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored = Volume(volume.data, Grid(volume.grid.shape, mirror @ volume.grid.affine), volume.acquisition)
    here, there = ratios(pd_read.reading), ratios(examine(mirrored, no_models).reading)
    for name, sbr in here.items():
        other = name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
        assert there[other] == pytest.approx(sbr, rel=0.02), name


def test_age_and_sex_of_the_caller_come_before_the_header(pd_scan: Scan, no_models: Choices) -> None:
    volume = replace(pd_scan[0], acquisition=Acquisition(modality="NM", age_years=61, sex="M"))
    header = examine(volume, no_models).reading.person
    given = examine(volume, replace(no_models, age=70, sex="F")).reading.person
    assert (header.age_years, header.sex, header.age_from, header.sex_from) == (61, "M", "header", "header")
    assert (given.age_years, given.sex, given.age_from, given.sex_from) == (70, "F", "argument", "argument")


@pytest.mark.parametrize("wrong", [{"age": -1}, {"age": 121}, {"sex": "female"}, {"models": ("nobody",)}])
def test_choices_that_cannot_be_meant(pd_scan: Scan, no_models: Choices, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as told:
        examine(pd_scan[0], replace(no_models, **wrong))
    assert told.value.fix
    assert told.value.expected


def test_file_memory_and_nibabel_give_the_same_numbers(
    pd_scan: Scan, pd_read: Examination, tmp_path: Path, empty_dir: Path
) -> None:
    save_nifti(pd_scan[0], tmp_path / "scan.nii.gz")
    from_file = read(tmp_path / "scan.nii.gz", models_dir=empty_dir)
    from_nibabel = read(nibabel.load(tmp_path / "scan.nii.gz"), models_dir=empty_dir)
    for name, sbr in ratios(pd_read.reading).items():
        assert ratios(from_file)[name] == pytest.approx(sbr, rel=1e-4)
        assert ratios(from_nibabel)[name] == pytest.approx(sbr, rel=1e-4)
    assert from_file.scan.source == "scan.nii.gz"
    assert len(from_nibabel.scan.sha256) == 64


def test_what_is_no_image_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="not an image"):
        read([[1, 2], [3, 4]])  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="not 3-D"):
        read(nibabel.Nifti1Image(np.ones((4, 5, 6, 7), np.float32), np.eye(4)))


def test_reopen_shows_the_pixels_of_the_recorded_registration(pd_scan: Scan, pd_read: Examination) -> None:
    again = reopen(pd_scan[0], Reading.model_validate_json(pd_read.reading.to_json()))
    assert isinstance(again.images, Images)
    assert isinstance(pd_read.images, Images)
    assert again.images.mni is not None
    assert pd_read.images.mni is not None
    assert np.allclose(again.images.mni.data, pd_read.images.mni.data, atol=1e-5)
    other, _ = phantom.example(seed=3, group="healthy")
    with pytest.raises(UsageError, match="another scan"):
        reopen(other, pd_read.reading)


def test_a_picture_never_gets_a_binding_ratio(no_models: Choices) -> None:
    rows, columns = np.mgrid[-1:1:109j, -1:1:91j]
    head = ((rows**2 + columns**2) < 0.7).astype(np.float32) * 50
    for side in (-0.25, 0.25):
        head += 150 * np.exp(-(((columns - side) ** 2 + (rows + 0.1) ** 2) / 0.02)).astype(np.float32)
    done = examine(SliceImage(head), no_models)
    assert done.reading.quantification is None
    assert done.reading.registration is None
    assert done.reading.verdict in ("uncertain", "refused")
    assert isinstance(reopen(SliceImage(head), done.reading).images, SliceImage)


def test_one_voxel_that_is_not_a_number_is_never_silently_read(pd_scan: Scan, no_models: Choices) -> None:
    data = pd_scan[0].data.copy()
    data[tuple(n // 2 for n in data.shape)] = np.nan
    reading = examine(replace(pd_scan[0], data=data), no_models).reading
    assert reading.passport.verdict in ("unusual", "refused")
    assert reading.verdict in ("uncertain", "refused")


def test_a_rejected_registration_is_never_certain(pd_scan: Scan, no_models: Choices) -> None:
    off = examine(pd_scan[0], replace(no_models, shift_mm=(40.0, 30.0, 0.0))).reading
    assert off.registration is None or not off.registration.accepted
    assert off.verdict in ("uncertain", "refused")


def test_pose_is_reported_in_degrees_and_scale(pd_scan: Scan, pd_read: Examination) -> None:
    registration = pd_read.reading.registration
    assert registration is not None
    true = geometry.rotation_degrees(pd_scan[1].mni_to_scan)
    assert np.allclose(registration.tilt_deg, true, atol=4)
