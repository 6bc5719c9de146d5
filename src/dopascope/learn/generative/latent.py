"""Family `ldm`: an autoencoder first, then diffusion of its codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, cast

import torch
from torch import Tensor

from dopascope.learn.generative.diffusion import SETTINGS, denoiser, denoising_loss, guided
from dopascope.learn.generative.model import Batch, How, Model, Noise, Turn
from dopascope.learn.generative.plan import Plan, family
from dopascope.nets.generative.autoencoder import Autoencoder
from dopascope.nets.generative.process import PROCESSES, Name, Process
from dopascope.nets.generative.samplers import SAMPLERS, heun, invert

AT_ONCE: Final = 16
"""Images encoded at once."""
CODER: Final = "coder."
"""Before the name of every weight of the autoencoder."""


class LatentGenerator(Model):
    """Latent diffusion: Rombach et al. 2022, arXiv:2112.10752; of brains: Pinaya et al. 2022, arXiv:2209.07162.

    The autoencoder learns for the first `code_share` of the training. Then it is kept as its average, and codes, in
    units of their spread (appendix G of the first), are what diffusion learns.
    """

    guided = True
    samplers = ("dpm++", "ddim", "ancestral", "heun", "euler")
    usual_steps = 20
    settled: Tensor
    code_mean: Tensor
    code_spread: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.coder = Autoencoder(
            plan.shape,
            width=plan.number("code_width"),
            patch=plan.number("code_patch"),
            halvings=plan.number("code_halvings"),
            channels=plan.number("code_channels"),
        )
        self.net = denoiser(plan, self.coder.code_shape)
        channels = (1, self.coder.code_shape[0], *[1] * (len(plan.shape) - 1))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))
        self.register_buffer("code_mean", torch.zeros(channels))
        self.register_buffer("code_spread", torch.ones(channels))

    @property
    def process(self) -> Process:
        """The course from a code to noise."""
        return PROCESSES[cast(Name, self.plan.settings["process"])]

    @property
    def least_epochs(self) -> int:
        """So many that one of them is the denoiser's."""
        return ceil(1 / (1 - self.plan.amount("code_share")))

    @property
    def ready(self) -> bool:
        """Whether the denoiser learns."""
        return bool(self.settled)

    def stage(self, share: float) -> int:
        """0 while the autoencoder learns, then 1."""
        return int(share >= self.plan.amount("code_share"))

    def material(self, images: Tensor, stage: int, kept: Mapping[str, Tensor], *, changing: bool) -> Tensor:
        """Images for the autoencoder; then mean and spread of their codes, unless the images change."""
        if not stage:
            return images
        if not self.settled:
            self._settle(images, kept)
        return images if changing else self._moments(images)

    def turns(self, stage: int) -> Sequence[Turn]:
        """The autoencoder, or the denoiser."""
        return [Turn(self.net, self.denoising_losses) if stage else Turn(self.coder, self.coding_losses)]

    def coding_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Absolute error and a little KL divergence (arXiv:2209.07162, section 2.1, without its other losses)."""
        mean, spread = self.coder.encode(batch.images)
        made = self.coder.decode(mean + batch.normal(mean.shape) * spread)
        error = (made.float() - batch.images).abs().mean()
        divergence = (mean.square() + spread.square() - 1 - 2 * spread.log()).float().flatten(1).sum(1).mean() / 2
        return {"coding": error + self.plan.amount("code_weight") * divergence, "kl_nats": divergence}

    def denoising_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Squared error of the velocity of codes drawn from their distributions."""
        moments = batch.images
        if batch.images.shape[1:] == self.plan.shape:
            with torch.no_grad():
                moments = torch.cat(self.coder.encode(batch.images), 1).float()
        mean, spread = moments.chunk(2, 1)
        codes = (mean + batch.normal(mean.shape) * spread - self.code_mean) / self.code_spread
        return {"velocity": denoising_loss(self.net, self.process, batch, codes, self.forgetful(batch))}

    def draw(self, condition: Tensor, noise: Noise, how: How) -> Tensor:
        """Codes from noise by a sampler, decoded."""
        velocity = guided(self.net, condition, how.guidance)
        shape = self.coder.code_shape
        return self._decoded(SAMPLERS[how.sampler](velocity, self.process, lambda: noise(shape), how.steps))

    def encode(self, images: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The noise that their codes would be drawn from."""
        codes = (self.coder.encode(images)[0] - self.code_mean) / self.code_spread
        return invert(guided(self.net, condition, 1.0), self.process, codes, steps)

    def decode(self, code: Tensor, condition: Tensor, steps: int) -> Tensor:
        """From this noise, by Heun's method, decoded."""
        return self._decoded(heun(guided(self.net, condition, 1.0), self.process, lambda: code, steps))

    def _decoded(self, codes: Tensor) -> Tensor:
        return self.coder.decode(codes * self.code_spread + self.code_mean)

    def _settle(self, images: Tensor, kept: Mapping[str, Tensor]) -> None:
        """Go on with the averaged autoencoder, and take the scale of its codes."""
        weights = {name.removeprefix(CODER): value for name, value in kept.items() if name.startswith(CODER)}
        if weights:
            self.coder.load_state_dict(weights)
        mean, spread = self._moments(images).chunk(2, 1)
        over = [0, *range(2, mean.ndim)]
        centre = mean.mean(over, keepdim=True)
        self.code_mean.copy_(centre)
        self.code_spread.copy_(((mean - centre).square() + spread.square()).mean(over, keepdim=True).sqrt())
        self.settled.fill_(True)

    @torch.no_grad()
    def _moments(self, images: Tensor) -> Tensor:
        return torch.cat([torch.cat(self.coder.encode(part), 1).float() for part in images.split(AT_ONCE)])


@family(
    "ldm",
    axes=(2, 3),
    description="diffusion of an autoencoder's codes",
    settings={
        **SETTINGS,
        "halvings": 1,
        "patch": 1,
        "process": "cosine",
        "code_width": 16,
        "code_patch": 2,
        "code_halvings": 1,
        "code_channels": 4,
        "code_weight": 1e-6,
        "code_share": 0.4,
    },
)
def build(plan: Plan) -> Model:
    """Latent diffusion."""
    return LatentGenerator(plan)
