"""Area under the ROC curve, and an interval over people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError

DRAWS: Final = 2000
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and what it was found on."""

    value: float
    low: float
    high: float
    n: int
    """Scans."""
    people: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n {self.n} of {self.people} people)"


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Share of the pairs of a positive and a negative that are in the right order, ties half.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.

    Raises:
        UsageError: one class is empty, or a score is not finite.

    Source: Mann and Whitney 1947, Ann Math Stat 18:50; Hanley and McNeil 1982, Radiology 143:29.
    """
    from scipy.stats import rankdata

    values, truth = _checked(scores, positive)
    ranks = rankdata(values)
    cases = int(truth.sum())
    return float((ranks[truth].sum() - cases * (cases + 1) / 2) / (cases * (len(values) - cases)))


def auroc_of_people(
    scores: ArrayLike, positive: ArrayLike, people: Sequence[Hashable], *, draws: int = DRAWS, seed: int = 1
) -> Estimate:
    """AUROC over scans, with a percentile bootstrap over people, drawn within each class.

    All scans of a person are drawn together, since they are not independent. A person with scans of both classes counts
    in the class of the first one. Where every pair is in order the interval is a point: it says nothing of how far so
    few people can mislead.

    Args:
        scores: (N,), higher for more likely positive.
        positive: (N,) of bool.
        people: (N,) who each scan is of.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        UsageError: see `auroc`.
    """
    values, truth = _checked(scores, positive)
    whole = auroc(values, truth)
    scans: dict[Hashable, list[int]] = {}
    for index, person in enumerate(people):
        scans.setdefault(person, []).append(index)
    classes = [[found for found in scans.values() if truth[found[0]] == kind] for kind in (True, False)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        chosen = [one[k] for one in classes for k in rng.integers(0, len(one), len(one))]
        taken = np.array([index for found in chosen for index in found])
        if truth[taken].any() and not truth[taken].all():
            drawn.append(auroc(values[taken], truth[taken]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(whole, float(low), float(high), len(values), len(scans))


def _checked(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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
            "An AUROC needs both classes.",
            where="positive",
            found=f"{int(truth.sum())} positive, {int((~truth).sum())} negative",
            expected="at least one of each",
            fix="Check which labels count as positive.",
        )
    return values, truth
