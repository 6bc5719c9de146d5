"""MMD: its definition pair by pair, the closed form between Gaussians, and a p value that keeps its promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated import distances as distances_module
from dopascope.score.generated import kernel_sums as kernel_sums_module
from dopascope.score.generated import mmd, mmd_squared


def kernel_value(x: np.ndarray, y: np.ndarray, width: float) -> float:
    return float(np.exp(-((x - y) ** 2).sum() / (2 * width**2)))


def by_definition(real: np.ndarray, generated: np.ndarray, width: float) -> float:
    """Gretton et al. 2012, equation 3, pair by pair."""
    n, m = len(real), len(generated)
    within_real = sum(kernel_value(real[i], real[j], width) for i in range(n) for j in range(n) if i != j)
    within_generated = sum(
        kernel_value(generated[i], generated[j], width) for i in range(m) for j in range(m) if i != j
    )
    across = sum(kernel_value(x, y, width) for x in real for y in generated)
    return within_real / (n * (n - 1)) + within_generated / (m * (m - 1)) - 2 * across / (n * m)


def between_gaussians(shift: float, sd: float, width: float, d: int) -> float:
    """Squared MMD of N(0, I) and N(shift e1, sd^2 I): means of Gaussian kernels of Gaussians are Gaussians."""

    def mean_kernel(variance: float, apart: float) -> float:
        total = width**2 + variance
        return (width**2 / total) ** (d / 2) * np.exp(-(apart**2) / (2 * total))

    return mean_kernel(2, 0) + mean_kernel(2 * sd**2, 0) - 2 * mean_kernel(1 + sd**2, shift)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 9), st.integers(3, 9), st.floats(0.3, 5))
def test_it_is_its_definition(seed: int, n: int, m: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(n, 3)) + 1000, rng.normal(size=(m, 3)) + 1001
    expected = by_definition(real, generated, width)
    assert mmd_squared(real, generated, bandwidths=[width]) == pytest.approx(expected, abs=1e-9)
    found = mmd(real, generated, bandwidths=[width, 2 * width], permutations=9)
    expected = (expected + by_definition(real, generated, 2 * width)) / 2
    assert found.squared.value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("shift", "sd"), [(3.0, 1.0), (0.0, 3.0), (2.5, 0.7)])
def test_gaussians_are_as_far_apart_as_their_closed_form_within_two_percent(shift: float, sd: float) -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        real, generated = rng.normal(size=(500, 4)), sd * rng.normal(size=(450, 4))
        generated[:, 0] += shift
        found.append(mmd_squared(real, generated, bandwidths=[2.0]))
    assert np.mean(found) == pytest.approx(between_gaussians(shift, sd, 2.0, 4), rel=0.02)


def test_a_set_against_itself_is_just_below_zero_by_what_is_documented() -> None:
    points = np.random.default_rng(2).normal(size=(40, 5))
    found = mmd(points, points, permutations=99)
    width = float(np.median(pdist(np.concatenate([points, points]))))
    assert found.bandwidths == pytest.approx((width,))
    mean = float(np.exp(-(pdist(points) ** 2) / (2 * width**2)).mean())
    assert found.squared.value == pytest.approx(-2 / 40 * (1 - mean), abs=1e-12)
    assert found.p > 0.9


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(3)
    found = [
        mmd(rng.normal(size=(20, 3)), rng.normal(size=(30, 3)), permutations=199, seed=seed).p for seed in range(300)
    ]
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) <= 0.09


def test_p_finds_a_shift_and_is_never_zero() -> None:
    rng = np.random.default_rng(4)
    found = mmd(rng.normal(size=(60, 5)), rng.normal(size=(40, 5)) + 1, permutations=499)
    assert found.p == 1 / 500
    assert found.squared.low > 0


def test_the_range_holds_the_true_value_as_often_as_it_says() -> None:
    expected = between_gaussians(1.0, 1.0, 2.0, 3)
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        real, generated = rng.normal(size=(50, 3)), rng.normal(size=(70, 3))
        generated[:, 0] += 1
        found = mmd(real, generated, bandwidths=[2.0], permutations=1).squared
        held += found.low <= expected <= found.high
    assert 0.90 <= held / 200 <= 0.99


def test_the_range_is_the_jackknife_done_by_leaving_images_out() -> None:
    rng = np.random.default_rng(5)
    real, generated = rng.normal(size=(7, 2)), rng.normal(size=(9, 2)) + 0.5
    without = [
        np.array([mmd_squared(np.delete(real, i, 0), generated, bandwidths=[1.0]) for i in range(7)]),
        np.array([mmd_squared(real, np.delete(generated, i, 0), bandwidths=[1.0]) for i in range(9)]),
    ]
    error = np.sqrt(sum((len(one) - 1) / len(one) * ((one - one.mean()) ** 2).sum() for one in without))
    found = mmd(real, generated, bandwidths=[1.0], permutations=1).squared
    assert found.high - found.value == pytest.approx(1.959964 * error, rel=1e-5)
    assert found.value - found.low == pytest.approx(1.959964 * error, rel=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    real, generated = rng.normal(size=(23, 4)), rng.normal(size=(18, 4)) + 0.3
    whole = mmd(real, generated, permutations=99)
    monkeypatch.setattr(kernel_sums_module, "ENTRIES", 7 * 41)
    parts = mmd(real, generated, permutations=99)
    assert parts.squared.value == pytest.approx(whole.squared.value, abs=1e-13)
    assert (parts.p, parts.squared.high) == pytest.approx((whole.p, whole.squared.high))


def test_the_bandwidth_of_many_images_is_the_median_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(7).normal(size=(600, 3))
    exact = distances_module.median_distance(points)
    monkeypatch.setattr(distances_module, "_MEDIAN_OF", 200)
    assert distances_module.median_distance(points) == pytest.approx(exact, rel=0.1)


def test_the_result_says_how_it_was_found() -> None:
    rng = np.random.default_rng(8)
    found = mmd(rng.normal(size=(5, 3)), rng.normal(size=(8, 3)), bandwidths=[2], permutations=19).as_dict()
    assert (found["n_real"], found["n_generated"], found["features"], found["permutations"]) == (5, 8, 3, 19)
    assert "bandwidth 2;" in found["method"]
    assert set(found["squared"]) == {"value", "low", "high"}


@pytest.mark.parametrize(
    ("real", "generated", "kind", "words"),
    [
        (np.zeros((5, 2, 2)), np.zeros((5, 4)), UsageError, "no features"),
        (np.eye(4), np.ones((4, 3)), UsageError, "different kinds"),
        (np.eye(4)[:2], np.eye(4), UnsuitableError, "too few"),
        (np.eye(4), np.full((4, 4), np.nan), UnsuitableError, "not finite"),
        (np.ones((4, 4)), np.eye(4), UnsuitableError, "same features"),
        (np.array([[0.0], [1], [0], [0]]), np.zeros((9, 1)), UnsuitableError, "median distance"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_its_place(
    real: np.ndarray, generated: np.ndarray, kind: type, words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        mmd(real, generated)
    assert caught.value.where
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.fix


@pytest.mark.parametrize("bandwidths", [[], [0.0], [1.0, -1.0], [float("inf")]])
def test_bandwidths_are_positive(bandwidths: list[float]) -> None:
    with pytest.raises(UsageError, match="no bandwidths"):
        mmd(np.eye(4), np.eye(4), bandwidths=bandwidths)


def test_the_row_that_is_not_finite_is_named() -> None:
    broken = np.eye(5)
    broken[3, 1] = np.inf
    with pytest.raises(UnsuitableError) as caught:
        mmd(np.eye(5), broken)
    assert caught.value.found == "1 of 5 rows, the first is row 3"
    assert caught.value.where == "generated"
