"""The facts of a scan beside its NIfTI file, which has no place for them: `NAME.json` next to `NAME.nii.gz`.

Keys are those of BIDS and dcm2niix where they have one for the fact. A JSON file without our `DopascopeForm` is someone
else's and is not looked at; one with it is checked throughout, since normal values are chosen by what it says.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NoReturn

from dopascope.errors import HostileError, UnreadableError
from dopascope.formats.blob import Blob
from dopascope.provenance import write_text
from dopascope.volume import Acquisition

FORM: Final = "dopascope.sidecar/1"
FORM_KEY: Final = "DopascopeForm"
FROM_SIDECAR: Final = "how the scan was made, age and sex are what the JSON file beside it says"
MAX_BYTES: Final = 1 << 16
"""A sidecar has about a kilobyte."""
MAX_TEXT: Final = 256
MAX_LIST: Final = 32

KEYS: Final = {
    "modality": "Modality",
    "image_type": "ImageType",
    "manufacturer": "Manufacturer",
    "model": "ManufacturersModelName",
    "radiopharmaceutical": "Radiopharmaceutical",
    "radionuclide": "TracerRadionuclide",
    "collimator": "CollimatorName",
    "reconstruction": "ReconMethodName",
    "filter": "ReconFilterType",
    "attenuation_corrected": "AttenuationCorrected",
    "scatter_corrected": "ScatterCorrected",
    "corrections": "CorrectedImage",
    "activity_mbq": "InjectedRadioactivity",
    "hours_after_injection": "HoursAfterInjection",
    "frame_duration_s": "FrameDuration",
    "units": "Units",
    "age_years": "AgeYears",
    "sex": "Sex",
}
"""Field of `Acquisition` -> key; activity in MBq, durations in the unit of the field's name."""
_LARGEST: Final = {"activity_mbq": 20_000.0, "hours_after_injection": 72.0, "frame_duration_s": 1e5, "age_years": 130.0}
_SUFFIXES: Final = (".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img")


def write_sidecar(facts: Acquisition, path: str | Path) -> Path:
    """Write what is known of `facts` to the JSON file `path`, whole or not at all; returns the path."""
    known = {FORM_KEY: FORM}
    for name, key in KEYS.items():
        value = getattr(facts, name)
        if value is not None and value != ():
            known[key] = value
    write_text(Path(path), json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    return Path(path)


def sidecar_of(scan: Blob) -> Acquisition | None:
    """What the JSON file beside a NIfTI scan says, or None where there is none of ours.

    Raises:
        HostileError: it is ours by its form, but larger than `MAX_BYTES`.
        UnreadableError: it is ours, and a value cannot be meant.
    """
    beside = json_beside(scan)
    if beside is None or FORM.encode() not in beside.head(MAX_BYTES):
        return None
    if beside.size > MAX_BYTES:
        raise HostileError(
            "The JSON file beside the scan is too large.",
            where=beside.name,
            found=f"{beside.size:,} bytes",
            expected=f"at most {MAX_BYTES:,}",
            fix="Remove it, or write it again.",
        )
    try:
        said = json.loads(beside.read(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _refuse(beside, "JSON", f"not readable: {type(error).__name__}", "JSON")
    if not isinstance(said, dict) or said.get(FORM_KEY) != FORM:
        return None
    names = {key: name for name, key in KEYS.items()}
    return Acquisition(**{names[key]: _value(beside, names[key], said[key]) for key in names if key in said})


def json_beside(scan: Blob) -> Blob | None:
    """The JSON file with the name of a NIfTI scan, whoever wrote it."""
    name = scan.path.name if scan.path else scan.name
    ending = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), None)
    return scan.sibling(name[: -len(ending)] + ".json") if ending else None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _value(blob: Blob, name: str, value: Any) -> Any:
    kind = _KINDS[name]
    key = KEYS[name]
    if "bool" in kind:
        if not isinstance(value, bool):
            _refuse(blob, key, value, "true or false")
        return value
    if "float" in kind:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= _LARGEST[name]:
            _refuse(blob, key, value, f"a number, 0 to {_LARGEST[name]:g}")
        return float(value)
    if "tuple" in kind:
        if not isinstance(value, list) or len(value) > MAX_LIST or not all(map(_is_text, value)):
            _refuse(blob, key, value, f"at most {MAX_LIST} texts")
        return tuple(value)
    if not _is_text(value) or (name == "sex" and value not in ("F", "M")):
        _refuse(blob, key, value, "F or M" if name == "sex" else f"a text of at most {MAX_TEXT} characters")
    return value


_KINDS: Final = {one.name: str(one.type) for one in fields(Acquisition)}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _refuse(blob: Blob, key: str, found: object, expected: str) -> NoReturn:
    raise UnreadableError(
        "The JSON file beside the scan cannot be meant.",
        where=f"{blob.name}, {key}",
        found=repr(found)[:80],
        expected=expected,
        fix="Correct or remove it; the scan can be read without.",
    )
