"""DeepLabv3+ for one grey channel, its encoder by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from dopascope.errors import UsageError
from dopascope.nets.torchvision_operators import declare

if TYPE_CHECKING:
    from torch import nn

CLASSES: Final = ("background", "brain")
TIMM_PREFIX: Final = "tu-"
"""Before any backbone of timm, as segmentation-models-pytorch calls them."""


def deeplab(encoder: str) -> nn.Module:
    """DeepLabv3+ (Chen et al. 2018, arXiv:1802.02611) with fresh weights; pyramid and decoder are depthwise separable.

    It takes (B, 1, I, J) with I and J multiples of 16 and gives logits (B, 2, I, J) of `CLASSES`.

    Raises:
        UsageError: there is no such encoder, or it cannot be dilated to a sixteenth.
    """
    declare()
    import segmentation_models_pytorch as smp

    plain = smp.encoders.get_encoder_names()
    if encoder not in plain and not encoder.startswith(TIMM_PREFIX):
        near = get_close_matches(encoder, plain, n=6)
        raise UsageError(
            "There is no such encoder.",
            where="encoder",
            found=encoder,
            expected=f"such as {', '.join(near) or 'mobilenet_v2, resnet18'}, or {TIMM_PREFIX} and a backbone of timm",
            fix="Correct the name.",
        )
    try:
        net: nn.Module = smp.DeepLabV3Plus(
            encoder_name=encoder, encoder_weights=None, in_channels=1, classes=len(CLASSES), encoder_output_stride=16
        )
    except (ValueError, RuntimeError, KeyError, AssertionError) as error:
        raise UsageError(
            "This encoder does not fit DeepLabv3+.",
            where="encoder",
            found=f"{encoder}: {error}"[:200],
            expected="an encoder that can be dilated to a stride of 16, such as mobilenet_v2 or resnet18",
            fix="Choose another.",
        ) from error
    return net
