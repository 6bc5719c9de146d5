"""Volumes of interest as sample points in MNI space; nothing here knows of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM

Array = NDArray[np.float64]

VOI_SET: Final = "dopascope-voi1"
"""Name of this set of volumes; it changes when any volume does."""

SIDES: Final = ("left", "right")
STRUCTURES: Final = ("caudate", "putamen", "anterior_putamen", "posterior_putamen", "striatum")
"""The regions that get a ratio on each side."""
PARTS: Final = {name: tuple(atlas.PARTS[name]) for s in SIDES for name in (f"{t}_{s}" for t in STRUCTURES)}
"""Each region as the disjoint parts it is made of."""
REFERENCES: Final = ("whole_brain", "occipital")

STRIATUM_SPACING_MM: Final = 1.0


@dataclass(frozen=True, eq=False)
class Voi:
    """Equally weighted sample points `(N, 3)` in MNI mm, and the volume they stand for together."""

    name: str
    points: Array
    ml: float


@cache
def striatal() -> dict[str, Voi]:
    """The six disjoint parts of the striata, on a 1 mm lattice that is symmetric about x = 0."""
    lattice = {name: atlas.striatum_points(name, STRIATUM_SPACING_MM) for name in atlas.REGIONS}
    return {name: Voi(name, p, len(p) * STRIATUM_SPACING_MM**3 / 1000) for name, p in lattice.items()}


@cache
def large() -> dict[str, Voi]:
    """The two volumes that hold a striatum with the counts that spill from it: `large_{left|right}`, 2 mm lattice."""
    labels = atlas.large_volumes(MNI_2MM)
    return {f"large_{side}": _of_mask(f"large_{side}", labels.mask(f"large_{side}")) for side in SIDES}


@cache
def reference(name: str) -> Voi:
    """The reference region called `name`: the voxel centres of its mask on `MNI_2MM`.

    Raises:
        UsageError: no reference region has this name.
    """
    if name not in REFERENCES:
        raise UsageError(
            "There is no such reference region.",
            where="reference",
            found=repr(name),
            expected=" or ".join(REFERENCES),
            fix="Choose one of these; whole_brain is the default.",
        )
    return _of_mask(name, atlas.reference_labels(MNI_2MM).mask(name))


def _of_mask(name: str, mask: NDArray[np.bool_]) -> Voi:
    return Voi(name, MNI_2MM.to_world(np.argwhere(mask)), float(mask.sum()) * MNI_2MM.voxel_ml)
