from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import striatal_maps as maps
from dopascope import atlas, geometry, phantom, space
from dopascope.errors import UnsuitableError
from dopascope.space.quality import STRIATAL_CENTRE_MM
from dopascope.volume import MNI_2MM, Grid, Volume
from registration_cohort import case


@pytest.fixture(scope="module")
def scanned() -> tuple[Volume, phantom.Truth]:
    """A person with PD, no warp, tilted, by the coarsest and quickest camera."""
    person = replace(phantom.draw_person(3, "pd"), warp_mm=0.0, glands=1.2)
    pose = phantom.Pose(tilt_deg=(9, -6, 7), shift_mm=(6, -8, 5), axes="LPS")
    return phantom.scan(person, phantom.CAMERAS["coarse"], pose, seed=1)


@pytest.fixture(scope="module")
def registered(scanned: tuple[Volume, phantom.Truth]) -> space.Registration:
    return space.register(scanned[0])


def centroids() -> dict[str, np.ndarray]:
    return maps.centroids_mm(atlas.striatum_weights(maps.FINE), maps.FINE)


def test_a_phantom_without_warp_is_found_to_a_millimetre(
    scanned: tuple[Volume, phantom.Truth], registered: space.Registration
) -> None:
    truth = scanned[1]
    found = {name: geometry.apply_affine(registered.mni_to_scan, mm) for name, mm in centroids().items()}
    assert max(np.linalg.norm(found[name] - truth.landmarks[name]) for name in found) < 1.5
    assert registered.accepted
    assert registered.quality > 0.9
    assert np.abs(np.array(registered.tilt_deg) - (9, -6, 7)).max() < 2.5
    assert np.abs(np.array(registered.scale) - truth.person.axes).max() < 0.03


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_intensity_scale_does_not_matter(
    scale: float, scanned: tuple[Volume, phantom.Truth], registered: space.Registration
) -> None:
    volume = scanned[0]
    again = space.register(Volume(volume.data * scale, volume.grid))
    assert np.abs(again.mni_to_scan - registered.mni_to_scan).max() < 0.01
    assert again.quality == pytest.approx(registered.quality, abs=0.01)


def test_the_axis_order_does_not_matter(scanned: tuple[Volume, phantom.Truth], registered: space.Registration) -> None:
    again = space.register(space.canonical(scanned[0]))
    assert np.array_equal(again.mni_to_scan, registered.mni_to_scan)


def test_moving_the_scan_in_its_world_moves_the_result_alike(
    scanned: tuple[Volume, phantom.Truth], registered: space.Registration
) -> None:
    volume = scanned[0]
    shift = geometry.translation([31, -17, 230])
    again = space.register(Volume(volume.data, Grid(volume.grid.shape, shift @ volume.grid.affine)))
    assert np.abs(again.mni_to_scan - shift @ registered.mni_to_scan).max() < 0.01


def test_a_cut_field_padded_with_zeros_is_read_like_the_cut_one(scanned: tuple[Volume, phantom.Truth]) -> None:
    whole = space.canonical(scanned[0])
    top = int(whole.grid.to_index(geometry.apply_affine(scanned[1].mni_to_scan, (0, -20, 62)))[2])
    cut = Volume(whole.data[:, :, :top], Grid((*whole.grid.shape[:2], top), whole.grid.affine))
    padded = np.zeros(whole.grid.shape)
    padded[:, :, :top] = cut.data
    one, other = space.register(cut), space.register(Volume(padded, whole.grid))
    assert np.abs(one.mni_to_scan - other.mni_to_scan).max() < 1e-6
    for name, mm in centroids().items():
        assert np.linalg.norm(geometry.apply_affine(one.mni_to_scan, mm) - scanned[1].landmarks[name]) < 3


def test_the_covariance_is_one_and_grows_with_noise(scanned: tuple[Volume, phantom.Truth]) -> None:
    person, pose = scanned[1].person, scanned[1].pose
    found = []
    for counts in (8e6, 1.5e5):
        camera = replace(phantom.CAMERAS["coarse"], counts=counts)
        covariance = space.register(phantom.scan(person, camera, pose)[0]).pose_covariance
        assert np.allclose(covariance, covariance.T)
        assert np.linalg.eigvalsh(covariance).min() > 0.5
        found.append(np.diag(covariance))
    assert (found[1] > found[0]).all()


def test_a_manual_correction_is_put_on_top_and_judged(
    scanned: tuple[Volume, phantom.Truth], registered: space.Registration
) -> None:
    manual = space.Manual(shift_mm=(0, 16, 0), rotate_deg=(0, 0, 5))
    moved = space.register(scanned[0], manual=manual)
    # What lay at the middle of the striatum before lies 16 mm further forward on the template after.
    before = geometry.apply_affine(registered.mni_to_scan, STRIATAL_CENTRE_MM)
    after = geometry.apply_affine(moved.mni_to_scan, np.add(STRIATAL_CENTRE_MM, (0, 16, 0)))
    assert np.abs(before - after).max() < 1e-9
    assert moved.manual == manual
    assert moved.method.endswith("+manual")
    assert not moved.accepted
    assert any("elsewhere" in reason for reason in moved.reasons)
    none = space.register(scanned[0], manual=space.Manual())
    assert np.allclose(none.mni_to_scan, registered.mni_to_scan)
    assert none.accepted


def test_the_normalised_scan_matches_the_template_and_tells_how_it_was_made(
    scanned: tuple[Volume, phantom.Truth], registered: space.Registration
) -> None:
    normal = space.normalise(scanned[0], registered)
    assert normal.grid == MNI_2MM
    brain = atlas.tissue("brain").data > 0.5
    assert np.corrcoef(normal.data[brain], space.dat_template().data[brain])[0, 1] > 0.8
    step = normal.history[-1]
    assert step.name == "normalise"
    assert json.loads(json.dumps(step.params))["registration"]["mni_to_scan"] == registered.mni_to_scan.tolist()
    voxel = (45, 60, 40)
    at = scanned[0].grid.to_index(geometry.apply_affine(registered.mni_to_scan, MNI_2MM.to_world(voxel)))
    low, part = np.floor(at).astype(int), at - np.floor(at)
    corners = scanned[0].data[tuple(slice(n, n + 2) for n in low)].astype(float)
    expected = np.einsum("ijk,i,j,k", corners, *([1 - p, p] for p in part))
    assert normal.data[voxel] == pytest.approx(expected, rel=1e-4)


def test_a_nan_voxel_is_refused_by_its_place(scanned: tuple[Volume, phantom.Truth]) -> None:
    data = scanned[0].data.copy()
    data[3, 4, 5] = np.nan
    with pytest.raises(UnsuitableError) as refusal:
        space.register(Volume(data, scanned[0].grid))
    assert "(3, 4, 5)" in refusal.value.where


@pytest.mark.parametrize("what", ["upside_down", "back_to_front", "swapped_axes", "bars", "noise", "two_kidneys"])
def test_what_is_no_upright_head_is_never_accepted(what: str, scanned: tuple[Volume, phantom.Truth]) -> None:
    volume = space.canonical(scanned[0])
    x, y, z = np.moveaxis(volume.grid.centres_mm(), -1, 0)
    if what == "upside_down":
        data = volume.data[:, :, ::-1]
    elif what == "back_to_front":
        data = volume.data[:, ::-1]
    elif what == "swapped_axes":
        volume = Volume(volume.data.transpose(0, 2, 1), Grid((64, 44, 64), volume.grid.affine))
        data = volume.data
    elif what == "bars":
        data = ((np.sin(x / 8) > 0) & (np.hypot(x, y) < 90) & (np.abs(z) < 80)).astype(float)
    elif what == "noise":
        data = np.random.default_rng(0).gamma(2.0, 1.0, volume.grid.shape)
    else:
        data = sum(np.exp(-(((x - s * 60) / 30) ** 2 + (y / 25) ** 2 + (z / 55) ** 2)) for s in (-1, 1)) + 0.05
    try:
        result = space.register(Volume(data, volume.grid))
    except UnsuitableError:
        return
    assert not result.accepted
    assert result.reasons


@pytest.mark.data
@pytest.mark.parametrize("number", [0, 11, 23, 28, 33, 44])
def test_six_of_the_cohort_with_other_striata_and_warps(number: int, data_dir: Path) -> None:
    one = case(data_dir, number)
    result = space.register(one.volume)
    errors = one.errors_mm(result.mni_to_scan)
    assert errors.max() <= 5, one.label
    assert result.accepted


@pytest.mark.data
@pytest.mark.parametrize("binding_ratio", [7.0, 3.0])
def test_the_benauer_phantom(binding_ratio: float, data_dir: Path) -> None:
    """A digital head of another make, 15 % smaller than the template, with a scalp as bright as the brain."""
    pose = geometry.translation([6, -7, 5]) @ geometry.rotation([8, -6, 9])
    volume, truth = maps.benauer_scan(data_dir, pose, binding_ratio=binding_ratio)
    result = space.register(volume)
    parts = atlas.striatum_weights(maps.FINE)
    for side, place in truth.items():
        weight = np.sum([parts[name] for name in parts if name.endswith(side)], axis=0)
        centroid = maps.centroids_mm({side: weight}, maps.FINE)[side]
        assert np.linalg.norm(geometry.apply_affine(result.mni_to_scan, centroid) - place) < 4
    assert result.accepted


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (1, 64, 60), (5, 6, 7)])
@pytest.mark.parametrize("spacing", [2.0, 40.0])
def test_odd_shapes_end_in_a_typed_refusal_or_are_not_accepted(shape: tuple[int, int, int], spacing: float) -> None:
    grid = Grid(shape, geometry.from_parts(np.eye(3), (spacing,) * 3, (0, 0, 0)))
    for data in (np.ones(shape), np.zeros(shape), -np.ones(shape), np.random.default_rng(1).gamma(1, 1e30, shape)):
        try:
            result = space.register(Volume(data, grid))
        except UnsuitableError:
            continue
        assert not result.accepted
        assert np.isfinite(result.mni_to_scan).all()
