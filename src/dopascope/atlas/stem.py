"""Where the brain stem is parted: planes in template mm, seen on the template's own T1."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import Tissue

Line = tuple[float, float, float]
"""Value at a place, that place, and the value's rise per mm from there."""

MIDBRAIN_TOP: Final[Line] = (-1.0, -29.0, -0.62)
PONS_TOP: Final[Line] = (-14.0, -40.0, -0.34)
PONS_END: Final[Line] = (-48.0, -29.0, -0.34)
"""Height z over y of the planes: posterior commissure to mammillary bodies; lower edge of the quadrigeminal plate to
the superior pontine notch; and, parallel to it, the inferior pontine notch (the lines of the MR parkinsonism index,
Quattrone et al., Radiology 2008, doi 10.1148/radiol.2453071703)."""


def height(line: Line, at: NDArray[Any]) -> NDArray[np.float64]:
    """The line's value at each of `at`."""
    value, place, rise = line
    return np.asarray(value + rise * (at - place), np.float64)


def stem_parts(points_mm: NDArray[Any]) -> NDArray[np.uint8]:
    """Midbrain, pons or stem (medulla) at points (..., 3) of a brain stem in template mm; 0 above the midbrain."""
    y, z = points_mm[..., 1], points_mm[..., 2]
    top, middle, end = (height(line, y) for line in (MIDBRAIN_TOP, PONS_TOP, PONS_END))
    found = np.select([z >= top, z >= middle, z >= end], [0, int(Tissue.MIDBRAIN), int(Tissue.PONS)], int(Tissue.STEM))
    return np.asarray(found, np.uint8)
