"""Scan after scan, each result kept in a side file as it comes, so that the same command goes on where it ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope import provenance
from dopascope.batch.binding import Measured, Settings, failed, measure_scan
from dopascope.cohort.scan import CohortScan

FORM: Final = "dopascope.quantify-part/1"
BESIDE: Final = (".json", ".img", ".img.gz", ".hdr", ".hdr.gz")
"""Files that belong to a scan of the same name: its facts, and the halves of a NIfTI pair."""


@dataclass(frozen=True)
class Progress:
    """One scan is finished."""

    number: int
    """From 1, in the order of the cohort."""
    total: int
    result: Measured
    kept: bool
    """Taken from the side file."""


def side_file(out: Path) -> Path:
    """Where results are kept until `out` is written."""
    return out.with_name(f"{out.name}.part")


def measure_all(scans: Sequence[CohortScan], settings: Settings, side: Path | None = None) -> Iterator[Progress]:
    """Measure every scan in order; a bad one is recorded and the others go on.

    Args:
        scans: what to measure.
        settings: how.
        side: file of results so far. Those of other settings, of files that changed and of scans that failed are
            measured again. None keeps nothing.

    Raises:
        OSError: the side file cannot be written.
    """
    digest = settings.digest()
    kept = {} if side is None else _kept(side, digest)
    if side is not None:
        # Written anew, so that half a line left by a crash does not spoil the next one.
        lines = [json.dumps({"form": FORM, "settings": digest}), *(_line(key, kept[key]) for key in kept)]
        provenance.write_text(side, "\n".join(lines) + "\n")
    for number, scan in enumerate(scans, 1):
        key = "" if side is None else _key(scan)
        found = kept.get(key)
        result = _measured(scan, settings) if found is None else found
        if side is not None and found is None:
            with open(side, "a", encoding="utf-8") as stream:
                stream.write(_line(key, result) + "\n")
        yield Progress(number, len(scans), result, kept=found is not None)


def _measured(scan: CohortScan, settings: Settings) -> Measured:
    try:
        return measure_scan(scan, settings)
    except Exception as error:
        # Whatever it was, the other scans go on, and this one's record says what happened.
        return failed(scan, error)


def _line(key: str, result: Measured) -> str:
    return json.dumps({"key": key, "result": result.as_dict()})


def _kept(side: Path, digest: str) -> dict[str, Measured]:
    """Results of the side file by key; none where it is of other settings. A damaged line is measured again."""
    kept: dict[str, Measured] = {}
    try:
        lines = side.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return kept
    for number, line in enumerate(lines):
        try:
            found = json.loads(line)
            if number == 0:
                if found != {"form": FORM, "settings": digest}:
                    return kept
                continue
            result = Measured.from_dict(found["result"])
            if result.error is None:
                kept[found["key"]] = result
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return kept


def _key(scan: CohortScan) -> str:
    """Digest of the table's line and of the scan's bytes (of a folder: its files' names, sizes and times)."""
    stated = [scan.name, str(scan.path), scan.cells, scan.age, scan.sex, repr(scan.stated), _fingerprint(scan.path)]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def _fingerprint(path: Path) -> str:
    try:
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            return repr([(str(one.relative_to(path)), one.stat().st_size, one.stat().st_mtime_ns) for one in files])
        stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        parts = [path, *(path.with_name(f"{stem}{ending}") for ending in BESIDE)]
        return repr([provenance.sha256_of(one) for one in parts if one.is_file()])
    except OSError as error:
        return error.strerror or "unreadable"
