"""What uncorrected attenuation leaves of a head's image, in closed form."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry

ELLIPSOID: Final = ((0.0, -17.0, -3.0), (85.0, 103.0, 115.0))
"""Centre and semi-axes (mm, MNI) of the ellipsoid that stands for the head: as wide as the template's head from 30 mm
below to 30 mm above its centre, longer since a neck goes on below."""
DIRECTIONS: Final = 16


def left_by_attenuation(
    points_mm: NDArray[np.floating], matrix: geometry.Affine, attenuation_per_cm: float
) -> NDArray[np.float64]:
    """Share (...,) that attenuation leaves at scan points (..., 3): the mean over directions of exp(-mu L).

    The `DIRECTIONS` lie in the scan's transaxial plane, evenly around; L is the way to the border of `ELLIPSOID`
    carried by `matrix` (4, 4), aligned mm to scan mm. Outside the ellipsoid L is the way through it, if any.
    """
    back = np.linalg.inv(matrix)
    centre, semi = (np.array(one) for one in ELLIPSOID)
    # In units in which the ellipsoid is the unit ball: |from_centre + L step| = 1 is a quadratic in L.
    from_centre = (geometry.apply_affine(back, points_mm) - centre) / semi
    outside = np.einsum("...a,...a", from_centre, from_centre) - 1
    total = np.zeros(outside.shape)
    for angle in 2 * np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS:
        step = back[:3, :3] @ [np.cos(angle), np.sin(angle), 0.0] / semi
        square, along = step @ step, from_centre @ step
        root = np.sqrt(np.maximum(along**2 - square * outside, 0))
        way = np.maximum(root - along, 0) - np.maximum(-root - along, 0)
        total += np.exp(-attenuation_per_cm / 10 / square * way)
    return total / DIRECTIONS
