"""Kernel distance: its definition, moments in closed form, and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.errors import UsageError
from dopascope.score.generated import kernel_distance, kernel_distance_value


def by_definition(real: np.ndarray, generated: np.ndarray) -> float:
    """Binkowski et al. 2018, section 3, pair by pair."""

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    n, m = len(real), len(generated)
    within_real = sum(k(real[i], real[j]) for i in range(n) for j in range(n) if i != j)
    within_generated = sum(k(generated[i], generated[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(k(x, y) for x in real for y in generated)
    return within_real / (n * (n - 1)) + within_generated / (m * (m - 1)) - 2 * across / (n * m)


def test_it_is_its_definition_for_unequal_counts() -> None:
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(9, 4)), rng.normal(size=(13, 4)) + 0.5
    expected = by_definition(real, generated)
    assert kernel_distance_value(real, generated) == pytest.approx(expected)
    assert kernel_distance(real, generated).value.value == pytest.approx(expected)


def test_shifted_gaussians_are_as_far_apart_as_their_closed_form_within_two_percent() -> None:
    """One feature: the means of (xy + 1)^3 follow from the first three moments, 3 (dm1)^2 + 3 (dm2)^2 + (dm3)^2."""
    rng = np.random.default_rng(2)
    mean, sd = 1.0, 1.5
    moments = np.array([mean, mean**2 + sd**2, mean**3 + 3 * mean * sd**2])
    difference = moments - np.array([0.0, 1.0, 0.0])
    expected = float(difference**2 @ [3, 3, 1])
    real, generated = rng.normal(size=(60_000, 1)), mean + sd * rng.normal(size=(60_000, 1))
    powers = [np.stack([x[:, 0], x[:, 0] ** 2, x[:, 0] ** 3]).mean(1) for x in (real, generated)]
    assert float((powers[1] - powers[0]) ** 2 @ [3, 3, 1]) == pytest.approx(expected, rel=0.05)  # the sets are fair
    unbiased = np.mean(
        [kernel_distance_value(real[k : k + 500], generated[k : k + 500]) for k in range(0, 60_000, 500)]
    )
    assert unbiased == pytest.approx(expected, rel=0.02)


def test_it_is_zero_on_average_where_nothing_differs_and_so_are_its_subsets() -> None:
    rng = np.random.default_rng(3)
    found = [kernel_distance(rng.normal(size=(20, 3)), rng.normal(size=(25, 3)), subsets=5) for _ in range(200)]
    for values in ([one.value.value for one in found], [one.subset_mean for one in found]):
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(one.value.value for one in found) < 0


def test_the_range_holds_the_true_value_as_often_as_it_says() -> None:
    expected = 3 * 0.5**2 + 3 * 0.25**2 + (0.5**3 + 3 * 0.5) ** 2
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = kernel_distance(rng.normal(size=(120, 1)), rng.normal(size=(120, 1)) + 0.5, subsets=1).value
        held += found.low <= expected <= found.high
    assert 0.88 <= held / 300 <= 0.99


def test_subsets_are_half_of_the_smaller_set_unless_told_otherwise() -> None:
    rng = np.random.default_rng(4)
    real, generated = rng.normal(size=(30, 3)), rng.normal(size=(21, 3))
    found = kernel_distance(real, generated)
    assert (found.subset_size, found.subsets) == (10, 100)
    assert "100 subsets of 10" in found.method
    whole = kernel_distance(real, generated[:20], subset_size=20, subsets=3)
    assert whole.subset_size == 20
    with pytest.raises(UsageError, match="subset_size") as caught:
        kernel_distance(real, generated, subset_size=22)
    assert caught.value.expected == "a whole number of at least 1 and at most 21"


def test_subsets_as_large_as_the_sets_are_the_sets() -> None:
    rng = np.random.default_rng(5)
    real, generated = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 1
    found = kernel_distance(real, generated, subset_size=20, subsets=3)
    assert found.subset_mean == pytest.approx(found.value.value)
    assert found.subset_sd == pytest.approx(0, abs=1e-12)


@pytest.mark.oracle
@pytest.mark.usefixtures("torchvision_declared")
def test_torchmetrics_finds_the_same() -> None:
    image = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics, the oracle, is not installed")
    import torch

    rng = np.random.default_rng(6)
    real, generated = rng.normal(size=(40, 12)), 1.2 * rng.normal(size=(40, 12)) + 0.3
    expected = image.poly_mmd(torch.tensor(real), torch.tensor(generated))
    assert kernel_distance_value(real, generated) == pytest.approx(float(expected), rel=1e-9)
