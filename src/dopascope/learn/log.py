"""What a training says of each of its epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


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


def log_text(log: Sequence[DataclassInstance]) -> str:
    """The log as CSV with a header; what was not measured is empty, and what has names has a column for each."""
    rows = [_flat(one) for one in log]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [one.name for one in fields(Epoch)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _flat(line: DataclassInstance) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in asdict(line).items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
