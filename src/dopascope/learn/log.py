"""What a training says of each of its epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Epoch:
    """One line of a training's log."""

    epoch: int
    """From 1."""
    learning_rate: float
    train_loss: float
    """Mean over the epoch, weighted and augmented as it was learned from."""
    train_accuracy: float
    validation_loss: float | None
    """Without weights."""
    validation_accuracy: float | None
    seconds: float


def log_text(log: Sequence[Epoch]) -> str:
    """The log as CSV with a header; what was not measured is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [one.name for one in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in asdict(one).items()} for one in log)
    return stream.getvalue()
