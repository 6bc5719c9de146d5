"""What an image is asked to be: a class and values such as age, any of which may be left open."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NO_CLASS = -1
"""Number of the class that is left open."""


def asked(classes: Tensor, values: Tensor) -> Tensor:
    """What is asked for, `(B, 1 + V)`: the number of the class, then values in units of their spread.

    Args:
        classes: (B,) of int; `NO_CLASS` is left open.
        values: (B, V); NaN is left open.
    """
    return torch.cat([classes[:, None].to(values.dtype), values], 1)


def nothing(condition: Tensor) -> Tensor:
    """Everything left open, for as many images: the null condition of classifier-free guidance."""
    empty = torch.full_like(condition, torch.nan)
    empty[:, 0] = NO_CLASS
    return empty


def forget(condition: Tensor, chance: float, generator: torch.Generator, *, everything: bool) -> Tensor:
    """The condition `(B, 1 + V)` with parts left open by chance, so that a network learns to do without them.

    Each value is left open with `chance`; with `everything`, so is the whole of an image's condition at once (Ho and
    Salimans 2022, arXiv:2207.12598, algorithm 1).
    """
    drawn = torch.rand(condition.shape, generator=generator, device=condition.device) < chance
    values = condition[:, 1:].masked_fill(drawn[:, 1:], torch.nan)
    kept = torch.cat([condition[:, :1], values], 1)
    return torch.where(drawn[:, :1], nothing(condition), kept) if everything else kept


class Condition(nn.Module):
    """Embeds what is asked for as one vector."""

    def __init__(self, classes: int, values: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(classes + 1, width)
        self.dense = nn.Sequential(nn.Linear(2 * values, width), nn.SiLU(), nn.Linear(width, width)) if values else None

    def forward(self, condition: Tensor) -> Tensor:
        """`(B, 1 + V)` of `asked` to `(B, width)`. A value comes with whether it is given; an open one is 0."""
        number = condition[:, 0].long()
        last = self.table.num_embeddings - 1
        embedded: Tensor = self.table(torch.where(number < 0, torch.full_like(number, last), number))
        if self.dense is None:
            return embedded
        values = condition[:, 1:]
        open_ = torch.isnan(values)
        given = torch.where(open_, torch.zeros_like(values), values)
        weighed: Tensor = self.dense(torch.cat([given, (~open_).to(values.dtype)], 1))
        return embedded + weighed
