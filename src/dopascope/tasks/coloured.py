"""Slices as three channels: plain grey, or the 49 colours of Abramov et al. 2021, from the same grey values."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dopascope.report.colour import sequential
from dopascope.space.pseudocolour import INTERVALS, clusters, grey_range

Colour = Literal["none", "grey", "pseudocolour"]


def in_colour(grey: NDArray[np.float32], kind: Colour) -> NDArray[np.float32]:
    """`(N, 3, I, J)` from 0 to 1: the grey value three times, or the colour of its interval of the slice's own range.

    Black is what is not above 0. The colours add no information: each is a function of the grey value beside it.

    Args:
        grey: `(N, I, J)` from 0 to 1, the brain above 0.
        kind: `grey` or `pseudocolour`.

    Raises:
        UnsuitableError: a slice without brain, or of one grey value, has no range to cut.
    """
    if kind == "grey":
        return np.repeat(grey[:, None], 3, axis=1)
    palette = np.concatenate([np.zeros((1, 3), np.float32), sequential(INTERVALS).astype(np.float32) / 255])
    found = np.empty((len(grey), 3, *grey.shape[1:]), np.float32)
    for row, one in enumerate(grey):
        brain = one > 0
        numbers = clusters(one, brain, grey_range(one, brain, where=f"slice {row + 1}"), INTERVALS)
        found[row] = np.moveaxis(palette[numbers], -1, 0)
    return found
