"""The template cut into points to compare, coarse and fine. Computed once a process from `space.template`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.space.fit import Level
from dopascope.space.template import (
    FWHM_PER_SIGMA,
    TEMPLATE_FWHM_MM,
    TYPICAL_SBR,
    blurred,
    depth_mm,
    sharp_parts,
    striatal_parts,
)
from dopascope.volume import MNI_2MM

ORIGIN_MM: Final = (0.0, -20.0, 8.0)
"""Poses turn about this point, the middle of the brain."""

REGION_MARGIN_MM: Final = 10.0
"""Points reach this far outside the brain: its edge is what tells the scale."""
LOWEST_Z_MM: Final = -58.0
"""Below lie glands, neck and, in many scans, the end of the field."""
STRIATAL_BOX_MM: Final = ((-46.0, -36.0, -26.0), (46.0, 38.0, 34.0))
STRIATAL_SHARE: Final = 0.02
"""Blurred striatum above this fraction counts as striatum."""
DEEP_MM: Final = 12.0
"""Further than this below the brain's surface, glands and scalp do not reach."""

SBR_OF_PART: Final = {f"{name}_{side}": ratio for name, ratio in TYPICAL_SBR.items() for side in ("left", "right")}
BACKWARD: Final = {"caudate": 0.0, "anterior_putamen": 0.6, "posterior_putamen": 1.0, "accumbens": -0.3}
"""How much of the backward-growing loss of PD a region takes (remaining .65, .50, .35 of normal; accumbens .85)."""


@lru_cache(maxsize=4)
def level(extra_sigma_mm: float, step: int, striatal_weight: float) -> Level:
    """Points every `step` template voxels in the brain and its margin.

    Parts are blurred to the template's resolution and by `extra_sigma_mm` more. Points around the striatum count
    `striatal_weight` times.
    """
    index = np.argwhere(_every(step) & _region())
    points = MNI_2MM.to_world(index)
    fwhm = float(np.hypot(TEMPLATE_FWHM_MM, extra_sigma_mm * FWHM_PER_SIGMA))
    basis = {name: blurred(part, fwhm)[tuple(index.T)] for name, part in sharp_parts().items()}
    striatal = np.asarray(np.sum([basis[name] for name in striatal_parts()], axis=0) > STRIATAL_SHARE)
    low, high = np.array(STRIATAL_BOX_MM)
    near = ((points >= low) & (points <= high)).all(axis=1)
    around = [0.0 if name in SBR_OF_PART else float(part[striatal].mean()) for name, part in basis.items()]
    return Level(
        points=np.concatenate([points, np.ones((len(index), 1))], axis=1),
        basis=np.stack([*basis.values(), np.ones(len(index), np.float32)], axis=1),
        weight=np.where(near, striatal_weight, 1.0).astype(np.float32),
        striatal=striatal,
        deep=depth_mm()[tuple(index.T)] > DEEP_MM,
        odd_patterns=_odd_patterns(),
        around=np.array([*around, 1.0]),
        point_ml=(2.0 * step) ** 3 / 1000,
    )


def part_names() -> list[str]:
    """Names of the basis columns, the last being the constant."""
    return [*sharp_parts(), "constant"]


def _odd_patterns() -> NDArray[np.float64]:
    """`(M, K)`: what is left of the striatal amplitudes, relative to normal, when the usual patterns are taken out.

    Usual are: all regions more or less, one side more than the other, loss that grows from caudate to posterior
    putamen, and such a loss on one side. These four are free; PD and its mimics are mixtures of them.
    """
    names = part_names()
    regions = [name for name in names if name in SBR_OF_PART]
    side = np.array([-1.0 if name.endswith("left") else 1.0 for name in regions])
    backward = np.array([BACKWARD[name.rsplit("_", 1)[0]] for name in regions])
    usual = np.stack([np.ones(len(regions)), side, backward, backward * side], axis=1)
    odd = np.eye(len(regions)) - usual @ np.linalg.pinv(usual)
    found = np.zeros((len(regions), len(names)))
    for n, name in enumerate(regions):
        found[:, names.index(name)] = odd[:, n] / SBR_OF_PART[name]
    return found


@lru_cache(maxsize=1)
def _region() -> NDArray[np.bool_]:
    height = MNI_2MM.affine[2, 2] * np.arange(MNI_2MM.shape[2]) + MNI_2MM.affine[2, 3]
    return np.asarray((depth_mm() >= -REGION_MARGIN_MM) & (height >= LOWEST_Z_MM), bool)


def _every(step: int) -> NDArray[np.bool_]:
    """One voxel in `step` along each axis, symmetric about the mid-sagittal plane."""
    i, j, k = (np.arange(n) for n in MNI_2MM.shape)
    middle = MNI_2MM.shape[0] // 2
    on = [(i - middle) % step == 0, j % step == 0, k % step == 0]
    return np.asarray(on[0][:, None, None] & on[1][None, :, None] & on[2][None, None, :], bool)
