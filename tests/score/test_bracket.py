"""The calibration bracket: closed forms, drift that it was told of, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from dopascope.errors import UnsuitableError
from dopascope.score import fit_bracket, fit_calibration

PLACES = 6


def drifted(rng: np.random.Generator, n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are right but for a shift of their logits, and the truth."""
    true = expit(rng.normal(0, 2, n))
    return expit(logit(true) - shift), rng.random(n) < true


def test_it_is_the_range_of_the_places_own_corrections() -> None:
    rng = np.random.default_rng(1)
    parts = [drifted(rng, 200, shift) for shift in (-1.0, 0.0, 1.5)]
    p, positive = (np.concatenate(one) for one in zip(*parts, strict=True))
    places = np.repeat(["a", "b", "c"], 200)
    bracket = fit_bracket(p, positive, places)
    asked = np.array([0.1, 0.5, 0.9])
    each = [fit_calibration("platt", *one)(asked) for one in parts]
    low, high = bracket(asked)
    np.testing.assert_allclose(low, np.min(each, 0))
    np.testing.assert_allclose(high, np.max(each, 0))
    assert low[1] < 0.35
    assert high[1] > 0.75
    order = rng.permutation(600)
    turned = fit_bracket(p[order], positive[order], places[order])
    np.testing.assert_allclose(turned(asked), bracket(asked), rtol=1e-6)


def test_it_holds_the_drift_of_a_place_that_was_not_there() -> None:
    """Shifts drawn from one normal: the right probability at a new place lies within for most of 200 worlds."""
    held = []
    for world in range(200):
        rng = np.random.default_rng(world)
        shifts = rng.normal(0, 0.7, PLACES + 1)
        parts = [drifted(rng, 150, shift) for shift in shifts[:-1]]
        p, positive = (np.concatenate(one) for one in zip(*parts, strict=True))
        bracket = fit_bracket(p, positive, np.repeat(np.arange(PLACES), 150))
        low, high = bracket([0.5])
        held.append(low[0] <= expit(shifts[-1]) <= high[0])
    # The newest of seven alike lies between the others' ends 5 times in 7; noise of fitting widens them a little.
    assert 0.62 < np.mean(held) < 0.9


def test_few_scans_and_one_place_are_refused_or_named() -> None:
    rng = np.random.default_rng(2)
    p, positive = drifted(rng, 120, 0.0)
    with pytest.raises(UnsuitableError, match="no calibration bracket"):
        fit_bracket(p, positive, ["here"] * 120)
    places = ["a"] * 50 + ["b"] * 50 + ["few"] * 20
    positive[-20:] = False
    positive[-1] = True
    assert dict(fit_bracket(p, positive, places).left_out) == {"few": 1}
