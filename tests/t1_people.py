"""T1 scans as studies see them, painted by code: an ellipse of brain, a striatum whose size follows the volumes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from dopascope.batch.viewing import T1_LIFT, Seen
from dopascope.cohort import CohortScan, read_cohort
from dopascope.space.views import VIEWS
from dopascope.volume import MNI_2MM, Volume

HEAD = "participant_id\tscan_id\tpath\tmodality\tlabel\tage\tsex\tmanufacturer\tmodel\n"
LABELS = ("PD", "ET", "control")
RAW = {"caudate": 6.8, "putamen": 9.6, "midbrain": 8.0, "pons": 15.0}


def write_table(folder: Path, count: int, labels: tuple[str, ...] = LABELS) -> Path:
    """A cohort of `count` people, labels in turn; its files are there and each has its own bytes, no more."""
    lines = []
    for number in range(count):
        (folder / f"s{number}.nii").write_text(str(number))
        label = labels[number % len(labels)]
        lines.append(
            f"p{number:02d}\ts{number:02d}\ts{number}.nii\tt1\t{label}\t{50 + number}\t{'FM'[number // 3 % 2]}"
            "\tSiemens\tsimulated 3 T\n"
        )
    path = folder / "cohort.tsv"
    path.write_text(HEAD + "".join(lines))
    return path


def seen_of(table: Path, views: tuple[str, ...], effect: float = 0.0) -> Seen:
    """Views and records of a table's scans; `effect` times 0.1 is what PD takes from the log of the putamen."""
    scans = sorted(read_cohort(table), key=lambda one: one.name)
    volumes = [_volumes(scan, effect) for scan in scans]
    images = [_brain(scan, one["putamen"] / RAW["putamen"]) for scan, one in zip(scans, volumes, strict=True)]
    records = [
        {"sha256": f"sha of {scan.name}", "references": {"zscore_brain": 1.0}, "volumes": one}
        for scan, one in zip(scans, volumes, strict=True)
    ]
    return Seen(scans, {name: np.stack([VIEWS[name].take(one) for one in images]) for name in views}, records, [])


def _volumes(scan: CohortScan, effect: float) -> dict[str, float]:
    rng = np.random.default_rng([int(scan.name[1:]), 1])
    known = {name: value * float(np.exp(0.08 * rng.normal())) for name, value in RAW.items()}
    if scan.label == "PD":
        known["putamen"] *= float(np.exp(-0.1 * effect))
    sides = {f"putamen_{side}": known["putamen"] / 2 for side in ("left", "right")}
    return known | sides | {"midbrain_pons_ratio": known["midbrain"] / known["pons"], "brain": 1300.0}


@lru_cache(maxsize=1)
def _places() -> tuple[np.ndarray, np.ndarray]:
    """Where the brain is, and how far each voxel lies from the middle of its striatum, 1 at its border, squared."""
    world = MNI_2MM.to_world(np.moveaxis(np.indices(MNI_2MM.shape), 0, -1)) - np.array([0.0, -15.0, 5.0])
    inside = (world**2 / np.array([66.0, 84.0, 60.0]) ** 2).sum(-1) < 1
    beside = np.abs(world) - np.array([24.0, 20.0, 4.0])
    return inside, (beside**2 / np.array([8.0, 16.0, 12.0]) ** 2).sum(-1)


def _brain(scan: CohortScan, size: float) -> Volume:
    rng = np.random.default_rng([int(scan.name[1:]), 2])
    inside, from_striatum = _places()
    noise = rng.normal(size=MNI_2MM.shape).astype(np.float32)
    data = np.where(inside, T1_LIFT + 1.5 * (from_striatum < size) + 0.5 * noise, 0)
    return Volume(np.clip(data, 0, None).astype(np.float32), MNI_2MM)
