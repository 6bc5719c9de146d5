"""How a generator is trained: every number of it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from dopascope.errors import UsageError


@dataclass(frozen=True)
class GeneratorRecipe:
    """The hyperparameters of one training. The usual ones suit every family at the sizes that a CPU can train."""

    epochs: int
    batch: int = 16
    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    """`cosine` falls to 0 at the end of the last epoch."""
    average: float = 0.999
    """Of the moving average of weights that images are drawn with; it starts faster, see `averaging`."""
    clip: float = 1.0
    """Largest norm of all gradients of a step; 0 for none."""
    balanced: bool = False
    """Images are drawn with replacement, all classes equally often; else each comes once in an epoch."""
    precision: Literal["32", "bf16"] = "32"
    minutes: float | None = None
    """Training ends at the first end of an epoch after so much time; None for all epochs."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise _wrong(name, getattr(self, name), "above 0")
        if not 0 <= self.average < 1:
            raise _wrong("average", self.average, "from 0 to below 1")
        if self.minutes is not None and self.minutes <= 0:
            raise _wrong("minutes", self.minutes, "above 0, or none")

    def rate(self, share: float) -> float:
        """The learning rate of an epoch that begins after this share of the training."""
        return self.learning_rate * (1 + cos(pi * share)) / 2 if self.schedule == "cosine" else self.learning_rate

    def averaging(self, step: int) -> float:
        """How much of the average stays at a step, from 0: (1 + step) / (10 + step) at first, then `average`."""
        return min(self.average, (1 + step) / (10 + step))


def _wrong(name: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "This training cannot be meant.", where=f"training.{name}", found=found, expected=expected, fix="Correct it."
    )
