"""The registry of readers: a name, how its bytes are recognised, and the function that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from dopascope.formats.blob import Blob
from dopascope.formats.limits import Limits
from dopascope.volume import SliceImage, Volume


class Strictness(Enum):
    """What to do about a flaw that can be measured and lived with, such as uneven slice spacing."""

    IGNORE = "ignore"
    WARN = "warn"
    """Read on and record the flaw in `Source.assumed`."""
    RAISE = "raise"


@dataclass(frozen=True)
class ReadOptions:
    """What a caller may ask of any reader."""

    frame: int | None = None
    """Which volume of a 4-D file, from 0."""
    strictness: Strictness = Strictness.RAISE
    limits: Limits = field(default_factory=Limits)


ReadFunction = Callable[[Sequence[Blob], ReadOptions], Volume | SliceImage]
SniffFunction = Callable[[Blob], bool]


@dataclass(frozen=True)
class Reader:
    """One format: `sniff` looks at the first bytes and the name only; `read` raises typed errors only."""

    name: str
    sniff: SniffFunction
    read: ReadFunction
    description: str
    series: bool = False
    """True where several blobs make one image (a DICOM series)."""


READERS: dict[str, Reader] = {}


def reader(
    name: str, *, sniff: SniffFunction, description: str, series: bool = False
) -> Callable[[ReadFunction], ReadFunction]:
    """Decorator that registers a reader. Every registered reader runs the conformance suite in the tests."""

    def register(read: ReadFunction) -> ReadFunction:
        READERS[name] = Reader(name, sniff, read, description, series)
        return read

    return register
