"""Intensity scales by name: a scan on the MNI grid divided by its reference value is in units of that name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.errors import UnsuitableError, UsageError
from dopascope.volume import MNI_2MM, LabelMap, Step, Volume

STRIATAL_MARGIN_MM: Final = 10.0
"""Distance that `p75_nonstriatal` keeps from the striatum."""


@dataclass(frozen=True)
class IntensityMethod:
    """A named way to take one reference value from a scan on `MNI_2MM`."""

    value: Callable[[NDArray[np.float32]], float]
    description: str
    source: str


def _p75_nonstriatal(data: NDArray[np.float32]) -> float:
    return float(np.percentile(data[nonstriatal_brain()], 75))


def _occipital(data: NDArray[np.float32]) -> float:
    return float(data[atlas.reference_mask("occipital")].mean(dtype=np.float64))


def _whole_brain(data: NDArray[np.float32]) -> float:
    return float(data[atlas.reference_mask("whole_brain")].mean(dtype=np.float64))


def _p99(data: NDArray[np.float32]) -> float:
    return float(np.percentile(data, 99))


METHODS: Final = {
    "p75_nonstriatal": IntensityMethod(
        _p75_nonstriatal,
        "75th percentile of the brain further than 10 mm from the striatum; the scale of the public expert networks",
        "Buddenkotte and Buchert, J Nucl Med 2024, doi 10.2967/jnumed.124.267570",
    ),
    "occipital": IntensityMethod(
        _occipital,
        "mean of the occipital reference region",
        "Tossici-Bolt et al., Eur J Nucl Med Mol Imaging 2006;33:1491",
    ),
    "whole_brain": IntensityMethod(
        _whole_brain,
        "mean of the brain without the striatum and a margin of 20 mm around it, 6 mm below the surface",
        "Buchert et al. 2016 (whole brain without striatum as reference)",
    ),
    "p99": IntensityMethod(
        _p99,
        "99th percentile of the whole MNI box, air included; for displays and networks, not for binding ratios",
        "common practice; robust against single hot voxels",
    ),
}


def reference_value(volume: Volume, method: str) -> float:
    """The value that the scan is to be divided by.

    Args:
        volume: a scan on `MNI_2MM`, raw intensities.
        method: a name of `METHODS`.

    Raises:
        UsageError: the method is unknown or the volume is not on `MNI_2MM`.
        UnsuitableError: the value is not a positive finite number.
    """
    if method not in METHODS:
        raise UsageError(
            "There is no intensity method of this name.",
            where="intensity",
            found=repr(method),
            expected=", ".join(METHODS),
            fix="Use one of the names above.",
        )
    if not volume.grid.same_as(MNI_2MM):
        raise UsageError(
            "A reference value is taken on the MNI grid only.",
            found=f"shape {volume.grid.shape}, spacing {volume.grid.spacing_mm} mm",
            expected=f"shape {MNI_2MM.shape}, 2 mm, on the MNI152 position",
            fix="Call space.normalise(volume, space.register(volume)) first.",
        )
    value = METHODS[method].value(volume.data)
    if not (np.isfinite(value) and value > 0):
        raise UnsuitableError(
            "The reference region holds no signal to scale by.",
            where=f"intensity method {method}",
            found=f"{value:g}",
            expected="a positive finite value",
            fix="Check the registration picture: is the brain where the template expects it, and inside the field?",
        )
    return value


def zscore(volume: Volume, mask: LabelMap) -> tuple[Volume, float, float]:
    """`volume` less its mean in the brain, over its standard deviation there, 0 outside; and the two numbers.

    Args:
        volume: any grid, shading corrected.
        mask: brain, above 0, on the same grid.

    Raises:
        UnsuitableError: the brain is empty or of one value, or a value is not finite.
    """
    inside = mask.data > 0
    values = volume.data[inside].astype(np.float64)
    mean, sd = (float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0)
    if not (np.isfinite(sd) and sd > 0):
        raise UnsuitableError(
            "The brain holds no spread of intensities to scale by.",
            where="brain mask",
            found=f"standard deviation {sd:g} in {len(values)} voxels",
            expected="a positive finite value",
            fix="Check the mask over the scan.",
        )
    data = np.where(inside, (volume.data - np.float32(mean)) / np.float32(sd), np.float32(0))
    return volume.with_data(data, Step("zscore", {"mean": mean, "sd": sd})), mean, sd


@lru_cache(maxsize=1)
def nonstriatal_brain() -> NDArray[np.bool_]:
    """Voxels of `MNI_2MM` in the brain and further than `STRIATAL_MARGIN_MM` from the striatum."""
    from scipy.ndimage import distance_transform_edt

    striatum = np.sum(list(atlas.striatum_weights().values()), axis=0) >= 0.5
    far = distance_transform_edt(~striatum, sampling=MNI_2MM.spacing_mm) > STRIATAL_MARGIN_MM
    return np.asarray((atlas.tissue("brain").data >= 0.5) & far)
