"""The run folder of a segmenter read back, by nothing but its files."""

from __future__ import annotations

import csv
import json
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnreadableError

Floats = NDArray[np.float64]
STAGES: Final = "stages"
"""Why a slice is kept: to be shown from the expert's mask to the colours."""


@dataclass(frozen=True, eq=False)
class MarkedSlice:
    """A slice as people look at it, with the expert's mask and the network's."""

    name: str
    person: str
    image: NDArray[np.float32]
    """(rows, columns), 1 being the 99.5th percentile of the scan."""
    truth: NDArray[np.bool_]
    said: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    """The largest piece of the network's mask outside the expert's."""
    sides: tuple[str, str] | None
    why: str
    dice: float | None


@dataclass(frozen=True, eq=False)
class SegmentRun:
    """Everything of a finished run."""

    plan: dict[str, Any]
    metrics: dict[str, Any]
    environment: dict[str, Any]
    log: dict[str, Floats]
    """Column -> values, an epoch each; NaN where nothing was measured."""
    example: MarkedSlice
    """A training slice."""
    shown: list[MarkedSlice]


def read_segment_run(folder: Path) -> SegmentRun:
    """The run in `folder`.

    Raises:
        UnreadableError: it is not there, not finished, or damaged.
    """
    try:
        rows = list(csv.DictReader(_text(folder / "log.csv").splitlines()))
        with np.load(folder / "pictures.npz", allow_pickle=False) as stored:
            kept = {name: stored[name] for name in stored.files}
        return SegmentRun(
            plan=tomllib.loads(_text(folder / "plan.toml")),
            metrics=json.loads(_text(folder / "metrics.json")),
            environment=json.loads(_text(folder / "environment.json")),
            log={name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]},
            example=_slices(kept, "example", ["example"], [None])[0],
            shown=_slices(
                kept,
                "shown",
                [str(one) for one in kept["why"]],
                [None if np.isnan(one) else float(one) for one in kept["dice"]],
            ),
        )
    except (ValueError, KeyError, IndexError, OSError, zipfile.BadZipFile, tomllib.TOMLDecodeError) as error:
        raise UnreadableError(
            "This is not a finished run of a segmenter, or a file of it is damaged.",
            where=folder,
            found=f"{type(error).__name__}: {error}",
            expected="plan.toml, log.csv, metrics.json, environment.json and pictures.npz",
            fix="Run dopascope segment fit again with the same table and settings; it goes on from where it was.",
        ) from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _slices(kept: Mapping[str, NDArray[Any]], name: str, why: list[str], dice: list[float | None]) -> list[MarkedSlice]:
    found = []
    for at, image in enumerate(kept[f"{name}_image"]):
        left, right = (str(one) for one in kept[f"{name}_sides"][at])
        found.append(
            MarkedSlice(
                str(kept[f"{name}_slice"][at]),
                str(kept[f"{name}_person"][at]),
                image.astype(np.float32),
                kept[f"{name}_truth"][at],
                kept[f"{name}_said"][at],
                kept[f"{name}_outside"][at],
                (left, right) if left else None,
                why[at],
                dice[at],
            )
        )
    return found
