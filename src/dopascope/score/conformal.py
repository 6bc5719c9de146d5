"""Answers in three ways with a stated chance of being wrong: split conformal prediction for two classes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError
from dopascope.score.checked import probabilities


@dataclass(frozen=True)
class Conformal:
    """From which probability on each class is possible.

    A scan for which both classes are possible, or none, is uncertain. Of new scans of either class at most the share
    `alpha` has its true class ruled out, as long as they are like those it was fitted on.
    """

    alpha: float
    positive_from: float
    """The positive class is possible from this probability on."""
    negative_to: float
    """The negative class is possible up to this probability."""
    n: int

    def possible(self, p: ArrayLike) -> NDArray[np.bool_]:
        """(N, 2): whether negative and positive are possible."""
        values = np.asarray(p, np.float64)
        return np.stack([values <= self.negative_to, values >= self.positive_from], -1)

    def verdicts(self, p: ArrayLike) -> list[str]:
        """`negative`, `positive` or `uncertain` for each probability (N,)."""
        names = {(True, False): "negative", (False, True): "positive"}
        return [names.get((bool(no), bool(yes)), "uncertain") for no, yes in self.possible(p)]


def fit_conformal(p: ArrayLike, positive: ArrayLike, alpha: float = 0.05) -> Conformal:
    """Limits from answers that nothing else was fitted on, for each class apart.

    Args:
        p: (N,) probability of the positive class, one scan a person.
        positive: (N,) of bool.
        alpha: share of each class whose truth may be ruled out, 0 to 1.

    Raises:
        UsageError: see `checked.probabilities`.
        UnsuitableError: too few scans of a class for so small an alpha.

    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, section 4.5 (label-conditional).
    """
    values, truth = probabilities(p, positive)
    return Conformal(
        alpha, -_quantile(-values[truth], alpha, "positive"), _quantile(values[~truth], alpha, "negative"), len(truth)
    )


def _quantile(strangeness: NDArray[np.float64], alpha: float, label: str) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest."""
    rank = ceil((len(strangeness) + 1) * (1 - alpha) - 1e-9)
    if rank > len(strangeness):
        raise UnsuitableError(
            "Too few scans for this coverage.",
            where=label,
            found=f"{len(strangeness)} scans",
            expected=f"{ceil(1 / alpha - 1e-9) - 1} at least for alpha {alpha:g}",
            fix="Collect more scans, or accept a larger alpha.",
        )
    return float(np.sort(strangeness)[rank - 1])
