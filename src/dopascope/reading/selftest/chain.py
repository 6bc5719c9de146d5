"""One phantom scan through the installed chain: made, written to a file, read back, registered, quantified, read."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dopascope import formats, geometry, phantom, provenance
from dopascope.errors import DopascopeError
from dopascope.phantom.camera import Camera, stored_as
from dopascope.reading.choices import Choices
from dopascope.reading.examine import examine
from dopascope.reading.readers import RULE_ALONE
from dopascope.reading.schema import Reading
from dopascope.reading.selftest.phantoms import OBLIQUE, PHANTOMS, Job, Storage
from dopascope.space.quality import STRIATAL_CENTRE_MM
from dopascope.volume import Grid, Volume

Chain = Callable[[Volume, Storage, Path, Choices], tuple[Reading, str]]
"""From a volume to its reading and the SHA-256 of the file between, in the given folder."""


@dataclass(frozen=True)
class Found:
    """What the chain found in one stored scan."""

    job: Job
    storage: Storage
    sbr: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    """95 % interval of each ratio that has one."""
    indices: Mapping[str, float]
    off_mm: float
    """Distance of the middle of the striatum, as registered, from where it is."""
    off_degrees: float
    off_size_percent: float
    """Largest error of the head's size along an axis."""
    verdicts: Mapping[str, str]
    """Reader id -> verdict."""
    file_sha256: str
    reading_sha256: str
    """Of the registration and the numbers, which must not change from one run to the next."""


@dataclass(frozen=True)
class NotRead:
    """A scan of the selftest that the chain refused or failed on, and why."""

    job: Job
    storage: Storage
    why: str
    refused: bool = False
    """The scan was judged unfit; otherwise the chain failed."""


def through_files(volume: Volume, storage: Storage, folder: Path, choices: Choices) -> tuple[Reading, str]:
    """The chain as it is installed: to a file, from the file, then as `dopascope read` does."""
    path = folder / ("scan.dcm" if storage.format == "dicom" else "scan.nii.gz")
    if storage.format == "dicom":
        formats.write_nm(volume, path, spacing_sign=storage.spacing_sign, series_description="SELFTEST")
    else:
        formats.save_nifti(volume, path)
    return examine(formats.load(path), choices).reading, provenance.sha256_of(path)


def measure(
    job: Job, scratch: Path, models_dir: Path | None = None, chain: Chain = through_files
) -> list[Found | NotRead]:
    """Make the scan of a job, store it in each of its ways and read each. A failure is told, not raised.

    Files lie in folders of their own inside `scratch`, each for as long as it is read.
    """
    person = PHANTOMS[job.phantom]
    volume, truth = phantom.scan(person, job.camera, job.pose, job.seed)
    choices = Choices(models=None if job.with_models else RULE_ALONE, models_dir=models_dir, evidence=False)
    made: list[Found | NotRead] = []
    for storage in job.stored:
        try:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                reading, digest = chain(_in_order(volume, storage.axes), storage, Path(folder), choices)
        except DopascopeError as error:
            made.append(NotRead(job, storage, f"{error.what} {error.found}".strip()))
            continue
        made.append(_found(job, storage, reading, digest, truth.mni_to_scan))
    return made


def _in_order(volume: Volume, axes: str) -> Volume:
    data, affine = stored_as(volume.data, volume.grid.affine, axes)
    i, j, k = data.shape
    return Volume(data, Grid((i, j, k), affine), volume.acquisition)


def _found(job: Job, storage: Storage, reading: Reading, digest: str, truth: geometry.Affine) -> Found | NotRead:
    numbers, placed = reading.quantification, reading.registration
    if numbers is None or placed is None:
        return NotRead(job, storage, f"refused: {reading.verdict_reasons[0]}", refused=True)
    matrix = np.array(placed.mni_to_scan)
    facts = {"registration": placed.model_dump(), "quantification": numbers.model_dump()}
    return Found(
        job=job,
        storage=storage,
        sbr={name: one.sbr for name, one in numbers.regions.items() if one.sbr is not None},
        intervals={name: one.interval for name, one in numbers.regions.items() if one.interval is not None},
        indices={name: one.value for name, one in numbers.indices.items() if one.value is not None},
        off_mm=_distance(matrix, truth),
        off_degrees=_turned(matrix, truth),
        off_size_percent=float(100 * np.abs(_sizes(matrix) / _sizes(truth) - 1).max()),
        verdicts={one.id: one.verdict for one in reading.readers},
        file_sha256=digest,
        reading_sha256=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
    )


def _distance(found: geometry.Affine, truth: geometry.Affine) -> float:
    middles = [geometry.apply_affine(matrix, STRIATAL_CENTRE_MM) for matrix in (found, truth)]
    return float(np.linalg.norm(middles[0] - middles[1]))


def _turned(found: geometry.Affine, truth: geometry.Affine) -> float:
    """Angle in degrees of the turn between two poses, sizes taken out (polar decomposition)."""
    first, second = (_rotation(matrix) for matrix in (found, truth))
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def _rotation(matrix: geometry.Affine) -> geometry.Affine:
    left, _, right = np.linalg.svd(matrix[:3, :3])
    turned: geometry.Affine = left @ right
    return turned


def _sizes(matrix: geometry.Affine) -> geometry.Affine:
    lengths: geometry.Affine = np.linalg.norm(matrix[:3, :3], axis=0)
    return lengths


def ideal(name: str, camera: Camera) -> dict[str, float]:
    """Ideal ratio of every region of a phantom, by `phantom.ideal_sbr`, which shares no code with the chain."""
    return phantom.ideal_sbr(PHANTOMS[name], camera, OBLIQUE)
