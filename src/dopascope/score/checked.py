"""Scores and truth as arrays, after a look at whether they can be meant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError


def both_classes(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores (N,) and truth (N,).

    Raises:
        UsageError: other shapes, a score that is not finite, or one class only.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if values.shape != truth.shape or values.ndim != 1 or not np.isfinite(values).all():
        raise UsageError(
            "These scores cannot be ranked.",
            where="scores",
            found=f"shapes {values.shape} and {truth.shape}, {int((~np.isfinite(values)).sum())} not finite",
            expected="one finite score for each label",
            fix="Leave out scans without a score, and say how many.",
        )
    if truth.all() or not truth.any():
        raise UsageError(
            "Both classes are needed.",
            where="positive",
            found=f"{int(truth.sum())} positive, {int((~truth).sum())} negative",
            expected="at least one of each",
            fix="Check which labels count as positive.",
        )
    return values, truth


def probabilities(p: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities (N,) of the positive class and truth (N,).

    Raises:
        UsageError: see `both_classes`; or a value outside 0 to 1.
    """
    values, truth = both_classes(p, positive)
    if values.min() < 0 or values.max() > 1:
        raise UsageError(
            "These are no probabilities.",
            where="p",
            found=f"{values.min():g} to {values.max():g}",
            expected="0 to 1",
            fix="Calibrate the scores first.",
        )
    return values, truth
