"""From the members' logits to one probability and a verdict, with everything fitted on inner folds."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dopascope.errors import UnsuitableError
from dopascope.score import Calibration, Conformal, fit_calibration, fit_conformal
from dopascope.study.plan import Answer

Floats = NDArray[np.float64]
LARGEST: Final = 10.0
"""Members' logits are cut here before they are combined: one network must not outshout the others."""


def p_of(logits: Floats) -> Floats:
    """Probabilities of logits, cut as they are before they are combined."""
    found: Floats = expit(np.clip(logits, -LARGEST, LARGEST))
    return found


@dataclass(frozen=True)
class Combined:
    """How the logits of members become a probability, and the probability a verdict."""

    weights: Floats
    """(M,) of the members' logits."""
    intercept: float
    calibration: Calibration | None
    low: float
    """Verdicts below are normal."""
    high: float
    """Verdicts from here on are reduced; between the two they are uncertain."""
    conformal: Conformal | None
    reason: str | None
    """Why there is no calibration or conformal limit."""
    leaning: tuple[list[int], list[int]] | None = None
    """Columns of the sensitive and of the specific members, where a scan on which they disagree is uncertain."""

    def p(self, logits: Floats) -> Floats:
        """Probabilities (N,) from logits (N, M)."""
        found: Floats = expit(np.clip(logits, -LARGEST, LARGEST) @ self.weights + self.intercept)
        return found if self.calibration is None else self.calibration(found)

    def verdicts(self, p: Floats, logits: Floats) -> list[str]:
        """`normal`, `reduced` or `uncertain` for probabilities (N,) and the logits (N, M) that they are of."""
        said = ["reduced" if one >= self.high else "normal" if one < self.low else "uncertain" for one in p]
        if self.leaning is None:
            return said
        sensitive, specific = (logits[:, columns].mean(1) >= 0 for columns in self.leaning)
        return ["uncertain" if apart else one for one, apart in zip(said, sensitive != specific, strict=True)]

    def as_dict(self, names: list[str]) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "weights": dict(zip(names, self.weights.tolist(), strict=True)),
            "intercept": self.intercept,
            "calibration": None if self.calibration is None else self.calibration.as_dict(),
            "uncertain_between": [self.low, self.high],
            "conformal": None
            if self.conformal is None
            else {
                "alpha": self.conformal.alpha,
                "reduced_possible_from": self.conformal.positive_from,
                "normal_possible_to": self.conformal.negative_to,
                "n": self.conformal.n,
            },
            "reason": self.reason,
        }


def without_inner(how: Answer, names: list[str], aside: Container[str] = ()) -> Combined:
    """The mean of the logits and one half as threshold: nothing is fitted. Members `aside` take no part."""
    reason = "the plan has no inner folds to fit it on"
    used = _used(how, names, aside)
    return Combined(
        _spread(np.full(len(used), 1 / len(used)), used, names), 0.0, None, 0.5, 0.5, None, reason, _leaning(how, names)
    )


def fit_answer(
    how: Answer,
    names: list[str],
    logits: Floats,
    positive: NDArray[np.bool_],
    inner: NDArray[np.int_],
    aside: Container[str] = (),
) -> Combined:
    """Fitted on out-of-fold logits.

    Calibration and limits are fitted on answers of stacks that did not see the inner fold they answer for.

    Args:
        how: the plan's answer.
        names: of the members, in the order of the columns.
        logits: (N, M) of members that did not learn from the scan.
        positive: (N,).
        inner: (N,), the fold that each scan was left out in.
        aside: members that take no part.
    """
    used = _used(how, names, aside)
    logits = logits[:, used]
    crossed = np.empty(len(positive))
    for number in np.unique(inner):
        held = inner == number
        weights, intercept = _stack(how, logits[~held], positive[~held])
        crossed[held] = expit(np.clip(logits[held], -LARGEST, LARGEST) @ weights + intercept)
    weights, intercept = _stack(how, logits, positive)
    calibration = None if how.calibration == "none" else fit_calibration(how.calibration, crossed, positive)
    p = crossed if calibration is None else calibration(crossed)
    low, high = _band(p, how.uncertain)
    try:
        conformal, reason = fit_conformal(p, positive, how.alpha), None
    except UnsuitableError as error:
        conformal, reason = None, f"{error.what} {error.found}; {error.expected}"
    spread = _spread(weights, used, names)
    return Combined(spread, intercept, calibration, low, high, conformal, reason, _leaning(how, names))


def _used(how: Answer, names: list[str], aside: Container[str]) -> list[int]:
    """Columns of the members that give the probability."""
    return [at for at, name in enumerate(names) if name not in (*how.sensitive, *how.specific) and name not in aside]


def _spread(weights: Floats, used: list[int], names: list[str]) -> Floats:
    """Weights of all members, 0 for those that take no part."""
    found = np.zeros(len(names))
    found[used] = weights
    return found


def _leaning(how: Answer, names: list[str]) -> tuple[list[int], list[int]] | None:
    if not how.sensitive:
        return None
    return [names.index(name) for name in how.sensitive], [names.index(name) for name in how.specific]


def _stack(how: Answer, logits: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, float]:
    members = logits.shape[1]
    if how.combine == "mean":
        return np.full(members, 1 / members), 0.0
    from sklearn.linear_model import LogisticRegression

    cut = np.clip(logits, -LARGEST, LARGEST)
    order = np.lexsort((*cut.T[::-1], positive))  # so that rows in any order give the same numbers
    model = LogisticRegression(C=0.1, max_iter=1000).fit(cut[order], positive[order])
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def _band(p: Floats, share: float) -> tuple[float, float]:
    """Ends of the probabilities about one half that hold `share` of the scans."""
    if not share:
        return 0.5, 0.5
    distance = np.abs(np.log(p) - np.log1p(-p))
    reach = float(np.quantile(distance, share))
    return float(expit(-reach)), float(expit(reach))
