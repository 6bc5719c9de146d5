"""Images of any size for networks that halve: padded with air on the far side of each axis, and cut back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor
from torch.nn import functional

UNIT: Final = 16
"""What sizes are made multiples of: four halvings, more than any family has by default."""


def padded_shape(shape: Sequence[int], unit: int = UNIT) -> tuple[int, ...]:
    """`(C, I, J[, K])` with each axis but the first at the next multiple of `unit`."""
    return (shape[0], *(-(-size // unit) * unit for size in shape[1:]))


def padded(images: Tensor, unit: int = UNIT) -> Tensor:
    """Images `(N, C, I, J[, K])` with zeros after the last voxel of each axis, to multiples of `unit`."""
    wanted = padded_shape(images.shape[1:], unit)
    ends = [(0, new - old) for old, new in zip(images.shape[2:], wanted[1:], strict=True)]
    return functional.pad(images, [width for pair in reversed(ends) for width in pair])


def cut_back(images: Tensor, shape: Sequence[int]) -> Tensor:
    """The images `(N, *shape)` that `padded` was given."""
    return images[(slice(None), slice(None), *(slice(size) for size in shape[1:]))]
