"""What a threshold makes of the answers: counts, the figures that follow from them, exact intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from dopascope.errors import UsageError
from dopascope.score.bootstrap import LEVEL


@dataclass(frozen=True)
class Confusion:
    """Counts of two classes. A figure whose denominator is zero is None: it cannot be had, which is not 0."""

    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def of(cls, said: ArrayLike, positive: ArrayLike) -> Confusion:
        """From what was said (N,) and what is true (N,), both of bool."""
        yes, truth = np.asarray(said, bool), np.asarray(positive, bool)
        return cls(
            *(int(n) for n in ((yes & truth).sum(), (yes & ~truth).sum(), (~yes & ~truth).sum(), (~yes & truth).sum()))
        )

    @property
    def n(self) -> int:
        """All scans."""
        return self.tp + self.fp + self.tn + self.fn

    @property
    def positives(self) -> int:
        """Scans that are truly positive."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Scans that are truly negative."""
        return self.tn + self.fp

    @property
    def accuracy(self) -> float | None:
        """Share of right answers."""
        return _share(self.tp + self.tn, self.n)

    @property
    def sensitivity(self) -> float | None:
        """Share of the positives that were found; recall of the positive class."""
        return _share(self.tp, self.positives)

    @property
    def specificity(self) -> float | None:
        """Share of the negatives that were left alone; recall of the negative class."""
        return _share(self.tn, self.negatives)

    @property
    def precision(self) -> float | None:
        """Share of the positive answers that are right."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def negative_precision(self) -> float | None:
        """Share of the negative answers that are right."""
        return _share(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and sensitivity."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def jaccard(self) -> float | None:
        """Intersection over union of what was said and what is true."""
        return _share(self.tp, self.tp + self.fp + self.fn)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of sensitivity and specificity."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return (self.sensitivity + self.specificity) / 2

    @property
    def mcc(self) -> float | None:
        """Matthews' correlation; 0 for a blind answer. Source: Matthews 1975, Biochim Biophys Acta 405:442."""
        scale = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return (self.tp * self.tn - self.fp * self.fn) / sqrt(scale) if scale else None

    def figures(self) -> dict[str, float | None]:
        """Every figure by its name."""
        names = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "negative_precision")
        return {name: getattr(self, name) for name in (*names, "f1", "jaccard", "mcc")}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Exact 95 % intervals of the figures that are shares of counted scans and can be had."""
        of = {
            "accuracy": (self.tp + self.tn, self.n),
            "sensitivity": (self.tp, self.positives),
            "specificity": (self.tn, self.negatives),
            "precision": (self.tp, self.tp + self.fp),
            "negative_precision": (self.tn, self.tn + self.fn),
        }
        return {name: exact_interval(k, n) for name, (k, n) in of.items() if n}


@dataclass(frozen=True)
class ClassFigures:
    """One class against all others."""

    label: str
    n: int
    counts: Confusion


def class_report(said: Sequence[Hashable], truth: Sequence[Hashable]) -> list[ClassFigures]:
    """Each class that was said or is true, against all others, in the order of its name.

    Raises:
        UsageError: other lengths.
    """
    if len(said) != len(truth):
        raise UsageError(
            "Answers and truth do not belong together.",
            where="said, truth",
            found=f"{len(said)} and {len(truth)}",
            expected="one answer for each scan",
            fix="Leave out scans without an answer, and say how many.",
        )
    labels = sorted({str(one) for one in (*said, *truth)})
    answers, truths = np.array([str(one) for one in said]), np.array([str(one) for one in truth])
    found = []
    for label in labels:
        counts = Confusion.of(answers == label, truths == label)
        found.append(ClassFigures(label, counts.positives, counts))
    return found


def exact_interval(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a share k of n that holds at least `level`, whatever the true share.

    Raises:
        UsageError: not 0 <= k <= n with n of 1 or more.

    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    from scipy.stats import beta

    if not 0 <= k <= n or n < 1:
        raise UsageError(
            "This is no share.", where="k of n", found=f"{k} of {n}", expected="0 <= k <= n, n >= 1", fix="Count again."
        )
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def wilson_interval(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a share k of n that holds `level` on average over true shares; shorter than the exact one.

    Raises:
        UsageError: not 0 <= k <= n with n of 1 or more.

    Source: Wilson 1927, J Am Stat Assoc 22:209.
    """
    from scipy.stats import norm

    exact_interval(k, n, level)  # refuses what is no share
    z = float(norm.ppf((1 + level) / 2))
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(k * (n - k) / n + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
