"""How far quantities read off generated images lie from those of real ones: binding ratios, asymmetry, and the like.

Image metrics miss errors of anatomy that such distributions show (WASABI, arXiv 2504.21771). One quantity at a time:
that each is right does not say that they go together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, LEVEL
from dopascope.score.generated.distances import ENTRIES
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, positive_count, sample

PERMUTATIONS: Final = 999


@dataclass(frozen=True)
class Wasserstein(Result):
    """Mean distance that real values must be moved to become the generated ones, in the unit of the quantity."""

    distance: Measured
    in_sd: float
    """Distance over the standard deviation of the real values; infinite where these are all one."""
    shift: float
    """Mean of the generated values less that of the real ones."""
    p: float
    """Of the permutation test that both are of one distribution."""
    n_real: int
    n_generated: int


def wasserstein(
    real: ArrayLike, generated: ArrayLike, *, draws: int = DRAWS, permutations: int = PERMUTATIONS, seed: int = 1
) -> Wasserstein:
    """1-Wasserstein distance of two samples of a number, with a bootstrap range and a permutation p value.

    Two samples of one distribution are above 0 too, and their bootstrap samples even more. So the range is that of the
    bootstrap, and reaches down to 0 where the permutation test finds no difference at 5 %.

    Args:
        real: (N,) one number an image, one image a person.
        generated: (M,) the same quantity.
        draws: bootstrap samples.
        permutations: random relabellings; what was seen counts as one more.
        seed: of both.

    Raises:
        UsageError: not one axis, or counts that are not positive.
        UnsuitableError: fewer than 2 values, or one that is not finite.

    Source: Vallender 1974, Theory Probab Appl 18:784 (the integral of |F - G|).
    """
    one, other = sample(real, "real"), sample(generated, "generated")
    n, m = len(one), len(other)
    rng = np.random.default_rng(seed)
    moved = _moved(one, other)
    labels = _labels(n, m)
    value = float(moved(labels[None])[0])
    drawn, exchanged = [], []
    for count in _batches(positive_count(draws, "draws"), n + m):
        often = [rng.multinomial(size, np.full(size, 1 / size), size=count) for size in (n, m)]
        drawn.append(moved(np.concatenate(often, axis=1) * labels))
    for count in _batches(positive_count(permutations, "permutations"), n + m):
        exchanged.append(moved(rng.permuted(np.tile(labels, (count, 1)), axis=1)))
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    p = (1 + int((np.concatenate(exchanged) >= value * (1 - 1e-12)).sum())) / (1 + permutations)
    spread = float(one.std(ddof=1))
    return Wasserstein(
        method=f"1-Wasserstein distance; bootstrap of {draws} draws, to 0 where p > {1 - LEVEL:.2f}; "
        f"p by {permutations} permutations",
        distance=Measured(value, float(low) if p <= 1 - LEVEL else 0.0, float(high)),
        in_sd=value / spread if spread else float("inf"),
        shift=float(other.mean() - one.mean()),
        p=p,
        n_real=n,
        n_generated=m,
    )


def wasserstein_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """The distance of `wasserstein` alone.

    Raises:
        UsageError, UnsuitableError: see `wasserstein`.
    """
    one, other = sample(real, "real"), sample(generated, "generated")
    return float(_moved(one, other)(_labels(len(one), len(other))[None])[0])


def wasserstein_of_each(
    real: Mapping[str, ArrayLike], generated: Mapping[str, ArrayLike], *, draws: int = DRAWS, seed: int = 1
) -> dict[str, Wasserstein]:
    """`wasserstein` of every quantity: name -> numbers, for real and for generated images.

    Raises:
        UsageError: other names in one than in the other; see `wasserstein`.
        UnsuitableError: see `wasserstein`.
    """
    if set(real) != set(generated):
        raise UsageError(
            "Real and generated images have different quantities.",
            where="real, generated",
            found=", ".join(sorted(set(real) ^ set(generated))) + " in one of them only",
            expected="the same names",
            fix="Measure both sets by the same method.",
        )
    return {name: wasserstein(real[name], generated[name], draws=draws, seed=seed) for name in real}


def _labels(n: int, m: int) -> Array:
    """(n + m,) weight of each value in the difference of the distribution functions."""
    return np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])


def _moved(one: Array, other: Array) -> Callable[[Array], Array]:
    """From weights (W, n + m) of the pooled values to the integrals (W,) of |F - G|."""
    pooled = np.concatenate([one, other])
    order = np.argsort(pooled, kind="stable")
    steps = np.diff(pooled[order])
    return lambda weights: np.asarray(np.abs(np.cumsum(weights[:, order], axis=1)[:, :-1]) @ steps)


def _batches(total: int, width: int) -> list[int]:
    """Counts of rows that add up to `total`, each few enough for memory."""
    step = max(1, ENTRIES // width)
    return [min(step, total - start) for start in range(0, total, step)]
