"""Builds `data/brain_1mm.npz` from the maps that nilearn carries: `python -m dopascope.atlas.build_head`.

Run by developers only; what is shipped is its result, and a test builds it again and compares. Needs nilearn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import Tissue
from dopascope.atlas.build_tissue import VENTRICLES, source_maps
from dopascope.atlas.hull import brain_hull
from dopascope.provenance import replacing
from dopascope.volume import Grid

Mask = NDArray[np.bool_]

MIDBRAIN: Final = ((0.0, 19.0), (-38.0, -12.0), (-20.0, -5.0))
PONS: Final = ((0.0, 20.0), (-40.0, -14.0), (-42.0, -20.0))
MEDULLA: Final = ((0.0, 12.0), (-50.0, -24.0), (-72.0, -42.0))
"""Boxes (|x|, y, z, mm) in which white matter belongs to the brain stem; behind it lies the cerebellum."""
TENTORIUM: Final = (-4.0, 0.42, 0.35)
"""Height of the tentorium in the midline at y = -40, its rise with y, and its fall with |x| (mm, mm per mm); from the
template's own T1."""


def build() -> NDArray[np.uint8]:
    """Tissue labels of the half x >= 0 at 1 mm: uint8 (99, 233, 189), first plane x = 0.

    Raises:
        MissingExtraError: nilearn is not installed.
    """
    grey, white, t1, grid = source_maps()
    tissue = (grey + white > 0.5) & (t1 > 0)
    points = grid.centres_mm()
    boxed = ((points > VENTRICLES[0]) & (points < VENTRICLES[1])).all(-1)
    labels = np.zeros(grid.shape, np.uint8)
    hull = brain_hull(tissue, grid)
    labels[hull] = Tissue.FLUID
    labels[hull & ~tissue & boxed] = Tissue.VENTRICLE
    labels[tissue] = np.where(grey > white, Tissue.GREY, Tissue.WHITE)[tissue]
    _cerebellum(labels, points)
    for box in (MIDBRAIN, PONS, MEDULLA):
        labels[_inside(points, box) & tissue & (white >= grey)] = Tissue.STEM
    _deep(labels, grid)
    return labels[grid.shape[0] // 2 :]


def _inside(points: NDArray[np.float64], box: tuple[tuple[float, float], ...]) -> Mask:
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    inside: Mask = np.ones(x.shape, bool)
    for values, (low, high) in zip((x, y, z), box, strict=True):
        inside &= (values >= low) & (values < high)
    return inside


def _cerebellum(labels: NDArray[np.uint8], points: NDArray[np.float64]) -> None:
    height, rise, fall = TENTORIUM
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    below = (z < height + rise * (y + 40) - fall * np.maximum(x - 8, 0)) & (y < -36)
    labels[below & (labels == Tissue.GREY)] = Tissue.CEREBELLAR_GREY
    labels[below & (labels == Tissue.WHITE)] = Tissue.CEREBELLAR_WHITE


def _deep(labels: NDArray[np.uint8], grid: Grid) -> None:
    """Caudate and putamen from the regions of `atlas.striatum`, where the maps say grey or white matter."""
    from dopascope.atlas.striatum import striatum_labels

    regions = striatum_labels(grid)
    brain = np.isin(labels, (Tissue.GREY, Tissue.WHITE))
    for value, name in regions.names.items():
        part = Tissue.CAUDATE if name.startswith("caudate") else Tissue.PUTAMEN
        labels[(regions.data == value) & brain] = part


def main() -> None:
    """Write the labels into the package's data folder."""
    with replacing(Path(__file__).parent / "data" / "brain_1mm.npz") as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, labels=build())


if __name__ == "__main__":
    main()
