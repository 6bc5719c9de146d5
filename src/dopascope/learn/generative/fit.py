"""The loop of all generators, whole and visible: images lie on the device, averaged weights are kept beside."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from dopascope.augment import Pipeline
from dopascope.errors import DopascopeError, UsageError
from dopascope.learn import checkpoint
from dopascope.learn.fit import fabric, memory_format
from dopascope.learn.generative.examples import Conditions, Examples, examples_of
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.model import Batch, Model, Turn
from dopascope.learn.generative.plan import Plan, build
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.learn.sampling import seed_of
from dopascope.nets.generative.condition import asked

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FIRST_WEIGHTS: Final = 1
"""Stands for the drawing of first weights among a training's seeds; epochs count from 0 on batch 0."""


@dataclass(frozen=True)
class GeneratorEpoch:
    """One line of a training's log."""

    epoch: int
    """From 1."""
    learning_rate: float
    losses: dict[str, float]
    """Means over the epoch, by the family's names."""
    images: int
    """That were learned from in this epoch."""
    seconds: float


@dataclass(frozen=True)
class Look:
    """Sample grids while it learns."""

    see: Callable[[int, Tensor], None]
    """Told of the epoch and images (classes, each, C, ...) drawn with the averaged weights, always of one seed."""
    every: int = 10
    """Epochs."""
    each: int = 4
    """Images of each class."""


def fit_generator(
    plan: Plan,
    images: Tensor,
    classes: Sequence[str],
    conditions: Conditions | None,
    recipe: GeneratorRecipe,
    *,
    seed: int,
    folder: Path | None = None,
    progress: Callable[[GeneratorEpoch], None] = lambda _: None,
    augment: Pipeline | None = None,
    look: Look | None = None,
    on: Fabric | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator:
    """Fit a generator of any family.

    With a folder, ends of epochs are kept there; the same call goes on from the last, and on the CPU ends with the same
    weights bit for bit as if it had never been interrupted: everything random in an epoch follows from its number.
    A limit of minutes makes shares of the training, and so warm-ups, follow the clock; what is kept of it goes on.

    Args:
        plan: what is fitted.
        images: (N, C, I, J[, K]) in any unit.
        classes: the class of each, by name.
        conditions: values by name, one for each image; NaN is not known.
        recipe: how.
        seed: of first weights, order and everything drawn.
        folder: of checkpoint and log.
        progress: told of every epoch.
        augment: changes of training images; what it changes the generator will draw, too.
        look: sample grids while it learns.
        on: the device; the best single one when omitted.
        clock: what minutes are counted by, in seconds; `time.process_time` on a CPU that others use, too.

    Raises:
        UsageError: arguments that are not the plan's, too few epochs, or a folder with the checkpoint of another
            training.
        UnsuitableError: images or conditions that nothing can be learned from.
        DopascopeError: the training has come to infinite losses.
    """
    examples = examples_of(plan, images, classes, conditions)
    key = _key(plan, recipe, seed, augment, examples)
    if folder:
        _check_folder(folder, key)
    device = on or fabric(recipe.precision)
    torch.manual_seed(seed_of(seed, 0, FIRST_WEIGHTS))
    model = build(plan)
    _check_epochs(model, recipe)
    model.adjust(examples.images, examples.values)
    training = _Training(device, model, recipe, seed, augment, examples, clock)
    state = checkpoint.load(folder, key, model, training.optimiser, GeneratorEpoch) if folder else None
    state = state or checkpoint.State(best=_copy(model))
    state.best = {name: value.to(device.device) for name, value in (state.best or {}).items()}
    made = Generator(model, _facts(plan, recipe, seed, augment, examples, key))
    keep = checkpoint.Keeper[GeneratorEpoch](folder, key, model, training.optimiser)
    while len(state.log) < recipe.epochs and not state.stopped:
        training.epoch(state)
        if recipe.minutes is not None and sum(one.seconds for one in state.log) >= 60 * recipe.minutes and model.ready:
            state.stopped = "time limit"
        keep(state, recipe.epochs)
        progress(state.log[-1])
        if look and len(state.log) % look.every == 0:
            _look(made, look, state, seed)
    assert state.best is not None
    model.load_state_dict(state.best)
    model.eval().requires_grad_(True)
    made.training = {**made.training, "epochs": len(state.log), "stopped": state.stopped or "all epochs"}
    return made


class _Training:
    """What one training holds in memory."""

    def __init__(
        self,
        device: Fabric,
        model: Model,
        recipe: GeneratorRecipe,
        seed: int,
        augment: Pipeline | None,
        examples: Examples,
        clock: Callable[[], float],
    ) -> None:
        self.device, self.model, self.recipe, self.seed = device, model, recipe, seed
        self.clock = clock
        self.augment = augment if augment and augment.steps else None
        layout = memory_format(model.plan.shape)
        model.to(memory_format=layout)  # type: ignore[call-overload]
        adam = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=model.betas, weight_decay=recipe.weight_decay
        )
        _, self.optimiser = device.setup(model, adam)
        self.classes = examples.classes
        here = device.device
        with torch.no_grad():
            self.images = model.scaled(examples.images.to(here)).contiguous(memory_format=layout)
            self.condition = asked(examples.classes.to(here), model.scaled_values(examples.values.to(here)))
        self.stage, self.material = -1, self.images

    def epoch(self, state: checkpoint.State[GeneratorEpoch]) -> None:
        """One pass over the images, added to the log."""
        started = self.clock()
        number, share, kept = len(state.log), self._share(state), state.best
        assert kept is not None
        rate = self.recipe.rate(share)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        stage = self.model.stage(share)
        if stage != self.stage:
            self.material = self.model.material(self.images, stage, kept, changing=self.augment is not None)
            self.stage = stage
        turns = self.model.turns(stage)
        batches = self._order(number)
        totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device.device))
        for place, indices in enumerate(batches):
            batch = self._batch(indices, share, seed_of(self.seed, number, place + 1))
            for turn in turns:
                for name, value in self._turn(turn, batch).items():
                    totals[name] += value.detach().float() * len(indices)
            self._average(kept, number * len(batches) + place)
        seen = len(self.images)
        losses = {name: float(total) / seen for name, total in totals.items()}
        _check_finite(number + 1, losses)
        state.log.append(GeneratorEpoch(number + 1, rate, losses, seen, self.clock() - started))
        state.losses.append(next(iter(losses.values())))

    def _share(self, state: checkpoint.State[GeneratorEpoch]) -> float:
        """Of the training that is over, by epochs or by time, whichever is further."""
        share = len(state.log) / self.recipe.epochs
        if self.recipe.minutes is not None:
            share = max(share, sum(one.seconds for one in state.log) / (60 * self.recipe.minutes))
        return min(1.0, share)

    def _order(self, epoch: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch))
        if self.recipe.balanced:
            counts = self.classes.bincount(minlength=len(self.model.plan.classes))
            shares = 1 / counts[self.classes].double()
            indices = torch.multinomial(shares, len(self.classes), replacement=True, generator=generator)
        else:
            indices = torch.randperm(len(self.classes), generator=generator)
        return list(indices.chunk(ceil(len(indices) / self.recipe.batch)))

    def _batch(self, indices: Tensor, share: float, seed: int) -> Batch:
        """Images of these places, changed where they are to be, with a generator of the batch's own."""
        here = self.device.device
        images = self.material[indices.to(here)]
        if self.augment:
            drawn = self.augment.draw(len(indices), tuple(images.shape[1:]), seed)
            images, _ = self.augment.apply(self.model.unscaled(images), drawn, seed)
            images = self.model.scaled(images)
        images = images.contiguous(memory_format=memory_format(images.shape[1:]))
        torch.manual_seed(seed)
        return Batch(images, self.condition[indices.to(here)], share, torch.Generator(here).manual_seed(seed))

    def _turn(self, turn: Turn, batch: Batch) -> dict[str, Tensor]:
        """One step of the optimiser for one part, the others as they are; its losses."""
        self.model.requires_grad_(False)
        turn.part.requires_grad_(True)
        with self.device.autocast():
            losses = dict(turn.losses(batch))
        self.device.backward(next(iter(losses.values())))
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(turn.part.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return losses

    @torch.no_grad()
    def _average(self, kept: dict[str, Tensor], step: int) -> None:
        """Move the averaged weights towards the present ones; what is no weight is copied."""
        move = 1 - self.recipe.averaging(step)
        learned = dict(self.model.named_parameters())
        for name, value in self.model.state_dict().items():
            if name in learned:
                kept[name].lerp_(value, move)
            else:
                kept[name].copy_(value)


def _look(made: Generator, look: Look, state: checkpoint.State[GeneratorEpoch], seed: int) -> None:
    """Show images drawn with the averaged weights, and put the present ones back."""
    assert state.best is not None
    model, present = made.model, _copy(made.model)
    model.load_state_dict(state.best)
    model.eval()
    names = [name for name in made.plan.classes for _ in range(look.each)]
    drawn = made.sample(names, seed=seed)
    model.load_state_dict(present)
    look.see(len(state.log), drawn.unflatten(0, (len(made.plan.classes), look.each)))


def _copy(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _check_finite(epoch: int, losses: dict[str, float]) -> None:
    for name, value in losses.items():
        if not isfinite(value):
            raise DopascopeError(
                "The training has come to a loss that is no number.",
                where=f"epoch {epoch}, {name}",
                found=value,
                expected="a finite number",
                fix="Lower the learning rate, and start anew in another folder.",
            )


def _check_epochs(model: Model, recipe: GeneratorRecipe) -> None:
    if recipe.epochs < model.least_epochs:
        raise UsageError(
            "So short a training does not reach its last stage.",
            where="training.epochs",
            found=recipe.epochs,
            expected=f"{model.least_epochs} or more",
            fix="Give it more epochs.",
        )


def _check_folder(folder: Path, key: str) -> None:
    found = checkpoint.key_of(folder)
    if found not in (None, key):
        raise UsageError(
            "The folder holds the checkpoint of another training.",
            where=folder / checkpoint.FILE,
            found=found,
            expected=key,
            fix="Go on with the same plan, recipe, seed and images; or choose another folder.",
        )


def _facts(
    plan: Plan, recipe: GeneratorRecipe, seed: int, augment: Pipeline | None, examples: Examples, key: str
) -> dict[str, Any]:
    return {
        "images": len(examples.images),
        "classes": examples.counts(plan),
        "data_sha256": examples.sha256(),
        "recipe": asdict(recipe),
        "seed": seed,
        "augment": [name for name, _ in augment.steps] if augment else [],
        "key": key,
    }


def _key(plan: Plan, recipe: GeneratorRecipe, seed: int, augment: Pipeline | None, examples: Examples) -> str:
    """Of everything that a checkpoint belongs to, with the family's name in front for people."""
    digest = hashlib.sha256(json.dumps(plan.as_dict(), sort_keys=True).encode())
    digest.update(repr((recipe, seed, augment)).encode())
    digest.update(examples.sha256().encode())
    return f"{plan.family} {digest.hexdigest()}"
