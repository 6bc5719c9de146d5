"""Models on cameras that they never saw: the cohort of seven cameras, and its copies blurred to 18 mm.

    python release/cameras.py FIRST --subjects 600 --seed R --others
    dopascope study run release/first_weights.toml --cohort FIRST/reader.tsv --out RUNS/first
    (its networks go to WEIGHTS: release/first_weights.toml)
    python release/cameras.py FOLDER --subjects 1000 --seed S
    dopascope study run best --cohort FOLDER/reader.tsv --also FOLDER/blurred.tsv --leave-out camera \
        --weights simulated --weights-dir WEIGHTS --epochs 12 --out RUNS/best
    (s1 and s3 likewise, with --minutes M instead of --epochs: as long for a fold as best's trainings took)
    python release/camera_study.py FOLDER RUNS/best RUNS/s1 RUNS/s3 [--models MODELS]

The plans and these commands were committed before S was drawn: it is the number that the first six digits of that
commit make. Models learn from what a reader with doubts said of each scan (`read_abnormal` of truth.tsv), as from
clinical reports, and are judged against him and against the simulated truth. For research and education. Not a medical
device.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

CAMERAS = (
    "ge-lehr-osem-chang",
    "mediso-leuhr-osem-rr-chang-tew",
    "philips-lehr-osem-rr-map",
    "siemens-leap-fbp",
    "siemens-lehr-fbp-chang",
    "siemens-leuhr-osem-rr-map-tew",
    "siemens-me-osem-chang-tew",
)
"""Seven of the ten simulated sites, each with a camera of its own: FBP and OSEM, with and without corrections."""
OTHERS = ("ge-elegp-osem-map", "mediso-lehr-fbp-chang-tew", "siemens-lehr-osem")
"""The three others, whose scans first weights are made of: no left-out camera is seen before its test."""
BLURRED_MM = 18.0
"""Resolution of the degraded copies (FACTS 4.3)."""


def make(folder: Path, subjects: int, seed: int, processes: int, others: bool) -> None:
    """Simulate, and write `reader.tsv` and, of the seven, `blurred.tsv`; goes on where it was interrupted."""
    from dopascope.simulate import Plan, run

    plan = Plan(subjects=subjects, seed=seed, sites=OTHERS if others else CAMERAS, ideal=False)
    cohort = run(plan, folder / "cohort", processes=processes)
    truth = {row["scan_id"]: row for row in rows(cohort.with_name("truth.tsv"))}
    scans = rows(cohort)
    for row in scans:
        row["label"] = "abnormal" if truth[row["scan_id"]]["read_abnormal"] == "true" else "normal"
        row["path"] = f"cohort/{row['path']}"
    write(folder / "reader.tsv", scans)
    if others:
        return
    (folder / "blurred").mkdir(exist_ok=True)
    for row in scans:
        copy = folder / "blurred" / Path(row["path"]).name
        if not copy.is_file():
            blur(folder / row["path"], copy, truth[row["scan_id"]]["site"])
        row |= {"scan_id": f"{row['scan_id']}_blurred", "path": f"blurred/{copy.name}"}
    write(folder / "blurred.tsv", scans)


def blur(source: Path, target: Path, site: str) -> None:
    """A copy of a scan with a resolution of `BLURRED_MM`, from what its site has."""
    from dataclasses import replace

    from scipy.ndimage import gaussian_filter

    from dopascope import formats, provenance
    from dopascope.phantom import SITES

    volume = formats.load(source)
    missing = max(0.0, BLURRED_MM**2 - SITES[site].camera.fwhm_mm ** 2) ** 0.5
    sd = [missing / 2.3548 / spacing for spacing in volume.grid.spacing_mm]
    data = gaussian_filter(volume.data.astype(np.float64), sd).astype(np.float32)
    with provenance.replacing(target) as temporary:
        formats.save_nifti(replace(volume, data=data), temporary)


def rows(path: Path) -> list[dict[str, str]]:
    """A table's lines."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """A table, whole or not at all."""
    from dopascope import provenance

    text = "\t".join(lines[0]) + "\n" + "".join("\t".join(line.values()) + "\n" for line in lines)
    provenance.write_text(path, text)


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--others", action="store_true", help="the three other sites")
    told = parser.parse_args()
    make(told.folder, told.subjects, told.seed, told.processes, told.others)


if __name__ == "__main__":
    main()
