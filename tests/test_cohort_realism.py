"""The page of release checks: its arithmetic against oracles, and no figure on it typed in by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import checks
import cohort_realism

ROOT = Path(__file__).parents[1]


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_shares_have_the_exact_interval(part):
    found, n = part
    value, interval = checks.share(found, n)
    assert value == found / n
    assert interval == pytest.approx(tuple(binomtest(found, n).proportion_ci(method="exact")))


def test_slopes_find_a_planted_regression():
    rng = np.random.default_rng(3)
    people = []
    for _ in range(400):
        age, sex = float(rng.uniform(40, 85)), str(rng.choice(["F", "M"]))
        ratio = 2.0 - 0.1 * (age - 60) / 10 + 0.2 * (sex == "F") + 0.02 * rng.normal()
        people.append({"age": age, "sex": sex, "whole_brain": {"striatum_left": ratio, "striatum_right": ratio}})
    decade, women = checks.slopes(people)
    assert decade.value == pytest.approx(-5.0, abs=0.2)
    assert women.value == pytest.approx(10.0, abs=0.4)
    assert decade.interval[0] < -5.0 < decade.interval[1]


def test_the_page_is_made_from_the_figures():
    figures = json.loads((ROOT / "release" / "results" / "cohort_realism.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "cohort_realism.md").read_text(encoding="utf-8") == cohort_realism.page(figures)


def test_every_figure_outside_its_range_has_its_deviation_named():
    page = (ROOT / "docs" / "cohort_realism.md").read_text(encoding="utf-8")
    assert "*outside*" in page
    assert "not explained" not in page
