"""Poses, orientations and fields of view: where things are must not depend on how the array is stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dopascope import geometry, phantom
from dopascope.errors import UsageError
from dopascope.phantom.camera import HEAD_CENTRE_MM, stored_as
from dopascope.volume import Grid


def test_a_pose_turns_about_the_head_and_then_shifts() -> None:
    pose = phantom.Pose(tilt_deg=(0, 0, 90), shift_mm=(1, 2, 3), scale=1.1)
    assert geometry.apply_affine(pose.matrix(), HEAD_CENTRE_MM) == pytest.approx([1, 2, 3])
    right_of_it = np.add(HEAD_CENTRE_MM, [10, 0, 0])
    assert geometry.apply_affine(pose.matrix(), right_of_it) == pytest.approx([1, 13, 3])


def test_drawn_poses_keep_their_limits_and_their_seed() -> None:
    poses = [phantom.draw_pose(seed, tilt_deg=15, shift_mm=10, scale=(0.9, 1.1)) for seed in range(200)]
    assert poses[3] == phantom.draw_pose(3)
    tilts = np.array([pose.tilt_deg for pose in poses])
    assert np.abs(tilts).max() <= 15
    assert (np.abs(tilts).max(0) > 13).all()
    assert 0.9 <= min(pose.scale for pose in poses) < 0.92


def test_all_48_orders_keep_every_voxel_where_it_is() -> None:
    rng = np.random.default_rng(1)
    data = rng.normal(size=(5, 6, 7)).astype(np.float32)
    grid = Grid((5, 6, 7), geometry.from_parts(np.eye(3), [2, 3, 4], [-11, 5, 8]))
    assert len(set(phantom.ORIENTATIONS)) == 48
    for axes in phantom.ORIENTATIONS:
        stored, affine = stored_as(data, grid.affine, axes)
        assert geometry.axis_codes(affine) == axes
        for index in ((0, 0, 0), (4, 2, 1), (1, 5, 6)):
            there = np.rint(Grid(stored.shape, affine).to_index(grid.to_world(index))).astype(int)
            assert stored[tuple(there)] == data[index]


def test_axes_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError):
        stored_as(np.zeros((2, 3, 4), np.float32), np.eye(4), "RRA")


def test_a_cut_removes_slices_and_moves_nothing() -> None:
    camera = phantom.CAMERAS["fan-beam"]
    whole, cut = camera.grid(), camera.grid((5, 3))
    assert cut.shape[2] == whole.shape[2] - 8
    assert cut.to_world([0, 0, 0]) == pytest.approx(whole.to_world([0, 0, 5]))
    with pytest.raises(UsageError):
        camera.grid((60, 4))


def test_presets_cover_the_published_range() -> None:
    spacings = [value for camera in phantom.CAMERAS.values() for value in camera.spacing_mm]
    assert min(spacings) >= 2
    assert max(spacings) <= 4.5
    widths = sorted(camera.fwhm_mm for camera in phantom.CAMERAS.values())
    assert 8 <= widths[0] < 9
    assert 12.5 < widths[-1] <= 14
    for name, camera in phantom.CAMERAS.items():
        assert camera.name == name
        reach = np.array(camera.shape) * camera.spacing_mm
        assert (reach > [170, 210, 150]).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spacing_mm", (3.0, -3.0, 3.0)),
        ("shape", (64, 64, 0)),
        ("fwhm_mm", 0.0),
        ("noise_fwhm_mm", -8.0),
        ("haze_fwhm_mm", float("nan")),
        ("counts", 0.0),
        ("counts", -1e6),
        ("scale", float("inf")),
        ("haze", -0.1),
        ("attenuation_per_cm", float("nan")),
        ("amplification", -1.0),
    ],
)
def test_an_impossible_camera_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        replace(phantom.CAMERAS["coarse"], **{field: value})
    assert caught.value.where == field
