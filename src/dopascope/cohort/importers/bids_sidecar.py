"""What the JSON files of BIDS say of a scan: nearer files over those above them, fields by PET's names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dopascope.errors import UnreadableError

DAT_TRACERS: Final = (
    *("ioflupane", "fpcit", "datscan", "betacit", "bcit", "trodat", "pe2i", "altropane", "lbt999", "11ccft", "18fcft"),
    *("win35428", "cocaine", "methylphenidate"),
)
"""Tracers of the dopamine transporter, small letters and digits only."""
MAX_BYTES: Final = 1 << 20
_TRACERS: Final = ("TracerName", "Radiopharmaceutical", "TracerMolecule")
_TEXTS: Final = {
    "Manufacturer": "manufacturer",
    "ManufacturersModelName": "model",
    "CollimatorName": "collimator",
    "CollimatorType": "collimator",
    "ReconMethodName": "reconstruction",
    "ReconFilterType": "filter",
}
_FLAGS: Final = {"AttenuationCorrected": "attenuation_corrected", "ScatterCorrected": "scatter_corrected"}
_METHODS: Final = {
    "AttenuationCorrection": "attenuation_corrected",
    "ScatterCorrection": "scatter_corrected",
}
"""PET's texts that describe a correction; `none` says that there was none."""


def sidecar_of(root: Path, told: str) -> Mapping[str, Any]:
    """The fields of every JSON file that BIDS gives to a scan; the nearest wins.

    Args:
        root: the BIDS folder.
        told: the scan, relative to it.

    Raises:
        UnreadableError: one that is no JSON object, or is too large.
    """
    scan = Path(told)
    *entities, suffix = scan.name.split(".nii")[0].split("_")
    said: dict[str, Any] = {}
    for folder in reversed(scan.parents):
        inherited = [one for one in sorted((root / folder).glob("*.json")) if _is_of(one, set(entities), suffix)]
        for path in sorted(inherited, key=lambda one: one.name.count("_")):
            said |= _read(path)
    return said


def _is_of(path: Path, entities: set[str], suffix: str) -> bool:
    *named, ending = path.name.removesuffix(".json").split("_")
    return ending == suffix and set(named) <= entities


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        said = json.loads(raw) if len(raw) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, type(error).__name__) from error
    if not isinstance(said, dict):
        raise _wrong(path, f"more than {MAX_BYTES} bytes" if said is None else type(said).__name__)
    return said


def _wrong(path: Path, found: str) -> UnreadableError:
    return UnreadableError(
        "The sidecar of a scan cannot be read.",
        where=path,
        found=found,
        expected=f"a JSON object of at most {MAX_BYTES} bytes",
        fix="Correct or remove it.",
    )


def tracer_of(said: Mapping[str, Any]) -> str | None:
    """The tracer that a sidecar names."""
    return next((text for name in _TRACERS if (text := _text(said.get(name))) is not None), None)


def is_dat_tracer(name: str) -> bool:
    """Whether this is a tracer of the dopamine transporter, however it is spelt."""
    bare = "".join(mark for mark in name.casefold().replace("β", "b").replace("ß", "b") if mark.isalnum())
    return any(one in bare for one in DAT_TRACERS)


def acquisition_of(said: Mapping[str, Any]) -> dict[str, str]:
    """Columns of a cohort table that say how the scan was made."""
    found = {ours: text for key, ours in _TEXTS.items() if (text := _text(said.get(key))) is not None}
    for key, ours in _METHODS.items():
        if (text := _text(said.get(key))) is not None:
            found[ours] = "false" if text.casefold() in ("none", "no") else "true"
    for key, ours in _FLAGS.items():
        if isinstance(said.get(key), bool):
            found[ours] = "true" if said[key] else "false"
    return found


def _text(value: object) -> str | None:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if text and text.isprintable() and text.casefold() not in ("n/a", "unknown") else None
