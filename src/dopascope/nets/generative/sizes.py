"""Sizes that a network can halve and double again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dopascope.errors import UsageError

AXES: Final = "IJK"


def check_halving(shape: Sequence[int], halvings: int) -> None:
    """Refuse images `(C, I, J[, K])` of `shape` with an axis that cannot be halved `halvings` times.

    Raises:
        UsageError: with the nearest sizes that can.
    """
    unit = 2**halvings
    wrong = {axis: size for axis, size in zip(AXES, shape[1:], strict=False) if size % unit or size < unit}
    if not wrong:
        return
    raise UsageError(
        f"The network halves an image {_times(halvings)}; this one cannot be halved so often.",
        where="shape",
        found=" x ".join(str(size) for size in shape[1:]),
        expected="; ".join(f"{axis} {_near(size, unit)} instead of {size}" for axis, size in wrong.items()),
        fix=f"Crop or pad the images to multiples of {unit}, or ask for fewer halvings.",
    )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _near(size: int, unit: int) -> str:
    below, above = size // unit * unit, (size // unit + 1) * unit
    return f"{below} or {above}" if below else str(above)
