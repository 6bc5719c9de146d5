"""A small network with three classes, for what S5 prepares its pictures for: PD, essential tremor, unclear."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from dopascope.nets.dat_spect import Trunk
from dopascope.nets.registry import network

CLASSES: Final = 3
PICTURE: Final = (3, 91, 109)
"""One axial slice of the MNI grid in colour, or in grey three times."""


class Classes(Trunk):
    """The trunk of the public DaT networks (0.2 M parameters) with the mean of each feature over all positions."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.classes = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, I, J)` to `(B, 4)`: the logit of the first class against the others, then the logits of all."""
        found = self.classes(self.features(x).mean((2, 3)))
        return torch.cat([found[:, :1] - found[:, 1:].logsumexp(1, keepdim=True), found], 1)


@network(
    "slab-classes",
    input_shape=PICTURE,
    output_shape=(1 + CLASSES,),
    description="small residual network on a slice: three classes (S5)",
    evidence_layer="body",
)
def slab_classes(channels: int = 3) -> nn.Module:
    """The small network with three classes."""
    return Classes(channels)
