"""What every family of generators has in common: what is asked of it, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from dopascope.errors import UsageError
from dopascope.learn.generative.plan import Plan
from dopascope.nets.generative.condition import forget

Noise = Callable[[tuple[int, ...]], Tensor]
"""Standard normal numbers `(B, *shape)`, each image's from its own generator; new ones at each call."""


@dataclass(frozen=True)
class How:
    """How images are drawn."""

    sampler: str = ""
    steps: int = 1
    guidance: float = 1.0
    """1 follows the condition as learned, more exaggerates it, 0 ignores it."""


@dataclass(frozen=True)
class Batch:
    """What is learned from at once."""

    images: Tensor
    """(B, C, ...) in units of the spread of the training images, or what `Model.material` gave for them."""
    condition: Tensor
    """(B, 1 + V) of `nets.generative.condition.asked`."""
    share: float
    """Of the training that is over, 0 to 1."""
    generator: torch.Generator
    """Of everything random, on the device of the images."""

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of a shape."""
        return torch.randn(tuple(shape), generator=self.generator, device=self.generator.device)


@dataclass(frozen=True)
class Turn:
    """One step of an optimiser: which part learns, and from which losses."""

    part: nn.Module
    losses: Callable[[Batch], Mapping[str, Tensor]]
    """By name; the first one is what is learned from, the others are for the log."""


class Model(nn.Module):
    """A generator: networks, and the scales of the images and values that they were trained with."""

    samplers: ClassVar[tuple[str, ...]] = ()
    """Names of its samplers, the usual one first; none where images come in one step."""
    usual_steps: ClassVar[int] = 1
    guided: ClassVar[bool] = False
    """Whether classifier-free guidance is possible."""
    invertible: ClassVar[bool] = True
    """Whether it can tell the code of a given image."""
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    """Of Adam."""
    only_learning: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of weights that nothing but learning needs."""
    mean: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor
    value_mean: Tensor
    value_spread: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        each = (1, plan.shape[0], *[1] * (len(plan.shape) - 1))
        for name, start in (("mean", 0.0), ("spread", 1.0), ("low", -torch.inf), ("high", torch.inf)):
            self.register_buffer(name, torch.full(each, start))
        self.register_buffer("value_mean", torch.zeros(len(plan.conditions)))
        self.register_buffer("value_spread", torch.ones(len(plan.conditions)))

    def adjust(self, images: Tensor, values: Tensor) -> None:
        """Take the scales from training images `(N, C, ...)` and their values `(N, V)`, NaN where not known."""
        over = [0, *range(2, images.ndim)]
        self.mean.copy_(images.mean(over, keepdim=True))
        self.spread.copy_(images.std(over, keepdim=True).clamp_min(1e-6))
        self.low.copy_(images.amin(over, keepdim=True))
        self.high.copy_(images.amax(over, keepdim=True))
        for place in range(values.shape[1]):
            present = values[:, place][~values[:, place].isnan()]
            self.value_mean[place] = present.mean()
            self.value_spread[place] = present.std(correction=0).clamp_min(1e-6)

    def scaled(self, images: Tensor) -> Tensor:
        """Images as the networks take them."""
        return (images - self.mean) / self.spread

    def unscaled(self, images: Tensor) -> Tensor:
        """Images as they came."""
        return images * self.spread + self.mean

    def within(self, images: Tensor) -> Tensor:
        """Images without values below or above all of the training images."""
        return images.clamp(self.low, self.high)

    def scaled_values(self, values: Tensor) -> Tensor:
        """Values `(B, V)` in units of their spread in training."""
        return (values - self.value_mean) / self.value_spread

    def forgetful(self, batch: Batch) -> Tensor:
        """The batch's condition with parts left open by chance."""
        return forget(batch.condition, self.plan.amount("drop"), batch.generator, everything=self.guided)

    @property
    def least_epochs(self) -> int:
        """Of a training that reaches its last stage."""
        return 1

    @property
    def ready(self) -> bool:
        """Whether its last stage has begun, so that it can draw."""
        return True

    def stage(self, share: float) -> int:
        """Which stage of its training it is in after this share of it, from 0."""
        del share
        return 0

    def material(self, images: Tensor, stage: int, kept: Mapping[str, Tensor], *, changing: bool) -> Tensor:
        """What a stage is learned from, asked when it begins or is gone on with: usually the scaled images.

        Args:
            images: (N, C, ...), scaled.
            stage: that begins.
            kept: the weights by name as they would be kept now, averaged.
            changing: the images of a batch are changed before they are learned from.
        """
        del stage, kept, changing
        return images

    def turns(self, stage: int) -> Sequence[Turn]:
        """What is done with each batch in a stage, in order."""
        raise NotImplementedError

    def draw(self, condition: Tensor, noise: Noise, how: How) -> Tensor:
        """Scaled images `(B, C, ...)` of a condition `(B, 1 + V)`."""
        raise NotImplementedError

    def encode(self, images: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The codes from which `decode` makes these scaled images `(B, C, ...)`, about."""
        del images, condition, steps
        raise UsageError(
            "This generator cannot tell the code of a given image.",
            where="family",
            found=self.plan.family,
            expected="a family that can, such as cvae or rflow",
            fix="Fit one of another family.",
        )

    def decode(self, code: Tensor, condition: Tensor, steps: int) -> Tensor:
        """Scaled images `(B, C, ...)` of codes under a condition, without anything random."""
        raise NotImplementedError
