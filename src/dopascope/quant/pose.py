"""How much a mean over a volume of interest moves when the pose does: the Jacobian of means by the six pose numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.quant.sampling import Sampler
from dopascope.space.quality import STRIATAL_CENTRE_MM

Array = NDArray[np.float64]

SLOPE_POINTS: Final = 8000
"""Points a region used for slopes at most; a slope needs far fewer than a mean."""


def jacobian(sampler: Sampler, points_mni: Array, mni_to_scan: geometry.Affine) -> Array:
    """Change `(6,)` of the mean over `points_mni` per mm of shift along x, y, z and per degree of tilt about x, y, z.

    Shift and tilt are of the head in scan space, tilts about the scan position of `STRIATAL_CENTRE_MM`. With slope g at
    scan position p and turn axis e through c, the intensity under a point changes by g . (e x (p - c)) =
    e . ((p - c) x g) per radian. Points outside the field of view do not count.
    """
    points = points_mni[_thinned(points_mni)]
    slopes = sampler.slopes(points) @ np.linalg.inv(mni_to_scan[:3, :3])
    arms = geometry.apply_affine(mni_to_scan, points) - geometry.apply_affine(mni_to_scan, STRIATAL_CENTRE_MM)
    seen = np.isfinite(slopes).all(1)
    if not seen.any():
        return np.zeros(6)
    turning = np.deg2rad(np.cross(arms[seen], slopes[seen]))
    return np.concatenate([slopes[seen].mean(0), turning.mean(0)])


def _thinned(points_mni: Array) -> NDArray[np.bool_]:
    """About `SLOPE_POINTS` points spread evenly by a lattice rule on (|x|, y, z), so that the choice is symmetric."""
    every = max(1, len(points_mni) // SLOPE_POINTS)
    steps = np.floor(np.abs(points_mni[:, 0])) + 11 * np.floor(points_mni[:, 1]) + 29 * np.floor(points_mni[:, 2])
    kept: NDArray[np.bool_] = np.floor(steps / 2) % every == 0
    return kept
