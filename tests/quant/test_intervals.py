"""Intervals: the noise that is measured, the slopes by pose, and how often the interval holds the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dopascope import geometry
from dopascope.quant import noise, pose, quantify, voi
from dopascope.quant.measure import measure
from dopascope.quant.sampling import sampler
from dopascope.quant.voi import MEASURED
from dopascope.space.quality import STRIATAL_CENTRE_MM

STEPS = (0.2,) * 6 + (0.004,) * 3


def lattice_noise(fwhm_mm, seed):
    """Unit noise on a box twice as wide as the lattice, at the lattice's spacing, with its exact autocovariance."""
    draw = np.random.default_rng(seed).normal(size=tuple(2 * n for n in noise.LATTICE.shape))
    sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / noise.LATTICE.spacing_mm[0]
    smooth = gaussian_filter(draw, sigma, mode="wrap")
    gain = np.sqrt((gaussian_filter(_impulse(), sigma) ** 2).sum())
    return smooth[tuple(slice(0, n) for n in noise.LATTICE.shape)] / gain


def _impulse():
    box = np.zeros((41, 41, 41))
    box[20, 20, 20] = 1
    return box


@pytest.mark.parametrize("fwhm_mm", [8.0, 12.0])
def test_autocovariance_is_that_of_filtered_noise(fwhm_mm):
    """White noise filtered by a Gaussian of width s has autocovariance exp(-h^2 / (4 s^2))."""
    points, draws = noise.noise_points(), []
    opposite = (noise.LATTICE.shape[0] - 1 - points.index[0], *points.index[1:])
    for seed in range(8):
        box = lattice_noise(fwhm_mm, seed)
        draws.append(noise.autocovariance(box[points.index], box[opposite]))
    found = np.mean(draws, axis=0)
    s = fwhm_mm / np.sqrt(8 * np.log(2))
    for steps in (0, 1, 2):
        expected = np.exp(-((3.0 * steps) ** 2) / (4 * s**2))
        middle = noise.LAG_STEPS
        assert found[middle, middle + steps, middle] == pytest.approx(expected, abs=0.08)


def test_anatomy_that_is_symmetric_is_no_noise():
    points = noise.noise_points()
    rng = np.random.default_rng(3)
    anatomy = rng.normal(100, 20, len(points.right))
    found = noise.autocovariance(anatomy, anatomy)
    assert np.abs(found).max() < 1e-12
    # A slope from side to side, as uneven attenuation makes it, is taken out as well.
    slope = 0.1 * points.right[:, 0]
    assert np.abs(noise.autocovariance(anatomy + slope, anatomy - slope)).max() < 1e-12


def test_too_few_points_measure_no_noise():
    points = noise.noise_points()
    right = np.random.default_rng(0).normal(size=len(points.right))
    left = right[::-1].copy()
    left[noise.LEAST_POINTS :] = np.nan
    assert noise.autocovariance(right, left) is not None
    left[noise.LEAST_POINTS - 1] = np.nan
    assert noise.autocovariance(right, left) is None


def test_variance_of_a_mean_is_the_double_sum_over_its_points():
    """The Fourier formula against sum over all pairs of points of C(p - q) / N^2."""
    step, s = noise.LATTICE.spacing_mm[0], 4.0
    lag = np.arange(-noise.LAG_STEPS, noise.LAG_STEPS + 1) * step
    squared = lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2
    autocovariance = np.exp(-squared / (4 * s**2))
    names = ("caudate_left", "anterior_putamen_left", "posterior_putamen_left")
    found = noise.covariance_of_means(autocovariance, np.stack([noise.spectrum(voi.points(n)) for n in names]))
    for a, first in enumerate(names):
        for b, second in enumerate(names):
            p, q = voi.points(first)[::3], voi.points(second)[1::3]
            apart = (p**2).sum(1)[:, None] + (q**2).sum(1) - 2 * p @ q.T
            assert found[a, b] == pytest.approx(np.exp(-apart / (4 * s**2)).mean(), rel=0.02), (first, second)


def test_slopes_by_pose_are_what_moving_the_head_does(scan, healthy_head, tilted):
    made = scan(healthy_head, matrix=tilted)
    centre = geometry.apply_affine(tilted, STRIATAL_CENTRE_MM)
    # Small steps of shift (mm), tilt (degrees) and size (relative).
    whole = np.array([[-75.0, -105, -70], [75, 75, 80]])
    kit = sampler(made.volume, tilted, whole)
    for name in ("caudate_left", "posterior_putamen_right", "large_left"):
        points = voi.points(name)
        found = pose.jacobian(kit, points, tilted)
        for column in range(6):
            step = 0.2 * np.eye(6)[column]
            ends = []
            for sign in (1, -1):
                moved = geometry.translation(sign * step[:3]) @ geometry.about(
                    geometry.rotation(sign * step[3:]), centre
                )
                ends.append(sampler(made.volume, moved @ tilted, whole).values(points).mean())
            assert found[column] == pytest.approx((ends[0] - ends[1]) / 0.4, abs=0.02 * np.abs(found).max())


def test_intervals_of_ratios_are_those_of_drawn_means(scan, healthy_head):
    """The delta method against 20,000 draws of the means from their covariance."""
    from dopascope.quant.ratios import ratios

    made = scan(healthy_head, noise=0.08)
    means = measure(made.volume, made.pose, "whole_brain")
    estimates = ratios(means)
    both = np.append(means.values, means.scale)
    draws = np.random.default_rng(0).multivariate_normal(both, means.covariance, 20_000)
    draws, scale = draws[:, :-1], draws[:, -1]
    at = {name: column for column, name in enumerate(means.names)}
    reference = draws[:, -1]
    caudate = {side: draws[:, at[f"caudate_{side}"]] / reference - 1 for side in voi.SIDES}
    assert estimates["caudate_left"].sd == pytest.approx(caudate["left"].std(), rel=0.03)
    asymmetry = 200 * (caudate["left"] - caudate["right"]) / (caudate["left"] + caudate["right"])
    assert estimates["asymmetry_caudate"].sd == pytest.approx(asymmetry.std(), rel=0.03)
    parts = [draws[:, at[f"{part}_putamen_left"]] / reference - 1 for part in ("anterior", "posterior")]
    assert estimates["anterior_posterior_putamen_ratio_left"].sd == pytest.approx((parts[0] / parts[1]).std(), rel=0.05)
    large = voi.ml("large_left") * scale / 11.2 * (draws[:, at["large_left"]] / reference - 1)
    assert estimates["sbr_large_left"].sd == pytest.approx(large.std(), rel=0.03)
    assert estimates["sbr_large_left"].value == pytest.approx(large.mean(), rel=0.01)


def test_variance_grows_with_noise_and_with_doubt_about_the_pose(scan, healthy_head):
    def means(noise_level, covariance):
        made = scan(healthy_head, noise=noise_level, covariance=covariance)
        return measure(made.volume, made.pose, "whole_brain")

    quiet, loud = means(0.03, np.eye(6)), means(0.12, np.eye(6))
    assert np.diag(loud.from_counts)[:9] == pytest.approx(16 * np.diag(quiet.from_counts)[:9], rel=0.1)
    certain = means(0.03, np.zeros((6, 6)))
    doubtful = means(0.03, 4 * np.eye(6))
    grown = np.diag(doubtful.from_pose) - np.diag(certain.from_pose)
    assert grown == pytest.approx(4 * (np.diag(quiet.from_pose) - np.diag(certain.from_pose)))
    # Without doubt about shift and tilt that of the head's size stays.
    assert (np.diag(certain.from_pose)[:8] > 0).all()


def test_intervals_hold_the_truth_where_pose_and_noise_are_as_stated(scan, healthy_head):
    """24 heads: the pose is off by a draw from the share of its covariance that is used, the noise is stationary."""
    rng = np.random.default_rng(11)
    covariance = np.diag([0.6, 0.5, 0.7, 0.8, 0.8, 0.8]) ** 2
    truth = {region: healthy_head.mean(region, 1.0) / healthy_head.background - 1 for region in MEASURED}
    held = np.zeros((24, len(MEASURED)))
    for draw in range(24):
        off = rng.multivariate_normal(np.zeros(6), pose.POSE_SHARE * covariance)
        level, grain = rng.uniform(0.02, 0.12), rng.uniform(6, 11)
        made = scan(healthy_head, spacing=(3.9, 4.1, 4.4), noise=level, noise_fwhm=grain, seed=draw)
        wrong = geometry.translation(off[:3]) @ geometry.about(geometry.rotation(off[3:]), STRIATAL_CENTRE_MM)
        found = quantify(made.volume, replace(made.pose, mni_to_scan=wrong, pose_covariance=covariance))
        for column, region in enumerate(MEASURED):
            low, high = found.regions[region].interval
            held[draw, column] = low <= truth[region] <= high
    # 24 independent heads: 95 % less three standard deviations of a share of 24.
    assert 0.82 <= held.mean() <= 1.0
    assert held.mean() < 0.999
