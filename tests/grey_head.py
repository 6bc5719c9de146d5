"""A made-up head whose brain is known by its grey value, and a network that knows that."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dopascope.volume import Grid, Volume

BRAIN_MM = np.array([62.0, 75.0, 58.0])
"""Half axes: 1,130 ml."""
SCALP_MM = 8.0, 14.0
"""A shell so far outside of the brain."""
SHAPE = (92, 108, 100)


def centred_grid(spacing: tuple[float, ...], shape: tuple[int, int, int], turn: np.ndarray | None = None) -> Grid:
    """A grid about the origin, turned by a rotation (4, 4)."""
    affine = (np.eye(4) if turn is None else turn) @ np.diag([*spacing, 1.0])
    affine[:3, 3] = -(affine[:3, :3] @ (np.array(shape) - 1) / 2)
    return Grid(shape, affine)


GRID = centred_grid((2.0, 2.0, 2.0), SHAPE)


def radius(grid: Grid, more_mm: float = 0.0) -> np.ndarray:
    """1 on an ellipsoid that is `more_mm` larger than the brain."""
    return np.asarray(np.sqrt(((grid.centres_mm() / (BRAIN_MM + more_mm)) ** 2).sum(axis=-1)))


def head(grid: Grid = GRID, *, scale: float = 1.0) -> tuple[Volume, np.ndarray]:
    """Brain of grey 0.5 and scalp of grey 1 on black, and the brain."""
    brain = radius(grid) < scale
    data = np.where(brain, 0.5, 0.0)
    data[(radius(grid, SCALP_MM[0]) > 1) & (radius(grid, SCALP_MM[1]) < 1)] = 1.0
    return Volume(data, grid), brain


class ByGrey(nn.Module):
    """Brain is what has a grey value between 0.3 and 0.7: two thresholds, as weights of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 2, 1)
        self.sum = nn.Conv2d(2, 2, 1)
        with torch.no_grad():
            self.edges.weight.copy_(torch.tensor([40.0, 40.0]).reshape(2, 1, 1, 1))
            self.edges.bias.copy_(torch.tensor([-0.3 * 40, -0.7 * 40]))
            self.sum.weight.copy_(torch.tensor([[0.0, 0.0], [16.0, -16.0]]).reshape(2, 2, 1, 1))
            self.sum.bias.copy_(torch.tensor([0.0, -8.0]))

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.sum(self.edges(x).clamp(0, 1))
        return answer
