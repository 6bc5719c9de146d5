"""Ranges by leaving images out. A bootstrap is not used for two-sample distances: drawing an image twice makes sets
that look farther apart, or nearer to themselves, than any two real sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.score.bootstrap import LEVEL
from dopascope.score.generated.result import Measured
from dopascope.score.generated.sets import Array

GROUPS: Final = 20


def normal_range(value: float, left_out: Sequence[Array]) -> Measured:
    """Value plus and minus 1.96 jackknife standard errors of independent samples.

    Args:
        value: of everything.
        left_out: for each sample the values (G,) without one of its G images or groups.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, equation 11.5; variances of independent
    samples add (Arvesen 1969, Ann Math Stat 40:2076).
    """
    from scipy.stats import norm

    variance = sum((len(one) - 1) * float(np.var(one)) for one in left_out)
    reach = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))
    return Measured(value, value - reach, value + reach)


def without_groups(
    figures: Callable[[NDArray[np.int_], NDArray[np.int_]], Array],
    n: int,
    m: int,
    *,
    groups: int = GROUPS,
    seed: int = 1,
) -> list[Array]:
    """Figures of all images but one random group, first of the real, then of the generated ones.

    Args:
        figures: from indices of real and of generated images to (F,) figures.
        n: real images.
        m: generated images.
        groups: of each set, of sizes that differ by one at the most; fewer where there are fewer images.
        seed: of the grouping.

    Returns:
        (G, F) for the real and (H, F) for the generated images: what `normal_range` takes, column by column.
    """
    rng = np.random.default_rng(seed)
    found = []
    for size, is_real in ((n, True), (m, False)):
        kept = []
        for group in np.array_split(rng.permutation(size), min(groups, size)):
            rest = np.setdiff1d(np.arange(size), group)
            kept.append(figures(rest, np.arange(m)) if is_real else figures(np.arange(n), rest))
        found.append(np.stack(kept))
    return found
