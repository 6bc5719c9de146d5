"""Small plots as data: points and ticks between 0 and 1, drawn alike on the page (SVG) and on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Point = tuple[float, float]
Ticks = tuple[tuple[str, float], ...]

INKS: Final = ("bar", "expected", "normal")
"""Colour names of the series in their order, as in style.css; three that colour-blind readers can tell apart."""
SHAPES: Final = ("circle", "square", "triangle")
"""Marks of the series in the same order, so that colour is never the only carrier."""


@dataclass(frozen=True)
class Series:
    """One line of marks. Points are (x, y) between 0 and 1, y upwards."""

    name: str
    points: tuple[Point, ...]
    ink: str
    shape: str
    joined: bool = True
    faint: bool = False
    """Small and pale: single scans behind their mean."""
    whiskers: tuple[tuple[float, float], ...] = ()
    """Low and high end at each point."""


@dataclass(frozen=True)
class Chart:
    """A plot with its axes, the band of values that pass, and a sentence for those who cannot see it."""

    title: str
    x_label: str
    y_label: str
    x_ticks: Ticks
    y_ticks: Ticks
    series: tuple[Series, ...]
    band: tuple[float, float] | None
    alt: str
    keys: tuple[Series, ...] = ()
    """Series that the key names."""


@dataclass(frozen=True)
class Axis:
    """A scale from data to 0..1."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    def at(self, value: float) -> float:
        """Where `value` lies, held within the plot."""
        place: Callable[[float], float] = math.log if self.scale == "log" else float
        share = (place(value) - place(self.low)) / (place(self.high) - place(self.low))
        return min(max(share, 0.0), 1.0)

    def points(self, pairs: Sequence[Point], y: Axis) -> tuple[Point, ...]:
        """(x, y) pairs in the plot's own coordinates."""
        return tuple((self.at(first), y.at(second)) for first, second in pairs)

    def ticks(self, values: Sequence[float], digits: int) -> Ticks:
        """Labels and places of `values`."""
        return tuple((f"{value:.{digits}f}".replace("-", "−"), self.at(value)) for value in values)


def round_top(value: float) -> float:
    """The next of 1, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten that is not below `value`."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * power for step in (1, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * (1 - 1e-9))
