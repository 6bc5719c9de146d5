"""Area under the ROC curve, and an interval over people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, Estimate, estimates_of_people
from dopascope.score.checked import both_classes


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Share of the pairs of a positive and a negative that are in the right order, ties half.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.

    Raises:
        UsageError: one class is empty, a score is not finite, or all scores are 0 or 1: of hard labels the figure
            would be the balanced accuracy under another name.

    Source: Mann and Whitney 1947, Ann Math Stat 18:50; Hanley and McNeil 1982, Radiology 143:29.
    """
    values, truth = both_classes(scores, positive)
    _refuse_hard_labels(values)
    return _area(values, truth)


def auroc_of_people(
    scores: ArrayLike, positive: ArrayLike, people: Sequence[Hashable], *, draws: int = DRAWS, seed: int = 1
) -> Estimate:
    """AUROC over scans, with a percentile bootstrap over people, drawn within each class.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.
        people: (N,) who each scan is of.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        UsageError: see `auroc`.
    """
    values, truth = both_classes(scores, positive)
    _refuse_hard_labels(values)
    return estimates_of_people({"auroc": _area}, values, truth, people, draws=draws, seed=seed)["auroc"]


def _area(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    # A bootstrap asks thousands of times: a sorted search is 2 (of 2000) to 10 times (of 16) as fast as ranks.
    cases, others = values[truth], np.sort(values[~truth])
    below, not_above = (others.searchsorted(cases, side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * len(cases) * len(others)))


def _refuse_hard_labels(values: NDArray[np.float64]) -> None:
    if np.array_equal(np.unique(values), (0, 1)):
        raise UsageError(
            "An AUROC of hard labels is the balanced accuracy under another name.",
            where="scores",
            found="0 and 1 only",
            expected="scores before they are cut at a threshold",
            fix="Hand over the scores, or report the balanced accuracy.",
        )
