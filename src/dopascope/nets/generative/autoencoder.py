"""MONAI's autoencoder with a spatial code, for latent diffusion."""

from __future__ import annotations

from torch import Tensor, nn

from dopascope.nets.generative.blocks import GROUPS
from dopascope.nets.generative.sizes import check_halving
from dopascope.nets.torchvision_operators import declare


class Autoencoder(nn.Module):
    """Images to codes on a coarser grid and back (Rombach et al. 2022, arXiv:2112.10752, section 3.1).

    In three dimensions as Pinaya et al. 2022, arXiv:2209.07162, without their adversarial and perceptual losses and
    without attention, which at these sizes costs more than it brings.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int, halvings: int, channels: int) -> None:
        """Images `(C, I, J[, K])` of `shape`; codes of `channels` channels on a grid halved `halvings` times.

        Raises:
            UsageError: the images cannot be halved so often.
        """
        super().__init__()
        check_halving(shape, halvings)
        declare()
        from monai.networks.nets.autoencoderkl import AutoencoderKL

        self.code_shape = (channels, *(size // 2**halvings for size in shape[1:]))
        self.net: nn.Module = AutoencoderKL(
            spatial_dims=len(shape) - 1,
            in_channels=shape[0],
            out_channels=shape[0],
            num_res_blocks=1,
            channels=[width * 2**level for level in range(halvings + 1)],
            attention_levels=[False] * (halvings + 1),
            latent_channels=channels,
            norm_num_groups=GROUPS,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, C, ...)` to mean and standard deviation `(B, *code_shape)` of their codes."""
        mean, spread = self.net.encode(images)  # type: ignore[operator]
        return mean, spread

    def decode(self, code: Tensor) -> Tensor:
        """Codes `(B, *code_shape)` to images."""
        images: Tensor = self.net.decode(code)  # type: ignore[operator]
        return images
