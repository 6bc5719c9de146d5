"""Comparisons against their definitions, statsmodels, and their promise: few false alarms where nothing differs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels
from statsmodels.stats.multitest import multipletests

from dopascope.errors import UsageError
from dopascope.score import auroc, delong, difference_over_people, holm, log_loss, mcnemar, p_words, paired_permutation


def by_definition(first: np.ndarray, second: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Difference and variance by DeLong's equations 3 to 7, pair by pair."""
    kernel = [
        np.array([[(x > y) + 0.5 * (x == y) for y in scores[~truth]] for x in scores[truth]])
        for scores in (first, second)
    ]
    m, n = kernel[0].shape
    v10, v01 = [k.mean(1) for k in kernel], [k.mean(0) for k in kernel]
    covariance = np.cov(v10) / m + np.cov(v01) / n
    contrast = np.array([1, -1])
    return kernel[0].mean() - kernel[1].mean(), float(contrast @ covariance @ contrast)


@pytest.mark.parametrize("seed", range(5))
def test_delong_is_its_definition_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(50) < 0.4
    first, second = np.round(rng.normal(size=50) + truth, 1), np.round(rng.normal(size=50) + 0.5 * truth, 1)
    value, variance = by_definition(first, second, truth)
    found = delong(first, second, truth)
    assert found.value == pytest.approx(value) == pytest.approx(auroc(first, truth) - auroc(second, truth))
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert delong(second, first, truth).value == pytest.approx(-value)


def test_delong_rarely_cries_wolf_and_mostly_finds_a_wolf() -> None:
    rng = np.random.default_rng(2)
    truth = np.arange(120) % 2 == 0
    alarms = {0.0: 0, 1.5: 0}
    for gain in alarms:
        for _ in range(400):
            shared = rng.normal(size=120)
            first, second = (shared + rng.normal(size=120) + (1 + extra) * truth for extra in (gain, 0.0))
            alarms[gain] += delong(first, second, truth).p < 0.05
    assert 0.02 <= alarms[0.0] / 400 <= 0.085
    assert alarms[1.5] / 400 > 0.9


def test_delong_needs_two_scans_of_each_class() -> None:
    with pytest.raises(UsageError, match="Too few"):
        delong([1, 2, 3], [1, 3, 2], [True, False, False])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_mcnemar_is_that_of_statsmodels(rows: list[tuple[bool, bool]]) -> None:
    one, other = np.array(rows).T
    table = [[int((a & b).sum()) for b in (other, ~other)] for a in (one, ~one)]
    assert mcnemar(one, other) == pytest.approx(mcnemar_of_statsmodels(table, exact=True).pvalue, abs=1e-9)


@settings(max_examples=10)  # the oracle takes 60 ms a call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_all_flips_of_few_differences_are_counted(differences: list[int]) -> None:
    seen = abs(sum(differences))
    sums = [abs(sum(np.multiply(differences, signs))) for signs in product((-1, 1), repeat=len(differences))]
    expected = np.mean([one >= seen for one in sums]) if any(differences) else 1.0
    assert paired_permutation(differences) == pytest.approx(expected)


def test_many_differences_are_flipped_at_random_and_p_is_never_zero() -> None:
    rng = np.random.default_rng(4)
    assert paired_permutation(rng.normal(size=40)) > 0.01
    assert paired_permutation(rng.normal(size=40) + 2, permutations=999) == pytest.approx(1 / 1000)


def test_the_difference_of_any_figure_has_an_interval_over_people() -> None:
    rng = np.random.default_rng(6)
    truth = np.repeat(np.arange(100) % 2 == 0, 2)
    people = [f"p{n // 2}" for n in range(200)]
    sharp, blunt = (np.clip(0.5 + gain * (truth - 0.5) + 0.1 * rng.normal(size=200), 0.01, 0.99) for gain in (0.6, 0.2))
    found = difference_over_people(log_loss, sharp, blunt, truth, people, draws=300)
    assert found.value == pytest.approx(log_loss(sharp, truth) - log_loss(blunt, truth))
    assert found.low < found.value < found.high < 0
    assert found.p == pytest.approx(2 / 301)
    same = difference_over_people(log_loss, sharp, sharp, truth, people, draws=100)
    assert (same.value, same.p) == (0, 1)


@pytest.mark.parametrize(
    ("p", "said"), [(1.0, "p 1.000"), (0.0461, "p 0.046"), (0.0005, "p 0.001"), (1e-9, "p < 0.001")]
)
def test_no_p_is_printed_as_zero(p: float, said: str) -> None:
    assert p_words(p) == said
