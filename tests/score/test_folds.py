"""An interval that allows for what the models of folds share."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.errors import UsageError
from dopascope.score import Estimate, allowing_for_folds


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_it_is_wider_by_the_corrected_variance_on_both_sides(folds: int) -> None:
    """Variance 1 / K + 1 / (K - 1) instead of 1 / K."""
    one = Estimate(0.5, 0.45, 0.57, 60, 60)
    low, high = allowing_for_folds(one, folds)
    stretch = np.sqrt((1 / folds + 1 / (folds - 1)) * folds)
    assert (one.value - low) / 0.05 == pytest.approx(stretch)
    assert (high - one.value) / 0.07 == pytest.approx(stretch)


def test_it_stays_within_0_and_1_and_a_point_stays_one() -> None:
    assert allowing_for_folds(Estimate(0.95, 0.90, 1.0, 60, 60), 2)[1] == 1.0
    assert allowing_for_folds(Estimate(0.05, 0.0, 0.2, 60, 60), 2)[0] == 0.0
    assert allowing_for_folds(Estimate(1.0, 1.0, 1.0, 60, 60), 5) == (1.0, 1.0)


def test_one_fold_shares_nothing() -> None:
    with pytest.raises(UsageError, match="no folds to allow for"):
        allowing_for_folds(Estimate(0.5, 0.4, 0.6, 60, 60), 1)
