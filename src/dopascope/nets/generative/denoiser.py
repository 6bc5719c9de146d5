"""MONAI's diffusion U-Net behind a condition of classes and values, in two and three dimensions."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from dopascope.nets.generative.blocks import GROUPS
from dopascope.nets.generative.condition import Condition
from dopascope.nets.generative.patches import from_patches, to_patches
from dopascope.nets.generative.sizes import check_halving
from dopascope.nets.torchvision_operators import declare

CLOCK: Final = 1000.0
"""The U-Net's embedding of time is made for numbers of steps up to here."""


class Denoiser(nn.Module):
    """Answers from a noisy image, its time and a condition with an image of the same shape.

    Each `patch` x `patch` [x `patch`] voxels become channels before the U-Net, which so works on a coarser grid
    (Hoogeboom, Heek and Salimans 2023, arXiv:2301.11093, section 3): 4 or 8 times less to compute, while images of
    SPECT hold no detail of single voxels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        values: int,
        *,
        width: int,
        halvings: int,
        blocks: int,
        patch: int,
        attention: bool,
    ) -> None:
        """Images `(C, I, J[, K])` of `shape`; `width` channels on the finest grid, doubled with each halving.

        `blocks` residual blocks on each grid; `attention` on the coarsest beside the one in the middle.

        Raises:
            UsageError: the images cannot be halved so often, patches counted.
        """
        super().__init__()
        check_halving(shape, halvings + patch.bit_length() - 1)
        declare()
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

        axes = len(shape) - 1
        self.patch = patch
        channels = shape[0] * patch**axes
        widths = [width * 2**level for level in range(halvings + 1)]
        self.unet: nn.Module = DiffusionModelUNet(
            spatial_dims=axes,
            in_channels=channels,
            out_channels=channels,
            num_res_blocks=blocks,
            channels=widths,
            attention_levels=[attention and level == halvings for level in range(halvings + 1)],
            norm_num_groups=GROUPS,
            num_head_channels=widths[-1] // 2,
            num_class_embeds=1,
            use_flash_attention=True,
        )
        # The U-Net adds what this answers to its embedding of time.
        self.unet.add_module("class_embedding", Condition(classes, values, 4 * width))

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """`(B, C, I, J[, K])`, times `(B,)` from 0 (image) to 1 (noise) and `(B, 1 + V)` to `(B, C, I, J[, K])`."""
        answer: Tensor = self.unet(to_patches(x, self.patch), time * CLOCK, class_labels=condition)
        return from_patches(answer, self.patch)
