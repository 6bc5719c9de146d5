"""Simple models of binding ratios, shape of uptake, volumes and covariates: the bar that any network has to pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnsuitableError

Floats = NDArray[np.float64]
Kind = Literal["logistic", "svm", "boosting"]

STRUCTURES: Final = ("caudate", "putamen", "anterior_putamen", "posterior_putamen")
SBR_FEATURES: Final = (
    *(f"{end}_{structure}" for structure in STRUCTURES for end in ("lower", "higher")),
    *("putamen_difference", "caudate_less_putamen"),
)
"""Blind to the side: the lower and the higher ratio of the two, their difference in the putamen, and how much lower
the putamen is than the caudate on the worse side."""
SHAPE_FEATURES: Final = tuple(
    f"{end}_{name}" for name in ("volume_ml", "length_mm", "width_mm", "centre_y_mm") for end in ("lower", "higher")
)

VOLUME_FEATURES: Final = (
    *("log_caudate_share", "log_putamen_share", "log_midbrain_share", "log_pons_share"),
    *("midbrain_pons_ratio", "log_brain_ml"),
)
"""Volumes of a T1: what each structure has of the brain, midbrain over pons, and the brain itself."""


def volume_features(volumes: Mapping[str, float]) -> list[float]:
    """`VOLUME_FEATURES` of one scan, from its volumes in ml by structure (`quant.morphometry`) and of the brain."""
    shares = [np.log(volumes[name] / volumes["brain"]) for name in ("caudate", "putamen", "midbrain", "pons")]
    return [*map(float, shares), volumes["midbrain_pons_ratio"], float(np.log(volumes["brain"]))]


def sbr_features(ratios: Mapping[str, float | None]) -> list[float]:
    """`SBR_FEATURES` of one scan, from its ratios by region; NaN where a ratio could not be had."""
    found = []
    for structure in STRUCTURES:
        pair = [_number(ratios[f"{structure}_{side}"]) for side in ("left", "right")]
        found += [min(pair), max(pair)] if not np.isnan(pair).any() else [np.nan, np.nan]
    lower_caudate, lower_putamen, higher_putamen = found[0], found[2], found[3]
    return [*found, higher_putamen - lower_putamen, lower_caudate - lower_putamen]


def shape_features(shape: Mapping[str, float]) -> list[float]:
    """`SHAPE_FEATURES` of one scan."""
    names = [name.split("_", 1)[1] for name in SHAPE_FEATURES[::2]]
    pairs = [sorted(shape[f"{name}_{side}"] for side in ("left", "right")) for name in names]
    return [value for pair in pairs for value in pair]


def covariate(name: str, cells: Sequence[str | None]) -> Floats:
    """A column of a cohort table as numbers (N,), NaN where it is missing; two words become 0 and 1 by their order.

    Raises:
        UnsuitableError: words of more than two kinds, among which there is no order.
    """
    known = [cell for cell in cells if cell is not None]
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        kinds = sorted(set(known))
    if len(kinds) > 2:
        raise UnsuitableError(
            "A covariate has words of more than two kinds.",
            where=f"column {name}",
            found=", ".join(kinds[:6]),
            expected="numbers, or words of two kinds",
            fix="Leave it out of the plan, or make columns of two kinds from it.",
        )
    return np.array([np.nan if cell is None else float(kinds.index(cell)) for cell in cells])


class Tabular:
    """A fitted model: features in, logit of "abnormal" out."""

    def __init__(self, kind: Kind, seed: int = 1) -> None:
        """An empty model; `seed` is of boosting's sampling."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        filled = (SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
        self._model: Any = {
            "logistic": lambda: make_pipeline(*filled, LogisticRegression(C=1.0, max_iter=2000)),
            "svm": lambda: make_pipeline(*filled, SVC(C=1.0, kernel="rbf", gamma="scale")),
            "boosting": lambda: HistGradientBoostingClassifier(
                max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=10, random_state=seed
            ),
        }[kind]()

    def fit(self, features: Floats, positive: NDArray[np.bool_]) -> Tabular:
        """Learn from features (N, F), NaN where missing, and truth (N,). Rows in any order give the same model."""
        self._empty = np.isnan(features).all(0)  # a column of nothing tells nothing, and boosting does not take it
        known = self._known(features)
        order = np.lexsort((*known.T[::-1], positive))
        self._model.fit(known[order], positive[order])
        return self

    def logits(self, features: Floats) -> Floats:
        """(N,). A support vector machine's distance stands for a logit: only calibration makes a probability of it."""
        if not len(features):
            return np.empty(0)
        found: Floats = np.asarray(self._model.decision_function(self._known(features)), np.float64)
        return found

    def _known(self, features: Floats) -> Floats:
        return np.where(self._empty, 0.0, features)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
