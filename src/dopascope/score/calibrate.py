"""Maps from a score to a probability, fitted on answers that nothing else was fitted on: temperature, Platt, beta.

Every map rises with the score, so it changes no AUROC but by ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.checked import probabilities
from dopascope.score.probability import SMALLEST, logit

Method = Literal["temperature", "platt", "beta"]


@dataclass(frozen=True)
class Calibration:
    """p -> 1 / (1 + exp(-(a log p - b log(1 - p) + c))); a = b are temperature (c = 0) and Platt scaling."""

    method: Method
    a: float
    b: float
    c: float
    n: int
    """Scans it was fitted on."""

    def __call__(self, p: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities (N,)."""
        from scipy.special import expit

        values = np.clip(np.asarray(p, np.float64), SMALLEST, 1 - SMALLEST)
        calibrated: NDArray[np.float64] = expit(self.a * np.log(values) - self.b * np.log1p(-values) + self.c)
        return calibrated

    def as_dict(self) -> dict[str, float | int | str]:
        """JSON-ready."""
        return {"method": self.method, "a": self.a, "b": self.b, "c": self.c, "n": self.n}


def fit_calibration(method: Method, p: ArrayLike, positive: ArrayLike) -> Calibration:
    """The map of this family with the smallest log loss on these answers.

    Temperature and Platt scaling start from the logit of p. Platt's targets are drawn in from 0 and 1 as he does, which
    keeps the map finite on classes without an overlap; the other two do the same.

    Args:
        method: the family.
        p: (N,) probabilities before calibration.
        positive: (N,) of bool.

    Raises:
        UsageError: there is no such family; see also `checked.probabilities`.
        UnsuitableError: the scores fall where the truth rises.

    Source: Guo et al. 2017, ICML (temperature); Platt 1999, Advances in Large Margin Classifiers, 61; Kull, Silva Filho
    and Flach 2017, AISTATS (beta).
    """
    values, truth = probabilities(p, positive)
    families: dict[
        str, tuple[list[NDArray[np.float64]], Callable[[NDArray[np.float64]], tuple[float, float, float]]]
    ] = {
        "temperature": ([logit(values)], lambda k: (k[0], k[0], 0.0)),
        "platt": ([logit(values), np.ones_like(values)], lambda k: (k[0], k[0], k[1])),
        "beta": (
            [np.log(np.clip(values, SMALLEST, 1)), -np.log1p(-np.clip(values, 0, 1 - SMALLEST)), np.ones_like(values)],
            lambda k: (k[0], k[1], k[2]),
        ),
    }
    if method not in families:
        raise UsageError(
            "There is no such calibration.",
            where="method",
            found=method,
            expected=", ".join(families),
            fix="Choose one.",
        )
    columns, named = families[method]
    found = _least_log_loss(np.stack(columns, 1), _drawn_in(truth), rising=len(columns) - (method != "temperature"))
    a, b, c = (float(k) for k in named(found))
    if max(a, b) <= _FLAT:
        raise UnsuitableError(
            "The scores do not rise with the truth.",
            where="scores",
            found=f"slope {max(a, b):.2g}",
            expected="higher scores for positives",
            fix="Check which label is positive.",
        )
    return Calibration(method, a, b, c, len(truth))


_FLAT: Final = 1e-6


def _drawn_in(truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Targets (N,): (n1 + 1) / (n1 + 2) for positives, 1 / (n0 + 2) for negatives (Platt 1999, section 2.2)."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    return np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _least_log_loss(design: NDArray[np.float64], target: NDArray[np.float64], rising: int) -> NDArray[np.float64]:
    """Coefficients (K,), the first `rising` of them not below zero."""
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    def loss(k: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        predictor = design @ k
        value = -(target * log_expit(predictor) + (1 - target) * log_expit(-predictor)).mean()
        return float(value), design.T @ (expit(predictor) - target) / len(target)

    start = np.array([1.0] * rising + [0.0] * (design.shape[1] - rising))
    bounds = [(0.0, None)] * rising + [(None, None)] * (design.shape[1] - rising)
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)
