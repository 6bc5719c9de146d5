"""Frechet distance of features (FID when they are InceptionV3's): of Gaussians with the sets' means and covariances.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

With centred features X (n, D) and Y (m, D), S1 = X'X / (n - 1), the trace of the root is the sum of singular values of
Y X' over sqrt((n - 1)(m - 1)). So no root of a matrix is taken and no ridge is needed, whether the covariances are
singular or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dopascope.score.generated.jackknife import GROUPS, normal_range, without_groups
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, feature_sets

LEAST: Final = 4
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of both sets, for the line through the distance over 1 / n."""
DRAWS: Final = 10
"""Random subsets for each share."""
IMAGES_PER_FEATURE: Final = 4
"""Below so many images for each feature, in the smallest subset, the distance is no line over 1 / n."""


@dataclass(frozen=True)
class Frechet(Result):
    """Never below 0, and above it even for two sets of one distribution: the more so the fewer images there are."""

    squared: Measured
    """In squared units of the features, as FID is."""
    at_infinity: float | None
    """What the distance comes to with more and more images, by a straight line over 1 / n."""
    why_not: str
    """Why there is no such figure; else empty."""
    singular: bool
    """Fewer images than features: much of the distance is then the count of images."""
    n_real: int
    n_generated: int
    features: int


def frechet(real: ArrayLike, generated: ArrayLike, *, extrapolate: bool = True, seed: int = 1) -> Frechet:
    """Frechet distance with a jackknife range and its value for endless sets.

    The range is of chance alone: it does not hold the bias of few images.

    Args:
        real: (N, D) features, one image a person.
        generated: (M, D) features by the same function.
        extrapolate: to endless sets.
        seed: of groups and subsets.

    Raises:
        UsageError: see `sets.feature_sets`.
        UnsuitableError: see `sets.feature_sets` (4 images of each set).

    Source: Heusel et al. 2017 (arXiv 1706.08500), equation 6; singular values: Mathiasen and Hvilshoj 2020 (arXiv
    2009.14075); extrapolation: Chong and Forsyth 2020 (arXiv 1911.07023), with random subsets of both sets.
    """
    one, other = feature_sets(real, generated, least=LEAST)
    left_out = without_groups(
        lambda i, j: np.array([_squared(one[i], other[j])]), len(one), len(other), groups=GROUPS, seed=seed
    )
    smallest = int(SHARES[0] * min(len(one), len(other)))
    wanted = IMAGES_PER_FEATURE * one.shape[1]
    why_not = "not asked for" if not extrapolate else ""
    if extrapolate and smallest < wanted:
        why_not = f"half of the smaller set is {smallest} images, {wanted} are needed for {one.shape[1]} features"
    chance = normal_range(_squared(one, other), [values[:, 0] for values in left_out])
    singular = min(len(one), len(other)) <= one.shape[1]
    return Frechet(
        method="Frechet distance of Gaussians by singular values, no ridge"
        + (", covariances singular" if singular else "")
        + f"; range by the jackknife over {GROUPS} groups of each set",
        squared=Measured(chance.value, max(0.0, chance.low), chance.high),
        at_infinity=None if why_not else _at_infinity(one, other, seed),
        why_not=why_not,
        singular=singular,
        n_real=len(one),
        n_generated=len(other),
        features=one.shape[1],
    )


def frechet_squared(real: ArrayLike, generated: ArrayLike) -> float:
    """The value of `frechet` alone.

    Raises:
        UsageError, UnsuitableError: see `frechet`.
    """
    return _squared(*feature_sets(real, generated, least=LEAST))


def _squared(one: Array, other: Array) -> float:
    means = one.mean(0), other.mean(0)
    roots: list[Array] = [
        np.asarray(np.linalg.qr((values - mean) / np.sqrt(len(values) - 1), mode="r"))
        for values, mean in zip((one, other), means, strict=True)
    ]
    traces = float(sum((root**2).sum() for root in roots))
    of_root = float(np.linalg.svd(roots[1] @ roots[0].T, compute_uv=False).sum())
    return max(0.0, float(((means[0] - means[1]) ** 2).sum()) + traces - 2 * of_root)


def _at_infinity(one: Array, other: Array, seed: int) -> float:
    rng = np.random.default_rng(seed)
    places, values = [], []
    for share in SHARES:
        sizes = [round(share * len(one)), round(share * len(other))]
        for _ in range(DRAWS if share < 1 else 1):
            taken = [rng.choice(len(s), k, replace=False) for s, k in zip((one, other), sizes, strict=True)]
            places.append(1 / share)
            values.append(_squared(one[taken[0]], other[taken[1]]))
    weights = [1.0 if place > 1 else float(np.sqrt(DRAWS)) for place in places]
    return float(np.polyfit(places, values, 1, w=weights)[1])
