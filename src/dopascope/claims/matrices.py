"""Confusion matrices that reported figures allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.claims.reported import SLACK, Reported
from dopascope.score import Confusion

LARGEST: Final = 1500
"""Scans up to which every matrix is tried when the number of positives is not known."""
LARGEST_KNOWN: Final = 5000
"""The same where it is known."""

Counts = NDArray[np.float64]


def allowed(
    n: int, positives: int | None, counts: Mapping[str, int], reported: Mapping[str, Reported]
) -> list[Confusion]:
    """Every confusion matrix of n scans that all figures allow; without a limit on how many.

    Args:
        n: scans.
        positives: of them, where it is known.
        counts: of tp, fp, tn, fn, those that are known.
        reported: figures by their names in `score.Confusion`.
    """
    found: list[Confusion] = []
    for cases in [positives] if positives is not None else range(1, n):
        tp = np.arange(cases + 1, dtype=np.float64)[:, None]
        tn = np.arange(n - cases + 1, dtype=np.float64)[None, :]
        tp = tp[np.asarray(_fits(tp, counts, "tp") & _fits(cases - tp, counts, "fn"))[:, 0]]
        tn = tn[:, np.asarray(_fits(tn, counts, "tn") & _fits(n - cases - tn, counts, "fp"))[0]]
        for name in ("sensitivity", "specificity"):  # they cut the search most, each along its own axis
            if name in reported and cases and n - cases:
                values = tp / cases if name == "sensitivity" else tn / (n - cases)
                kept = np.abs(values - reported[name].value) <= reported[name].half + SLACK
                tp, tn = (tp[kept[:, 0]], tn) if name == "sensitivity" else (tp, tn[:, kept[0]])
        good = _possible(tp, tn, cases, n, reported)
        found += [
            Confusion(int(tp[i, 0]), int(n - cases - tn[0, j]), int(tn[0, j]), int(cases - tp[i, 0]))
            for i, j in np.argwhere(good)
        ]
    return found


def _fits(values: Counts, counts: Mapping[str, int], name: str) -> NDArray[np.bool_]:
    return np.asarray(values == counts[name]) if name in counts else np.ones(values.shape, bool)


def _possible(tp: Counts, tn: Counts, cases: int, n: int, reported: Mapping[str, Reported]) -> NDArray[np.bool_]:
    """Whether all figures allow each pair of tp (rows) and tn (columns); one that cannot be had allows nothing."""
    fn, fp = cases - tp, n - cases - tn
    good = np.ones(np.broadcast_shapes(tp.shape, tn.shape), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, one in reported.items():
            value = _figure(name, tp, fp, tn, fn)
            good &= np.abs(value - one.value) <= one.half + SLACK
    return good


def _figure(name: str, tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    if name == "accuracy":
        return np.asarray((tp + tn) / (tp + tn + fp + fn))
    if name == "precision":
        return np.asarray(tp / (tp + fp))
    if name == "negative_precision":
        return np.asarray(tn / (tn + fn))
    if name == "f1":
        return np.asarray(2 * tp / (2 * tp + fp + fn))
    if name == "jaccard":
        return np.asarray(tp / (tp + fp + fn))
    if name == "sensitivity":
        return np.asarray(tp / (tp + fn) + 0 * tn)
    if name == "specificity":
        return np.asarray(tn / (tn + fp) + 0 * tp)
    if name == "balanced_accuracy":
        return np.asarray((tp / (tp + fn) + tn / (tn + fp)) / 2)
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray((tp * tn - fp * fn) / scale)
