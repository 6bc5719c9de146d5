"""What quantification gives, as plain frozen data that goes to JSON unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

INTERVAL_LEVEL: Final = 0.95
"""Nominal coverage of every interval given here."""

INTERVAL_MEANS: Final = (
    "95 % interval of the ratio this method would give on the same head without noise and with the head's exact "
    "position: it holds errors of tilt, shift and scale of the registration and the counting noise of the image. "
    "It does not hold partial volume, anatomy that differs from the atlas, or differences between cameras."
)


@dataclass(frozen=True)
class Region:
    """A specific binding ratio, its interval, and its place among normal values where there are any.

    A value that could not be had is None and `reason` says why.
    """

    sbr: float | None
    interval: tuple[float, float] | None
    interval_level: float = INTERVAL_LEVEL
    expected: float | None = None
    z: float | None = None
    percent_expected: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Index:
    """A number derived from several regions, with the formula that made it."""

    value: float | None
    interval: tuple[float, float] | None
    unit: str
    definition: str
    reason: str | None = None


@dataclass(frozen=True)
class Quantification:
    """Binding ratios of one scan. They mean something only together with `method_id`.

    `regions` has `{caudate|putamen|anterior_putamen|posterior_putamen|striatum}_{left|right}`, left and right
    being the subject's. `reference_mean` is in the scan's own intensity units.
    """

    method_id: str
    reference_region: str
    reference_mean: float
    regions: Mapping[str, Region]
    indices: Mapping[str, Index]
    interval_means: str = INTERVAL_MEANS
    normals: str | None = None
    normals_reason: str | None = None
    warnings: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data with the names of `reading.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Quantification:
        """The quantification that `as_dict` gave, also through JSON. Raises KeyError or TypeError for anything else."""
        regions = {name: Region(**one | {"interval": _pair(one)}) for name, one in known["regions"].items()}
        indices = {name: Index(**one | {"interval": _pair(one)}) for name, one in known["indices"].items()}
        return cls(**{**known, "regions": regions, "indices": indices, "warnings": tuple(known["warnings"])})


def _pair(one: Mapping[str, Any]) -> tuple[float, float] | None:
    found = one["interval"]
    return None if found is None else (found[0], found[1])
