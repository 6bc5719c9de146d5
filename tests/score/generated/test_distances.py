"""Distances: scipy is the oracle, far from the origin too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from dopascope.score.generated.distances import distances, median_distance


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9), st.floats(-1e7, 1e7))
def test_they_are_those_of_scipy_wherever_the_points_lie(seed: int, n: int, m: int, place: float) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.normal(size=(n, 5)) + place, rng.normal(size=(m, 5)) + place
    assert distances(rows, columns) == pytest.approx(cdist(rows, columns), rel=1e-6)


def test_a_point_is_nowhere_but_where_it_is() -> None:
    points = np.random.default_rng(1).normal(size=(30, 200)) + 1000
    assert np.diag(distances(points, points)) == pytest.approx(np.zeros(30), abs=1e-5)


def test_the_median_is_that_of_all_pairs() -> None:
    points = np.random.default_rng(2).normal(size=(41, 3))
    assert median_distance(points) == pytest.approx(float(np.median(pdist(points))))
