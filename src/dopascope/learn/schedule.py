"""The learning rate of each epoch."""

from __future__ import annotations

from math import cos, pi

from dopascope.learn.recipe import Recipe


def rate(recipe: Recipe, losses: list[float]) -> float:
    """The rate of the next epoch, from the losses (validation's where there is one) of all epochs so far.

    `step` lowers it every `every` epochs, `plateau` after so many without a better loss, counted anew from then
    (as PyTorch's ReduceLROnPlateau without threshold), `cosine` falls to the floor at the last epoch.
    """
    epoch, start = len(losses), recipe.learning_rate
    if recipe.schedule == "step":
        start *= recipe.factor ** (epoch // recipe.every)
    elif recipe.schedule == "cosine":
        share = epoch / max(1, recipe.epochs - 1)
        return recipe.floor + (start - recipe.floor) * (1 + cos(pi * min(1.0, share))) / 2
    elif recipe.schedule == "plateau":
        start *= recipe.factor ** _plateaus(losses, recipe.every)
    return max(start, recipe.floor)


def _plateaus(losses: list[float], patience: int) -> int:
    lowered, best, waited = 0, float("inf"), 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited > patience:
            lowered, waited = lowered + 1, 0
    return lowered


def stop_early(recipe: Recipe, losses: list[float]) -> bool:
    """Whether the best loss is `early_stopping` epochs old or older."""
    if not recipe.early_stopping or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= recipe.early_stopping
