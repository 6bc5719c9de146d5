"""A table of folds against its own mean, spread and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from dopascope.claims.claim import FoldTable
from dopascope.claims.finding import Finding
from dopascope.claims.reported import SLACK

_FEWEST: Final = 3
"""Folds that must share another denominator before it is believed."""
MOST_LOST: Final = 512
"""Scans of a fold that may have been left out: the largest usual batch."""


def fold_findings(part: FoldTable) -> list[Finding]:
    """Findings of one table."""
    return [*_mean(part), *_spread(part), *(_denominators(part) if part.shares else ())]


def _mean(part: FoldTable) -> Iterator[Finding]:
    """Whether the printed mean is that of the printed values, weighted by size or not, or of one scan too many."""
    if part.mean is None:
        return
    values, sizes = np.array([one.value for one in part.values]), np.array(part.sizes, float)
    halves = np.array([one.half for one in part.values])
    total = float(sizes.sum())
    means = {
        "weighted by size": (float(values @ sizes) / total, float(halves @ sizes) / total),
        "unweighted": (float(values.mean()), float(halves.mean())),
    }
    if any(abs(value - part.mean.value) <= half + part.mean.half + SLACK for value, half in means.values()):
        return
    value, half = means["weighted by size"]
    for over in (total + 1, total - 1):
        other = value * total / over
        if abs(other - part.mean.value) <= half + part.mean.half + SLACK and abs(other - part.mean.value) < abs(
            value - part.mean.value
        ):
            text = (
                f"the mean of the folds is {value:.4f}; the printed {part.mean.text} is the weighted sum divided by "
                f"{over:.0f} in place of {total:.0f}: an off-by-one"
            )
            yield Finding("off_by_one", "impossible", part.name, text)
            return
    yield Finding("mean", "impossible", part.name, f"the mean of the folds is {value:.4f}, not {part.mean.text}")


def _spread(part: FoldTable) -> Iterator[Finding]:
    if part.spread is None:
        return
    values = np.array([one.value for one in part.values])
    half = float(np.mean([one.half for one in part.values])) + part.spread.half + SLACK
    found = {"population": float(values.std()), "sample": float(values.std(ddof=1))}
    fits = [name for name, value in found.items() if abs(value - part.spread.value) <= half]
    both = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    if not fits:
        yield Finding(
            "spread", "note", part.name, f"+-{part.spread.text} is neither standard deviation of the folds ({both})"
        )
        return
    printed = part.spread.value
    nearest = min(fits, key=lambda name: abs(found[name] - printed))
    yield Finding("spread", "note", part.name, f"+-{part.spread.text} is the {nearest} standard deviation ({both})")


def _denominators(part: FoldTable) -> Iterator[Finding]:
    """Whether each value is a share of its fold; if not, of which smaller number all are, and what was left out."""
    wrong = [(one, size) for one, size in zip(part.values, part.sizes, strict=True) if one.share_of(size) is None]
    if not wrong:
        return
    sizes = ", ".join(sorted({f"k/{size}" for _, size in wrong}))
    listed = ", ".join(dict.fromkeys(one.text for one, _ in wrong))
    text = f"{len(wrong)} of {len(part.values)} folds have no share of their scans: {listed} are not {sizes}"
    lost = _lost(part)
    if lost:
        pairs = dict.fromkeys(f"{size - lost} = {size} - {lost}" for size in part.sizes)
        what = f"one batch of {lost} was dropped" if lost == part.batch else f"{lost} scans of each were left out"
        left = " or ".join(f"k/{size - lost}" for size in dict.fromkeys(part.sizes))
        text += f"; all are {left} ({', '.join(pairs)}): {what}"
    yield Finding("share", "impossible", part.name, text)


def _lost(part: FoldTable) -> int:
    """How many scans of each fold must be left out for all values to be shares; 0 where none explains them."""
    if len(part.values) < _FEWEST:
        return 0
    likely: list[int] = [] if part.batch is None else [part.batch]
    for lost in likely + list(range(1, min(*part.sizes, 2 * MOST_LOST) // 2)):
        left = [(one, size - lost) for one, size in zip(part.values, part.sizes, strict=True)]
        if all(size > 0 and one.share_of(size) is not None for one, size in left):
            return lost
    return 0
