"""Whole heads as label maps: a brain, thinned and placed, with everything that lies around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import BRAIN, Tissue, template_brain
from dopascope.atlas.hull import brain_hull
from dopascope.phantom.mr.surroundings import HEAD_BOX_MM, Habitus, dress
from dopascope.volume import Grid, LabelMap

FREESURFER: Final[Mapping[Tissue, tuple[int, ...]]] = {
    Tissue.GREY: (3, 42, 17, 18, 53, 54),
    Tissue.WHITE: (2, 41, 77, 78, 79, 251, 252, 253, 254, 255, 85),
    Tissue.VENTRICLE: (4, 5, 14, 15, 43, 44, 31, 63, 72),
    Tissue.CAUDATE: (11, 50),
    Tissue.PUTAMEN: (12, 51),
    Tissue.DEEP: (10, 13, 26, 28, 49, 52, 58, 60),
    Tissue.CEREBELLAR_GREY: (8, 47),
    Tissue.CEREBELLAR_WHITE: (7, 46),
    Tissue.STEM: (16,),
    Tissue.FLUID: (24,),
}
"""FreeSurfer's label numbers (its colour table) by tissue; vessels (30, 62) are none."""


def head_grid(spacing_mm: float) -> Grid:
    """Cubic voxels over `HEAD_BOX_MM`, RAS."""
    low, high = (np.array(corner) for corner in HEAD_BOX_MM)
    shape = np.floor((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def from_freesurfer(labels: LabelMap) -> LabelMap:
    """FreeSurfer's `aseg` as `Tissue` labels, with the brain's outer fluid by `brain_hull`, on its own grid."""
    found = np.zeros(labels.data.shape, np.uint8)
    for tissue, numbers in FREESURFER.items():
        found[np.isin(labels.data, numbers)] = tissue
    hull = brain_hull((found > 0) & (found != Tissue.FLUID), labels.grid)
    found[hull & (found == 0)] = Tissue.FLUID
    return LabelMap(found, labels.grid, names={int(one): one.name.lower() for one in BRAIN})


def placed(brain: LabelMap, grid: Grid) -> NDArray[np.uint8]:
    """A brain's labels on `grid` in template mm: its extent along each world axis is brought to the template's."""
    from scipy import ndimage

    own, template = (_extent(one) for one in (brain, template_brain()))
    scale = (template[1] - template[0]) / (own[1] - own[0])
    world = grid.centres_mm()
    index = brain.grid.to_index((world - template[0]) / scale + own[0])
    out: NDArray[np.uint8] = ndimage.map_coordinates(
        brain.data, np.moveaxis(index, -1, 0), order=0, mode="constant", cval=0
    )
    return out


def _extent(brain: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = brain.grid.to_world(np.argwhere(np.isin(brain.data, BRAIN)))
    return at.min(0), at.max(0)


def thinned(labels: NDArray[np.uint8], grid: Grid, cortex_mm: float, ventricles_mm: float) -> NDArray[np.uint8]:
    """The same brain with less cortex at the fluid and larger ventricles, as age leaves it; the hull stays."""
    from scipy import ndimage

    out = labels.copy()
    if cortex_mm > 0:
        near = ndimage.distance_transform_edt(labels != Tissue.FLUID, sampling=grid.spacing_mm) <= cortex_mm
        out[near & np.isin(labels, (Tissue.GREY, Tissue.CEREBELLAR_GREY))] = Tissue.FLUID
    if ventricles_mm > 0:
        near = ndimage.distance_transform_edt(labels != Tissue.VENTRICLE, sampling=grid.spacing_mm) <= ventricles_mm
        out[near & (labels == Tissue.WHITE)] = Tissue.VENTRICLE
    return out


def draw_head(brains: list[LabelMap], rng: np.random.Generator, spacing_mm: float = 1.25) -> LabelMap:
    """A whole head around one of `brains` (the template's own where none is given), in template mm."""
    brain = brains[int(rng.integers(len(brains)))] if brains else template_brain()
    grid = head_grid(spacing_mm)
    labels = placed(brain, grid)
    cortex = float(rng.choice([0.0, 1.0, 1.3, 1.8])) if rng.random() < 0.6 else 0.0
    labels = thinned(labels, grid, cortex, float(rng.uniform(0, 4)) if rng.random() < 0.6 else 0.0)
    return dress(labels, grid, rng, Habitus.draw(rng))
