"""What a generator learns from, checked: images, the class of each, and values such as age."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dopascope.errors import UnsuitableError, UsageError
from dopascope.learn.generative.plan import Plan, Setting

Conditions = Mapping[str, Sequence[float]]
"""By name, one for each image; NaN is not known, or left open."""


@dataclass(frozen=True)
class Examples:
    """Training images and what they are."""

    images: Tensor
    """(N, C, I, J[, K])."""
    classes: Tensor
    """(N,) of int: places in the plan's classes."""
    values: Tensor
    """(N, V), NaN where not known."""

    def counts(self, plan: Plan) -> dict[str, int]:
        """Images by class."""
        return {name: int((self.classes == place).sum()) for place, name in enumerate(plan.classes)}

    def sha256(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256()
        for part in (self.images, self.classes, self.values):
            digest.update(part.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def plan_for(
    family: str, images: Tensor, classes: Sequence[str], conditions: Conditions | None = None, **settings: Setting
) -> Plan:
    """The plan of a family for these images, with every class and value that they have.

    Raises:
        UsageError: no such family or setting, or it does not make such images.
    """
    return Plan(family, tuple(images.shape[1:]), tuple(sorted(set(classes))), tuple(conditions or {}), settings)


def class_numbers(plan: Plan, classes: Sequence[str]) -> Tensor:
    """Places of classes `(N,)` in the plan.

    Raises:
        UsageError: the generator does not know a class.
    """
    if odd := sorted(set(classes) - set(plan.classes)):
        raise UsageError(
            "The generator does not know this class.",
            where="classes",
            found=odd[0],
            expected=", ".join(plan.classes),
            fix="Ask for a class that it was planned with.",
        )
    return torch.tensor([plan.classes.index(name) for name in classes], dtype=torch.long)


def value_table(plan: Plan, conditions: Conditions | None, count: int) -> Tensor:
    """Values `(N, V)` in the plan's order; a name left out is left open for all images.

    Raises:
        UsageError: a name that the plan does not have, another number of values than images, or an infinite value.
    """
    given = conditions or {}
    if odd := sorted(given.keys() - set(plan.conditions)):
        raise UsageError(
            "The generator does not know this condition.",
            where="conditions",
            found=odd[0],
            expected=", ".join(plan.conditions) or "none",
            fix="Leave it out, or plan the generator with it.",
        )
    table = torch.full((count, len(plan.conditions)), torch.nan)
    for place, name in enumerate(plan.conditions):
        if name in given:
            listed = np.asarray(given[name], np.float32)
            if listed.shape != (count,) or np.isinf(listed).any():
                found = "an infinite value" if np.isinf(listed).any() else f"{listed.size} values"
                raise UsageError(
                    "There must be one value for each image.",
                    where=f"conditions.{name}",
                    found=found,
                    expected=f"{count} finite values, NaN where one is open",
                    fix="Correct them.",
                )
            table[:, place] = torch.from_numpy(listed)
    return table


def examples_of(plan: Plan, images: Tensor, classes: Sequence[str], conditions: Conditions | None) -> Examples:
    """Training images and what they are, checked against the plan.

    Raises:
        UsageError: shapes, counts, classes or values that are not the plan's.
        UnsuitableError: an image that is not finite, a class without images, or a value that no image has.
    """
    if tuple(images.shape[1:]) != plan.shape:
        raise UsageError(
            "The images are not those that the generator is planned for.",
            where="images",
            found=" x ".join(str(size) for size in images.shape[1:]),
            expected=" x ".join(str(size) for size in plan.shape),
            fix="Correct the plan, or cut the images.",
        )
    if len(classes) != len(images):
        raise UsageError(
            "There must be one class for each image.",
            where="classes",
            found=f"{len(classes)} classes",
            expected=f"{len(images)}, as many as images",
            fix="Correct them.",
        )
    examples = Examples(images.float(), class_numbers(plan, classes), value_table(plan, conditions, len(images)))
    _check_enough(plan, examples)
    return examples


def _check_enough(plan: Plan, examples: Examples) -> None:
    finite = examples.images.flatten(1).isfinite().all(1)
    if not finite.all():
        raise _unsuitable(
            "A training image has voxels that are no numbers.",
            f"image {int((~finite).nonzero()[0])}",
            "not finite",
            "finite intensities",
            "Leave it out, or mend it.",
        )
    empty = [name for name, count in examples.counts(plan).items() if not count]
    if empty:
        raise _unsuitable(
            "A class has no images to learn from.",
            f"class {empty[0]}",
            "0 images",
            "1 or more of each class of the plan",
            "Give images of it, or leave the class out of the plan.",
        )
    for place, name in enumerate(plan.conditions):
        if examples.values[:, place].isnan().all():
            raise _unsuitable(
                "No image has this value.",
                f"conditions.{name}",
                "not known of any",
                "known of 1 or more",
                "Leave the value out of the plan.",
            )


def _unsuitable(what: str, where: str, found: str, expected: str, fix: str) -> UnsuitableError:
    return UnsuitableError(what, where=where, found=found, expected=expected, fix=fix)
