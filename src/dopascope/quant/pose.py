"""How much a mean over a volume of interest moves when the pose does: the Jacobian of means by shift, tilt and size."""

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


PARAMETERS: Final = 9
"""Shift (mm) and tilt (degrees) along and about the scan's x, y, z; size of the head along MNI x, y, z (relative)."""

POSE_SHARE: Final = 0.3
"""Share of the registration's stated variance of shift and tilt that is used. What it states (1.0 mm, 1.4 degrees) is
to hold for heads of any atlas; on people of the phantom, who have the atlas's anatomy with a warp of 1.5 to 3 mm, 0.24
of it is found (seeds 1000 to 1059: 0.4 to 0.6 mm, 0.6 to 0.8 degrees; tests/quant/calibrate_pose.py)."""

SIZE_SD: Final = 0.012
"""Standard deviation of the head's relative size along each axis, which a registration does not state; 0.009 to 0.011
is found on the same people."""


def covariance(pose_covariance: Array) -> Array:
    """Covariance `(9, 9)` of shift, tilt and size from a registration's `(6, 6)` of shift and tilt."""
    whole = np.zeros((PARAMETERS, PARAMETERS))
    whole[:6, :6] = POSE_SHARE * np.asarray(pose_covariance, float)
    whole[6:, 6:] = np.eye(3) * SIZE_SD**2
    return whole


def jacobian(sampler: Sampler, points_mni: Array, mni_to_scan: geometry.Affine) -> Array:
    """Change `(9,)` of the mean over `points_mni` per mm of shift, per degree of tilt and per unit of relative size.

    Shift and tilt are of the head in scan space, tilt and size about the middle of the striatum. With slope g at scan
    position p and turn axis e through c, the intensity under a point changes by g . (e x (p - c)) =
    e . ((p - c) x g) per radian. Points outside the field of view do not count.
    """
    points = points_mni[_thinned(points_mni)]
    slopes_mni = sampler.slopes(points)
    seen = np.isfinite(slopes_mni).all(1)
    if not seen.any():
        return np.zeros(PARAMETERS)
    points, slopes_mni = points[seen], slopes_mni[seen]
    slopes = slopes_mni @ np.linalg.inv(mni_to_scan[:3, :3])
    arms_mni = points - STRIATAL_CENTRE_MM
    turning = np.deg2rad(np.cross(arms_mni @ mni_to_scan[:3, :3].T, slopes))
    return np.concatenate([slopes.mean(0), turning.mean(0), (arms_mni * slopes_mni).mean(0)])


def _thinned(points_mni: Array) -> NDArray[np.bool_]:
    """About `SLOPE_POINTS` points spread evenly by a lattice rule on (|x|, y, z), so that the choice is symmetric."""
    every = max(1, len(points_mni) // SLOPE_POINTS)
    steps = np.floor(np.abs(points_mni[:, 0])) + 11 * np.floor(points_mni[:, 1]) + 29 * np.floor(points_mni[:, 2])
    kept: NDArray[np.bool_] = np.floor(steps / 2) % every == 0
    return kept
