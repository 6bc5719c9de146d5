"""Figures of a segmenter on a set of slices: pixels pooled, objects counted, surfaces; each with n and an interval.

Slices of a person are alike, so people are drawn for the intervals where there are enough of them. Where there are
not, slices are drawn within each person: such an interval does not hold how people differ, and is said to be of slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, LEVEL, Estimate
from dopascope.score.confusion import Confusion
from dopascope.score.segmentation import (
    COCO_IOUS,
    IOU,
    Objects,
    area_of_hits,
    find_objects,
    hausdorff_mm,
    object_counts,
    object_hits,
)

Floats = NDArray[np.float64]
FEWEST_PEOPLE: Final = 5
"""From so many on, intervals are of people; three people drawn from three say nearly nothing."""
PEOPLE: Final = "people"
SLICES: Final = "slices within people"
NO_DENOMINATOR: Final = "nothing to divide by"
NO_SPACING: Final = "no pixel size, or a mask empty"


@dataclass(frozen=True, eq=False)
class Judged:
    """What one slice's mask came to beside the expert's."""

    person: str
    pixels: Confusion
    objects: Objects
    hausdorff95_mm: float | None
    """None without a pixel size, or where a mask is empty."""


def judge(
    said: ArrayLike,
    truth: ArrayLike,
    person: str,
    *,
    score: ArrayLike | None = None,
    pixel_mm: float | None = None,
) -> Judged:
    """Compare a mask with the expert's.

    Args:
        said: `(rows, columns)` of bool.
        truth: the same shape.
        person: whose slice it is.
        score: how sure each pixel is, the same shape; without it all objects are equally sure.
        pixel_mm: edge of the square pixels; None where it is not known.

    Raises:
        UsageError: see `segmentation.find_objects`.
    """
    objects = find_objects(said, truth, score=score)
    one, other = np.asarray(said, bool), np.asarray(truth, bool)
    measurable = pixel_mm is not None and bool(one.any()) and bool(other.any())
    return Judged(
        person,
        Confusion.of(one, other),
        objects,
        hausdorff_mm(one, other, (pixel_mm, pixel_mm)) if measurable and pixel_mm is not None else None,
    )


def interval_of(people: Sequence[str]) -> str:
    """What is drawn for the intervals of slices of these people: `PEOPLE` or `SLICES`."""
    return PEOPLE if len(set(people)) >= FEWEST_PEOPLE else SLICES


def slice_draws(people: Sequence[str], *, draws: int = DRAWS, seed: int = 1) -> Iterator[Floats]:
    """How often each slice counts in each draw, `(N,)`: whole people drawn, or slices within each; see `interval_of`.

    Args:
        people: (N,) whose each slice is.
        draws: how many.
        seed: of the draws.
    """
    names = np.array([str(one) for one in people])
    groups = [np.flatnonzero(names == name) for name in sorted(set(names.tolist()))]
    rng = np.random.default_rng(seed)
    whole = interval_of(people) == PEOPLE
    for _ in range(draws):
        times = np.zeros(len(names))
        if whole:
            for group in rng.integers(0, len(groups), len(groups)):
                times[groups[group]] += 1
        else:
            for rows in groups:
                np.add.at(times, rng.choice(rows, len(rows)), 1)
        yield times


def figures_of(judged: Sequence[Judged], *, draws: int = DRAWS, seed: int = 1) -> dict[str, Any]:
    """Every figure of a set of slices, as JSON-ready data.

    `pixel_*` pool the pixels of all slices, `object_*` count connected components at an overlap of `IOU`
    (`object_map`: COCO's ten overlaps), `hausdorff95_mm` is the median over slices where both masks are there. Each has
    `value`, `low`, `high`, `n` (slices) and `people`; one that cannot be had has `value` null and a `reason`.

    Raises:
        UsageError: no slice.
    """
    if not judged:
        raise UsageError("There is nothing to judge.", where="judged", found="0 slices", expected="a slice or more")
    people = [one.person for one in judged]
    table = _Table.of(judged)
    once = np.ones(len(judged))
    drawn = [table.figures(times) for times in slice_draws(people, draws=draws, seed=seed)]
    found: dict[str, Any] = {}
    for name, value in table.figures(once).items():
        if value is None:
            found[name] = {"value": None, "reason": NO_SPACING if name == "hausdorff95_mm" else NO_DENOMINATOR}
            continue
        values = [one[name] for one in drawn]
        low, high = np.quantile([one for one in values if one is not None], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        n = int(np.isfinite(table.surfaces).sum()) if name == "hausdorff95_mm" else len(judged)
        found[name] = Estimate(value, float(low), float(high), n, len(set(people))).as_dict()
    counts = object_counts([one.objects for one in judged])
    found["object_counts"] = {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "iou": IOU}
    return found


@dataclass(frozen=True, eq=False)
class _Table:
    """Everything that a draw weighs anew."""

    pixels: Floats
    """(N, 3) true and false positives, false negatives."""
    objects: Floats
    """(N, 3) the same of objects at `IOU`."""
    surfaces: Floats
    """(N,) mm, NaN where it cannot be had."""
    true: Floats
    """(N,) true objects."""
    owner: NDArray[np.int_]
    """(P,) slice of each object said."""
    scores: Floats
    """(P,)"""
    hits: list[Floats]
    """(P,) for each of `COCO_IOUS`."""

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> _Table:
        counts = [object_counts([one.objects]) for one in judged]
        return cls(
            np.array([(one.pixels.tp, one.pixels.fp, one.pixels.fn) for one in judged], float),
            np.array([(one.tp, one.fp, one.fn) for one in counts], float),
            np.array([np.nan if one.hausdorff95_mm is None else one.hausdorff95_mm for one in judged]),
            np.array([one.objects.overlap.shape[1] for one in judged], float),
            np.repeat(np.arange(len(judged)), [len(one.objects.scores) for one in judged]),
            np.concatenate([one.objects.scores for one in judged]),
            [np.concatenate([object_hits(one.objects, iou) for one in judged]) for iou in COCO_IOUS],
        )

    def figures(self, times: Floats) -> dict[str, float | None]:
        """Each figure with slice k counted `times[k]` times."""
        known = np.isfinite(self.surfaces) & (times > 0)
        pixels, objects = _counted(times @ self.pixels), _counted(times @ self.objects)
        return {
            "pixel_iou": pixels.jaccard,
            "pixel_dice": pixels.f1,
            "pixel_precision": pixels.precision,
            "pixel_recall": pixels.sensitivity,
            "pixel_f1": pixels.f1,
            "object_precision": objects.precision,
            "object_recall": objects.sensitivity,
            "object_f1": objects.f1,
            "object_map": self._mean_precision(times),
            "hausdorff95_mm": _median(self.surfaces[known], times[known]) if known.any() else None,
        }

    def _mean_precision(self, times: Floats) -> float | None:
        true = float(times @ self.true)
        if not true:
            return None
        weights = times[self.owner]
        return float(np.mean([area_of_hits(self.scores, hits, weights, true) for hits in self.hits]))


def _counted(counts: Floats) -> Confusion:
    tp, fp, fn = (round(one) for one in counts)
    return Confusion(tp, fp, 0, fn)


def _median(values: Floats, times: Floats) -> float:
    """With value k counted `times[k]` times."""
    order = np.argsort(values)
    reached = np.cumsum(times[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
