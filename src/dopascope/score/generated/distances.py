"""Euclidean distances between features, in blocks of rows."""

from __future__ import annotations

from typing import Final

import numpy as np

from dopascope.score.generated.sets import Array

ENTRIES: Final = 1 << 22
"""Of a block of a matrix: 32 MiB of float64."""
_MEDIAN_OF: Final = 2000


def squared_distances(rows: Array, columns: Array) -> Array:
    """Squared distances (R, C) of rows (R, D) and columns (C, D) by one matrix product; centre the features first."""
    squares = (rows**2).sum(1)[:, None] + (columns**2).sum(1)[None]
    return np.asarray(np.maximum(squares - 2 * (rows @ columns.T), 0))


def distances(rows: Array, columns: Array) -> Array:
    """Distances (R, C). Memory: 8 bytes times R times C, and three times that while they are made.

    Both sets are moved by the mean of `columns`, so that large means do not cost digits.
    """
    centre = columns.mean(0)
    return np.sqrt(squared_distances(rows - centre, columns - centre))


def median_distance(points: Array, *, seed: int = 1) -> float:
    """Median distance of pairs of points (N, D): of all pairs, or of those among 2,000 points drawn from more.

    Source: the median heuristic, Gretton et al. 2012, J Mach Learn Res 13:723, section 8.
    """
    if len(points) > _MEDIAN_OF:
        points = points[np.random.default_rng(seed).choice(len(points), _MEDIAN_OF, replace=False)]
    return float(np.median(distances(points, points)[np.triu_indices(len(points), 1)]))
