"""Intervals over people: all scans of a person are drawn together, since they are not independent."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS: Final = 2000
LEVEL: Final = 0.95

Figure = Callable[[NDArray[np.float64], NDArray[np.bool_]], float]
"""From scores (N,) and truth (N,) to a number."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and what it was found on."""

    value: float
    low: float
    high: float
    n: int
    """Scans."""
    people: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n {self.n} of {self.people} people)"

    def as_dict(self) -> dict[str, float | int]:
        """JSON-ready."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "people": self.people}


def person_draws(
    positive: ArrayLike, people: Sequence[Hashable], *, draws: int = DRAWS, seed: int = 1
) -> Iterator[NDArray[np.int_]]:
    """Indices of the scans of people drawn with replacement, as many of each class as there are.

    A person with scans of both classes counts in the class of the first one. Draws that leave one class without a scan
    are passed over. The draws depend neither on the order of the scans nor on their number per person.

    Args:
        positive: (N,) of bool.
        people: (N,) who each scan is of.
        draws: how many.
        seed: of the draws.
    """
    truth = np.asarray(positive, bool)
    scans: dict[str, list[int]] = {}
    for index, person in enumerate(people):
        scans.setdefault(str(person), []).append(index)
    ordered = [np.array(scans[person]) for person in sorted(scans)]
    classes = [[found for found in ordered if truth[found[0]] == kind] for kind in (True, False)]
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        chosen = [one[k] for one in classes if one for k in rng.integers(0, len(one), len(one))]
        taken = np.concatenate(chosen)
        if truth[taken].any() and not truth[taken].all():
            yield taken


def estimates_of_people(
    figures: Mapping[str, Figure],
    scores: ArrayLike,
    positive: ArrayLike,
    people: Sequence[Hashable],
    *,
    draws: int = DRAWS,
    seed: int = 1,
) -> dict[str, Estimate]:
    """Each figure with a percentile bootstrap over people, all from the same draws.

    Where every answer is right the interval is a point: it says nothing of how far so few people can mislead, and an
    exact interval of the counts (`confusion.exact_interval`) is to stand beside it.

    Args:
        figures: name -> function of scores and truth.
        scores: (N,).
        positive: (N,) of bool.
        people: (N,) who each scan is of.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    whole = {name: figure(values, truth) for name, figure in figures.items()}
    drawn: dict[str, list[float]] = {name: [] for name in figures}
    for taken in person_draws(truth, people, draws=draws, seed=seed):
        for name, figure in figures.items():
            drawn[name].append(figure(values[taken], truth[taken]))
    ends = {name: np.nanquantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) for name, found in drawn.items()}
    count = len({str(person) for person in people})
    return {
        name: Estimate(value, float(ends[name][0]), float(ends[name][1]), len(values), count)
        for name, value in whole.items()
    }
