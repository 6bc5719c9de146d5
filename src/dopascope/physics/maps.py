"""What a simulated head emits and absorbs: activity and attenuation maps on a grid fine enough to project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.phantom.anatomy import Head, sampled
from dopascope.phantom.render import HEAD_BOX_MM, activity_on
from dopascope.volume import MNI_2MM, Grid

MU_PER_CM: Final = {"brain": 0.1536, "skull": 0.232, "soft": 0.1477}
"""Narrow-beam attenuation at 159 keV of brain (1.04 g/ml), mean skull (1.61 g/ml) and water for all other tissue."""
MU_529_SHARE: Final = 0.0945 / 0.1477
"""What water absorbs at 529 keV, as a share of what it absorbs at 159 keV."""
SKULL_MM: Final = (2.0, 8.0)
"""The skull lies between these distances from the brain mask, wherever the head goes on further out."""
SKULL_FLOOR_MM: Final = -50.0
"""Below this MNI height the shell around the brain is face and neck: soft tissue."""
FINE_MM: Final = 1.9
MARGIN_MM: Final = 16.0
REACH_STEP_MM: Final = 8.0
_SURVEY_MM: Final = 6.0


@dataclass(frozen=True, eq=False)
class HeadMaps:
    """A head on an axis-aligned RAS grid: averages over its voxels."""

    activity: NDArray[np.float32]
    """(I, J, K), grey matter near 1."""
    mu: NDArray[np.float32]
    """(I, J, K), attenuation at 159 keV in 1/mm."""
    grid: Grid


def head_maps(head: Head, matrix: geometry.Affine, grid: Grid) -> HeadMaps:
    """Activity and attenuation of `head` on `grid`; `matrix` (4, 4) maps aligned mm to scan mm."""
    mu = attenuation_on(head, matrix, grid)
    return HeadMaps(np.where(mu > 0, activity_on(head, matrix, grid), np.float32(0)), mu, grid)


def attenuation_on(head: Head, matrix: geometry.Affine, grid: Grid) -> NDArray[np.float32]:
    """Attenuation (I, J, K) in 1/mm at 159 keV of `head` on `grid`: brain, skull, soft tissue, 0 in air."""
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    spacing = np.array(grid.spacing_mm)
    i, j, k = (np.arange(n) for n in grid.shape)
    steps = [np.multiply.outer(n, back[:3, a] * spacing[a]) for a, n in enumerate((i, j, k))]
    start = geometry.apply_affine(back, grid.affine[:3, 3])
    aligned = (start + steps[0][:, None, None] + steps[1][None, :, None] + steps[2][None, None]).astype(np.float32)
    mu = np.zeros(grid.shape, np.float32)
    low, high = np.array(HEAD_BOX_MM)
    inside = head.in_head(aligned) & ((aligned >= low) & (aligned <= high)).all(-1)
    mu[inside] = sampled(_template_mu(), MNI_2MM, head.to_template(aligned[inside]), mode="nearest")
    return mu


@lru_cache(maxsize=1)
def _template_mu() -> NDArray[np.float32]:
    """The map in 1/mm on `MNI_2MM`."""
    from scipy.ndimage import distance_transform_edt

    brain, head = atlas.tissue("brain").data, atlas.tissue("head").data
    away = distance_transform_edt(brain < 0.5, sampling=MNI_2MM.spacing_mm)
    height = MNI_2MM.affine[2, 3] + MNI_2MM.spacing_mm[2] * np.arange(MNI_2MM.shape[2])
    skull = (away > SKULL_MM[0]) & (away <= SKULL_MM[1]) & (height > SKULL_FLOOR_MM)
    rest = np.where(skull, MU_PER_CM["skull"], MU_PER_CM["soft"])
    mu: NDArray[np.float32] = (brain * MU_PER_CM["brain"] + np.clip(head - brain, 0, 1) * rest).astype(np.float32) / 10
    mu.setflags(write=False)
    return mu


def centred_grid(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Grid:
    """A RAS grid whose middle is the point 0: the camera's axis runs through it along z."""
    first = -(np.array(shape) - 1) / 2 * np.array(spacing_mm)
    return Grid(shape, geometry.from_parts(np.eye(3), spacing_mm, first))


def head_reach(head: Head, matrix: geometry.Affine, half_mm: float) -> float:
    """Distance in mm from the camera's axis that the head reaches within `half_mm` above and below the middle.

    Rounded up to a multiple of `REACH_STEP_MM`, so that many heads share the matrices of one projector.
    """
    survey = centred_grid((60, 60, max(2, int(np.ceil(2 * half_mm / _SURVEY_MM)))), (_SURVEY_MM,) * 3)
    filled = attenuation_on(head, matrix, survey).max(2) > MU_PER_CM["soft"] / 20
    x, y, _ = np.moveaxis(survey.centres_mm()[:, :, 0], -1, 0)
    found = float(np.hypot(x, y)[filled].max(initial=0.0)) + _SURVEY_MM
    return REACH_STEP_MM * float(np.ceil(found / REACH_STEP_MM))


def fine_grid(field: Grid, reach_mm: float) -> Grid:
    """The grid to project from: half the pixels of `field` across or `FINE_MM`, whichever is larger; slices as there.

    Wide enough for a head that reaches `reach_mm` from the axis, and `MARGIN_MM` longer than the field at both ends,
    whose activity blurs into it. Its voxels are not those that the site reconstructs.
    """
    pixel, _, slice_mm = field.spacing_mm
    voxel = max(pixel / 2, FINE_MM)
    across = int(np.ceil(2 * reach_mm / voxel))
    planes = field.shape[2] + 2 * int(np.ceil(MARGIN_MM / slice_mm))
    return centred_grid((across, across, planes), (voxel, voxel, slice_mm))
