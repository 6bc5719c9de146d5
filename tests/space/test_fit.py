from __future__ import annotations

import numpy as np
import pytest

from dopascope import geometry, space
from dopascope.errors import UnsuitableError
from dopascope.space import levels, template
from dopascope.space.fit import Problem, gauss_newton, pose_matrix, pose_slopes
from dopascope.space.lattice import build_lattice, measured_field, smoothed
from dopascope.space.localise import localise
from dopascope.volume import MNI_2MM, Grid, Volume

ORIGIN = np.array(levels.ORIGIN_MM)


def oblique_grid() -> Grid:
    affine = geometry.rotation([8, -5, 12]) @ geometry.from_parts(np.eye(3), (2.0, 2.2, 2.4), (-20, -30, -20))
    return Grid((31, 33, 29), affine)


def test_a_lattice_gives_values_and_slopes_in_ras_mm() -> None:
    grid = oblique_grid()
    slope = np.array([0.7, -0.2, 1.5])
    lattice = build_lattice(Volume(grid.centres_mm() @ slope, grid), sigma_mm=2.0, spacing_mm=3.5)
    points = grid.to_world(np.random.default_rng(0).uniform([10, 10, 9], [20, 22, 19], (50, 3)))
    value, slopes, seen = lattice.look_up(np.concatenate([points, np.ones((50, 1))], 1), np.eye(4))
    assert seen.all()
    assert np.abs(value - points @ slope).max() < 0.05
    assert np.abs(slopes - slope).max() < 0.02


def test_points_outside_the_field_count_as_not_seen() -> None:
    grid = Grid((10, 12, 9), geometry.from_parts(np.eye(3), (4.0, 4, 4), (0, 0, 0)))
    lattice = build_lattice(Volume(np.ones(grid.shape), grid), sigma_mm=2.0, spacing_mm=4.0)
    points = np.array([[18.0, 20, 16, 1], [-3, 20, 16, 1], [18, 47, 16, 1], [18, 20, 400, 1], [-1.9, 20, 16, 1]])
    assert lattice.look_up(points, np.eye(4))[2].tolist() == [True, False, False, False, True]


def test_no_number_is_denormal_where_a_narrow_blur_meets_a_long_field() -> None:
    """Far from a bright voxel a Gaussian underflows: such numbers make a processor many times slower."""
    data = np.zeros((61, 63, 65), np.float32)
    data[30, 31, 32] = 1.0
    lattice = build_lattice(Volume(data, Grid(data.shape, np.diag([3.0, 3, 3, 1]))), sigma_mm=6.0, spacing_mm=4.0)
    table = np.abs(lattice.table)
    assert table.max() > 0
    assert not ((table > 0) & (table < np.finfo(np.float32).tiny)).any()


def test_variances_add_when_a_gaussian_is_blurred() -> None:
    at = np.arange(0.0, 200, 2)
    line = np.exp(-0.5 * ((at - 100) / 6) ** 2).astype(np.float32)[:, None, None]
    nodes = np.arange(40.0, 160, 5)
    found = smoothed(line, (2.0, 1.0, 1.0), sigma_mm=8.0, nodes_mm=[nodes, np.zeros(1), np.zeros(1)]).ravel()
    expected = 6 / 10 * np.exp(-0.5 * ((nodes - 100) / 10) ** 2)
    assert np.abs(found - expected).max() < 1e-3


def test_padding_beside_a_cut_head_is_left_out_and_air_is_kept() -> None:
    data = np.random.default_rng(1).uniform(0.8, 1.2, (12, 14, 16))
    data[:, :, :3] = 0  # the field ended here and was filled up
    data[:, :, 13:] = 0
    data[:, :, 12] *= 0.01  # fades out: air
    field = measured_field(Volume(data, Grid(data.shape, np.eye(4))))
    assert field == (slice(0, 12), slice(0, 14), slice(3, 16))


def test_slopes_of_the_pose_are_its_derivatives() -> None:
    rng = np.random.default_rng(2)
    pose, centre, step = rng.normal(0, 0.2, 12), rng.normal(0, 10, 3), 1e-5
    ahead = [pose_matrix(pose + step * one, ORIGIN, centre) for one in np.eye(12)]
    back = [pose_matrix(pose - step * one, ORIGIN, centre) for one in np.eye(12)]
    numeric = np.stack([(a - b)[:3].ravel() / (2 * step) for a, b in zip(ahead, back, strict=True)], axis=1)
    assert np.abs(pose_slopes(pose, ORIGIN) - numeric).max() < 1e-6


def scan_of(parts: dict[str, float]) -> Volume:
    activity = sum(level * template.sharp_parts()[name] for name, level in parts.items())
    return Volume(template.blurred(np.asarray(activity), template.TEMPLATE_FWHM_MM), MNI_2MM)


@pytest.mark.parametrize("lost", [(), ("posterior_putamen_left", "anterior_putamen_left", "caudate_left")])
def test_a_lost_striatum_is_an_amplitude_and_moves_no_pose(lost: tuple[str, ...]) -> None:
    """The known answer: a scan made of the parts themselves, at a known pose."""
    parts = {"tissue": 1.0, "scalp": 0.4, **{name: 5.0 for name in template.striatal_parts() if name not in lost}}
    true = pose_matrix(np.array([4, -3, 5, 0.1, -0.06, 0.08, 0.05, -0.03, 0.02, 0, 0, 0]), ORIGIN, ORIGIN)
    scan = space.resample(scan_of(parts), MNI_2MM, to_image=np.linalg.inv(true), outside="nearest")
    lattice = build_lattice(scan, sigma_mm=3.0, spacing_mm=4.0)
    problem = Problem(lattice, levels.level(3.0, 3, 1.0), ORIGIN, ORIGIN, 1.5)
    fit = gauss_newton(problem, np.zeros(12), 15)
    middle = np.array([[13.0, 10, 10], [-13, 10, 10], [28, -5, 2], [-28, -5, 2]])
    error = geometry.apply_affine(fit.matrix, middle) - geometry.apply_affine(true, middle)
    assert np.linalg.norm(error, axis=1).max() < 0.5
    amplitudes = dict(zip(levels.part_names(), fit.amplitudes, strict=True))
    for name in template.striatal_parts():
        assert amplitudes[name] == pytest.approx(0.0 if name in lost else 5.0, abs=0.4), name


def test_the_template_is_symmetric_and_looks_like_a_normal_scan() -> None:
    data = space.dat_template().data
    assert np.array_equal(data, data[::-1])
    assert data.max() / np.median(data[template.depth_mm() > 10]) > 3
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0, 0] = 1


def head_with_gland(gland: float) -> Volume:
    grid = Grid((64, 60, 56), geometry.from_parts(np.eye(3), (4.0, 4, 4), (-128, -120, -100)))
    x, y, z = np.moveaxis(grid.centres_mm() - (8, -6, 10), -1, 0)
    data = ((x / 75) ** 2 + (y / 92) ** 2 + (z / 80) ** 2 < 1).astype(float)
    data[((x - 55) / 12) ** 2 + ((y + 20) / 15) ** 2 + ((z + 68) / 18) ** 2 < 1] = gland
    return Volume(data, grid)


@pytest.mark.parametrize("gland", [0.0, 12.0])
def test_the_head_is_found_in_mm_whatever_the_brightest_voxel(gland: float) -> None:
    head = localise(build_lattice(head_with_gland(gland), sigma_mm=6, spacing_mm=6))
    assert np.linalg.norm(head.centre_mm - (8, -6, 10)) < 12
    assert not head.crown_cut


def test_what_has_no_head_is_refused() -> None:
    grid = Grid((40, 42, 44), geometry.from_parts(np.eye(3), (4.0, 4, 4), (-80, -84, -88)))
    ball = (np.linalg.norm(grid.centres_mm(), axis=-1) < 30).astype(float)
    for data in (np.zeros(grid.shape), ball, np.full(grid.shape, -2.0)):
        with pytest.raises(UnsuitableError, match="No head"):
            space.register(Volume(data, grid))
