"""MS-SSIM: MONAI and torchmetrics where they apply, bounds, and the diversity of sets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated import diversity, diversity_difference, fitting_scales, ms_ssim
from dopascope.score.generated.ms_ssim import SIGMA, WEIGHTS, Scales, mean_of_pairs

SHAPES = [(64, 61), (32, 35, 33), (13, 40), (180, 190)]


def images(shape: tuple[int, ...], count: int = 3, seed: int = 1, own: float = 0.7) -> np.ndarray:
    """Smooth images from 0 to 1 with some structure shared by all."""
    shared = np.random.default_rng(0).normal(size=shape)
    others = np.random.default_rng(seed).normal(size=(count, *shape))
    smooth = np.stack([gaussian_filter((1 - own) * shared + own * other, 1.5) for other in others])
    return (smooth - smooth.min()) / np.ptp(smooth)


@pytest.mark.parametrize(
    ("shape", "kernel", "scales"),
    [
        ((64, 64), 11, 3),
        ((32, 32, 32), 7, 3),
        ((176, 180), 11, 5),
        ((12, 90), 3, 3),
        ((43, 60), 7, 3),
        ((91, 109), 11, 4),
    ],
)
def test_window_and_scales_fit_the_shortest_axis(shape: tuple[int, ...], kernel: int, scales: int) -> None:
    found = fitting_scales(shape)
    assert (found.kernel, len(found.weights)) == (kernel, scales)
    assert min(shape) >> (scales - 1) >= kernel
    assert sum(found.weights) == pytest.approx(1)
    ratios = np.array(found.weights) / WEIGHTS[:scales]
    assert ratios == pytest.approx(np.full(scales, ratios[0]))


@pytest.mark.oracle
@pytest.mark.usefixtures("torchvision_declared")
@pytest.mark.parametrize("shape", SHAPES)
def test_monai_finds_the_same(shape: tuple[int, ...]) -> None:
    metrics = pytest.importorskip("monai.metrics", reason="MONAI, the oracle, is not installed")
    import torch

    one, other = images(shape), images(shape, seed=2)
    scales = fitting_scales(shape)
    metric = metrics.MultiScaleSSIMMetric(
        spatial_dims=len(shape),
        data_range=1.0,
        kernel_size=scales.kernel,
        kernel_sigma=SIGMA,
        weights=scales.weights,
        reduction="none",
    )
    expected = metric(torch.tensor(one)[:, None], torch.tensor(other)[:, None]).numpy().ravel()
    assert ms_ssim(one, other, data_range=1.0) == pytest.approx(expected, abs=2e-5)


@pytest.mark.oracle
@pytest.mark.usefixtures("torchvision_declared")
@pytest.mark.parametrize("shape", [(180, 190), (64, 61)])
def test_torchmetrics_finds_the_same_contrasts(shape: tuple[int, ...]) -> None:
    """It mirrors the border of the coarsest scale, where luminance counts, so that scale's weight is 0 here."""
    functional = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
    import torch

    one, other = images(shape), images(shape, seed=2)
    scales = Scales(11, (0.3, 0.7, 0.0))
    expected = functional.multiscale_structural_similarity_index_measure(
        torch.tensor(one)[:, None],
        torch.tensor(other)[:, None],
        sigma=SIGMA,
        kernel_size=11,
        data_range=1.0,
        betas=scales.weights,
        normalize="relu",
        reduction="none",
    )
    assert ms_ssim(one, other, data_range=1.0, scales=scales) == pytest.approx(expected.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_images_give_one_and_order_and_scale_do_not_matter(shape: tuple[int, ...]) -> None:
    one, other = images(shape), images(shape, seed=2)
    assert ms_ssim(one, one, data_range=1.0) == pytest.approx(np.ones(3))
    values = ms_ssim(one, other, data_range=1.0)
    assert np.all((values > 0) & (values < 1))
    assert ms_ssim(other, one, data_range=1.0) == pytest.approx(values)
    assert ms_ssim(40 * one, 40 * other, data_range=40.0) == pytest.approx(values)
    if shape[0] != shape[1]:
        turned = [np.swapaxes(x, 1, 2) for x in (one, other)]
        assert ms_ssim(*turned, data_range=1.0) == pytest.approx(values)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_more_noise_is_less_alike(seed: int) -> None:
    clean = images((64, 61), 1, seed)
    noise = np.random.default_rng(seed).normal(size=clean.shape)
    values = [float(ms_ssim(clean, clean + sd * noise, data_range=1.0)[0]) for sd in (0, 0.02, 0.1, 0.3)]
    assert values[0] == pytest.approx(1)
    assert all(a > b for a, b in pairwise(values))


def test_opposite_structure_gives_zero_and_not_a_root_of_a_negative_number() -> None:
    one = images((64, 61), 1)
    assert ms_ssim(one, 1 - one, data_range=1.0) == pytest.approx([0.0])


def test_two_constant_images_differ_by_luminance_alone() -> None:
    one, other = np.full((1, 40, 41), 0.2), np.full((1, 40, 41), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ms_ssim(one, other, data_range=1.0) == pytest.approx([expected ** fitting_scales((40, 41)).weights[-1]])


def test_scales_can_be_given() -> None:
    one, other = images((64, 61)), images((64, 61), seed=2)
    chosen = Scales(7, (0.5, 0.5))
    assert not np.allclose(ms_ssim(one, other, data_range=1.0, scales=chosen), ms_ssim(one, other, data_range=1.0))


@pytest.mark.parametrize("shape", [(64, 61), (32, 33, 35)])
def test_diversity_is_the_mean_over_all_pairs(shape: tuple[int, ...]) -> None:
    found = images(shape, 6)
    expected = np.mean(
        [ms_ssim(found[i : i + 1], found[j : j + 1], data_range=1.0) for i in range(6) for j in range(i)]
    )
    result = diversity(found, data_range=1.0)
    assert (result.pairs, result.n) == (15, 6)
    assert result.mean.value == pytest.approx(expected)
    assert result.mean.low < result.mean.value < result.mean.high < 1
    assert f"window {result.kernel}" in result.method


def test_a_set_with_less_of_its_own_is_less_diverse() -> None:
    varied, alike = images((64, 61), 20, own=0.8), images((64, 61), 20, own=0.4)
    assert diversity(alike, data_range=1.0).mean.low > diversity(varied, data_range=1.0).mean.high
    gap = diversity_difference(varied, alike, data_range=1.0)
    assert gap == pytest.approx(
        diversity(alike, data_range=1.0).mean.value - diversity(varied, data_range=1.0).mean.value
    )
    assert diversity_difference(alike, varied, data_range=1.0) == pytest.approx(gap)


def test_a_generator_that_makes_one_image_has_a_diversity_of_one() -> None:
    found = diversity(np.repeat(images((64, 61), 1), 5, axis=0), data_range=1.0).mean
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_pairs_are_drawn_from_many_by_the_seed() -> None:
    found = images((40, 41), 30)
    few = diversity(found, data_range=1.0, pairs=200, seed=3)
    assert few.pairs == 200
    assert few.mean.value == pytest.approx(diversity(found, data_range=1.0).mean.value, abs=0.02)
    assert diversity(found, data_range=1.0, pairs=200, seed=3) == few
    assert diversity(found, data_range=1.0, pairs=200, seed=4).mean.value != few.mean.value


@pytest.mark.parametrize("pairs", [435, 150])
def test_the_range_over_images_holds_the_true_mean_as_often_as_it_says(pairs: int) -> None:
    """Similarities of pairs that each image has a part in: (a_i + a_j) / 2 and noise, true mean 0."""
    held = 0
    rows, columns = np.triu_indices(30, 1)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        images_own = rng.normal(size=30)
        taken = rng.choice(len(rows), pairs, replace=False)
        i, j = rows[taken], columns[taken]
        values = (images_own[i] + images_own[j]) / 2 + 0.5 * rng.normal(size=pairs)
        found = mean_of_pairs(values, i, j, 30, draws=300, rng=rng)
        held += found.low <= 0 <= found.high
    assert held / 300 >= 0.90


@pytest.mark.parametrize(
    ("first", "second", "data_range", "words"),
    [
        (np.zeros((2, 11, 40)), np.zeros((2, 11, 40)), 1.0, "too small"),
        (np.zeros((2, 3, 64, 64)), np.zeros((2, 3, 64, 64)), 1.0, "too small"),
        (np.zeros((2, 1, 3, 64, 64)), np.zeros((2, 1, 3, 64, 64)), 1.0, "no sets of images"),
        (np.zeros((2, 40, 41)), np.zeros((3, 40, 41)), 1.0, "do not pair"),
        (np.zeros((2, 40, 41)), np.zeros((2, 40, 41)), 0.0, "no range"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    first: np.ndarray, second: np.ndarray, data_range: float, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        ms_ssim(first, second, data_range=data_range)


def test_two_images_have_no_diversity() -> None:
    with pytest.raises(UnsuitableError, match="too few"):
        diversity(images((40, 41), 2), data_range=1.0)
