"""Convolutional blocks of encoders and decoders, in two and three dimensions."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS: Final = 8
"""Of group normalisation; widths are multiples of it."""


def convolution(axes: int, channels_in: int, channels: int, *, size: int = 3, stride: int = 1) -> nn.Module:
    """A convolution over `axes` axes that keeps the size, or divides it by the stride."""
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
    return kind(channels_in, channels, size, stride=stride, padding=size // 2)


def width_at(level: int, width: int) -> int:
    """Channels after `level` halvings: doubled each time, at most eightfold."""
    return min(1 << level, 8) * width


class Halving(nn.Sequential):
    """Half the size: a convolution with stride, then one without."""

    def __init__(self, axes: int, channels_in: int, channels: int) -> None:
        super().__init__(
            convolution(axes, channels_in, channels, stride=2),
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            convolution(axes, channels, channels),
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
        )


class Doubling(nn.Module):
    """Twice the size: nearest neighbours, then two convolutions that a condition scales and shifts.

    Resizing before a convolution leaves no chequers (Odena, Dumoulin and Olah 2016, doi 10.23915/distill.00003);
    scale and shift of each channel from a vector: Perez et al. 2018, arXiv:1709.07871, equation 2.
    """

    def __init__(self, axes: int, channels_in: int, channels: int, condition: int) -> None:
        super().__init__()
        self.first = convolution(axes, channels_in, channels)
        self.second = convolution(axes, channels, channels)
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels, affine=False) for _ in range(2))
        self.turns = nn.Linear(condition, 4 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`(B, C, I, J[, K])` and `(B, condition)` to twice the size."""
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        each = self.turns(condition).unflatten(1, (4, -1))
        turns = each[(..., *[None] * (x.ndim - 2))].unbind(1)
        for number, layer in enumerate((self.first, self.second)):
            scale, shift = turns[2 * number : 2 * number + 2]
            x = functional.silu(self.norms[number](layer(x)) * (1 + scale) + shift)
        return x


class Decoder(nn.Module):
    """From a vector to an image, conditioned at each size; what a CVAE decodes with and a GAN draws with."""

    def __init__(self, shape: tuple[int, ...], *, width: int, halvings: int, latent: int, condition: int) -> None:
        """Images `(C, I, J[, K])` of `shape`; `width` channels at full size; vectors of `latent` numbers."""
        super().__init__()
        axes = len(shape) - 1
        self.start = (width_at(halvings, width), *(size // 2**halvings for size in shape[1:]))
        count = self.start[0]
        for size in self.start[1:]:
            count *= size
        self.dense = nn.Linear(latent + condition, count)
        self.blocks = nn.ModuleList(
            Doubling(axes, width_at(level + 1, width), width_at(level, width), condition)
            for level in reversed(range(halvings))
        )
        self.last = convolution(axes, width, shape[0])

    def forward(self, code: Tensor, condition: Tensor) -> Tensor:
        """`(B, latent)` and an embedded condition `(B, condition)` to images `(B, C, I, J[, K])`."""
        x = self.dense(torch.cat([code, condition], 1)).unflatten(1, self.start)
        for block in self.blocks:
            x = block(x, condition)
        image: Tensor = self.last(x)
        return image
