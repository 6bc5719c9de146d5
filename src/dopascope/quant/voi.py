"""The volumes of interest that are measured, by name, as the atlas's sample points; nothing here knows of a scan."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas import LARGE, PARTS, REFERENCES, REGIONS, sample_points
from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM

Array = NDArray[np.float64]

SIDES: Final = ("left", "right")

VOI_SET: Final = "dopascope-voi1"
"""Name of this set of volumes; it changes when any volume does."""

STRUCTURES: Final = ("caudate", "putamen", "anterior_putamen", "posterior_putamen", "striatum")
MEASURED: Final = tuple(f"{structure}_{side}" for structure in STRUCTURES for side in SIDES)
"""The regions that get a ratio."""

STRIATUM_MM: Final = 1.0
LARGE_MM: Final = 2.0
"""Lattices of the sample points; the references are the 2 mm voxel centres of their masks."""


def base_volumes(reference: str) -> tuple[str, ...]:
    """The volumes whose means are measured: six disjoint striatal parts, two large volumes, the reference.

    Raises:
        UsageError: no reference region has this name.
    """
    if reference not in REFERENCES:
        raise UsageError(
            "There is no such reference region.",
            where="reference",
            found=repr(reference),
            expected=" or ".join(REFERENCES),
            fix="Choose one of these; whole_brain is the default.",
        )
    return (*REGIONS, *LARGE, reference)


def points(name: str) -> Array:
    """Sample points `(N, 3)`, MNI mm, each standing for the same volume."""
    return sample_points(name, LARGE_MM if name in LARGE else STRIATUM_MM)


def ml(name: str) -> float:
    """Volume in MNI space that the sample points stand for."""
    if name in REFERENCES:
        return len(points(name)) * MNI_2MM.voxel_ml
    return len(points(name)) * (LARGE_MM if name in LARGE else STRIATUM_MM) ** 3 / 1000


__all__ = ["LARGE", "MEASURED", "PARTS", "REFERENCES", "REGIONS", "SIDES", "VOI_SET", "base_volumes", "ml", "points"]
