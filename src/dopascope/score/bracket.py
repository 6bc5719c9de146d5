"""The calibration bracket: what a probability may come to at a place that drifts as known places do."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError
from dopascope.score.calibrate import Calibration, fit_calibration
from dopascope.score.checked import probabilities

LEAST_OF_CLASS: Final = 10
"""Scans of either class below which a place's calibration is not fitted."""


@dataclass(frozen=True)
class Bracket:
    """How answers of places that the model never saw would have had to be corrected, place by place."""

    places: Mapping[str, Calibration]
    left_out: Mapping[str, int]
    """Places with too few scans of a class, and how many these are."""

    def __call__(self, p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest (N,) of what the places' corrections make of probabilities (N,)."""
        corrected = np.stack([one(p) for one in self.places.values()])
        return corrected.min(0), corrected.max(0)


def fit_bracket(
    p: ArrayLike, positive: ArrayLike, places: Sequence[Hashable], *, least: int = LEAST_OF_CLASS
) -> Bracket:
    """Platt's correction for each place, on answers of models that never saw it.

    The range over places holds the drift between them and the noise of few scans, so it errs to the wide side. It is no
    interval of confidence: a place unlike all of them may lie outside.

    Args:
        p: (N,) probabilities.
        positive: (N,) of bool.
        places: (N,) camera or site of each.
        least: scans of either class that a place must have.

    Raises:
        UsageError: see `checked.probabilities`.
        UnsuitableError: fewer than two places have enough scans of both classes.
    """
    values, truth = probabilities(p, positive)
    names = np.array([str(one) for one in places])
    found: dict[str, Calibration] = {}
    few: dict[str, int] = {}
    for name in sorted(set(names.tolist())):
        own = names == name
        smaller = int(min(truth[own].sum(), (~truth[own]).sum()))
        if smaller < least:
            few[name] = smaller
        else:
            found[name] = fit_calibration("platt", values[own], truth[own])
    if len(found) < 2:
        raise UnsuitableError(
            "There is no calibration bracket.",
            where="places",
            found=f"{len(found)} of {len(found) + len(few)} places with {least} scans of either class",
            expected="two or more",
            fix="Test the model at more places.",
        )
    return Bracket(found, few)
