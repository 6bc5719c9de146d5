"""Whether one reader is better than another on the same scans: DeLong, McNemar, paired permutation, Holm."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, LEVEL, Figure, person_draws
from dopascope.score.checked import both_classes

PERMUTATIONS: Final = 10_000


@dataclass(frozen=True)
class Difference:
    """First less second, with a 95 % interval and the p value of no difference."""

    value: float
    low: float
    high: float
    p: float
    n: int


def delong(first: ArrayLike, second: ArrayLike, positive: ArrayLike) -> Difference:
    """Difference of two AUROCs on the same independent scans (one a person).

    Args:
        first: (N,) scores of one reader, higher for more likely positive.
        second: (N,) of the other.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.both_classes`; fewer than two scans of a class.

    Source: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, equations 3 to 7; placements by ranks as Sun and
    Xu 2014, IEEE Signal Process Lett 21:1389.
    """
    from scipy.stats import norm

    one, truth = both_classes(first, positive)
    other, _ = both_classes(second, positive)
    if min(truth.sum(), (~truth).sum()) < 2:
        raise UsageError(
            "Too few scans for a variance.",
            where="positive",
            found=f"{int(truth.sum())} positive, {int((~truth).sum())} negative",
            expected="two of each at least",
            fix="Collect more scans.",
        )
    cases, controls = zip(*(_placements(scores, truth) for scores in (one, other)), strict=True)
    value = float(cases[0].mean() - cases[1].mean())
    variance = np.var(cases[0] - cases[1], ddof=1) / len(cases[0])
    variance += np.var(controls[0] - controls[1], ddof=1) / len(controls[0])
    spread = float(np.sqrt(variance))
    z = float(norm.ppf((1 + LEVEL) / 2))
    p = float(2 * norm.sf(abs(value) / spread)) if spread else float(value == 0)
    return Difference(value, value - z * spread, value + z * spread, p, len(truth))


def _placements(
    scores: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""
    from scipy.stats import rankdata

    yes, no = scores[truth], scores[~truth]
    ranks = rankdata(np.concatenate([yes, no]))
    above = (ranks[: len(yes)] - rankdata(yes)) / len(no)
    below = 1 - (ranks[len(yes) :] - rankdata(no)) / len(yes)
    return above, below


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> float:
    """Exact two-sided p that two readers are right equally often, from the scans on which they differ.

    Args:
        first_right: (N,) of bool, whether the one reader was right.
        second_right: (N,) of the other.

    Source: McNemar 1947, Psychometrika 12:153, with the binomial distribution.
    """
    from scipy.stats import binomtest

    one, other = np.asarray(first_right, bool), np.asarray(second_right, bool)
    better, worse = int((one & ~other).sum()), int((~one & other).sum())
    return float(binomtest(better, better + worse, 0.5).pvalue) if better + worse else 1.0


def paired_permutation(differences: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 1) -> float:
    """Two-sided p that paired differences are symmetric about zero, by flipping their signs at random.

    Args:
        differences: (N,), one for each person or fold.
        permutations: random flips; all 2^N where those are fewer.
        seed: of the flips.

    Source: Fisher 1935, The Design of Experiments, section 21.
    """
    found = np.asarray(differences, np.float64)
    if not np.any(found):
        return 1.0
    if 2 ** len(found) <= permutations:
        signs = 1 - 2 * ((np.arange(2 ** len(found))[:, None] >> np.arange(len(found))) & 1)
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), (permutations, len(found)))
        extra = 1  # what was seen is one of the arrangements
    seen = abs(found.sum()) * (1 - 1e-12)
    return float((np.sum(np.abs(signs @ found) >= seen) + extra) / (len(signs) + extra))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted so that the chance of any false alarm stays at the level.

    Source: Holm 1979, Scand J Stat 6:65.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]


def difference_over_people(
    figure: Figure,
    first: ArrayLike,
    second: ArrayLike,
    positive: ArrayLike,
    people: Sequence[Hashable],
    *,
    draws: int = DRAWS,
    seed: int = 1,
) -> Difference:
    """Any figure of two readers on the same scans: its difference with a percentile bootstrap over people.

    The p value is twice the smaller share of draws on either side of zero, and never 0: what was seen counts as a draw.

    Args:
        figure: of scores and truth.
        first: (N,) scores of one reader.
        second: (N,) of the other.
        positive: (N,) of bool.
        people: (N,) who each scan is of.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        UsageError: see `checked.both_classes`.
    """
    one, truth = both_classes(first, positive)
    other, _ = both_classes(second, positive)
    drawn = np.array(
        [
            figure(one[taken], truth[taken]) - figure(other[taken], truth[taken])
            for taken in person_draws(truth, people, draws=draws, seed=seed)
        ]
    )
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    return Difference(figure(one, truth) - figure(other, truth), float(low), float(high), p, len(truth))


def p_words(p: float) -> str:
    """A p value as it is printed: to three digits, and never as zero, which no test can find."""
    return f"p {p:.3f}" if p >= 0.0005 else "p < 0.001"
