"""Frechet distance: the closed form between Gaussians, the formula with a matrix root, MONAI and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from dopascope.errors import UnsuitableError
from dopascope.score.generated import frechet, frechet_squared


def with_a_matrix_root(real: np.ndarray, generated: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6, as it is written."""
    means, covariances = zip(*((x.mean(0), np.cov(x.T)) for x in (real, generated)), strict=True)
    root = sqrtm(covariances[0] @ covariances[1]).real
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(12, 40), st.integers(12, 40))
def test_it_is_the_formula_with_a_matrix_root(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(6, 6))
    real, generated = rng.normal(size=(n, 6)) @ mixing + 100, rng.normal(size=(m, 6)) + 99
    assert frechet_squared(real, generated) == pytest.approx(with_a_matrix_root(real, generated), rel=1e-6)


def test_gaussians_are_as_far_apart_as_their_closed_form_within_two_percent() -> None:
    rng = np.random.default_rng(1)
    sds = np.array([0.5, 1.0, 2.0, 3.0])
    real, generated = rng.normal(size=(40_000, 4)), rng.normal(size=(30_000, 4)) * sds
    shift = np.array([1.0, -1.0, 0.5, 0.0])
    expected = (shift**2).sum() + ((sds - 1) ** 2).sum()  # covariances that commute
    assert frechet_squared(real, generated + shift) == pytest.approx(expected, rel=0.02)


def test_a_turned_covariance_is_as_far_as_the_closed_form_in_two_dimensions() -> None:
    """In two dimensions tr(A^(1/2)) = sqrt(tr A + 2 sqrt(det A))."""
    rng = np.random.default_rng(2)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    spread = np.diag([3.0, 0.5])
    one, other = spread**2, turn @ spread**2 @ turn.T
    product = one @ other
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(one + other) - 2 * root
    real, generated = rng.normal(size=(40_000, 2)) @ spread, rng.normal(size=(40_000, 2)) @ spread @ turn.T
    assert frechet_squared(real, generated) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("n", [50, 10])
def test_a_set_against_itself_is_zero_singular_or_not(n: int) -> None:
    points = np.random.default_rng(3).normal(size=(n, 20))
    found = frechet(points, points)
    assert found.squared.value == pytest.approx(0, abs=1e-9)
    assert found.singular == (n <= 20)
    assert ("covariances singular" in found.method) == (n <= 20)


def test_it_does_not_depend_on_the_order_of_the_sets_nor_on_a_turn_of_the_features() -> None:
    rng = np.random.default_rng(4)
    real, generated = rng.normal(size=(8, 12)), rng.normal(size=(15, 12)) + 1
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    value = frechet_squared(real, generated)
    assert frechet_squared(generated, real) == pytest.approx(value)
    assert frechet_squared(real @ turn, generated @ turn) == pytest.approx(value)


def test_few_images_look_far_apart_and_the_line_to_infinity_mends_it() -> None:
    values, endless = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        real, generated = rng.normal(size=(160, 16)), rng.normal(size=(160, 16))
        generated[:, 0] += 1
        found = frechet(real, generated, seed=seed)
        assert found.at_infinity is not None
        values.append(found.squared.value)
        endless.append(found.at_infinity)
    assert np.mean(values) > 1.5
    assert np.mean(endless) == pytest.approx(1, abs=0.2)


def test_there_is_no_line_for_few_images() -> None:
    rng = np.random.default_rng(5)
    found = frechet(rng.normal(size=(40, 16)), rng.normal(size=(50, 16)))
    assert found.at_infinity is None
    assert found.why_not == "half of the smaller set is 20 images, 64 are needed for 16 features"
    assert frechet(rng.normal(size=(90, 2)), rng.normal(size=(90, 2)), extrapolate=False).why_not == "not asked for"


def test_the_range_holds_the_mean_of_such_sets_as_often_as_it_says() -> None:
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        real, generated = rng.normal(size=(80, 3)), rng.normal(size=(60, 3))
        generated[:, 0] += 2
        found.append(frechet(real, generated, extrapolate=False, seed=seed).squared)
    mean = np.mean([one.value for one in found])
    assert 0.88 <= np.mean([one.low <= mean <= one.high for one in found]) <= 0.99


@pytest.mark.oracle
@pytest.mark.usefixtures("torchvision_declared")
def test_monai_finds_the_same() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="MONAI, the oracle, is not installed")
    import torch

    rng = np.random.default_rng(6)
    real, generated = rng.normal(size=(60, 8)), 1.5 * rng.normal(size=(50, 8)) + 0.3
    expected = float(metrics.FIDMetric()(torch.tensor(generated), torch.tensor(real)))
    assert frechet_squared(real, generated) == pytest.approx(expected, rel=1e-4)


@pytest.mark.oracle
@pytest.mark.usefixtures("torchvision_declared")
def test_torchmetrics_finds_the_same() -> None:
    image = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics, the oracle, is not installed")
    import torch

    class Flat(torch.nn.Module):
        num_features = 12

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).to(torch.float64)

    rng = np.random.default_rng(7)
    real, generated = rng.normal(size=(60, 12)), 1.5 * rng.normal(size=(50, 12)) + 0.3
    metric = image.FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 2, 2))
    metric.set_dtype(torch.float64)
    metric.update(torch.tensor(real).reshape(-1, 3, 2, 2), real=True)
    metric.update(torch.tensor(generated).reshape(-1, 3, 2, 2), real=False)
    assert frechet_squared(real, generated) == pytest.approx(float(metric.compute()), rel=1e-4)


def test_three_images_are_too_few() -> None:
    with pytest.raises(UnsuitableError, match="too few"):
        frechet(np.eye(3), np.eye(3))
