"""How a network is trained: every number of it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dopascope.errors import UsageError

Imbalance = Literal["both", "loss", "sampler", "none"]


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one training."""

    epochs: int
    batch: int
    learning_rate: float
    optimiser: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "plateau", "step", "cosine"] = "constant"
    factor: float = 0.5
    """By which `plateau` and `step` lower the rate."""
    every: int = 10
    """Epochs between steps, or that `plateau` waits for a better loss."""
    floor: float = 0.0
    """Rate below which no schedule goes."""
    early_stopping: int = 0
    """Epochs without a better validation loss after which training ends; 0 trains all epochs."""
    imbalance: Imbalance = "none"
    positive_weight: float = 1.0
    """Weight of errors on positives against those on negatives, beside `imbalance`: above 1 for a sensitive network."""
    grade_weight: float = 0.0
    """Weight of the regional grades' loss beside the scan's."""
    precision: Literal["32", "bf16"] = "32"
    minutes: float | None = None
    """Training ends at the first end of an epoch after so much time; None for all epochs."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate", "every", "positive_weight"):
            if getattr(self, name) <= 0:
                raise _wrong(name, getattr(self, name), "above 0")
        if not 0 < self.factor <= 1:
            raise _wrong("factor", self.factor, "above 0 and at most 1")

    def effective_prior(self, prior: float) -> float:
        """The share of positives that the loss behaves as if it saw, with `prior` in the data.

        Weighted loss and weighted sampling each balance the classes; both together turn the imbalance round.
        """
        odds = prior / (1 - prior)
        balancings = {"both": 2, "loss": 1, "sampler": 1, "none": 0}[self.imbalance]
        seen = odds * odds**-balancings * self.positive_weight
        return seen / (1 + seen)


def _wrong(name: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "This training cannot be meant.", where=f"training.{name}", found=found, expected=expected, fix="Correct it."
    )
