"""One tiny generator of each family, and images of two classes that it can learn in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from dopascope.learn.generative.examples import plan_for
from dopascope.learn.generative.fit import fit_generator
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.plan import Plan, Setting
from dopascope.learn.generative.recipe import GeneratorRecipe

FLAT, SOLID = (1, 8, 12), (1, 8, 4, 12)
LEVELS = {"high": 1.0, "low": -1.0}
NOISE = 0.1


@dataclass(frozen=True)
class Case:
    """A family at a tiny size, and how long it takes to tell the two classes apart."""

    family: str
    shape: tuple[int, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    epochs: int = 30
    learning_rate: float = 3e-3

    def plan(self) -> Plan:
        """For the images of `examples`."""
        images, classes, conditions = examples(self.shape)
        return plan_for(self.family, images, classes, conditions, **self.settings)

    def recipe(self, **changes: object) -> GeneratorRecipe:
        """The usual one at this size."""
        known = {"epochs": self.epochs, "batch": 16, "learning_rate": self.learning_rate, "average": 0.9}
        return GeneratorRecipe(**(known | changes))  # type: ignore[arg-type]


SMALL = {"width": 8, "halvings": 2, "latent": 4}
UNET = {"width": 16, "halvings": 1, "attention": False}
CODED = {"code_width": 8, "code_patch": 1, "code_halvings": 1, "code_channels": 2}
CASES = {
    "cvae-2d": Case("cvae", FLAT, {**SMALL}, 12),
    "cvae-3d": Case("cvae", SOLID, {**SMALL}, 12),
    "gan-2d": Case("gan", FLAT, {**SMALL, "critic_width": 8}, 40, 2e-3),
    "ddpm-2d": Case("ddpm", FLAT, {**UNET}, 50, 5e-3),
    "ddpm-3d": Case("ddpm", SOLID, {**UNET}, 80, 5e-3),
    "rflow-2d": Case("rflow", FLAT, {**UNET}, 40, 5e-3),
    "rflow-3d": Case("rflow", SOLID, {**UNET}, 100, 5e-3),
    "ldm-2d": Case("ldm", FLAT, {**UNET, **CODED}, 40, 5e-3),
    "ldm-3d": Case("ldm", SOLID, {**UNET, **CODED}, 40, 5e-3),
}


def examples(
    shape: tuple[int, ...], count: int = 32, seed: int = 0
) -> tuple[Tensor, list[str], dict[str, list[float]]]:
    """A constant for each class, under noise; an age that means nothing and is not always known."""
    generator = torch.Generator().manual_seed(seed)
    classes = [("high", "low")[number % 2] for number in range(count)]
    levels = torch.tensor([LEVELS[name] for name in classes]).reshape(-1, *[1] * len(shape))
    images = levels + NOISE * torch.randn(count, *shape, generator=generator)
    ages = [torch.nan if number % 5 == 0 else 50.0 + number for number in range(count)]
    return images, classes, {"age": ages}


@cache
def fitted(name: str) -> Generator:
    """The generator of a case, fitted once."""
    case = CASES[name]
    return fit_generator(case.plan(), *examples(case.shape), case.recipe(), seed=1)
