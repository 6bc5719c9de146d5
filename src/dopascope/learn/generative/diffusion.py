"""Families `ddpm` and `rflow`: diffusion and rectified flow on voxels, one network under two courses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from dopascope.learn.generative.model import Batch, How, Model, Noise, Turn
from dopascope.learn.generative.plan import Plan, Setting, family
from dopascope.learn.torch_file import require_learn
from dopascope.nets.generative.condition import nothing
from dopascope.nets.generative.denoiser import Denoiser
from dopascope.nets.generative.process import PROCESSES, Name, Process
from dopascope.nets.generative.samplers import SAMPLERS, Velocity, heun, invert

SETTINGS: dict[str, Setting] = {
    "width": 48,
    "halvings": 2,
    "blocks": 1,
    "patch": 2,
    "attention": True,
    "drop": 0.1,
}


def denoiser(plan: Plan, shape: tuple[int, ...]) -> Denoiser:
    """The network of a plan for images, or codes, of `shape`.

    Raises:
        UsageError: it cannot halve them so often.
        MissingExtraError: what MONAI's U-Net needs is not installed.
    """
    require_learn("Diffusion", ("monai", "einops"))
    return Denoiser(
        shape,
        len(plan.classes),
        len(plan.conditions),
        width=plan.number("width"),
        halvings=plan.number("halvings"),
        blocks=plan.number("blocks"),
        patch=plan.number("patch"),
        attention=bool(plan.settings["attention"]),
    )


def denoising_loss(net: nn.Module, process: Process, batch: Batch, clean: Tensor, condition: Tensor) -> Tensor:
    """Mean squared error of the velocity at times drawn by the process, of images or codes `clean`."""
    time = process.draw_times(len(clean), batch.generator)
    noise = batch.normal(clean.shape)
    found = net(process.at(clean, noise, time), time, condition)
    error: Tensor = found.float() - process.velocity(clean, noise, time)
    return error.square().mean()


def guided(net: nn.Module, condition: Tensor, guidance: float) -> Velocity:
    """The velocity under a condition, exaggerated by classifier-free guidance.

    v = v(open) + guidance (v(condition) - v(open)): Ho and Salimans 2022, arXiv:2207.12598, equation 6, whose w is
    guidance - 1; at 1 and at 0 one evaluation is enough.
    """

    def velocity(x: Tensor, time: float) -> Tensor:
        times = torch.full((len(x),), time, device=x.device)
        if guidance == 1:
            return cast(Tensor, net(x, times, condition))
        free = net(x, times, nothing(condition))
        if guidance == 0:
            return cast(Tensor, free)
        return cast(Tensor, free + guidance * (net(x, times, condition) - free))

    return velocity


class DiffusionGenerator(Model):
    """A denoiser that learns the velocity on its course."""

    guided = True
    course: ClassVar[Name]

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.net = denoiser(plan, plan.shape)

    @property
    def process(self) -> Process:
        """The course from an image to noise."""
        return PROCESSES[self.course]

    def turns(self, stage: int) -> Sequence[Turn]:
        """All weights at once."""
        del stage
        return [Turn(self.net, self.losses)]

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Squared error of the velocity."""
        return {"velocity": denoising_loss(self.net, self.process, batch, batch.images, self.forgetful(batch))}

    def draw(self, condition: Tensor, noise: Noise, how: How) -> Tensor:
        """From noise by a sampler."""
        velocity = guided(self.net, condition, how.guidance)
        return SAMPLERS[how.sampler](velocity, self.process, lambda: noise(self.plan.shape), how.steps)

    def encode(self, images: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The noise that they would be drawn from."""
        return invert(guided(self.net, condition, 1.0), self.process, images, steps)

    def decode(self, code: Tensor, condition: Tensor, steps: int) -> Tensor:
        """From this noise, by Heun's method."""
        return heun(guided(self.net, condition, 1.0), self.process, lambda: code, steps)


class Ddpm(DiffusionGenerator):
    """Diffusion in 1000 steps."""

    course = "cosine"
    samplers = ("dpm++", "ddim", "ancestral", "heun", "euler")
    usual_steps = 20


class Rflow(DiffusionGenerator):
    """Rectified flow."""

    course = "straight"
    samplers = ("heun", "euler", "dpm++", "ddim", "ancestral")
    usual_steps = 10


@family("ddpm", axes=(2, 3), description="diffusion on voxels, cosine schedule, velocity", settings=SETTINGS)
def build_ddpm(plan: Plan) -> Model:
    """Diffusion on voxels."""
    return Ddpm(plan)


@family("rflow", axes=(2, 3), description="rectified flow on voxels", settings=SETTINGS)
def build_rflow(plan: Plan) -> Model:
    """Rectified flow on voxels."""
    return Rflow(plan)
