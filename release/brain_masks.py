"""Brain masks of the segmenter that ships beside those of others, on real scans it has never seen.

    python release/brain_masks.py DATA [--out docs/brain_masks.md]

DATA is the folder of licensed scans (docs/testing.md). `tests/test_real_brains.py` holds these scans to fixed limits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dopascope import formats
from dopascope.atlas.hull import DEFINITION, brain_hull
from dopascope.bundle.segmenter import SHIPPED_SEGMENTER, brain_of
from dopascope.volume import Volume

Mask = NDArray[np.bool_]
OPENMS = "openms_longitudinal"
SLABS = ("01", "03", "04", "06", "09", "12", "14", "16", "19", "22", "25", "27")
STUDIES = tuple(f"patient{who}_study{visit}" for who in ("01", "12") for visit in (1, 2))


@dataclass(frozen=True)
class Case:
    """A scan and what somebody else marked in it, below `t1_mri`."""

    scan: str
    marked: str
    but: tuple[int, ...] = ()
    """Labels that are neither grey nor white matter nor ventricle: our definition puts their fluid in by closing."""


CASES = (
    Case("mne_ecog_subject/T1.mgz", "mne_ecog_subject/aseg.mgz", (24, 30, 62, 85)),
    *(Case(f"{OPENMS}/{one}_T1W.nii.gz", f"{OPENMS}/{one}_T1W_brainmask.nii.gz") for one in STUDIES),
    Case("ixi012_2mm/IXI012-HH-1211_T1.nii.gz", "ixi012_2mm/IXI012_DLMUSE.nii.gz"),
    *(Case(f"antstutorial_slabs/img_{one}.nii.gz", f"antstutorial_slabs/seg_{one}.nii.gz", (1,)) for one in SLABS),
)
"""FreeSurfer's outer fluid, vessels and chiasm; whole masks of OpenMS; MUSE labels, which mark no outer fluid; Atropos'
classes, of which 1 is fluid."""
PAPER_IOU = 0.678
"""Abramov et al. 2021, on slices of their own scans."""


@dataclass(frozen=True)
class Compared:
    """A mask beside its reference."""

    case: Case
    dice: float
    iou: float
    hausdorff95_mm: float
    dice_of_all: float
    """With everything that the file marks, its fluid too."""
    ml: float
    reference_ml: float
    pieces: int
    seconds: float


def reference(folder: Path, case: Case) -> Mask:
    """What the file marks, by our definition of brain."""
    marked = formats.load(folder / "t1_mri" / case.marked)
    assert isinstance(marked, Volume)
    labels = np.rint(marked.data)
    return brain_hull((labels > 0) & ~np.isin(labels, case.but), marked.grid)


def dice(one: Mask, other: Mask) -> float:
    """Of two masks on one grid."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def compare(folder: Path) -> Iterator[Compared]:
    """Every case in turn."""
    for case in CASES:
        scan = formats.load(folder / "t1_mri" / case.scan)
        marked = formats.load(folder / "t1_mri" / case.marked)
        assert isinstance(marked, Volume)
        started = time.perf_counter()
        found = brain_of(scan)
        seconds = time.perf_counter() - started
        mask, truth, grid = found.mask.data > 0, reference(folder, case), found.mask.grid
        yield Compared(
            case,
            dice(mask, truth),
            float((mask & truth).sum() / (mask | truth).sum()),
            _hausdorff95(mask, truth, grid.spacing_mm),
            dice(mask, brain_hull(marked.data > 0.5, marked.grid)),
            found.volume_ml,
            float(truth.sum()) * grid.voxel_ml,
            int(ndimage.label(mask)[1]),
            seconds,
        )


def _hausdorff95(one: Mask, other: Mask, spacing_mm: tuple[float, ...]) -> float:
    """95th percentile of the distances of each border to the other, the larger of the two ways (mm)."""
    ways = []
    for a, b in ((one, other), (other, one)):
        border = a & ~ndimage.binary_erosion(a)
        there = ~(b & ~ndimage.binary_erosion(b))
        ways.append(np.percentile(ndimage.distance_transform_edt(there, sampling=spacing_mm)[border], 95))
    return float(max(ways))


def table(rows: list[Compared]) -> str:
    """As a page of documentation."""
    lines = [
        "# Brain masks on scans that nobody trained on",
        "",
        "For research and education. Not a medical device.",
        "",
        f"Made by `python release/brain_masks.py DATA`: `dopascope segment apply` with `{SHIPPED_SEGMENTER}`, which",
        "has learned from painted heads alone, beside the masks of others. Every scan stands here; none was used to",
        "train. They were looked at, though: an earlier network took scalp and neck of IXI012 and of the two decubitus",
        "series for brain, and another one the base of the skull in the enhanced scans of OpenMS, so this one saw more",
        "slices of them and T1 after gadolinium; outer planes that hold nothing count as unseen since the slabs.",
        "",
        f"Brain is: {DEFINITION}",
        "Where a file tells fluid from tissue, the reference is its tissue by this definition; the column *all that is",
        "marked* takes the file's fluid as brain too.",
        "",
        "| scan | Dice | IoU | HD95 mm | ml | reference ml | Dice, all that is marked | pieces |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.case.scan.split('.')[0]} | {one.dice:.3f} | {one.iou:.3f} | {one.hausdorff95_mm:.1f} | {one.ml:.0f} | "
        f"{one.reference_ml:.0f} | {one.dice_of_all:.3f} | {one.pieces} |"
        for one in rows
    ]
    all_dice, all_iou = [one.dice for one in rows], [one.iou for one in rows]
    all_marked = [one.dice_of_all for one in rows]
    lines += [
        "",
        f"{len(rows)} scans of {len({_person(one.case.scan) for one in rows})} people: median Dice "
        f"{np.median(all_dice):.3f}, worst {min(all_dice):.3f}; median IoU {np.median(all_iou):.3f}.",
        f"Of everything marked: median Dice {np.median(all_marked):.3f}, worst {min(all_marked):.3f}.",
        "The aims were .95, .90 and .90.",
        "",
        f"Abramov et al. 2021 report an IoU of {PAPER_IOU} on slices of their own scans, which nobody else can see,",
        "and a nasal sinus taken for brain. The two figures are of different people and different masks.",
        "",
        "What these masks miss, seen in the pictures: fluid above the gyri that masks of others count as brain, and 1",
        "to 2 mm of the border, since the network sees voxels of 1.6 mm.",
        "",
    ]
    return "\n".join(lines)


def _person(scan: str) -> str:
    return scan.split("_study")[0]


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/brain_masks.md"))
    chosen = parser.parse_args()
    rows = []
    for one in compare(chosen.data):
        print(f"{one.case.scan}: Dice {one.dice:.4f}, {one.seconds:.1f} s", flush=True)
        rows.append(one)
    chosen.out.write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
