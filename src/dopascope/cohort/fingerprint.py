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
from dopascope.score import Estimate
from dopascope.score.bootstrap import LEVEL
from dopascope.volume import FACTS, Acquisition, Grid, said

FEWEST: Final = 5
"""People on either side, without which there is no figure."""
DRAWS: Final = 300
"""Of the bootstrap, and shuffles of the labels."""
NULL_LEVEL: Final = 0.99
SMOOTHING: Final = 1.0
"""Scans of the whole cohort's mix that are added to each fingerprint, so that few scans say little."""
_TIE: Final = 1e-9
UNKNOWN: Final = "not stated"


@dataclass(frozen=True)
class Predicted:
    """How well the fingerprint tells one label from all others."""

    label: str
    auroc: Estimate | None
    chance: float | None
    """What shuffled labels stay below in 99 % of draws."""
    reason: str = ""
    """Why there is no figure."""

    @property
    def tells(self) -> bool:
        """Whether it is more than chance: the interval is too wide to ask for that."""
        return self.auroc is not None and self.chance is not None and self.auroc.value > self.chance

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        figure = None if self.auroc is None else self.auroc.as_dict()
        return {"label": self.label, "auroc": figure, "chance": self.chance, "reason": self.reason, "tells": self.tells}


def fingerprint(acquisition: Acquisition, grid: Grid) -> dict[str, str]:
    """What is known of how a scan was made, as text: each of `volume.FACTS`, the matrix, and the spacing to .01 mm.

    Args:
        acquisition: what header and table say.
        grid: in canonical axes. How many slices were kept differs from scan to scan and does not count.
    """
    return {name: _word(getattr(acquisition, name)) for name in FACTS} | {
        "matrix": " x ".join(str(n) for n in grid.shape[:2]),
        "spacing_mm": " x ".join(f"{mm:.2f}" for mm in grid.spacing_mm) + " mm",
    }


def _word(value: str | bool | None) -> str:
    return UNKNOWN if value is None else " ".join(value.split()) if isinstance(value, str) else said(value)


def one_line(facts: dict[str, str]) -> str:
    """A fingerprint as one line, without what is not stated."""
    return ", ".join(
        {"attenuation_corrected": f"attenuation {value}", "scatter_corrected": f"scatter {value}"}.get(name, value)
        for name, value in facts.items()
        if value != UNKNOWN
    )


def predicted_labels(scans: Sequence[CohortScan], fingerprints: Sequence[str], *, seed: int = 1) -> list[Predicted]:
    """For each label, how well fingerprints tell it from all others, cross-validated by pairs of people.

    The score of a scan is the log odds of the label among other people's scans of its fingerprint, smoothed. Each pair
    of a positive and a negative scan is judged by scores that neither of its two people had a part in; the share of
    pairs in the right order is the AUROC. Folds would be biased here: what a test fold has more of, its training set
    has less of, so that a camera that says nothing would come out far below one half. The interval is a bootstrap over
    people in which the scores are fitted anew.

    Args:
        scans: with labels and people; those without are left out.
        fingerprints: of each scan.
        seed: of bootstrap and shuffles.

    Source: Airola et al. 2011, Comput Stat Data Anal 55:1828 (leave-pair-out cross-validation).
    """
    known = [(scan, mark) for scan, mark in zip(scans, fingerprints, strict=True) if scan.label and scan.person]
    labels = sorted({str(scan.label) for scan, _ in known})
    if len(labels) < 2:
        return []
    return [_predicted(label, [scan for scan, _ in known], [mark for _, mark in known], seed) for label in labels]


def _predicted(label: str, scans: list[CohortScan], marks: list[str], seed: int) -> Predicted:
    people = np.unique([str(scan.person) for scan in scans], return_inverse=True)[1]
    positive = np.array([scan.label == label for scan in scans])
    fewest = min(len(set(people[positive])), len(set(people[~positive])))
    if fewest < FEWEST:
        return Predicted(label, None, None, f"fewer than {FEWEST} people on one side")
    kinds = np.unique(marks, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    once = np.ones(int(people.max()) + 1)
    value = _share_in_order(kinds, people, positive, once)
    drawn = [_share_in_order(kinds, people, positive, _drawn(people, positive, rng)) for _ in range(DRAWS)]
    null = [_share_in_order(kinds, people, _shuffled(people, positive, rng), once) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    estimate = Estimate(value, float(low), float(high), len(scans), len(set(people)))
    return Predicted(label, estimate, float(np.quantile(null, NULL_LEVEL)))


def _share_in_order(
    kinds: NDArray[np.int_], people: NDArray[np.int_], positive: NDArray[np.bool_], times: NDArray[np.float64]
) -> float:
    """Share of pairs of a positive and a negative scan in the right order, ties half, each judged without its people.

    `times` (people,) says how often each person counts.
    """
    yes, no = (_counts(kinds, people, positive == kind) * times[:, None] for kind in (True, False))
    first, second = np.flatnonzero(positive & (times[people] > 0)), np.flatnonzero(~positive & (times[people] > 0))
    p, q = people[first], people[second]
    left_yes = yes.sum() - yes.sum(1)[p][:, None] - yes.sum(1)[q][None]
    left_no = no.sum() - no.sum(1)[p][:, None] - no.sum(1)[q][None]
    share = np.clip(left_yes / np.maximum(left_yes + left_no, 1), 1e-6, 1 - 1e-6)

    def odds(of: NDArray[np.int_]) -> NDArray[np.float64]:
        """Log odds, for each pair, of the fingerprint `of`, which is a column for positives and a row for negatives."""
        counts = [np.maximum(one.sum(0)[of] - one[p[:, None], of] - one[q[None], of], 0) for one in (yes, no)]
        return np.asarray(np.log((counts[0] + SMOOTHING * share) / (counts[1] + SMOOTHING * (1 - share))))

    gap = odds(kinds[first][:, None]) - odds(kinds[second][None])
    right = (gap > _TIE) + 0.5 * (np.abs(gap) <= _TIE)
    weight = times[p][:, None] * times[q][None] * (p[:, None] != q[None])
    return float((right * weight).sum() / weight.sum())


def _drawn(people: NDArray[np.int_], positive: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each person is drawn, as many with the label and without it as there are."""
    times = np.zeros(int(people.max()) + 1)
    has = np.zeros(len(times), bool)
    has[people[positive]] = True
    for own in (np.flatnonzero(has), np.setdiff1d(people, np.flatnonzero(has))):
        times[own] = np.bincount(rng.integers(0, len(own), len(own)), minlength=len(own))
    return times


def _counts(kinds: NDArray[np.int_], people: NDArray[np.int_], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(people, fingerprints): how many scans of each."""
    table = np.zeros((int(people.max()) + 1, int(kinds.max()) + 1))
    np.add.at(table, (people[among], kinds[among]), 1)
    return table


def _shuffled(people: NDArray[np.int_], positive: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Labels of whole people dealt anew."""
    labels = np.zeros(int(people.max()) + 1, bool)
    labels[people] = positive
    return rng.permutation(labels)[people]


def crosstab(scans: Sequence[CohortScan], fingerprints: Sequence[str]) -> dict[str, Counter[str]]:
    """How many scans of each label each fingerprint has, the most frequent first."""
    table: dict[str, Counter[str]] = {mark: Counter() for mark, _ in Counter(fingerprints).most_common()}
    for scan, mark in zip(scans, fingerprints, strict=True):
        table[mark][scan.label or "n/a"] += 1
    return table
