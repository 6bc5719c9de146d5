"""Conditional variational autoencoder, in two and three dimensions.

Kingma and Welling 2014, arXiv:1312.6114; conditional: Sohn, Lee and Yan 2015, NeurIPS.
"""

from __future__ import annotations

from math import prod
from typing import Final

import torch
from torch import Tensor, nn

from dopascope.nets.generative.blocks import Decoder, Halving, convolution, width_at
from dopascope.nets.generative.condition import Condition
from dopascope.nets.generative.sizes import check_halving

CONDITION: Final = 32
"""Numbers of an embedded condition."""
LOG_VARIANCE: Final = 10.0
"""Bound of a log-variance, either way: e to the 10 overflows nothing."""


class Cvae(nn.Module):
    """Encoder to mean and log-variance of a code, and decoder; both know the condition."""

    def __init__(
        self, shape: tuple[int, ...], classes: int, values: int, *, width: int, halvings: int, latent: int
    ) -> None:
        """Images `(C, I, J[, K])` of `shape`, `classes` classes, `values` values, codes of `latent` numbers.

        Raises:
            UsageError: the images cannot be halved so often.
        """
        super().__init__()
        check_halving(shape, halvings)
        axes = len(shape) - 1
        self.condition = Condition(classes, values, CONDITION)
        self.encoder = nn.Sequential(
            convolution(axes, shape[0], width),
            nn.SiLU(),
            *(Halving(axes, width_at(level, width), width_at(level + 1, width)) for level in range(halvings)),
            nn.Flatten(),
        )
        features = width_at(halvings, width) * prod(size // 2**halvings for size in shape[1:])
        self.moments = nn.Linear(features + CONDITION, 2 * latent)
        self.decoder = Decoder(shape, width=width, halvings=halvings, latent=latent, condition=CONDITION)

    def encode(self, images: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Images and what they are `(B, 1 + V)` to mean and log-variance `(B, latent)` of their codes."""
        seen = torch.cat([self.encoder(images), self.condition(condition)], 1)
        mean, log_variance = self.moments(seen).chunk(2, 1)
        return mean, log_variance.clamp(-LOG_VARIANCE, LOG_VARIANCE)

    def decode(self, code: Tensor, condition: Tensor) -> Tensor:
        """Codes `(B, latent)` and what is asked for `(B, 1 + V)` to images."""
        image: Tensor = self.decoder(code, self.condition(condition))
        return image
