"""What tells where a scan was made, and how well that alone tells the label.

Where it does, a network can learn the camera instead of the disease, and figures from splits that mix cameras are
worth nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.cohort.scan import CohortScan
from dopascope.cohort.splits import k_fold
from dopascope.errors import UsageError
from dopascope.score import Estimate, auroc, auroc_of_people
from dopascope.volume import FACTS, Acquisition, said

FOLDS: Final = 5
NULL_DRAWS: Final = 200
NULL_LEVEL: Final = 0.95
SMOOTHING: Final = 1.0
"""Scans of the training folds' mix that are added to each fingerprint, so that few scans say little."""
UNKNOWN: Final = "not stated"


@dataclass(frozen=True)
class Predicted:
    """How well the fingerprint tells one label from all others."""

    label: str
    auroc: Estimate | None
    chance: float | None
    """What shuffled labels stay below in 95 % of draws."""
    reason: str = ""
    """Why there is no figure."""

    @property
    def tells(self) -> bool:
        """Whether it is more than chance: above shuffled labels, and its interval above one half."""
        return self.auroc is not None and self.chance is not None and self.auroc.value > self.chance and self.auroc.low > 0.5

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        figure = None if self.auroc is None else self.auroc.as_dict()
        return {"label": self.label, "auroc": figure, "chance": self.chance, "reason": self.reason, "tells": self.tells}


def fingerprint(acquisition: Acquisition, shape: Sequence[int], spacing_mm: Sequence[float]) -> dict[str, str]:
    """What is known of how a scan was made, as text: each of `volume.FACTS`, the grid, and the spacing to .01 mm."""
    facts = {name: UNKNOWN if (value := getattr(acquisition, name)) is None else said(value) for name in FACTS}
    return facts | {
        "grid": " x ".join(str(n) for n in shape),
        "spacing_mm": " x ".join(f"{mm:.2f}" for mm in spacing_mm),
    }


def one_line(facts: dict[str, str]) -> str:
    """A fingerprint as one line, without what is not stated."""
    return ", ".join(
        {"attenuation_corrected": f"attenuation {value}", "scatter_corrected": f"scatter {value}"}.get(name, value)
        for name, value in facts.items()
        if value != UNKNOWN
    )


def predicted_labels(scans: Sequence[CohortScan], fingerprints: Sequence[str], *, seed: int = 1) -> list[Predicted]:
    """For each label, how well fingerprints tell it from all others, cross-validated by person.

    In each fold the log odds of the label among the training scans of each fingerprint, smoothed and less those of all
    training scans, are the score of the test scans; a fingerprint that training has not seen scores 0.

    Args:
        scans: with labels and people; those without are left out.
        fingerprints: of each scan.
        seed: of folds, bootstrap and shuffles.
    """
    known = [(scan, mark) for scan, mark in zip(scans, fingerprints, strict=True) if scan.label and scan.person]
    labels = sorted({str(scan.label) for scan, _ in known})
    if len(labels) < 2:
        return []
    return [_predicted(label, [scan for scan, _ in known], [mark for _, mark in known], seed) for label in labels]


def _predicted(label: str, scans: list[CohortScan], marks: list[str], seed: int) -> Predicted:
    people = [str(scan.person) for scan in scans]
    positive = np.array([scan.label == label for scan in scans])
    fewest = min(len({person for person, yes in zip(people, positive, strict=True) if yes == kind}) for kind in (True, False))
    if fewest < FOLDS:
        return Predicted(label, None, None, f"fewer than {FOLDS} people on one side")
    try:
        fold_of = {place.scan_id: place.fold for place in k_fold(scans, FOLDS, seed=seed) if place.role == "test"}
    except UsageError as error:
        return Predicted(label, None, None, error.what)
    folds = np.unique([fold_of[scan.name] for scan in scans], return_inverse=True)[1]
    kinds = np.unique(marks, return_inverse=True)[1]
    scores = _scores(kinds, folds, positive)
    rng = np.random.default_rng(seed)
    null = [_shuffled(kinds, folds, positive, people, rng) for _ in range(NULL_DRAWS)]
    return Predicted(
        label, auroc_of_people(scores, positive, people, seed=seed), float(np.quantile(null, NULL_LEVEL))
    )


def _scores(kinds: NDArray[np.int_], folds: NDArray[np.int_], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Out-of-fold score (N,) of each scan."""
    scores = np.zeros(len(kinds))
    size = int(kinds.max()) + 1
    for fold in range(int(folds.max()) + 1):
        train = folds != fold
        share = float(np.clip(positive[train].mean(), 1e-6, 1 - 1e-6))
        yes = np.bincount(kinds[train], positive[train], size) + SMOOTHING * share
        no = np.bincount(kinds[train], ~positive[train], size) + SMOOTHING * (1 - share)
        scores[~train] = (np.log(yes / no) - np.log(share / (1 - share)))[kinds[~train]]
    return scores


def _shuffled(
    kinds: NDArray[np.int_],
    folds: NDArray[np.int_],
    positive: NDArray[np.bool_],
    people: Sequence[str],
    rng: np.random.Generator,
) -> float:
    """AUROC where the labels of whole people are dealt anew."""
    first = dict(zip(people, positive, strict=True))
    dealt = dict(zip(first, rng.permutation(list(first.values())), strict=True))
    labels = np.array([dealt[person] for person in people], bool)
    return auroc(_scores(kinds, folds, labels), labels)


def crosstab(scans: Sequence[CohortScan], fingerprints: Sequence[str]) -> dict[str, Counter[str]]:
    """How many scans of each label each fingerprint has, the most frequent first."""
    table: dict[str, Counter[str]] = {mark: Counter() for mark, _ in Counter(fingerprints).most_common()}
    for scan, mark in zip(scans, fingerprints, strict=True):
        table[mark][scan.label or "n/a"] += 1
    return table
