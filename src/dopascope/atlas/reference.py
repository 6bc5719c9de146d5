"""Reference regions and the large striatal volumes, in MNI space.

The reference regions are defined on `MNI_2MM` from the brain map. A large volume is everything on its side within a
fixed distance of caudate and putamen, about 59 ml, so that it holds nearly all striatal counts whatever the
resolution (the idea of Tossici-Bolt et al., Eur J Nucl Med Mol Imaging 2006;33:1491; the shape is ours).
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.striatum import (
    PARTS,
    bounds_mm,
    fractions,
    index_box,
    inside,
    lattice,
    striatum_points,
    striatum_weights,
)
from dopascope.atlas.tissue import tissue
from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM, Grid, LabelMap

REFERENCES: Final = ("occipital", "whole_brain")
LARGE: Final = ("large_left", "large_right")

OCCIPITAL_BOX_MM: Final = ((-36.0, -98.0, -6.0), (36.0, -74.0, 18.0))
EROSION_MM: Final = 6.0
"""Depth below the brain's surface at which both references begin, to stay clear of its blurred edge."""
STRIATAL_MARGIN_MM: Final = 20.0
"""Distance that `whole_brain` keeps from the striatum: at 14 mm FWHM under 0.1 % of striatal activity gets there."""
LARGE_REACH_MM: Final = 8.0
"""Distance from the striatum that a large volume reaches, cut at the midline: gives 59 ml a side."""
_LATTICE: Final = Grid((62, 96, 82), np.array([[1.0, 0, 0, 0.5], [0, 1, 0, -47.5], [0, 0, 1, -37.5], [0, 0, 0, 1]]))


@lru_cache(maxsize=1)
def _reference_masks() -> dict[str, NDArray[np.bool_]]:
    from scipy import ndimage

    spacing = MNI_2MM.spacing_mm
    inner = ndimage.distance_transform_edt(tissue("brain").data >= 0.5, sampling=spacing) > EROSION_MM
    striatum = sum(striatum_weights().values())
    far = ndimage.distance_transform_edt(np.asarray(striatum) < 0.5, sampling=spacing) > STRIATAL_MARGIN_MM
    points = MNI_2MM.centres_mm()
    low, high = OCCIPITAL_BOX_MM
    boxed = ((points >= low) & (points <= high)).all(-1)
    return {"occipital": inner & boxed, "whole_brain": inner & far}


def reference_mask(name: str, grid: Grid = MNI_2MM) -> NDArray[np.bool_]:
    """Voxels (I, J, K) of the reference region `name`; on another grid than `MNI_2MM` by nearest neighbour.

    `occipital`: |x| <= 36, -98 <= y <= -74, -6 <= z <= 18 mm. `whole_brain`: all brain further than 20 mm from the
    striatum. Both lie more than 6 mm below the brain's surface.

    Raises:
        UsageError: `name` is not one of `REFERENCES`.
    """
    if name not in REFERENCES:
        raise UsageError("There is no such reference region.", where="reference", found=name, expected=REFERENCES)
    mask = _reference_masks()[name]
    if grid == MNI_2MM:
        return mask
    index = np.rint(MNI_2MM.to_index(grid.centres_mm())).astype(int)
    valid = np.asarray(((index >= 0) & (index < MNI_2MM.shape)).all(-1))
    i, j, k = np.moveaxis(np.where(valid[..., None], index, 0), -1, 0)
    return np.asarray(mask[i, j, k] & valid)


def reference_labels(grid: Grid = MNI_2MM) -> LabelMap:
    """Occipital region (1) and the rest of the whole-brain reference (2) on `grid`.

    The occipital region lies inside the whole-brain reference; `reference_mask("whole_brain")` holds both.
    """
    whole, occipital = reference_mask("whole_brain", grid), reference_mask("occipital", grid)
    labels = np.where(occipital, 1, np.where(whole, 2, 0)).astype(np.uint8)
    return LabelMap(labels, grid, names={1: "occipital", 2: "whole_brain"})


@lru_cache(maxsize=1)
def _distance_mm() -> NDArray[np.float64]:
    """Distance to the right striatum on `_LATTICE` (1 mm, x > 0), negative inside, zero at its surface."""
    from scipy import ndimage

    filled = inside("striatum_right", _LATTICE.centres_mm())
    outward, inward = ndimage.distance_transform_edt(~filled), ndimage.distance_transform_edt(filled)
    signed: NDArray[np.float64] = np.where(filled, 0.5 - inward, outward - 0.5)
    return signed


def _in_large(points: NDArray[np.float64], side: str) -> NDArray[np.bool_]:
    from scipy import ndimage

    right = points * ((1, 1, 1) if side == "right" else (-1, 1, 1))
    index = np.moveaxis(_LATTICE.to_index(right), -1, 0)
    distance = ndimage.map_coordinates(_distance_mm(), index, order=1, mode="nearest")
    found: NDArray[np.bool_] = (distance <= LARGE_REACH_MM) & (right[..., 0] > 0)
    return found


def large_volumes(grid: Grid = MNI_2MM, *, supersample: int = 2) -> dict[str, NDArray[np.float32]]:
    """`large_left` and `large_right`: fractions (I, J, K) of each voxel inside the large volume of a side."""
    found = {}
    for name in LARGE:
        side = name.removeprefix("large_")
        low, high = bounds_mm(f"striatum_{side}")
        found[name] = fractions(
            partial(_in_large, side=side),
            (1,),
            grid,
            index_box(grid, low - LARGE_REACH_MM - 1, high + LARGE_REACH_MM + 1),
            supersample,
        )[0]
    return found


@lru_cache(maxsize=64)
def sample_points(region: str, spacing_mm: float = 1.0) -> NDArray[np.float64]:
    """Points (N, 3), RAS mm in MNI space, that fill `region` evenly; read-only, each for the same volume.

    `region` is a striatal one (`PARTS`), a reference (`REFERENCES`: the 2 mm voxel centres of its mask, whatever
    `spacing_mm`) or a large volume (`LARGE`). The mean of a scan at these points, mapped into it, is the region's mean.

    Raises:
        UsageError: there is no region of this name.
    """
    if region in PARTS:
        return striatum_points(region, spacing_mm)
    if region in REFERENCES:
        points = MNI_2MM.to_world(np.argwhere(reference_mask(region)))
    elif region in LARGE:
        low, high = bounds_mm("striatum_right")
        points = lattice(low - LARGE_REACH_MM - 1, high + LARGE_REACH_MM + 1, spacing_mm)
        points = points[_in_large(points, "right")] * ((1, 1, 1) if region == "large_right" else (-1, 1, 1))
    else:
        known = (*PARTS, *REFERENCES, *LARGE)
        raise UsageError("There is no region of this name.", where="atlas.sample_points", found=region, expected=known)
    points.setflags(write=False)
    return points
