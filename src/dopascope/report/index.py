"""The page over many readings: what a demo or a batch ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class IndexEntry:
    name: str


def write_index(entries: Sequence[IndexEntry], path: Path) -> Path:
    raise NotImplementedError
