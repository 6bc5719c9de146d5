"""Healthy people for generators of T1: simulated ones of several scanners, and real scans that may be learned from.

    python release/t1_healthy.py --data DATA --out DIR [--subjects 60]

DATA is the folder of licensed scans (docs/testing.md). Brains of real scans are those of the segmenter that ships.
Writes DIR/people.tsv, a cohort table; what stands there already is kept.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope import formats, provenance
from dopascope.bundle.segmenter import brain_of
from dopascope.cohort.table import read_table
from dopascope.formats.save import save_nifti
from dopascope.volume import Volume

TABLE: Final = "people.tsv"
SEED: Final = 4


@dataclass(frozen=True)
class Real:
    """A T1-weighted scan of a person without Parkinson's disease below the folder of licensed scans."""

    name: str
    path: str
    licence: str


REAL: Final = (
    Real("datalad", "mr_dicom/datalad_t1w/T1w_dicoms.zip", "PDDL"),
    Real("subject1", "t1_mri/fs_subject1/brain.mgz", "MIT"),
    Real("ecog", "t1_mri/mne_ecog_subject/T1.mgz", "BSD-3-Clause"),
)
"""The third one was to have electrodes for epilepsy; nothing else is known of their health."""


def people(data: Path, out: Path, subjects: int) -> Path:
    """The table of all of them."""
    words = f"simulate --modality t1 --subjects {subjects} --spacing 2 --mix healthy=1 --seed {SEED} --out"
    subprocess.run([sys.executable, "-m", "dopascope", *words.split(), str(out)], check=True)
    rows = read_table(out / "cohort.tsv", ["scan_id"])
    columns = rows[0].columns
    lines = [dict(row.cells) for row in rows]
    for one in REAL:
        scan, mask = out / "scans" / f"real-{one.name}.nii.gz", out / "brains" / f"real-{one.name}.nii.gz"
        if not mask.is_file():
            volume = formats.load(data / one.path)
            assert isinstance(volume, Volume)
            save_nifti(volume, scan)
            save_nifti(brain_of(volume).mask, mask)
        lines.append(
            {
                "participant_id": f"real-{one.name}",
                "scan_id": f"real-{one.name}",
                "path": str(scan.relative_to(out)),
                "mask": str(mask.relative_to(out)),
                "modality": "t1",
                "label": "control",
                "site": f"real-{one.name}",
                "format": "nifti",
            }
        )
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="n/a", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    provenance.write_text(out / TABLE, stream.getvalue())
    return out / TABLE


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=60)
    told = parser.parse_args()
    print(people(told.data, told.out, told.subjects))


if __name__ == "__main__":
    main()
