"""How good probabilities are: log loss, Brier score, calibration slope and intercept, adaptive calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError
from dopascope.score.bootstrap import LEVEL
from dopascope.score.checked import probabilities

SMALLEST: Final = 1e-15
"""Probabilities are kept this far from 0 and 1 before a logarithm, as scikit-learn does for double precision."""
BINS: Final = 10
_STEPS: Final = 100
_FLATTEST: Final = 1e-10


def log_loss(p: ArrayLike, positive: ArrayLike) -> float:
    """Mean of -log of the probability that was given to what is true, natural logarithm.

    Args:
        p: (N,) probability of the positive class.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.probabilities`.
    """
    values, truth = probabilities(p, positive)
    given = np.clip(np.where(truth, values, 1 - values), SMALLEST, 1)
    return float(-np.log(given).mean())


def brier(p: ArrayLike, positive: ArrayLike) -> float:
    """Mean squared distance of the probability from 0 or 1. Source: Brier 1950, Mon Weather Rev 78:1.

    Args:
        p: (N,) probability of the positive class.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.probabilities`.
    """
    values, truth = probabilities(p, positive)
    return float(np.mean((values - truth) ** 2))


def adaptive_ece(p: ArrayLike, positive: ArrayLike, bins: int = BINS) -> float:
    """Mean distance of probability from frequency over bins of equal numbers of scans.

    It is above 0 by chance alone: compare with `chance_ece`.

    Args:
        p: (N,) probability of the positive class.
        positive: (N,) of bool.
        bins: how many, at most one a scan.

    Raises:
        UsageError: see `checked.probabilities`.

    Source: Nguyen and O'Connor 2015, EMNLP, 1587.
    """
    return _ece(*probabilities(p, positive), bins)


def _ece(values: NDArray[np.float64], truth: NDArray[np.bool_], bins: int) -> float:
    order = np.lexsort((truth, values))  # equal probabilities in an order that rows cannot change
    gaps = [
        abs(float(values[part].mean() - truth[part].mean())) * len(part)
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return float(sum(gaps) / len(values))


def chance_ece(p: ArrayLike, *, bins: int = BINS, draws: int = 200, seed: int = 1) -> float:
    """What `adaptive_ece` is on average where the probabilities are exactly right, for as many scans.

    Args:
        p: (N,) probabilities.
        bins: as in `adaptive_ece`.
        draws: simulated truths.
        seed: of the draws.
    """
    values = np.asarray(p, np.float64)
    rng = np.random.default_rng(seed)
    return float(np.mean([_ece(values, rng.random(len(values)) < values, bins) for _ in range(draws)]))


@dataclass(frozen=True)
class Slope:
    """Calibration slope and intercept with 95 % intervals; 1 and 0 are right.

    A slope below 1 says that the probabilities are too extreme. The intercept is "in the large": its slope is held at
    1, so that it says whether they are too high or low on the whole.
    """

    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    intercept_interval: tuple[float, float]
    n: int


def calibration_slope(p: ArrayLike, positive: ArrayLike) -> Slope:
    """Logistic regression of the truth on logit p; Wald intervals for independent scans.

    Args:
        p: (N,) probability of the positive class.
        positive: (N,) of bool.

    Raises:
        UsageError: see `checked.probabilities`.
        UnsuitableError: the classes are separated without an overlap, or all probabilities are equal: no slope exists.

    Source: Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC Med 17:230.
    """
    values, truth = probabilities(p, positive)
    logits = logit(values)
    with_slope, spread = logistic_fit(np.stack([np.ones_like(logits), logits], 1), truth)
    alone, alone_spread = logistic_fit(np.ones((len(logits), 1)), truth, offset=logits)
    return Slope(
        float(with_slope[1]),
        _wald(with_slope[1], spread[1, 1]),
        float(alone[0]),
        _wald(alone[0], alone_spread[0, 0]),
        len(truth),
    )


def logit(p: ArrayLike) -> NDArray[np.float64]:
    """log(p / (1 - p)), with p kept `SMALLEST` away from 0 and 1."""
    values = np.clip(np.asarray(p, np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(values) - np.log1p(-values)


def logistic_fit(
    design: NDArray[np.float64], positive: NDArray[np.bool_], offset: NDArray[np.float64] | float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Maximum-likelihood coefficients (K,) and their covariance (K, K), by Newton's method with halved steps.

    Args:
        design: (N, K).
        positive: (N,).
        offset: (N,) added to the linear predictor.

    Raises:
        UnsuitableError: no finite maximum, or columns that are not independent.
    """
    from scipy.special import expit, log_expit

    def likelihood(coefficients: NDArray[np.float64]) -> float:
        predictor = design @ coefficients + offset
        return float(log_expit(np.where(positive, predictor, -predictor)).sum())

    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = expit(design @ found + offset)
        information = (design * (p * (1 - p))[:, None]).T @ design
        if np.linalg.cond(information) > 1 / _FLATTEST:
            break
        step = np.linalg.solve(information, design.T @ (positive - p))
        before = likelihood(found)
        size = 1.0
        while size > _FLATTEST and likelihood(found + size * step) < before - _FLATTEST:
            size /= 2
        found = found + size * step
        if float(np.abs(step).max()) < 1e-8:
            return found, np.linalg.inv(information)
    raise UnsuitableError(
        "No logistic line fits these scores.",
        where="scores",
        found="classes without an overlap, or scores that are all alike",
        expected="scores that differ and overlap",
        fix="Say that calibration cannot be judged on so clean a set; more scans would tell.",
    )


def _wald(value: float, variance: float) -> tuple[float, float]:
    from scipy.stats import norm

    half = float(norm.ppf((1 + LEVEL) / 2)) * float(np.sqrt(variance))
    return float(value) - half, float(value) + half
