"""Several networks of the same input as one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensembles(nn.Module):
    """Groups of networks that all see the same image; each group gives one tensor with its networks on axis 1."""

    def __init__(self, groups: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(nn.ModuleList(group) for group in groups)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """`(B, ...)` to one tensor `(B, members, ...)` for each group."""
        return tuple(torch.stack([net(x) for net in group], dim=1) for group in self.groups)  # type: ignore[attr-defined]
