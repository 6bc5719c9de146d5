"""Networks for photographs with the heads of the papers, and any other backbone of timm."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Final

import torch
from torch import Tensor, nn

from dopascope.errors import UsageError
from dopascope.nets.registry import TIMM, Network, network
from dopascope.nets.torchvision_operators import declare

PICTURE: Final = (3, 91, 109)
"""Three slices of the MNI grid."""
S3_HIDDEN: Final = 128
S3_DROPOUT: Final = 0.5
"""Width of the hidden layer and drop-out of S3's head, which its paper leaves open."""


class TwoOutputs(nn.Module):
    """A backbone with its last layer replaced by two outputs, one for each class (S1).

    The answer is the difference of the two: its sigmoid is their softmax.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, I, J)` to the logit of "abnormal" `(B,)`."""
        classes: Tensor = self.backbone(x)
        return classes[:, 1] - classes[:, 0]


class PooledDense(nn.Module):
    """Backbone, global average pooling, dense layer with ReLU, drop-out, one output (S3: Quan et al. 2019)."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dense = nn.Sequential(
            nn.Linear(features, S3_HIDDEN), nn.ReLU(), nn.Dropout(S3_DROPOUT), nn.Linear(S3_HIDDEN, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, I, J)` to the logit of "abnormal" `(B,)`."""
        answer: Tensor = self.dense(self.backbone(x))
        return answer[:, 0]


def _timm(name: str, channels: int, outputs: int, **options: Any) -> nn.Module:
    declare()
    import timm

    backbone: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=outputs, **options)
    return backbone


@network(
    "resnet18",
    input_shape=PICTURE,
    description="ResNet18 with two outputs (S1)",
    evidence_layer="backbone.layer4",
    pretrained="imagenet",
    head=("backbone.fc.",),
)
def resnet18(channels: int = 3) -> nn.Module:
    """ResNet18 whose last layer is replaced by two outputs."""
    return TwoOutputs(_timm("resnet18", channels, 2))


@network(
    "inceptionv3-s3",
    input_shape=PICTURE,
    description="InceptionV3, pooling, dense, drop-out, one output (S3)",
    evidence_layer="backbone.Mixed_7c",
    pretrained="imagenet",
    head=("dense.",),
)
def inceptionv3_s3(channels: int = 3) -> nn.Module:
    """InceptionV3 without its auxiliary head, with the head of S3."""
    backbone = _timm("inception_v3", channels, 0, aux_logits=False)
    return PooledDense(backbone, int(backbone.num_features))  # type: ignore[arg-type]


def any_backbone(name: str) -> Network:
    """A backbone of timm by its name, with two outputs.

    Raises:
        UsageError: timm has no backbone of this name.
    """
    declare()
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=6)
        raise UsageError(
            "timm has no backbone of this name.",
            where="network",
            found=f"{TIMM}{name}",
            expected=f"such as {', '.join(near)}" if near else "a name of timm.list_models()",
            fix="Correct the name.",
        )
    return Network(
        name=f"{TIMM}{name}",
        build=lambda channels: TwoOutputs(_timm(name, channels, 2)),
        input_shape=PICTURE,
        output_shape=(),
        description=f"timm's {name} with two outputs",
        evidence_layer="",
    )


def adapt_first_layer(weight: Tensor, channels: int) -> Tensor:
    """The kernel `(O, 3, ...)` of a first layer for images of another number of channels.

    One channel gets the sum over colours, so that a grey picture answers as its three equal colours would; more are
    repeated and scaled to the same sum.
    """
    given = weight.shape[1]
    if given == channels:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    picked = [index % given for index in range(channels)]
    return torch.stack([weight[:, index] for index in picked], 1) * (given / channels)
