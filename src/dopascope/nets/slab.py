"""Small networks of dopascope's own: one slab, and a sequence of slices."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from dopascope.nets.dat_spect import GRADES, REGIONS, Trunk
from dopascope.nets.registry import network

WIDTH: Final = 64
SLICES: Final = 12
"""Of the view `striatal_slices`."""


class Slab(Trunk):
    """The trunk of the public DaT networks (0.2 M parameters), for any number of channels.

    One logit for the scan, from the strongest position as in their robust head, and grade logits for caudate and
    putamen of either side, from the mean over positions as in their regional head.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scan = nn.Conv2d(WIDTH, 1, 1)
        self.grades = nn.Linear(WIDTH, REGIONS * GRADES)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, I, J)` to `(B, 21)`: the logit of "abnormal", then grade logits, region by region."""
        features = self.features(x)
        return torch.cat([self.scan(features).amax((2, 3)), self.grades(features.mean((2, 3)))], 1)


class Sequence(nn.Module):
    """One light encoder for every slice, a recurrent layer over slices, attention over its states.

    Gated attention: Ilse, Tomczak and Welling 2018, ICML, equation 9.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.each = channels // SLICES
        self.encoder = nn.Sequential(
            *(layer for width in ((self.each, 16), (16, 32), (32, WIDTH)) for layer in _halving(*width))
        )
        self.recurrent = nn.GRU(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.attend = nn.Linear(WIDTH, WIDTH)
        self.gate = nn.Linear(WIDTH, WIDTH)
        self.weigh = nn.Linear(WIDTH, 1)
        self.scan = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C * slices, I, J)`, one block of slices for each channel, to the logit of "abnormal" `(B,)`."""
        batch = x.shape[0]
        by_slice = x.unflatten(1, (self.each, SLICES)).transpose(1, 2).flatten(0, 1)
        features = self.encoder(by_slice).amax((2, 3)).unflatten(0, (batch, SLICES))
        states, _ = self.recurrent(features)
        weights = self.weigh(torch.tanh(self.attend(states)) * torch.sigmoid(self.gate(states))).softmax(1)
        answer: Tensor = self.scan((weights * states).sum(1))
        return answer[:, 0]


def _halving(channels_in: int, channels: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


@network(
    "slab",
    input_shape=(1, 72, 72),
    output_shape=(1 + REGIONS * GRADES,),
    description="small residual network on a slab: normal or reduced, and five grades in four regions",
    evidence_layer="body",
)
def slab(channels: int = 1) -> nn.Module:
    """The small slab network."""
    return Slab(channels)


@network(
    "sequence",
    input_shape=(SLICES, 72, 72),
    description="slices one by one, a recurrent layer, gated attention",
    evidence_layer="encoder",
)
def sequence(channels: int = SLICES) -> nn.Module:
    """The slice-sequence network."""
    return Sequence(channels)
