"""A number as a paper prints it: its value, and how far rounding leaves it open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,12}))?\s*(%?)", re.ASCII)
SLACK: Final = 1e-9
"""Of double precision, so that a value on the very edge of rounding counts."""


@dataclass(frozen=True)
class Reported:
    """A share between 0 and 1, from a text such as `94.03 %` or `.966`."""

    text: str
    value: float
    half: float
    """Half a unit of the last printed digit."""
    decimals: int
    """Printed digits after the point of the share: 4 for `94.03 %`."""

    @classmethod
    def of(cls, text: str) -> Reported | None:
        """The number in a text; None where it is none."""
        found = _NUMBER.fullmatch(text.strip() if not text.strip().startswith(".") else "0" + text.strip())
        if found is None:
            return None
        decimals = len(found[2] or "") + (2 if found[3] else 0)
        value = float(f"{found[1]}.{found[2] or 0}") / (100 if found[3] else 1)
        return cls(text.strip(), value, 0.5 * 10.0**-decimals, decimals)

    def allows(self, value: float) -> bool:
        """Whether `value` is printed like this, rounded either way at a tie."""
        return abs(value - self.value) <= self.half + SLACK

    def share_of(self, n: int) -> int | None:
        """The k for which k / n is printed like this; None where there is none, the nearest where there are several."""
        k = round(self.value * n)
        return next((one for one in (k, k - 1, k + 1) if 0 <= one <= n and self.allows(one / n)), None)

    def times(self, factor: float) -> Reported:
        """The same digits with the point elsewhere, as where a unit was mistaken."""
        return Reported(self.text, self.value * factor, self.half * factor, self.decimals)
