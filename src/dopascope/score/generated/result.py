"""What every judgement of generated images has in common: a figure with its range, and JSON-ready data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """A judgement: figures, the n they were found on, and `method` in words."""

    method: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; nested figures become dictionaries."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % range; what the range is over stands in the `method` of the result that holds it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"
