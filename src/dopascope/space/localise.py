"""Where the head is, in mm, before anything is known of its pose.

Nothing here trusts the brightest voxel: salivary glands are the maximum in a quarter of abnormal scans. The head
is found by volume: an adult's head and neck fill litres, glands and striata together some hundred millilitres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UnsuitableError
from dopascope.space.lattice import Lattice

LEVEL_ML: Final = 700.0
"""The head's typical intensity is the one that this volume exceeds: far above glands and striata (some 150 ml)
and about the middle of the brain."""
EDGE_SHARE: Final = 0.4
"""The head ends where the blurred scan falls below this share of its typical intensity."""
DIMMEST_SHARE: Final = 0.04
"""Striata and glands are at most some ten times as bright as brain; where the typical intensity is dimmer than this
share of the maximum there is no head around them."""
SMALLEST_HEAD_ML: Final = 400.0
LARGEST_HEAD_ML: Final = 9000.0
CROWN_TO_CENTRE_MM: Final = 70.0
"""From the crown, as the threshold sees it, down to the middle of the brain (MNI z = +8 mm)."""


@dataclass(frozen=True)
class Head:
    """A head in the scan: `centre_mm` (RAS) is the estimated middle of the brain, `level` its typical intensity."""

    centre_mm: NDArray[np.float64]
    centroid_mm: NDArray[np.float64]
    level: float
    volume_ml: float
    crown_cut: bool
    """The head touches the upper end of the field: the crown is not seen."""


def localise(lattice: Lattice) -> Head:
    """Find the head in a scan blurred by about 5 mm.

    Raises:
        UnsuitableError: no connected bright region is as large as a head.
    """
    from scipy import ndimage

    values = lattice.values
    node_ml = float(abs(np.linalg.det(np.linalg.inv(lattice.to_node)[:3, :3]))) / 1000
    rank = min(int(LEVEL_ML / node_ml), values.size // 2)
    level = float(np.partition(values, values.size - 1 - rank, axis=None)[values.size - 1 - rank])
    pieces, count = ndimage.label(values > EDGE_SHARE * level)
    sizes = np.bincount(pieces.ravel())[1:] * node_ml
    largest = float(sizes.max()) if count else 0.0
    if level <= DIMMEST_SHARE * float(values.max()) or not SMALLEST_HEAD_ML <= largest <= LARGEST_HEAD_ML:
        raise UnsuitableError(
            "No head is found in this image.",
            found=f"largest bright region {largest:.0f} ml; typical value {level:.3g}, maximum {values.max():.3g}",
            expected=f"{SMALLEST_HEAD_ML:.0f} to {LARGEST_HEAD_ML:.0f} ml in one piece, {DIMMEST_SHARE} of the maximum",
            fix="Check that this is a brain SPECT scan and that its voxel spacing is right (dopascope inspect).",
        )
    inside = pieces == 1 + int(sizes.argmax())
    world = geometry.apply_affine(np.linalg.inv(lattice.to_node), np.argwhere(inside))
    return _head(world, lattice, level, largest)


def _head(world: NDArray[np.float64], lattice: Lattice, level: float, volume_ml: float) -> Head:
    crown = float(np.percentile(world[:, 2], 99.5))
    upper = world[world[:, 2] > crown - 2 * CROWN_TO_CENTRE_MM]
    low, high = np.percentile(upper[:, :2], [2, 98], axis=0)
    centroid = world.mean(axis=0)
    # Between the extremes rather than the mean: a one-sided gland or neck does not pull it.
    centre = np.array([*((low + high) / 2), crown - CROWN_TO_CENTRE_MM])
    corner = geometry.apply_affine(np.linalg.inv(lattice.to_node), np.array([[0, 0, 0], np.array(lattice.shape) - 1]))
    crown_cut = bool(world[:, 2].max() >= corner[:, 2].max() - 1e-3)
    if crown_cut:
        centre[2] = centroid[2]
    return Head(centre, centroid, level, volume_ml, crown_cut)
