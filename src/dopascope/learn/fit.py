"""The training loop, whole and visible: the cohort lies on the device, and nothing waits for data."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dopascope.augment import Pipeline
from dopascope.learn import checkpoint, sampling, schedule
from dopascope.learn.log import Epoch
from dopascope.learn.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # which precision is in the plan
NO_GRADE = -1
"""Of a region whose grade is not known."""
MIRRORED_REGIONS = (1, 0, 3, 2)
"""Right and left of caudate and putamen exchanged; regions in the order of `nets.dat_spect`."""


@dataclass(frozen=True)
class Examples:
    """Images and what is true of them."""

    images: Tensor
    """(N, C, I, J[, K]) in units of the intensity scale."""
    positive: Tensor
    """(N,) of bool."""
    grades: Tensor | None = None
    """(N, regions) of int, `NO_GRADE` where not known; one region is the scan with its class."""

    def to(self, device: torch.device) -> Examples:
        """The same on a device, laid out as networks take them fastest."""
        grades = None if self.grades is None else self.grades.to(device)
        images = self.images.to(device, memory_format=memory_format(self.images.shape[1:]))
        return Examples(images, self.positive.to(device), grades)


@dataclass
class Trained:
    """What a training came to."""

    net: nn.Module
    """With the weights of the best epoch where there is validation and early stopping, else of the last."""
    log: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = "all epochs"
    """Why it ended: `all epochs`, `early stopping` or `time limit`."""


class Standardised(nn.Module):
    """A network behind the scaling of its images: less the mean, over the spread, of its training images."""

    mean: Tensor
    spread: Tensor

    def __init__(self, net: nn.Module, channels: int, axes: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.zeros(1, channels, *[1] * axes))
        self.register_buffer("spread", torch.ones(1, channels, *[1] * axes))

    def adjust(self, images: Tensor) -> None:
        """Take mean and spread of each channel from images (N, C, ...)."""
        over = [0, *range(2, images.ndim)]
        self.mean.copy_(images.mean(over, keepdim=True))
        self.spread.copy_(images.std(over, keepdim=True).clamp_min(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) in units of the intensity scale to the network's answer."""
        answer: Tensor = self.net((x - self.mean) / self.spread)
        return answer


def memory_format(shape: Sequence[int]) -> torch.memory_format:
    """How images `(C, I, J[, K])` lie in memory: channels last, 1.1 to 1.5 times faster."""
    return torch.channels_last if len(shape) == 3 else torch.channels_last_3d


def logit_of(answer: Tensor) -> Tensor:
    """The logit of "abnormal" (B,) of any network here: all of the answer, or its first column."""
    return answer if answer.ndim == 1 else answer[:, 0]


def fabric(precision: str = "32", *, devices: int = 1, nodes: int = 1) -> Fabric:
    """Lightning Fabric on the best device there is, for `devices` processes where torchrun or Slurm started them."""
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # which precision is in the plan
    made = Fabric(
        accelerator="auto",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    made.launch()
    return made


def fit(
    net: nn.Module,
    train: Examples,
    recipe: Recipe,
    *,
    seed: int,
    augment: Pipeline | None = None,
    validation: Examples | None = None,
    folder: Path | None = None,
    progress: Callable[[Epoch], None] = lambda _: None,
    on: Fabric | None = None,
) -> Trained:
    """Train `net` in place.

    With a folder, ends of epochs are kept there; the same call goes on from the last, and on the CPU ends with the same
    weights bit for bit as if it had never been interrupted: everything random in an epoch follows from its number.

    Args:
        net: takes images as they are in `train` (see `Standardised`).
        train: what is learned from.
        recipe: how.
        seed: of order, augmentation and drop-out; the first weights are the caller's.
        augment: changes of training images.
        validation: watched by plateau and early stopping, never learned from.
        folder: of checkpoint and log.
        progress: told of every epoch.
        on: the devices; the best single one when omitted.
    """
    device = on or fabric(recipe.precision)
    net.to(memory_format=memory_format(train.images.shape[1:]))  # type: ignore[call-overload]
    examples = train.to(device.device)
    watched = None if validation is None else validation.to(device.device)
    model, optimiser = device.setup(net, _optimiser(net, recipe))
    key = _key(recipe, seed, augment, train)
    state = checkpoint.load(folder, key, net, optimiser, Epoch) if folder else None
    state = state or checkpoint.State()
    keep = checkpoint.Keeper[Epoch](folder if device.is_global_zero else None, key, net, optimiser)
    while len(state.log) < recipe.epochs and not state.stopped:
        started = time.monotonic()
        lowered = schedule.rate(recipe, state.losses)
        for group in optimiser.param_groups:
            group["lr"] = lowered
        loss, accuracy = _epoch(device, model, optimiser, examples, recipe, augment, seed, len(state.log))
        seen = None if watched is None else evaluate(net, watched, recipe)
        seconds = time.monotonic() - started
        watched_loss, watched_accuracy = seen or (None, None)
        done = Epoch(len(state.log) + 1, lowered, loss, accuracy, watched_loss, watched_accuracy, seconds)
        _note(state, net, recipe, done)
        keep(state, recipe.epochs)
        progress(state.log[-1])
    if state.best is not None:
        net.load_state_dict(state.best)
    return Trained(net.eval(), state.log, state.best_epoch, state.stopped or "all epochs")


def _note(state: checkpoint.State[Epoch], net: nn.Module, recipe: Recipe, done: Epoch) -> None:
    """Add an epoch to the log, and decide whether it was the last."""
    state.log.append(done)
    state.losses.append(done.train_loss if done.validation_loss is None else done.validation_loss)
    if recipe.early_stopping and done.validation_loss is not None:
        if all(done.validation_loss < earlier for earlier in state.losses[:-1]):
            state.best = {name: value.detach().clone() for name, value in net.state_dict().items()}
            state.best_epoch = done.epoch
        if schedule.stop_early(recipe, state.losses):
            state.stopped = "early stopping"
    else:
        state.best_epoch = done.epoch
    if recipe.minutes is not None and sum(one.seconds for one in state.log) >= 60 * recipe.minutes:
        state.stopped = state.stopped or "time limit"


def _epoch(
    device: Fabric,
    model: Any,
    optimiser: Any,
    examples: Examples,
    recipe: Recipe,
    augment: Pipeline | None,
    seed: int,
    epoch: int,
) -> tuple[float, float]:
    """One pass over the examples; mean loss and accuracy as they were when each batch was learned from."""
    model.train()
    truth = examples.positive.cpu()
    weights = sampling.loss_weights(truth, recipe).to(examples.images.device)
    totals = torch.zeros(3, device=examples.images.device)
    for number, indices in enumerate(sampling.order(truth, recipe, seed, epoch), 1):
        own = indices[device.global_rank :: device.world_size]
        draw_seed = sampling.seed_of(seed, epoch, number)
        images, mirrored = _changed(examples.images[own], indices, device, augment, draw_seed)
        images = images.contiguous(memory_format=memory_format(images.shape[1:]))
        torch.manual_seed(draw_seed)
        answer = model(images)
        each = _losses(answer, examples, own, mirrored, recipe) * weights[own]
        # Processes are averaged; each counts as much as it holds of the batch.
        loss = each.sum() * device.world_size / len(indices)
        device.backward(loss)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        right = (logit_of(answer.detach()) > 0) == examples.positive[own]
        totals += torch.stack([each.detach().sum(), right.sum(), torch.full_like(loss.detach(), len(own))])
    totals = device.all_reduce(totals, reduce_op="sum")  # type: ignore[assignment]
    return float(totals[0] / totals[2]), float(totals[1] / totals[2])


def _changed(
    images: Tensor, indices: Tensor, device: Fabric, augment: Pipeline | None, seed: int
) -> tuple[Tensor, Tensor]:
    """This process's share of a batch after augmentation, drawn for the whole batch."""
    if augment is None or not augment.steps:
        return images, torch.zeros(len(images), dtype=torch.bool)
    drawn = augment.draw(len(indices), tuple(images.shape[1:]), seed)
    own = slice(device.global_rank, None, device.world_size)
    return augment.apply(images, [{name: value[own] for name, value in one.items()} for one in drawn], seed)


def _losses(answer: Tensor, examples: Examples, own: Tensor, mirrored: Tensor, recipe: Recipe) -> Tensor:
    """The loss (B,) of each image, before weights: cross-entropy of the scan, and of its regions' grades."""
    truth = examples.positive[own].to(answer.dtype)
    loss = functional.binary_cross_entropy_with_logits(logit_of(answer).float(), truth.float(), reduction="none")
    if not recipe.grade_weight or examples.grades is None or answer.ndim == 1:
        return loss
    grades = examples.grades[own]
    if grades.shape[1] == len(MIRRORED_REGIONS):
        turned = grades[:, list(MIRRORED_REGIONS)]
        grades = torch.where(mirrored.to(grades.device)[:, None], turned, grades)
    scores = answer[:, 1:].float().unflatten(1, (grades.shape[1], -1)).transpose(1, 2)
    regional = functional.cross_entropy(scores, grades, ignore_index=NO_GRADE, reduction="none").mean(1)
    return loss + recipe.grade_weight * regional


@torch.inference_mode()
def evaluate(net: nn.Module, examples: Examples, recipe: Recipe) -> tuple[float, float]:
    """Mean loss, without weights, and accuracy."""
    scores = answers(net, examples.images, batch=max(recipe.batch, 32))
    logits = logit_of(scores)
    truth = examples.positive.to(logits.device)
    loss = functional.binary_cross_entropy_with_logits(logits, truth.float())
    return float(loss), float(((logits > 0) == truth).float().mean())


@torch.inference_mode()
def answers(net: nn.Module, images: Tensor, *, batch: int = 32) -> Tensor:
    """The network's answers (N, ...) for images (N, C, ...), each judged alone."""
    was = net.training
    net.eval()
    device = next(net.parameters()).device
    found = torch.cat([net(part.to(device)).float() for part in images.split(batch)])
    net.train(was)
    return found


def _optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    kinds: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[recipe.optimiser](net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def weights_sha256(net: nn.Module) -> str:
    """SHA-256 of all weights and their names."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _key(recipe: Recipe, seed: int, augment: Pipeline | None, train: Examples) -> str:
    """Of everything that a checkpoint belongs to; one of another training is not gone on from."""
    digest = hashlib.sha256(repr((recipe, seed, augment)).encode())
    digest.update(train.positive.cpu().numpy().tobytes())
    digest.update(train.images[:: max(1, len(train.images) // 16)].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
