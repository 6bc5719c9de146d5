"""Axis order: permute and flip a stored image into right, anterior, superior order; no value is interpolated."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from dopascope import geometry
from dopascope.volume import Grid, LabelMap, Step, Volume

Image = TypeVar("Image", Volume, LabelMap)


def canonical(image: Image) -> Image:
    """The same image with axes ordered and directed as near to R, A, S as whole axes allow.

    Args:
        image: Volume or LabelMap of any axis order, oblique or not.

    Returns:
        The image itself when it is in that order already; else one with the same voxels, `(I, J, K)` along
        right, anterior, superior, and an affine that gives every voxel the world position it had.
    """
    axes, flips = geometry.closest_axes(image.grid.affine)
    if axes == (0, 1, 2) and not any(flips):
        return image
    order = [axes.index(world) for world in range(3)]
    # The reader of the new array asks for new index n; `to_old` says which stored voxel that is.
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(order):
        to_old[old, new] = -1 if flips[old] else 1
        to_old[old, 3] = image.grid.shape[old] - 1 if flips[old] else 0
    data = image.data.transpose(order)[tuple(slice(None, None, -1 if flips[old] else 1) for old in order)]
    grid = Grid(data.shape, image.grid.affine @ to_old)
    step = Step("canonical", {"from": image.grid.axis_codes, "to": grid.axis_codes})
    return image.with_data(np.ascontiguousarray(data), step, grid)
