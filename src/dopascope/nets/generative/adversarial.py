"""The two networks of a conditional GAN: one that draws, one that judges patches."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dopascope.nets.generative.blocks import Decoder
from dopascope.nets.generative.condition import Condition
from dopascope.nets.generative.sizes import check_halving
from dopascope.nets.torchvision_operators import declare

CONDITION: Final = 32
"""Numbers of an embedded condition."""


class Artist(nn.Module):
    """Draws an image from a random vector and a condition."""

    def __init__(
        self, shape: tuple[int, ...], classes: int, values: int, *, width: int, halvings: int, latent: int
    ) -> None:
        """Images `(C, I, J[, K])` of `shape`, `classes` classes, `values` values, vectors of `latent` numbers.

        Raises:
            UsageError: the images cannot be halved so often.
        """
        super().__init__()
        check_halving(shape, halvings)
        self.condition = Condition(classes, values, CONDITION)
        self.decoder = Decoder(shape, width=width, halvings=halvings, latent=latent, condition=CONDITION)

    def forward(self, code: Tensor, condition: Tensor) -> Tensor:
        """Vectors `(B, latent)` and what is asked for `(B, 1 + V)` to images."""
        image: Tensor = self.decoder(code, self.condition(condition))
        return image


class Critic(nn.Module):
    """MONAI's patch discriminator (Isola et al. 2017, arXiv:1611.07004) that also judges whether the condition fits.

    Spectral norm in every layer: Miyato et al. 2018, arXiv:1802.05957. The condition enters as the inner product of
    its embedding with the features of each patch: Miyato and Koyama 2018, arXiv:1802.05637, equation 3.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, values: int, *, width: int, halvings: int) -> None:
        """Images `(C, I, J[, K])` of `shape` that can be halved `halvings + 1` times."""
        super().__init__()
        check_halving(shape, halvings + 1)
        declare()
        from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

        self.patches: nn.Module = PatchDiscriminator(
            spatial_dims=len(shape) - 1,
            channels=width,
            in_channels=shape[0],
            num_layers_d=halvings,
            norm=None,  # type: ignore[arg-type]  # it takes none, and says str
            bias=True,
            last_conv_kernel_size=1,
        )
        self.condition = Condition(classes, values, width * 2**halvings)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear | nn.Embedding):
                spectral_norm(module)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        """Images and what they shall be `(B, 1 + V)` to one score for each patch `(B, 1, ...)`."""
        *_, features, scores = self.patches(images)
        embedded = self.condition(condition).reshape(*features.shape[:2], *[1] * (features.ndim - 2))
        judged: Tensor = scores + (embedded * features).mean(1, keepdim=True)
        return judged
