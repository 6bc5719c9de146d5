"""MONAI's autoencoder with a spatial code, for latent diffusion."""

from __future__ import annotations

from torch import Tensor, nn

from dopascope.nets.generative.blocks import GROUPS
from dopascope.nets.generative.patches import from_patches, to_patches
from dopascope.nets.generative.sizes import check_halving
from dopascope.nets.torchvision_operators import declare


class Autoencoder(nn.Module):
    """Images to codes on a coarser grid and back (Rombach et al. 2022, arXiv:2112.10752, section 3.1).

    In three dimensions as Pinaya et al. 2022, arXiv:2209.07162, without their adversarial and perceptual losses and
    without attention, which at these sizes costs more than it brings. As in `Denoiser`, each `patch` x `patch`
    [x `patch`] voxels become channels first: layers on the finest grid would take nearly all of its time.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int, patch: int, halvings: int, channels: int) -> None:
        """Images `(C, I, J[, K])` of `shape`; codes of `channels` channels on their grid of patches, halved so often.

        Raises:
            UsageError: the images cannot be halved so often, patches counted.
        """
        super().__init__()
        halved = halvings + patch.bit_length() - 1
        check_halving(shape, halved)
        declare()
        from monai.networks.nets.autoencoderkl import AutoencoderKL

        self.patch = patch
        self.code_shape = (channels, *(size // 2**halved for size in shape[1:]))
        folded = shape[0] * patch ** (len(shape) - 1)
        self.net: nn.Module = AutoencoderKL(
            spatial_dims=len(shape) - 1,
            in_channels=folded,
            out_channels=folded,
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
        mean, spread = self.net.encode(to_patches(images, self.patch))  # type: ignore[operator]
        return mean, spread

    def decode(self, code: Tensor) -> Tensor:
        """Codes `(B, *code_shape)` to images."""
        return from_patches(self.net.decode(code), self.patch)  # type: ignore[operator]
