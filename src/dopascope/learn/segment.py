"""Training of a segmenter: slices with masks in, a network out; from an endless stream or a fixed set."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from dopascope.errors import UsageError
from dopascope.learn import checkpoint
from dopascope.learn.fit import fabric
from dopascope.learn.log import Epoch
from dopascope.learn.sampling import seed_of

Loss = Literal["cross-entropy", "cross-entropy+dice"]


class Slices(Protocol):
    """Numbered training slices or volumes: image (1, I, J[, K]) float32 and mask (I, J[, K]) int64, always the same."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class SegmentRecipe:
    """How a segmenter is trained: every number of it."""

    epochs: int
    slices_per_epoch: int
    batch: int = 16
    learning_rate: float = 1e-3
    loss: Loss = "cross-entropy"
    precision: Literal["32", "bf16"] = "32"
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "slices_per_epoch", "batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(
                    "This training cannot be meant.",
                    where=f"segment.{name}",
                    found=getattr(self, name),
                    expected="above 0",
                    fix="Correct it.",
                )

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return max(1, self.slices_per_epoch // self.batch)


class _Numbered(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, slices: Slices, numbers: Sequence[int]) -> None:
        self.slices, self.numbers = slices, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        return self.slices[self.numbers[position]]


def fit_segmenter(
    net: nn.Module,
    train: Slices,
    recipe: SegmentRecipe,
    *,
    watched: Slices | None = None,
    folder: Path | None = None,
    identity: str = "",
    progress: Callable[[Epoch], None] = lambda _: None,
) -> list[Epoch]:
    """Train `net` in place with AdamW and a one-cycle rate; returns the log.

    With a folder, ends of epochs are kept there, and the same call goes on from the last; on the CPU it ends with the
    same weights bit for bit as if it had never been interrupted: everything random in an epoch follows from its number.

    Args:
        net: takes (B, 1, I, J[, K]), gives logits (B, 2 or more, I, J[, K]); its first weights are the caller's.
        train: what is learned from: an endless stream, of which every epoch takes the next slices, or a fixed set, of
            which every epoch takes a new order.
        recipe: how.
        watched: judged after each epoch, never learned from.
        folder: of checkpoint and log.
        identity: what the slices are, where their number does not tell them from those of another training.
        progress: told of every epoch.
    """
    device = fabric(recipe.precision)
    volumes = any(isinstance(one, nn.Conv3d) for one in net.modules())
    layout = torch.channels_last_3d if volumes else torch.channels_last
    net.to(memory_format=layout)  # type: ignore[call-overload]
    model, optimiser = device.setup(
        net, torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    )
    key = hashlib.sha256(f"{(recipe, len(train))!r}{identity}".encode()).hexdigest()
    state = (checkpoint.load(folder, key, net, optimiser, Epoch) if folder else None) or checkpoint.State()
    keep = checkpoint.Keeper[Epoch](folder, key, net, optimiser)
    while len(state.log) < recipe.epochs:
        started = time.monotonic()
        epoch = len(state.log)
        model.train()
        total = right = count = 0.0
        for step, (images, masks) in enumerate(_batches(train, recipe, epoch)):
            rate = _rate(recipe, epoch * recipe.steps + step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            torch.manual_seed(seed_of(recipe.seed, epoch, step + 1))  # of drop-out
            images = images.to(device.device).contiguous(memory_format=layout)
            masks = masks.to(device.device)
            loss, correct = _loss(model(images).float(), masks, recipe.loss)
            device.backward(loss)
            device.clip_gradients(model, optimiser, max_norm=1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += float(loss.detach()) * len(images)
            right += float(correct) * len(images)
            count += len(images)
        seen = None if watched is None else evaluate(net, watched, recipe)
        done = Epoch(
            epoch + 1,
            rate,
            total / count,
            right / count,
            None if seen is None else seen[0],
            None if seen is None else seen[1],
            time.monotonic() - started,
        )
        state.log.append(done)
        state.losses.append(done.train_loss)
        keep(state, recipe.epochs)
        progress(done)
    net.eval()
    return state.log


def _rate(recipe: SegmentRecipe, step: int) -> float:
    """Up over the first twentieth, then down along half a cosine to a hundredth."""
    total = recipe.epochs * recipe.steps
    warm = max(1, total // 20)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    along = torch.tensor((step - warm) / max(1, total - warm) * torch.pi)
    return recipe.learning_rate * float(0.01 + 0.99 * 0.5 * (1 + torch.cos(along)))


def _batches(slices: Slices, recipe: SegmentRecipe, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of one epoch: the next slices of a stream, or a new order of a fixed set."""
    order = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
    wanted = recipe.steps * recipe.batch
    if recipe.epochs * wanted < len(slices):
        numbers = list(range(epoch * wanted, (epoch + 1) * wanted))
    else:
        rounds = -(-wanted // len(slices))
        numbers = torch.cat([torch.randperm(len(slices), generator=order) for _ in range(rounds)])[:wanted].tolist()
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        _Numbered(slices, numbers), batch_size=recipe.batch, num_workers=recipe.workers
    )
    yield from loader


def _loss(logits: Tensor, masks: Tensor, kind: Loss) -> tuple[Tensor, Tensor]:
    """Softmax cross-entropy (S5), with the Dice of the foreground where asked; and the share of right pixels."""
    loss = functional.cross_entropy(logits, masks)
    if kind == "cross-entropy+dice":
        p = logits.softmax(1)[:, 1]
        truth = masks.float()
        both = (p * truth).sum((1, 2))
        loss = loss + (1 - (2 * both + 1) / (p.sum((1, 2)) + truth.sum((1, 2)) + 1)).mean()
    return loss, (logits.detach().argmax(1) == masks).float().mean()


@torch.inference_mode()
def evaluate(net: nn.Module, slices: Slices, recipe: SegmentRecipe) -> tuple[float, float]:
    """Mean cross-entropy of the pixels, and the Dice of the brain, its pixels pooled over all slices."""
    was = net.training
    net.eval()
    device = next(net.parameters()).device
    losses, both, sizes = [], 0.0, 0.0
    for start in range(0, len(slices), recipe.batch):
        pairs = [slices[number] for number in range(start, min(start + recipe.batch, len(slices)))]
        images = torch.stack([one for one, _ in pairs]).to(device)
        masks = torch.stack([one for _, one in pairs]).to(device)
        logits = net(images).float()
        losses.append(float(functional.cross_entropy(logits, masks)) * len(pairs))
        said = logits.argmax(1)
        both += float((said * masks).sum())
        sizes += float(said.sum() + masks.sum())
    net.train(was)
    return sum(losses) / len(slices), 2 * both / sizes if sizes else 1.0
