"""Three slices of every normalised scan as the red, green and blue of one PNG, in a folder for each label.

The form that networks for photographs are trained on (Quan et al. 2019). The normalised scan is what `normalise` makes,
from the same cache.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.batch.cache import Cache, cache_of
from dopascope.batch.drive import Outcome, Runner, drive
from dopascope.batch.normalising import RAW, NormaliseSettings, Normalising
from dopascope.batch.sheet import cell_text
from dopascope.cohort import COLUMNS, read_cohort, read_table
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError, UsageError
from dopascope.space.views import RGB_SLICES
from dopascope.volume import MNI_2MM

MANIFEST: Final = "slices.tsv"
"""The pictures as a cohort table: `folders` imports it again, and `lint-split` knows people and scans by it."""
RECORD: Final = "slices.json"
COLUMNS_WRITTEN: Final = (*COLUMNS, "volume")
"""Of the manifest; `volume` names the scan that a picture was cut from."""
TOPS: Final = {"p75_nonstriatal": 10.0, "occipital": 10.0, "whole_brain": 10.0, "p99": 5.0}
"""Intensity method -> value of that scale that becomes 255."""
PICTURE: Final = (
    "value / top x 255, cut at 0 and 255 and rounded; rows from front to back, the subject's right on the left"
)


@dataclass(frozen=True)
class Cut:
    """Which slices, and how their values become 8 bits."""

    slices: tuple[int, int, int] = RGB_SLICES
    """Of the MNI grid's third axis, from 0: red, green, blue."""
    top: float = TOPS["p75_nonstriatal"]
    """The value, in units of the intensity scale, that becomes 255; 0 becomes 0. The same for every scan."""

    def __post_init__(self) -> None:
        if not all(0 <= one < MNI_2MM.shape[2] for one in self.slices):
            raise _wrong("There is no such slice.", "--slices", self.slices, f"0 to {MNI_2MM.shape[2] - 1}")
        if not 0 < self.top < float("inf"):
            raise _wrong("The value that becomes 255 cannot be meant.", "--top", self.top, "a number above 0")

    def picture(self, data: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The slices of a scan `(91, 109, 91)` as RGB `(109, 91, 3)`, as `PICTURE` says."""
        cut = data[:, :, list(self.slices)]
        scaled = np.rint(np.clip(cut / np.float32(self.top), 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(scaled.transpose(1, 0, 2)[::-1, ::-1])


def _wrong(what: str, where: str, found: object, expected: str) -> UsageError:
    return UsageError(what, where=where, found=found, expected=expected, fix="Correct it.")


def top_of(intensity: str) -> float:
    """The value of an intensity scale that becomes 255 unless somebody says another.

    Raises:
        UsageError: raw values have no common scale.
    """
    if intensity == RAW:
        raise UsageError(
            "Raw values have no common scale for pictures.",
            where="--top",
            found="--intensity none",
            expected="the value that becomes 255",
            fix="Name it with --top, or choose another intensity scale.",
        )
    return TOPS[intensity]


@dataclass(frozen=True)
class Cutting:
    """Work on one scan: normalise it, and keep three slices as a PNG."""

    settings: NormaliseSettings
    cut: Cut
    files: dict[str, Path]
    """By the scan's name."""

    def only(self, scan: CohortScan) -> Cutting:
        """The work with this scan's file alone."""
        return replace(self, files={scan.name: self.files[scan.name]})

    def digest(self) -> str:
        """Of how scans are normalised: what is cached is the normalised scan."""
        return self._normalising().digest()

    def concerns(self, scan: CohortScan) -> list[object]:
        """As for normalising."""
        return self._normalising().concerns(scan)

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """The normalised scan, see `Normalising.make`."""
        return self._normalising().make(scan)

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:  # noqa: ARG002
        """Write the PNG."""
        from nibabel.nifti1 import Nifti1Image
        from PIL import Image

        data = np.asarray(Nifti1Image.from_bytes(gzip.decompress(payload)).dataobj, np.float32)
        stream = io.BytesIO()
        Image.fromarray(self.cut.picture(data)).save(stream, "PNG")
        provenance.write_bytes(self.files[scan.name], stream.getvalue())

    def drop(self, scan: CohortScan) -> None:
        """Remove the PNG."""
        self.files[scan.name].unlink(missing_ok=True)

    def _normalising(self) -> Normalising:
        return Normalising(self.settings, {})


def export_slices(
    table: Path,
    out: Path,
    settings: NormaliseSettings,
    cut: Cut,
    *,
    cache: Path | None = None,
    runner: Runner | None = None,
    progress: Callable[[Outcome], None] = lambda _one: None,
) -> list[Outcome]:
    """Write `out/LABEL/SCAN.png` for each DaT scan of a cohort table, with `slices.tsv` and `slices.json` beside.

    Pictures depend on scan, settings and versions alone. The same call goes on after an interruption.

    Raises:
        InputError: the table cannot be read, or a scan has no label.
        UsageError: labels or scan ids that become one name in a file system.
        OSError: `out` or the cache cannot be written.
    """
    scans = read_cohort(table)
    told = _files(table, scans)
    work = Cutting(settings, cut, {name: out.absolute() / path for name, path in told.items()})
    folder = cache or cache_of(out)
    for one in (out, folder):
        provenance.check_writable(one)
    before = _listed(out)
    outcomes = []
    for outcome in drive(scans, work, cache=Cache(folder.absolute()), runner=runner):
        outcomes.append(outcome)
        progress(outcome)
    outcomes.sort(key=lambda one: one.number)
    for stale in before - {told[one.scan.name] for one in outcomes if one.error is None}:
        (out / stale).unlink(missing_ok=True)
    _write(out, table, told, outcomes, work)
    return outcomes


def _files(table: Path, scans: Sequence[CohortScan]) -> dict[str, str]:
    """By scan name, the PNG's path below the output."""
    bare = [scan.name for scan in scans if scan.label is None]
    if bare:
        raise UnsuitableError(
            "There is a folder for each label, and some scans have none.",
            where=table,
            found=f"{len(bare)} scans without label, such as {bare[0]}",
            expected="a label for each scan",
            fix="Add labels, or leave these scans out of the table.",
        )
    files = {scan.name: f"{_safe(str(scan.label))}/{_safe(scan.name)}.png" for scan in scans}
    first: dict[str, tuple[str | None, str]] = {}
    for scan in scans:  # compared without case: some file systems do not tell it apart
        folder = _safe(str(scan.label)).casefold()
        for key, meant in ((folder, (scan.label, "")), (files[scan.name].casefold(), (scan.label, scan.name))):
            if first.setdefault(key, meant) != meant:
                raise UsageError(
                    "Two names become one in a file system.",
                    where=f"{table}, {key}",
                    found=" and ".join(str(one[1] or one[0]) for one in (first[key], meant)),
                    expected="labels and scan ids that differ in letters, digits, ., _ or -",
                    fix="Rename one of them in the table.",
                )
    return files


def _safe(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z._-]+|^\.+", "-", name)


def _listed(out: Path) -> set[str]:
    """What an earlier run wrote, so that a picture whose label changed is not left in its old class."""
    manifest = out / MANIFEST
    rows = read_table(manifest, ("path",)) if manifest.is_file() else []
    paths = {row.cells["path"] for row in rows if "path" in row.cells}
    return {path for path in paths if re.fullmatch(r"[0-9A-Za-z_-][0-9A-Za-z._-]*/[0-9A-Za-z._-]+\.png", path)}


def _write(out: Path, table: Path, done: dict[str, str], outcomes: Sequence[Outcome], how: Cutting) -> None:
    """The table of the pictures in `done`, and how they were made."""
    lines: list[tuple[str, ...]] = [COLUMNS_WRITTEN]
    for one in outcomes:
        if one.error is None:
            known = {"scan_id": one.scan.name, "volume": one.scan.name} | one.scan.cells | {"path": done[one.scan.name]}
            lines.append(tuple(cell_text(known.get(name)) for name in COLUMNS_WRITTEN))
    said = {
        "form": "dopascope.slices/1",
        "slices": dict(zip(("red", "green", "blue"), how.cut.slices, strict=True)),
        "grid": "MNI, 91 x 109 x 91 voxels of 2 mm; slices of the third axis, numbered from 0",
        "registered": how.settings.register,
        "intensity": how.settings.intensity,
        "top": how.cut.top,
        "picture": PICTURE,
        "source": table.name,
        "source_sha256": provenance.sha256_of(table),
        "failed": {one.scan.name: one.error for one in outcomes if one.error is not None},
        "software": provenance.software(),
    }
    provenance.write_text(out / RECORD, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    provenance.write_text(out / MANIFEST, "".join("\t".join(line) + "\n" for line in lines))
