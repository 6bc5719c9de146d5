"""How far real images are from real images: without that, no distance of generated ones means anything.

A real set is halved at random, several times, and the halves are compared (the floor); generated images are compared
with the same halves; and where two sets are known to differ, two cameras' say, they give the length that 1 stands for.
Every comparison has the same number of images on both sides, since many figures depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.bootstrap import LEVEL
from dopascope.score.generated.coverage import outside, uncovered
from dopascope.score.generated.frechet import frechet_squared
from dopascope.score.generated.kid import kernel_distance_value
from dopascope.score.generated.mmd import mmd_squared
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, positive_count

PairFigure = Callable[[Array, Array], float]
"""From two sets of features (or images, or numbers) to how far they are apart."""

SPLITS: Final = 20
LEAST: Final = 4
FEATURE_FIGURES: Final[dict[str, PairFigure]] = {
    "mmd": mmd_squared,
    "kernel_distance": kernel_distance_value,
    "frechet": frechet_squared,
    "outside": outside,
    "uncovered": uncovered,
}
"""Of features. For `mmd` better fix the bandwidths of all comparisons by `functools.partial`."""


@dataclass(frozen=True)
class AgainstFloor(Result):
    """Means over random halves; ranges hold 95 % of the halves and are no intervals of confidence."""

    floor: Measured
    """Real against real."""
    value: Measured
    """Real against generated."""
    reference: Measured | None
    """The two sets that are known to differ."""
    share: Measured | None
    """(value - floor) / (reference - floor): 0 as near as other real images, 1 as far as the reference."""
    why_not: str
    """Why there is no share; else empty."""
    size: int
    """Images on each side of every comparison."""
    splits: int
    n_real: int
    n_generated: int


def against_floor(
    figure: PairFigure,
    real: ArrayLike,
    generated: ArrayLike,
    *,
    reference: tuple[ArrayLike, ArrayLike] | None = None,
    people: Sequence[Hashable] | None = None,
    splits: int = SPLITS,
    seed: int = 1,
) -> AgainstFloor:
    """A figure of real against generated images beside that of real against real, and as a share of a known distance.

    Args:
        figure: of two sets, higher for farther apart.
        real: (N, ...).
        generated: (M, ...).
        reference: two sets that are known to differ, such as real images of two cameras.
        people: (N,) who each real image is of: a person's images stay in one half. Each is a person's own without it.
        splits: random halves.
        seed: of halves and subsets.

    Raises:
        UsageError: see `figure`; or other counts of people than of images.
        UnsuitableError: fewer than 4 images would stand on a side; see `figure`.
    """
    one, other = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    pair = None if reference is None else tuple(np.asarray(side, np.float64) for side in reference)
    rng = np.random.default_rng(seed)
    dealt = _halves(len(one), people, positive_count(splits, "splits"), rng)
    sizes = [len(side) for halves in dealt for side in halves] + [len(other)] + [len(side) for side in pair or ()]
    size = _enough(min(sizes))

    def some(images: Array) -> Array:
        return images[rng.choice(len(images), size, replace=False)]

    floors = np.array([figure(some(one[a]), some(one[b])) for a, b in dealt])
    values = np.array([figure(some(one[a]), some(other)) for a, _ in dealt])
    far = None if pair is None else np.array([figure(some(pair[0]), some(pair[1])) for _ in dealt])
    share, why_not = _share(floors, values, far)
    return AgainstFloor(
        method=f"means over {splits} random halves, {size} images on each side; ranges hold 95 % of the halves",
        floor=_over_halves(floors),
        value=_over_halves(values),
        reference=None if far is None else _over_halves(far),
        share=share,
        why_not=why_not,
        size=size,
        splits=splits,
        n_real=len(one),
        n_generated=len(other),
    )


def _halves(
    n: int, people: Sequence[Hashable] | None, splits: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Indices of images of one half of the people and of the other, several times."""
    names = [str(person) for person in (range(n) if people is None else people)]
    if len(names) != n:
        raise UsageError(
            "People and images do not pair.",
            where="people",
            found=f"{len(names)} for {n} images",
            expected="one for each real image",
            fix="Give the person of each image.",
        )
    known = sorted(set(names))
    own = np.array([known.index(name) for name in names])
    dealt = []
    for _ in range(splits):
        first = np.zeros(len(known), bool)
        first[rng.permutation(len(known))[: len(known) // 2]] = True
        dealt.append((np.flatnonzero(first[own]), np.flatnonzero(~first[own])))
    return dealt


def _share(floors: Array, values: Array, far: Array | None) -> tuple[Measured | None, str]:
    if far is None:
        return None, "no reference was given"
    length = float(far.mean() - floors.mean())
    if not far.mean() > np.quantile(floors, (1 + LEVEL) / 2):
        return None, "the reference is not above the floor"
    return _over_halves((values - floors.mean()) / length), ""


def _over_halves(values: Array) -> Measured:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measured(float(values.mean()), float(low), float(high))


def _enough(size: int) -> int:
    if size < LEAST:
        raise UnsuitableError(
            "There are too few images for a floor.",
            where="real, generated, reference",
            found=f"{size} on a side",
            expected=f"{LEAST} or more in each half of the real, the generated and each reference set",
            fix="Give more images.",
        )
    return size
