"""3-D residual networks as MedicalNet published them, by MONAI.

Chen, Ma and Zheng 2019, arXiv:1904.00625. Shallow ones (18, 34) join stages by padding (shortcut A), 10 and 50 by a
convolution (shortcut B); only so the published files fit.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from dopascope.nets.registry import network
from dopascope.nets.torchvision_operators import declare

BLOCK: Final = (1, 45, 54, 45)
"""The whole MNI grid at 4 mm."""
SHORTCUTS: Final = {10: "B", 18: "A", 34: "A", 50: "B"}


class Volumetric(nn.Module):
    """A 3-D residual network with one output."""

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        declare()
        from monai.networks.nets import resnet

        build = getattr(resnet, f"resnet{depth}")
        self.backbone: nn.Module = build(
            spatial_dims=3,
            n_input_channels=channels,
            num_classes=1,
            shortcut_type=SHORTCUTS[depth],
            bias_downsample=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, I, J, K)` to the logit of "abnormal" `(B,)`."""
        answer: Tensor = self.backbone(x)
        return answer[:, 0]


def _register(depth: int) -> None:
    @network(
        f"resnet3d-{depth}",
        input_shape=BLOCK,
        description=f"3-D ResNet{depth} (MedicalNet)",
        evidence_layer="backbone.layer4",
        pretrained="medicalnet",
        head=("backbone.fc.",),
    )
    def build(channels: int = 1) -> nn.Module:
        return Volumetric(depth, channels)


for _depth in SHORTCUTS:
    _register(_depth)
