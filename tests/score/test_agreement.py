"""Agreement of grades: against scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from dopascope.errors import UsageError
from dopascope.score import weighted_kappa, weighted_kappa_of_people

GRADES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60)


@given(GRADES)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    said, true = np.array(pairs).T
    found = weighted_kappa(said, true, 5)
    if np.isnan(found):
        assert len({*said.tolist(), *true.tolist()}) == 1
    else:
        expected = cohen_kappa_score(said, true, labels=list(range(5)), weights="quadratic")
        assert found == pytest.approx(expected, abs=1e-12)


def test_closed_forms() -> None:
    assert weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3], 5) == 1.0
    assert weighted_kappa([0, 0, 1, 1], [0, 1, 0, 1], 2) == pytest.approx(0.0)
    assert weighted_kappa([0, 1], [1, 0], 2) == pytest.approx(-1.0)
    assert np.isnan(weighted_kappa([2, 2], [2, 2], 5))


def test_the_interval_is_over_people_and_does_not_depend_on_order() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 5, 80)
    said = np.clip(true + rng.integers(-1, 2, 80), 0, 4)
    people = [f"p{number // 2}" for number in range(80)]
    found = weighted_kappa_of_people(said, true, 5, people, draws=300)
    assert found.low < found.value < found.high
    assert (found.n, found.people) == (80, 40)
    turned = weighted_kappa_of_people(said[::-1], true[::-1], 5, people[::-1], draws=300)
    assert (turned.low, turned.high) == (found.low, found.high)
    once = weighted_kappa_of_people(said[::2], true[::2], 5, people[::2], draws=300)
    twice = weighted_kappa_of_people(np.repeat(said[::2], 2), np.repeat(true[::2], 2), 5, people, draws=300)
    assert (once.low, once.high) == pytest.approx((twice.low, twice.high))  # a second copy adds nothing


@pytest.mark.parametrize(
    ("said", "true", "grades"),
    [([0, 1], [0], 5), ([0, 5], [0, 1], 5), ([-1, 0], [0, 1], 5), ([0.5, 1], [0, 1], 5), ([], [], 5), ([0], [0], 1)],
)
def test_what_is_no_grade_is_refused(said: list[float], true: list[int], grades: int) -> None:
    with pytest.raises(UsageError, match="no pairs of grades"):
        weighted_kappa(said, true, grades)
