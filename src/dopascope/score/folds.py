"""What cross-validation adds to the uncertainty of a figure: its models learned from the same people."""

from __future__ import annotations

from math import sqrt

from dopascope.errors import UsageError
from dopascope.score.bootstrap import Estimate


def allowing_for_folds(one: Estimate, folds: int) -> tuple[float, float]:
    """An interval of people drawn, stretched about its figure as if each fold were a correlated measurement.

    Drawing people takes the models as they are. Those of K folds share most of their training people, so that chance
    in these moves all answers together: where nothing is to be learned, such an interval of an AUROC holds 0.5 too
    seldom, however many people there are. Nadeau and Bengio count the variance of a mean over K folds as 1 / K +
    1 / (K - 1) instead of 1 / K.

    Args:
        one: of answers out of fold, between 0 and 1.
        folds: K, 2 or more.

    Returns:
        Low and high, within 0 and 1.

    Raises:
        UsageError: fewer than two folds.

    Source: Nadeau and Bengio 2003, Machine Learning 52:239 (for repeated random splits; taken over for folds).
    """
    if folds < 2:
        raise UsageError("There are no folds to allow for.", where="folds", found=folds, expected="2 or more")
    stretch = sqrt(1 + folds / (folds - 1))
    low, high = (one.value + stretch * (end - one.value) for end in (one.low, one.high))
    return max(low, 0.0), min(high, 1.0)
