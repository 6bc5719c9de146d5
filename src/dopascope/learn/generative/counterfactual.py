"""One image as it would be with other values: severity moved, everything else kept.

The image keeps what the generator cannot tell: only the difference of two of its own pictures is added, one of the
image's code under the values wanted and one under the values that it has. So no change asked for is no change made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dopascope.errors import UsageError
from dopascope.learn.generative.examples import Conditions
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.model import Model


@dataclass(frozen=True)
class Counterfactual:
    """Images changed, and how they differ from those that came."""

    images: Tensor
    """(N, C, I, J[, K]) in the units of the images that came."""
    difference: Tensor
    """The same less the images that came, before rounding."""


class Editor(nn.Module):
    """A generator's change of images, as one network: what a bundle of kind `editor` is exported from."""

    def __init__(self, model: Model, *, steps: int = 10) -> None:
        """`steps` of the solver, either way, of families that have one."""
        super().__init__()
        self.model = model
        self.steps = steps

    def forward(self, images: Tensor, present: Tensor, wanted: Tensor) -> Tensor:
        """The difference to be added to images `(N, C, ...)` in their units.

        Args:
            images: as they came.
            present: what they are, `(N, 1 + V)` of `Generator.condition`.
            wanted: what they shall be; rows that equal those of `present` get a difference of exactly 0.
        """
        code = self.model.encode(self.model.scaled(images), present, self.steps)
        there = self.model.decode(code, wanted, self.steps)
        here = self.model.decode(code, present, self.steps)
        same = torch.eq(wanted, present) | (torch.isnan(wanted) & torch.isnan(present))
        unchanged = same.all(1).reshape(-1, *[1] * (images.ndim - 1))
        return torch.where(unchanged, torch.zeros_like(images), (there - here) * self.model.spread)


def counterfactual(
    generator: Generator,
    images: Tensor,
    classes: Sequence[str],
    conditions: Conditions,
    *,
    wanted: Conditions,
    wanted_classes: Sequence[str] | None = None,
    steps: int = 10,
    batch: int = 16,
) -> Counterfactual:
    """Images as they would be with other values, and, where given, of another class.

    The code of an image is a CVAE's mean, or the noise that a flow would draw it from (DDIM inversion: Song, Meng and
    Ermon 2021, section 4.3); the change of the condition alone is carried back: what Pearl calls abduction, action
    and prediction (of images: Pawlowski, Castro and Glocker 2020, arXiv:2006.06485, section 3.2).

    Args:
        generator: of a family that can tell codes, with conditions.
        images: (N, C, I, J[, K]) as it was trained on.
        classes: what they are.
        conditions: what they have: values by name, NaN where not known.
        wanted: by name; conditions not named stay as they are.
        wanted_classes: as they are when omitted.
        steps: of the solver, either way, of families that have one.
        batch: images changed at once.

    Raises:
        UsageError: a family that cannot, images of another shape, or classes or conditions that it does not know.
    """
    if tuple(images.shape[1:]) != generator.plan.shape:
        raise UsageError(
            "The images are not those that the generator is planned for.",
            where="images",
            found=" x ".join(str(size) for size in images.shape[1:]),
            expected=" x ".join(str(size) for size in generator.plan.shape),
            fix="Make them as its training images were made.",
        )
    present = generator.condition(classes, conditions)
    target = generator.condition(wanted_classes or classes, {**conditions, **wanted})
    editor = Editor(generator.model, steps=steps)
    made = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            part = slice(start, start + batch)
            made.append(editor(images[part].float().to(generator.device), present[part], target[part]).cpu())
    difference = torch.cat(made).clone() if made else images.float()
    return Counterfactual(images + difference, difference)
