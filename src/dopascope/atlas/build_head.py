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
from dopascope.atlas.stem import Line, height, stem_parts
from dopascope.provenance import replacing
from dopascope.volume import Grid

Mask = NDArray[np.bool_]

MIDBRAIN_SIDES: Final = ((-42.0, -8.0), 18.0, (0.6, -20.0), (0.6, -18.0))
PONS_SIDES: Final = ((-41.0, -11.0), 17.0, (1.2, -33.0), (0.9, -20.0))
"""From y to y; half width; how it narrows per mm behind, and before, a y (mm)."""
MEDULLA_HALF_WIDTH: Final = 13.0
MEDULLA_BACK: Final[Line] = (-45.0, -48.0, 0.3)
"""y over z behind which the cerebellum lies."""
MEDULLA_FRONT: Final = -18.0
THIN_MM: Final = 2.3
"""Bridges between the stem and its neighbours thinner than twice this are cut."""
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
    _stem(labels, tissue, points)
    _deep(labels, grid)
    return labels[grid.shape[0] // 2 :]


def _stem(labels: NDArray[np.uint8], tissue: Mask, points: NDArray[np.float64]) -> None:
    """Midbrain, pons and medulla (`STEM`): tissue between planes, in one piece."""
    from scipy import ndimage

    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    back = height(MEDULLA_BACK, np.minimum(z, MEDULLA_BACK[1]))
    part = stem_parts(points)
    beside = {
        Tissue.MIDBRAIN: _between_sides(x, y, *MIDBRAIN_SIDES),
        Tissue.PONS: _between_sides(x, y, *PONS_SIDES),
        Tissue.STEM: (x < MEDULLA_HALF_WIDTH) & (y < MEDULLA_FRONT) & (y > back),
    }
    whole = np.any([(part == name) & within for name, within in beside.items()], axis=0) & tissue
    ball = np.linalg.norm(np.indices((5, 5, 5)) - 2, axis=0) <= THIN_MM
    pieces, _ = ndimage.label(ndimage.binary_erosion(whole, ball))
    largest = int(np.bincount(pieces[pieces > 0]).argmax())
    kept = ndimage.binary_dilation(pieces == largest, ball) & whole
    labels[kept] = part[kept]


def _between_sides(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    reach: tuple[float, float],
    half_width: float,
    behind: tuple[float, float],
    before: tuple[float, float],
) -> Mask:
    narrowing = np.maximum(behind[0] * (behind[1] - y), before[0] * (y - before[1]))
    inside: Mask = (y > reach[0]) & (y < reach[1]) & (x < half_width - np.maximum(narrowing, 0))
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
