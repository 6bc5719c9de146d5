"""The simplest segmenter there is: what is brighter than Otsu's threshold, of that the largest piece.

It knows nothing of brains and finds heads; whatever claims to find brains has to be shown beside it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 256


def otsu(values: NDArray[np.floating]) -> float:
    """The threshold that splits `values` into two classes of the largest variance between them.

    Args:
        values: `(...)`, finite, with at least two different ones.

    Returns:
        The upper end of the darker class, where the range is cut into `BINS` equal bins.

    Source: Otsu 1979, IEEE Trans Syst Man Cybern 9:62.
    """
    counts, edges = np.histogram(values, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    first = np.cumsum(counts * middles)[:-1] / np.maximum(below, 1)
    second = np.cumsum((counts * middles)[::-1])[::-1][1:] / np.maximum(above, 1)
    between = below.astype(np.float64) * above * (first - second) ** 2
    # Between two far classes every threshold is as good; the middle one keeps away from both.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float(edges[1:-1][best[len(best) // 2]])


def bright_piece(image: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The largest piece (corners touch) of what is brighter than Otsu's threshold; empty where all is of one grey.

    Args:
        image: `(rows, columns)`, finite.
    """
    if not float(image.max()) > float(image.min()):
        return np.zeros(image.shape, bool)
    return largest_piece(image > otsu(image))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece of a mask, corners touching; the mask itself where it is empty."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))
