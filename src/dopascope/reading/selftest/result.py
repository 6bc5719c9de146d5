"""What a selftest ends with, as plain frozen data that goes to JSON unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from dopascope.reading.schema import DISCLAIMER

FORM: Final = "dopascope.selftest/1"

Status = Literal["passed", "failed"]


@dataclass(frozen=True)
class Measure:
    """One figure of a line with its limit."""

    what: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    digits: int
    limit: str
    passed: bool


@dataclass(frozen=True)
class Line:
    """One line of the selftest: what was asked, found, allowed, and what a failure would mean."""

    key: str
    title: str
    asks: str
    status: Status
    n: int
    n_of: str
    """What `n` counts, such as `scans`."""
    measures: tuple[Measure, ...]
    notes: tuple[str, ...]
    """What to know beside the figures, such as scans that were not read."""
    reason: str
    failure: str


@dataclass(frozen=True)
class Selftest:
    """A whole selftest."""

    passed: bool
    seed: int
    main_camera: str
    cameras: tuple[Mapping[str, Any], ...]
    phantoms: tuple[Mapping[str, Any], ...]
    models: tuple[Mapping[str, str], ...]
    lines: tuple[Line, ...]
    tables: Mapping[str, tuple[Mapping[str, Any], ...]]
    """Name of a line -> the rows behind its figures and plots."""
    scans: int
    seconds: float
    method_id: str
    hashes: Mapping[str, str]
    software: Mapping[str, str]
    created: str
    form: str = FORM
    disclaimer: str = DISCLAIMER

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        return {"form": self.form, **asdict(self)}
