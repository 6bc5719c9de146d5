"""The shape of striatal uptake on each side: a comma in health, a full stop in disease."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.volume import MNI_2MM, Volume

MARGIN_MM: Final = 8.0
"""Around the atlas' striatum: room for the spread of the image and errors of registration."""
LEVEL: Final = 0.5
"""Between the reference region and the hottest voxels of the side."""
HOTTEST: Final = 20
"""Voxels of 8 mm3 whose mean is the top of the side: one voxel is noise."""
SHAPES: Final = ("volume_ml", "length_mm", "width_mm", "centre_y_mm")


def uptake_shape(volume: Volume) -> dict[str, float]:
    """`{volume_ml|length_mm|width_mm|centre_y_mm}_{left|right}` of the uptake above half of its own height.

    Length and width are four standard deviations of its places along their two longest axes. A scan multiplied by any
    number has the same shape.

    Args:
        volume: a scan on `MNI_2MM`.

    Source: the idea of Augimeri et al. 2016, Phys Med 32:1310 (shape beside uptake); the definition is ours.
    """
    reference = float(volume.data[atlas.reference_mask("whole_brain")].mean(dtype=np.float64))
    found: dict[str, float] = {}
    for side, places in _zones().items():
        values = volume.data[tuple(places.T)].astype(np.float64)
        top = float(np.sort(values)[-HOTTEST:].mean())
        inside = places[values >= reference + LEVEL * (top - reference)]
        world = MNI_2MM.to_world(inside)
        spread = np.sort(np.linalg.eigvalsh(np.cov(world.T)))[::-1] if len(inside) > 3 else np.zeros(3)
        long, wide = (4 * float(np.sqrt(max(one, 0.0))) for one in spread[:2])
        centre = float(world[:, 1].mean()) if len(inside) else 0.0
        measured = (len(inside) * 0.008, long, wide, centre)
        found |= {f"{name}_{side}": value for name, value in zip(SHAPES, measured, strict=True)}
    return found


@lru_cache(maxsize=1)
def _zones() -> dict[str, NDArray[np.int_]]:
    """Side -> voxels (N, 3) of `MNI_2MM` within `MARGIN_MM` of its striatum."""
    from scipy.ndimage import distance_transform_edt

    weights = atlas.striatum_weights()
    zones = {}
    for side in ("left", "right"):
        striatum = np.sum([one for name, one in weights.items() if name.endswith(side)], axis=0) >= 0.5
        zones[side] = np.argwhere(distance_transform_edt(~striatum, sampling=MNI_2MM.spacing_mm) <= MARGIN_MM)
    return zones
