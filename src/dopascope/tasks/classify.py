"""A network that tells abnormal scans from normal ones: images with their labels in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope.augment import parse
from dopascope.errors import UsageError
from dopascope.learn.fit import Examples, Standardised, Trained, answers, fit, logit_of
from dopascope.learn.log import Epoch
from dopascope.learn.recipe import Recipe
from dopascope.learn.sampling import seed_of
from dopascope.nets import create, known
from dopascope.nets.classes import CLASSES
from dopascope.nets.dat_spect import GRADES, REGIONS
from dopascope.nets.weights import fill
from dopascope.space.views import VIEWS
from dopascope.tasks.coloured import Colour, in_colour

GRADING = (1 + REGIONS * GRADES,)
"""Shape of the answer of networks that grade regions beside the scan's logit."""
CLASSING = (1 + CLASSES,)
"""The same of networks that tell several classes apart: the logit of the first against the others, then all."""
FIRST_WEIGHTS = 1
"""Stands for the drawing of first weights among a training's seeds; epochs count from 0 on batch 0."""


@dataclass(frozen=True)
class Sight:
    """How a network's image is made of a view: scaled, cut, cropped."""

    view: str
    intensity: tuple[str, ...]
    top: float
    crop: tuple[tuple[int, int], ...] = ()
    colour: Colour = "none"
    """`grey` or `pseudocolour`: one slice at one scale as three channels."""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise _wrong("view", self.view, ", ".join(VIEWS))
        axes = VIEWS[self.view].shape[1:]
        fits = all(0 <= start < stop <= size for (start, stop), size in zip(self.crop, axes, strict=False))
        if self.crop and (len(self.crop) != len(axes) or not fits):
            raise _wrong("crop", list(self.crop), f"a range inside each axis of {axes}")
        if self.colour != "none" and (
            len(VIEWS[self.view].shape) != 3 or VIEWS[self.view].shape[0] * len(self.intensity) != 1
        ):
            raise _wrong("colour", self.view, "a view of one slice, at one intensity")

    @property
    def channels(self) -> int:
        """Of the image."""
        return VIEWS[self.view].shape[0] * len(self.intensity) if self.colour == "none" else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image, with its channels."""
        axes = [stop - start for start, stop in self.crop] or VIEWS[self.view].shape[1:]
        return (self.channels, *axes)

    def images(self, view: NDArray[np.float32], references: Sequence[dict[str, float]]) -> torch.Tensor:
        """Images (N, C, I, J[, K]) of raw views, each divided by its own scan's reference values, from 0 to 1.

        Args:
            view: (N, C, I, J[, K]), raw intensities.
            references: of each scan, by intensity method.
        """
        ranges = (slice(None), slice(None), *(slice(start, stop) for start, stop in self.crop))
        cut = view[ranges]
        scaled = []
        for method in self.intensity:
            divisor = np.array([one[method] * self.top for one in references], np.float32)
            scaled.append(np.clip(cut / divisor.reshape(-1, *[1] * (cut.ndim - 1)), 0, 1))
        found = np.concatenate(scaled, 1)
        return torch.from_numpy(found if self.colour == "none" else in_colour(found[:, 0], self.colour))


def new_network(
    name: str, sight: Sight, seed: int, weights: dict[str, torch.Tensor] | None, where: object
) -> Standardised:
    """The network for these images, with first weights drawn from the seed and `weights` taken over.

    Raises:
        UsageError: there is no such network, or it does not take such images.
        BundleError: the weights are another network's.
    """
    network = known(name)
    if len(network.input_shape) != len(sight.shape):
        raise _wrong("view", sight.view, f"a view of {len(network.input_shape) - 1} axes, which {name} takes")
    torch.manual_seed(seed_of(seed, 0, FIRST_WEIGHTS))
    net = create(name, channels=sight.channels)
    if weights is not None:
        fill(net, weights, network, where=where)
    return Standardised(net, sight.channels, len(sight.shape) - 1)


def train(
    net: Standardised,
    images: torch.Tensor,
    positive: NDArray[np.bool_],
    recipe: Recipe,
    *,
    seed: int,
    grades: NDArray[np.int_] | None = None,
    augment: Sequence[dict[str, object]] = (),
    watched: tuple[torch.Tensor, NDArray[np.bool_]] | None = None,
    folder: Path | None = None,
    progress: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train a network on the images (N, C, ...) of `Sight` and their truth (N,); see `learn.fit.fit`.

    `grades` (N, regions) are those of regions, `NO_GRADE` where not known, for networks that answer them.
    """
    net.adjust(images)
    examples = Examples(images, torch.from_numpy(positive), None if grades is None else torch.from_numpy(grades))
    seen = None if watched is None else Examples(watched[0], torch.from_numpy(watched[1]))
    return fit(
        net,
        examples,
        recipe,
        seed=seed,
        augment=parse(augment),
        validation=seen,
        folder=folder,
        progress=progress,
    )


def logits(net: torch.nn.Module, images: torch.Tensor) -> NDArray[np.float64]:
    """Logits (N,) of "abnormal"."""
    return logit_of(answers(net, images)).double().cpu().numpy()


def logits_and_grades(
    net: torch.nn.Module, images: torch.Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Logits (N,) of "abnormal", and where there are any, probabilities of grades (N, 4, 5) or classes (N, 1, 3)."""
    said = answers(net, images)
    logits = logit_of(said).double().cpu().numpy()
    if said.shape[1:] not in (GRADING, CLASSING):
        return logits, None
    regions = REGIONS if said.shape[1:] == GRADING else 1
    return logits, said[:, 1:].double().unflatten(1, (regions, -1)).softmax(2).cpu().numpy()


def _wrong(name: str, found: object, expected: str) -> UsageError:
    return UsageError("This image cannot be made.", where=name, found=found, expected=expected, fix="Correct the plan.")
