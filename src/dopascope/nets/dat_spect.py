"""The residual network of the public DaT SPECT experts, and the three heads they were trained with.

Buddenkotte et al., EJNMMI 2024, doi 10.1007/s00259-023-06566-w (max-pooled two-class head);
Buddenkotte and Buchert, J Nucl Med 2024, doi 10.2967/jnumed.124.267570 (one-logit head);
Buddenkotte et al., Ann Nucl Med 2025, doi 10.1007/s12149-025-02038-3 (five grades in four regions).

All three take a normalised slab `(B, 1, 72, 72)` and answer with logits: probabilities saturate in float32,
differences of logits do not, and the evidence map is made of such differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from dopascope.errors import BundleError
from dopascope.nets.registry import network

INPUT_SHAPE: Final = (1, 72, 72)
STAGES: Final = ((1, 16, 1, 1), (16, 32, 3, 1), (32, 64, 3, 2))
"""Channels in and out, stride, and number of residual blocks of each stage."""

REGIONS: Final = 4
GRADES: Final = 5


class Stage(nn.Module):
    """A convolution whose kernel equals its stride, then residual blocks `x + s f(x)` with learned scalars `s`."""

    def __init__(self, channels_in: int, channels: int, stride: int, blocks: int) -> None:
        super().__init__()
        self.first_conv = nn.Conv2d(channels_in, channels, stride, stride, bias=False)
        self.blocks = nn.ModuleList(_residual(channels) for _ in range(blocks))
        self.skip_inits = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, channels_in, I, J)` to `(B, channels, I / stride, J / stride)`."""
        x = self.first_conv(x)
        for scale, block in zip(self.skip_inits, self.blocks, strict=True):
            x = x + scale * block(x)
        return x


def _residual(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.01),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.01),
    )


class Trunk(nn.Module):
    """Three stages with 16, 32 and 64 channels: `(B, C, 72, 72)` to features `(B, 64, 8, 8)`."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(*(Stage(*stage) for stage in ((channels, *STAGES[0][1:]), *STAGES[1:])))

    def features(self, x: Tensor) -> Tensor:
        """Feature maps `(B, 64, 8, 8)`."""
        features: Tensor = self.body(x)
        return features


class TwoClass(Trunk):
    """Maximum of each feature over all positions, then two classes (acc, sens and spec)."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels)
        self.logits = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 1, 72, 72)` to the logit of "reduced" `(B,)`: a softmax of two is the sigmoid of their difference."""
        classes: Tensor = self.logits(self.features(x).amax((2, 3)))
        return classes[:, 1] - classes[:, 0]


class OneLogit(Trunk):
    """A logit at each position, then the maximum over positions (robust)."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels)
        self.logits = nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 1, 72, 72)` to the logit of "reduced" `(B,)`."""
        positions: Tensor = self.logits(self.features(x))
        return positions.amax((1, 2, 3))


class Regional(Trunk):
    """Mean of each feature over all positions, then five grades in each of four regions."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels)
        self.logits = nn.Linear(64, REGIONS * GRADES)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 1, 72, 72)` to grade logits `(B, 4, 5)`."""
        answers: Tensor = self.logits(self.features(x).mean((2, 3)))
        return answers.reshape(-1, REGIONS, GRADES)


@network(
    "dat-spect-two-class",
    input_shape=INPUT_SHAPE,
    output_shape=(),
    description="DaT slab: normal or reduced",
    evidence_layer="body",
)
def two_class(channels: int = 1) -> nn.Module:
    """The network of the acc, sens and spec ensembles."""
    return TwoClass(channels)


@network(
    "dat-spect-one-logit",
    input_shape=INPUT_SHAPE,
    output_shape=(),
    description="DaT slab: normal or reduced",
    evidence_layer="body",
)
def one_logit(channels: int = 1) -> nn.Module:
    """The network of the robust ensemble."""
    return OneLogit(channels)


@network(
    "dat-spect-regional",
    input_shape=INPUT_SHAPE,
    output_shape=(REGIONS, GRADES),
    description="DaT slab: five grades in each caudate and putamen",
    evidence_layer="body",
)
def regional(channels: int = 1) -> nn.Module:
    """The network of the regional ensemble."""
    return Regional(channels)


def load_published(net: nn.Module, state: Mapping[str, Tensor], *, name: str = "") -> nn.Module:
    """Put published weights into `net` and make it ready for inference.

    Two differences of storage are undone: acc, sens and spec hold 2-D convolutions as 3-D ones of depth one
    `(out, in, 1, k, k)`, and the regional files call the stages `seq.0` to `seq.2` and the head `seq.3.linear`.

    Args:
        net: `TwoClass`, `OneLogit` or `Regional`.
        state: parameter name to tensor, as stored.
        name: the file's name, for the error.

    Raises:
        BundleError: a parameter is missing, left over, of another shape, or not finite.
    """
    renamed = {_published_key(key): _without_depth(value) for key, value in state.items()}
    expected = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in renamed.items()}
    if found != expected:
        raise BundleError(
            "These weights are not of the DaT SPECT network.",
            where=name,
            found=_difference(found, expected),
            expected=f"the {len(expected)} parameters of {type(net).__name__}",
            fix="Give the published file of that name, unchanged.",
        )
    broken = [key for key, value in renamed.items() if not torch.isfinite(value).all()]
    if broken:
        raise BundleError(
            "Weights are not finite.", where=name, found=", ".join(broken[:3]), fix="Fetch the published file again."
        )
    net.load_state_dict(renamed)
    return net.eval().requires_grad_(False)


def _published_key(key: str) -> str:
    if key.startswith("seq.3.linear."):
        return "logits." + key.removeprefix("seq.3.linear.")
    return "body." + key.removeprefix("seq.") if key.startswith("seq.") else key


def _without_depth(value: Tensor) -> Tensor:
    return value.squeeze(2) if value.ndim == 5 and value.shape[2] == 1 else value


def _difference(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> str:
    keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    shown = [f"{key} {found.get(key, 'missing')}" for key in keys[:3]]
    return f"{len(keys)} differ: " + ", ".join(shown)
