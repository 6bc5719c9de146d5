"""Agreement on ordered grades."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, LEVEL, Estimate

_LEAST: Final = 2


def weighted_kappa(said: ArrayLike, true: ArrayLike, grades: int) -> float:
    """Cohen's kappa of two graders with quadratic weights; NaN where both give one and the same grade to all.

    Source: Cohen 1968, Psychol Bull 70, 213; weights of Fleiss and Cohen 1973.

    Args:
        said: (N,) of int, from 0.
        true: (N,) of int, from 0.
        grades: how many there are.

    Raises:
        UsageError: other shapes, or a value that is no grade.
    """
    one, other = _grades(said, true, grades)
    return _kappa(one, other, grades)


def weighted_kappa_of_people(
    said: ArrayLike, true: ArrayLike, grades: int, people: Sequence[Hashable], *, draws: int = DRAWS, seed: int = 1
) -> Estimate:
    """`weighted_kappa` with a percentile bootstrap over people, which does not depend on the order of scans.

    Raises:
        UsageError: see `weighted_kappa`.
    """
    one, other = _grades(said, true, grades)
    scans: dict[str, list[int]] = {}
    for index, person in enumerate(people):
        scans.setdefault(str(person), []).append(index)
    ordered = [np.array(scans[person]) for person in sorted(scans)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        taken = np.concatenate([ordered[at] for at in rng.integers(0, len(ordered), len(ordered))])
        found.append(_kappa(one[taken], other[taken], grades))
    known = np.array(found)[np.isfinite(found)]
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(known) else (np.nan, np.nan)
    return Estimate(_kappa(one, other, grades), float(low), float(high), len(one), len(ordered))


def _kappa(one: NDArray[np.int_], other: NDArray[np.int_], grades: int) -> float:
    table = np.bincount(one * grades + other, minlength=grades * grades).reshape(grades, grades) / len(one)
    steps = np.arange(grades)
    weights = (steps[:, None] - steps[None]) ** 2
    by_chance = float((weights * np.outer(table.sum(1), table.sum(0))).sum())
    return 1 - float((weights * table).sum()) / by_chance if by_chance else float("nan")


def _grades(said: ArrayLike, true: ArrayLike, grades: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    one, other = np.asarray(said), np.asarray(true)
    both = np.concatenate([one.ravel(), other.ravel()])
    whole = np.issubdtype(both.dtype, np.integer)
    if one.shape != other.shape or one.ndim != 1 or not len(one) or grades < _LEAST or not whole:
        found = f"shapes {one.shape} and {other.shape}, {both.dtype}, {grades} grades"
    elif both.min() < 0 or both.max() >= grades:
        found = f"{both.min()} to {both.max()}"
    else:
        return one.astype(int), other.astype(int)
    raise UsageError(
        "These are no pairs of grades.",
        where="said, true",
        found=found,
        expected=f"one whole number from 0 to {grades - 1} of each grader for each scan",
        fix="Leave out scans without a grade, and say how many.",
    )
