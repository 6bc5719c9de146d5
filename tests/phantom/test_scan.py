"""Rendering against closed forms, and the truth against the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import erf

from dopascope import atlas, geometry, phantom
from dopascope.phantom import Camera, Person, Pose, StriatumMaps
from dopascope.phantom.anatomy import Head
from dopascope.phantom.scan import activity_on, render
from dopascope.volume import Grid, Volume

BARE = Person(
    seed=0,
    group="healthy",
    age=60,
    sex="F",
    worse_side=None,
    sbr=dict.fromkeys(atlas.REGIONS, 4.0) | {"accumbens_left": -1.0, "accumbens_right": -1.0},
    white=0,
    fluid=0,
    scalp=0,
    glands=0,
    thalamus=0,
)
"""Nothing but grey matter; used with `grey` near zero and a large ratio to see the striatum alone."""
ALONE = replace(
    BARE,
    grey=1e-9,
    sbr=dict.fromkeys(atlas.REGIONS, 4000000000.0 - 1) | {"accumbens_left": -1.0, "accumbens_right": -1.0},
)
QUIET = Camera("quiet", (64, 72, 60), (3.0, 3.4, 4.1), 11.0, counts=None, scale=1.0)
"""Unequal axes, no noise."""
TILTED = Pose(tilt_deg=(9, -12, 14), shift_mm=(6, -8, 7), scale=0.93)


def in_ras(volume: Volume) -> Volume:
    from dopascope.space import canonical

    return canonical(volume)


def values_at(volume: Volume, points: np.ndarray) -> np.ndarray:
    return map_coordinates(volume.data, volume.grid.to_index(points).T, order=3)


def test_the_same_seed_gives_the_same_bytes() -> None:
    person, camera = phantom.draw_person(11, "pd"), phantom.CAMERAS["lehr-fbp"]
    one, other = (phantom.scan(person, camera, TILTED, 5)[0] for _ in range(2))
    assert one.data.tobytes() == other.data.tobytes()
    assert phantom.scan(person, camera, TILTED, 6)[0].data.tobytes() != one.data.tobytes()


@pytest.mark.parametrize("pose", [Pose(), TILTED], ids=["straight", "tilted"])
def test_total_activity_is_the_integral_of_what_went_in(pose: Pose) -> None:
    volume, truth = phantom.scan(ALONE, QUIET, pose)
    millilitres = sum(len(atlas.sample_points(region, 0.5)) * 0.5**3 for region in atlas.REGIONS) / 1000
    size = np.linalg.det(truth.mni_to_scan[:3, :3])
    total = volume.data.sum(dtype=float) * volume.grid.voxel_ml
    assert total == pytest.approx(4 * millilitres * size, rel=0.01)


@pytest.mark.parametrize("spacing", [(2.0, 2.3, 2.6), (4.5, 4.0, 3.5)], ids=["fine", "coarse"])
@pytest.mark.parametrize("fwhm", [8.0, 14.0])
def test_a_blurred_sphere_is_recovered_as_in_closed_form(spacing: tuple[float, float, float], fwhm: float) -> None:
    radius, centre = 9.0, np.array([22.0, 3.0, 1.0])
    grid = Grid((64, 64, 64), geometry.from_parts(np.eye(3), [0.5] * 3, centre - 15.75))
    distance = np.linalg.norm(grid.centres_mm() - centre, axis=-1)
    ball = np.clip((radius - distance) / 0.5 + 0.5, 0, 1).astype(np.float32)
    shape = tuple(int(n) for n in np.ceil(200 / np.array(spacing)))
    camera = Camera("ball", (shape[0], shape[1], shape[2]), spacing, fwhm, counts=None, scale=1.0)
    volume, truth = phantom.scan(ALONE, camera, TILTED, striatum=StriatumMaps({"caudate_right": ball}, grid))
    sigma = fwhm / np.sqrt(8 * np.log(2)) / TILTED.scale
    away = np.array([0.01, 4.0, 8.0, 12.0, 16.0])
    directions = np.array([[1, 0, 0], [0, -1, 0], [0, 0.6, 0.8]])
    for direction in directions:
        points = geometry.apply_affine(truth.mni_to_scan, centre + away[:, None] * direction)
        found = values_at(volume, points)
        assert found == pytest.approx(4 * blurred_ball(away, radius, sigma), abs=0.04 if max(spacing) < 3 else 0.06)


def blurred_ball(r: np.ndarray, radius: float, sigma: float) -> np.ndarray:
    """A ball of value 1 under a Gaussian, at distance r from its centre."""
    plus, minus = (radius + r) / (np.sqrt(2) * sigma), (radius - r) / (np.sqrt(2) * sigma)
    peak = sigma / (r * np.sqrt(2 * np.pi)) * (np.exp(-(minus**2)) - np.exp(-(plus**2)))
    return (erf(plus) + erf(minus)) / 2 - peak


def test_without_a_warp_landmarks_are_the_atlas_centroids_mapped() -> None:
    _, truth = phantom.scan(replace(BARE, axes=(0.95, 1.02, 0.98)), QUIET, TILTED)
    assert set(truth.landmarks) == set(atlas.PARTS)
    for region, found in truth.landmarks.items():
        expected = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points(region, 0.5).mean(0))
        assert np.linalg.norm(found - expected) < 0.1, region
    scale = np.linalg.norm(truth.mni_to_scan[:3, :3], axis=0)
    assert scale == pytest.approx(np.array([0.95, 1.02, 0.98]) * 0.93)


def test_landmarks_of_a_warped_person_are_where_the_picture_has_them() -> None:
    person = replace(ALONE, warp_mm=4.0, warp_scale_mm=25.0, warp_seed=3)
    one_side = replace(person, sbr={**person.sbr, **dict.fromkeys(atlas.PARTS["striatum_left"], -1.0)})
    volume, truth = phantom.scan(one_side, QUIET, TILTED)
    weight = volume.data.astype(float)
    found = (volume.grid.centres_mm() * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    assert np.linalg.norm(found - truth.landmarks["striatum_right"]) < 0.2
    unwarped = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points("striatum_right").mean(0))
    assert np.linalg.norm(found - unwarped) > 0.5


def test_the_warp_is_as_large_and_smooth_as_asked_and_has_no_affine_part() -> None:
    person = replace(BARE, warp_mm=3.0, warp_scale_mm=28.0, warp_seed=9)
    head = Head(person)
    brain = atlas.sample_points("whole_brain").astype(np.float32)
    moved = head.to_template(brain) - brain
    assert np.sqrt((moved**2).sum(1).mean()) == pytest.approx(3.0, rel=0.15)
    design = np.concatenate([brain, np.ones((len(brain), 1))], 1)
    affine, *_ = np.linalg.lstsq(design, moved, rcond=None)
    assert np.abs(affine[:3]).max() < 0.03
    near = head.to_template(brain + np.float32([2, 0, 0])) - brain - np.float32([2, 0, 0])
    assert np.linalg.norm(near - moved, axis=1).max() < 2.0


@pytest.mark.parametrize("axes", phantom.ORIENTATIONS)
def test_the_worse_side_is_on_the_true_side_however_it_is_stored(axes: str) -> None:
    person = replace(phantom.draw_person(17, "pd"), warp_mm=0.0)
    small = Camera("small", (44, 54, 36), (4.5, 4.2, 4.4), 13.0, counts=None)
    volume, truth = phantom.scan(person, small, Pose(tilt_deg=(5, 4, -8), shift_mm=(3, 4, 5), axes=axes))
    assert volume.grid.axis_codes == axes
    mean = {}
    for side in ("left", "right"):
        points = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points(f"putamen_{side}", 2.0))
        mean[side] = values_at(volume, points).mean()
    assert min(mean, key=mean.__getitem__) == truth.worse_side
    assert person.worse_side == truth.worse_side


def test_the_stored_array_itself_has_right_at_high_index_only_in_ras() -> None:
    right_only = replace(ALONE, sbr={r: (4e9 if r.endswith("right") else -1.0) for r in ALONE.sbr})
    ras, las = (phantom.scan(right_only, QUIET, Pose(axes=axes))[0].data for axes in ("RAS", "LAS"))
    middle = ras.shape[0] // 2
    assert ras[middle:].sum() > 50 * ras[:middle].sum()
    assert np.array_equal(las, ras[::-1])


def test_a_cut_scan_is_the_whole_scan_without_its_ends() -> None:
    person, camera = phantom.draw_person(4, "healthy"), phantom.CAMERAS["coarse"]
    whole, _ = phantom.scan(person, camera, TILTED, 2)
    cut, truth = phantom.scan(person, camera, replace(TILTED, cut=(9, 6)), 2)
    clean = replace(camera, counts=None)
    a, b = phantom.scan(person, clean, TILTED)[0], phantom.scan(person, clean, replace(TILTED, cut=(9, 6)))[0]
    assert np.abs(b.data - a.data[:, :, 9:-6]).max() < 0.03 * camera.scale
    assert cut.grid.shape[2] == whole.grid.shape[2] - 15
    assert truth.pose.cut == (9, 6)


def test_noise_has_the_variance_that_its_counts_call_for() -> None:
    flat = replace(BARE, white=1.0, fluid=1.0, sbr={})
    camera = Camera(
        "noisy", (64, 72, 60), (3.0, 3.4, 4.1), 11.0, counts=2e6, noise_fwhm_mm=9.0, scale=7.0, clipped=False
    )
    clean = phantom.scan(flat, replace(camera, counts=None))[0].data / 7
    inner = values = None
    squares = []
    for seed in range(4):
        noisy, truth = phantom.scan(flat, camera, seed=seed)
        points = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points("whole_brain"))
        inner = np.unique(np.rint(noisy.grid.to_index(points)).astype(int), axis=0)
        values = (noisy.data / 7 - clean)[tuple(inner.T)]
        squares.append((values**2).mean())
    sigma = 9.0 / np.sqrt(8 * np.log(2)) / np.array([3.0, 3.4, 4.1])
    raw = 3.5**2 * clean[tuple(inner.T)].mean() * clean.sum() / 2e6
    assert np.mean(squares) == pytest.approx(raw / np.prod(2 * np.sqrt(np.pi) * sigma), rel=0.15)


def test_clipping_leaves_no_negative_value() -> None:
    camera = replace(phantom.CAMERAS["coarse"], counts=2e5)
    person = phantom.draw_person(1, "healthy")
    assert phantom.scan(person, camera)[0].data.min() == 0
    assert phantom.scan(person, replace(camera, clipped=False))[0].data.min() < 0


def test_glands_can_be_hotter_than_the_striatum_and_ventricles_wider() -> None:
    camera = replace(QUIET, shape=(64, 72, 60))
    sick = replace(phantom.draw_person(3, "pd"), warp_mm=0.0, glands=1.2, ventricles=0.0)
    hot, truth = phantom.scan(sick, camera)
    place = hot.grid.to_world(np.unravel_index(hot.data.argmax(), hot.data.shape))
    assert geometry.apply_affine(np.linalg.inv(truth.mni_to_scan), place)[2] < -30
    wide, _ = phantom.scan(replace(sick, ventricles=1.0), camera)
    body = geometry.apply_affine(truth.mni_to_scan, np.array([[8.0, -10.0, 22.0], [-8.0, -10.0, 22.0]]))
    assert (values_at(wide, body) < values_at(hot, body) - 0.02).all()


def test_the_scan_says_what_it_is() -> None:
    volume, truth = phantom.scan(phantom.draw_person(2, "healthy"), phantom.CAMERAS["brain"], TILTED, 4)
    assert volume.acquisition.modality == "NM"
    assert volume.acquisition.age_years == truth.person.age
    assert volume.history[0].name == "phantom.scan"
    assert in_ras(volume).grid.axis_codes == "RAS"
    told = phantom.describe(truth)
    assert told["person"]["sbr"] == dict(truth.sbr)
    assert told["camera"] == "brain"


def test_a_camera_without_haze_and_shading_sees_the_blurred_activity_alone() -> None:
    head, grid = Head(phantom.draw_person(6, "pd")), QUIET.grid()
    plain = render(head, TILTED.matrix() @ head.matrix, grid, QUIET.fwhm_mm)
    assert np.array_equal(phantom.scan(head.person, QUIET, TILTED)[0].data, plain)


def test_much_smaller_cells_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    person = replace(phantom.draw_person(7, "pd"), glands=0.0)
    pose = phantom.draw_pose(7)
    found = phantom.scan(person, QUIET, pose)[0].data
    monkeypatch.setattr("dopascope.phantom.render.CELLS_PER_FWHM", 7.0)
    monkeypatch.setattr("dopascope.phantom.render.SUBPOINT_MM", 0.5)
    fine = phantom.scan(person, QUIET, pose)[0].data
    assert np.abs(found - fine).max() < 0.01 * fine.max()
    assert np.sqrt(((found - fine)[fine > 0.3] ** 2).mean()) < 0.002 * fine.max()


def test_activity_on_a_grid_holds_what_went_in() -> None:
    head = Head(ALONE)
    matrix = TILTED.matrix() @ head.matrix
    grid = Camera("map", (60, 62, 50), (2.2, 2.0, 2.4), 8.0).grid()
    activity = activity_on(head, matrix, grid)
    millilitres = sum(len(atlas.sample_points(region, 0.5)) * 0.5**3 for region in atlas.REGIONS) / 1000
    total = activity.sum(dtype=float) * grid.voxel_ml
    assert total == pytest.approx(4 * millilitres * np.linalg.det(matrix[:3, :3]), rel=0.01)
    assert activity.max() == pytest.approx(4, rel=1e-3)
