"""Voxels next to each other as channels of a coarser grid, and back."""

from __future__ import annotations

from math import prod

from torch import Tensor


def to_patches(x: Tensor, patch: int) -> Tensor:
    """`(B, C, I, J[, K])` to `(B, C * patch ** axes, I / patch, J / patch[, K / patch])`."""
    if patch == 1:
        return x
    axes = x.ndim - 2
    sizes = [part for size in x.shape[2:] for part in (size // patch, patch)]
    order = [0, 1, *(3 + 2 * axis for axis in range(axes)), *(2 + 2 * axis for axis in range(axes))]
    return x.reshape(*x.shape[:2], *sizes).permute(order).flatten(1, 1 + axes)


def from_patches(x: Tensor, patch: int) -> Tensor:
    """The inverse of `to_patches`."""
    if patch == 1:
        return x
    axes = x.ndim - 2
    apart = x.unflatten(1, (x.shape[1] // prod([patch] * axes), *[patch] * axes))
    order = [0, 1, *(place for axis in range(axes) for place in (2 + axes + axis, 2 + axis))]
    whole: Tensor = apart.permute(order).reshape(x.shape[0], -1, *(size * patch for size in x.shape[2:]))
    return whole
