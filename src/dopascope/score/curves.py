"""Curves over all thresholds: ROC, precision and recall, net benefit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.score.checked import both_classes, probabilities


@dataclass(frozen=True)
class Curve:
    """Points of a curve, `x` and `y` (M,), and the threshold from which on the answer is positive."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    threshold: NDArray[np.float64]


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> Curve:
    """1 - specificity (x) and sensitivity (y) from (0, 0) to (1, 1).

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.both_classes`.
    """
    values, truth = both_classes(scores, positive)
    threshold, found, false = _cumulative(values, truth)
    x = np.concatenate([[0.0], false / (~truth).sum()])
    return Curve(x, np.concatenate([[0.0], found / truth.sum()]), np.concatenate([[np.inf], threshold]))


def precision_recall_curve(scores: ArrayLike, positive: ArrayLike) -> Curve:
    """Recall (x, rising) and precision (y) at each threshold that a score has.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.both_classes`.
    """
    values, truth = both_classes(scores, positive)
    threshold, found, false = _cumulative(values, truth)
    return Curve(found / truth.sum(), found / (found + false), threshold)


def average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Precision averaged over recall, without interpolation; a blind reader gets the share of positives.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.both_classes`.

    Source: Davis and Goadrich 2006, ICML 233, on why no straight lines are drawn between the points.
    """
    curve = precision_recall_curve(scores, positive)
    return float(np.sum(np.diff(np.concatenate([[0.0], curve.x])) * curve.y))


def net_benefit(p: ArrayLike, positive: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """True positives less false positives weighed by the odds of the threshold, per scan: (M,).

    Treating everybody has p(1) - (1 - p(1)) t / (1 - t), treating nobody 0.

    Args:
        p: (N,) probability of the positive class.
        positive: (N,) of bool.
        thresholds: (M,) probabilities below 1 from which on one would act.

    Raises:
        UsageError: see `checked.probabilities`.

    Source: Vickers and Elkin 2006, Med Decis Making 26:565.
    """
    values, truth = probabilities(p, positive)
    at = np.asarray(thresholds, np.float64)
    acted = values[None] >= at[:, None]
    found, false = (acted & truth).sum(1), (acted & ~truth).sum(1)
    return np.asarray((found - false * at / (1 - at)) / len(truth))


def _cumulative(
    values: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
    """Each distinct score, the highest first, with how many positives and negatives reach it."""
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    found = np.cumsum(truth[order])[last]
    return ranked[last], found, np.asarray(last + 1 - found)
