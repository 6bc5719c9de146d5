"""One sentence about a claim, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Weight = Literal["impossible", "suspect", "note"]


@dataclass(frozen=True)
class Finding:
    """What two numbers of a claim say of each other."""

    kind: str
    """Name that a program can look for, such as `hard_labels`."""
    weight: Weight
    """`impossible`: arithmetic forbids it. `suspect`: hardly chance. `note`: to be known beside the figures."""
    where: str
    """The set or table of folds."""
    text: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))
