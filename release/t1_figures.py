"""The figures of docs/t1.md.

    dopascope simulate --modality t1 --subjects 6 --seed 3 --out t1
    python release/t1_figures.py t1 --out docs/images

For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from dopascope import formats, space
from dopascope.atlas.brain import BRAIN
from dopascope.volume import Volume

SHOWN: Final = 6
BRIGHT: Final = 99.5
INCHES: Final = 1.5


def heads(cohort: Path) -> Figure:
    """Middle slices of the first heads of a cohort, and the true labels of their brains."""
    with (cohort / "cohort.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))[:SHOWN]
    figure = Figure(figsize=(INCHES * len(rows), INCHES * 4), facecolor="black", layout="constrained")
    axes = figure.subplots(4, len(rows), squeeze=False)
    for column, row in enumerate(rows):
        scan, brain = (_canonical(cohort / row[name]) for name in ("path", "mask"))
        middle = np.median(np.argwhere(brain.data > 0), axis=0).astype(int)
        top = float(np.percentile(scan.data, BRIGHT))
        planes = [np.take(scan.data, middle[axis], axis) for axis in range(3)]
        for place, plane in enumerate((*planes, np.take(brain.data, middle[2], 2))):
            labels = place == len(planes)
            apart = np.delete(scan.grid.spacing_mm, min(place, 2))
            axes[place, column].imshow(
                plane.T,
                origin="lower",
                cmap="nipy_spectral" if labels else "gray",
                vmin=0,
                vmax=max(BRAIN) if labels else top,
                aspect=apart[1] / apart[0],
            )
            axes[place, column].set_axis_off()
        axes[0, column].set_title(f"{row['label']}, {row['age']}", color="white", fontsize=8)
    return figure


def _canonical(path: Path) -> Volume:
    image = formats.load(path)
    if not isinstance(image, Volume):
        raise SystemExit(f"{path.name} is a picture, not a scan")
    return space.canonical(image)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    heads(asked.cohort).savefig(asked.out / "t1_heads.png", dpi=90)


if __name__ == "__main__":
    main()
