"""Which scan is seen when: the order of an epoch, from its seed alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dopascope.learn.recipe import Recipe


def seed_of(seed: int, epoch: int, batch: int = 0) -> int:
    """The seed of one batch; `batch` 0 is the epoch itself."""
    sequence = np.random.SeedSequence([seed, epoch, batch])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def order(truth: Tensor, recipe: Recipe, seed: int, epoch: int) -> list[Tensor]:
    """Batches of indices for one epoch.

    With a weighted sampler scans are drawn with replacement, both classes equally often (S1); else each comes once.
    A last batch of one scan joins the one before: batch statistics need two.

    Args:
        truth: (N,) of bool, on the CPU.
        recipe: batch size and imbalance.
        seed: of the training.
        epoch: from 0.
    """
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    if recipe.imbalance in ("both", "sampler"):
        indices = torch.multinomial(_shares(truth), len(truth), replacement=True, generator=generator)
    else:
        indices = torch.randperm(len(truth), generator=generator)
    batches = list(indices.split(recipe.batch))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def loss_weights(truth: Tensor, recipe: Recipe) -> Tensor:
    """The weight (N,) of each scan in the loss, 1 on average."""
    weights = torch.ones(len(truth))
    if recipe.imbalance in ("both", "loss"):
        weights = _shares(truth) * len(truth)
    weights = torch.where(truth, weights * recipe.positive_weight, weights)
    return weights / weights.mean()


def _shares(truth: Tensor) -> Tensor:
    """(N,) that gives both classes half of the whole."""
    positives = truth.sum().clamp_min(1)
    negatives = (~truth).sum().clamp_min(1)
    return torch.where(truth, 0.5 / positives, 0.5 / negatives)
