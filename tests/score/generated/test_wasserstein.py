"""Wasserstein distances: scipy is the oracle; shifts in closed form; a p value and a range that keep their promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, wasserstein_distance

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated import wasserstein, wasserstein_of_each
from dopascope.score.generated import wasserstein_distance as distance
from dopascope.score.generated.wasserstein import _batches

NUMBERS = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None)
@given(NUMBERS, NUMBERS)
def test_it_is_that_of_scipy_ties_and_unequal_counts_included(real: list[float], generated: list[float]) -> None:
    expected = wasserstein_distance(real, generated)
    assert distance(real, generated) == pytest.approx(expected, abs=1e-9)
    assert wasserstein(real, generated, draws=5, permutations=1).distance.value == pytest.approx(expected, abs=1e-9)


@given(NUMBERS, st.floats(-50, 50))
def test_a_shift_is_as_far_as_it_shifts(values: list[float], shift: float) -> None:
    found = wasserstein(values, np.array(values) + shift, draws=5, permutations=1)
    assert found.distance.value == pytest.approx(abs(shift), abs=1e-9)
    assert found.shift == pytest.approx(shift, abs=1e-9)


def test_it_is_told_in_standard_deviations_of_the_real_values() -> None:
    rng = np.random.default_rng(1)
    real = rng.normal(2.5, 0.4, 50)
    found = wasserstein(real, real + 0.6, draws=10)
    assert found.in_sd == pytest.approx(0.6 / real.std(ddof=1))
    assert wasserstein([1.0, 1.0], [2.0, 3.0], draws=10).in_sd == float("inf")


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    found = [
        wasserstein(rng.normal(size=25), rng.normal(size=35), draws=2, permutations=199, seed=seed).p
        for seed in range(300)
    ]
    assert kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_the_range_holds_the_true_distance_as_often_as_it_says(shift: float) -> None:
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        real, generated = rng.normal(size=60), rng.normal(size=50) + shift
        found = wasserstein(real, generated, draws=300, permutations=199, seed=seed).distance
        held += found.low <= shift <= found.high
    assert 0.91 <= held / 300 <= 0.985


def test_every_quantity_is_compared_by_its_name() -> None:
    rng = np.random.default_rng(4)
    real = {"putamen_left": rng.normal(3, 1, 40), "asymmetry_putamen": rng.normal(0, 5, 40)}
    generated = {"asymmetry_putamen": rng.normal(0, 5, 30), "putamen_left": rng.normal(1, 1, 30)}
    found = wasserstein_of_each(real, generated, draws=50)
    assert list(found) == ["putamen_left", "asymmetry_putamen"]
    assert found["putamen_left"].p < 0.01 < found["asymmetry_putamen"].p
    assert found["putamen_left"].as_dict()["n_generated"] == 30
    with pytest.raises(UsageError, match="different quantities") as caught:
        wasserstein_of_each(real, {"putamen_left": [1, 2]})
    assert caught.value.found == "asymmetry_putamen in one of them only"


@given(st.integers(1, 10_000), st.integers(1, 1 << 23))
def test_batches_add_up_and_fit(total: int, width: int) -> None:
    found = _batches(total, width)
    assert sum(found) == total
    assert all(count == 1 or count * width <= 1 << 22 for count in found)


@pytest.mark.parametrize(
    ("real", "kind", "words"),
    [([[1, 2]], UsageError, "no list"), ([1], UnsuitableError, "too few"), ([1, np.nan], UnsuitableError, "finite")],
)
def test_what_is_no_sample_is_refused(real: list, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        wasserstein(real, [1, 2, 3])
