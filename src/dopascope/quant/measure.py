"""Means over the volumes of interest of one registered scan, with their covariance from pose and counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnsuitableError
from dopascope.quant import noise, pose, voi
from dopascope.quant.sampling import Sampler, sampler
from dopascope.volume import Volume

Array = NDArray[np.float64]

LEAST_OF_REFERENCE: Final = 0.5
"""Share of the reference region that must lie inside the field of view."""


class Pose(Protocol):
    """What quantification needs of a registration."""

    @property
    def mni_to_scan(self) -> Array:
        """(4, 4), MNI mm to scan RAS mm."""

    @property
    def pose_covariance(self) -> Array:
        """(6, 6), of shift in mm along x, y, z and tilt in degrees about x, y, z."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means over `names` (striatal parts, large volumes, reference last) and what they are worth.

    A mean is NaN where a volume lies partly outside the field of view (for the reference: by more than half);
    its covariances are then zero. `scale` is the head's volume in the scan over its volume in MNI space; it is the last
    row and column of the covariances.
    """

    names: tuple[str, ...]
    values: Array
    inside: Array
    from_pose: Array
    from_counts: Array
    scale: float

    @property
    def covariance(self) -> Array:
        """Covariance `(K + 1, K + 1)` of the means and the scale, from pose and counts together."""
        total: Array = self.from_pose + self.from_counts
        return total

    @property
    def reference(self) -> float:
        """Mean of the reference region."""
        return float(self.values[-1])


def measure(volume: Volume, registration: Pose, reference: str) -> Means:
    """Measure all volumes of interest of one scan.

    Raises:
        UsageError: no such reference region.
        UnsuitableError: the brain is outside the field of view, has voxels that are not numbers, or the reference
            region is not positive.
    """
    names = voi.base_volumes(reference)
    matrix = np.asarray(registration.mni_to_scan, float)
    scan = sampler(volume, matrix, _box(reference))
    values, inside = np.empty(len(names)), np.empty(len(names))
    for row, name in enumerate(names):
        found = scan.values(voi.points(name))
        seen = np.isfinite(found)
        inside[row] = seen.mean()
        values[row] = found[seen].mean() if seen.any() else np.nan
    needed = np.where(np.array(names) == reference, LEAST_OF_REFERENCE, 1.0)
    _check_reference(values[-1], inside[-1], reference)
    usable = inside >= needed
    values[~usable] = np.nan
    return Means(
        names=names,
        values=values,
        inside=inside,
        from_pose=_from_pose(scan, registration, names, usable),
        from_counts=_from_counts(scan, names, values),
        scale=float(abs(np.linalg.det(matrix[:3, :3]))),
    )


@cache
def _box(reference: str) -> Array:
    everything = np.concatenate([voi.points(name) for name in ("whole_brain", *voi.base_volumes(reference))])
    return np.stack([everything.min(0), everything.max(0)])


def _check_reference(mean: float, inside: float, reference: str) -> None:
    if inside < LEAST_OF_REFERENCE:
        raise UnsuitableError(
            "Most of the reference region lies outside the field of view.",
            where=f"reference region {reference}",
            found=f"{100 * inside:.0f} % inside",
            expected=f"at least {100 * LEAST_OF_REFERENCE:.0f} %",
            fix="Check the registration, or choose the other reference region.",
        )
    if not mean > 0:
        raise UnsuitableError(
            "The reference region is not positive, so there is no ratio.",
            where=f"reference region {reference}",
            found=f"mean {mean:.4g}",
            expected="a mean above 0",
            fix="Check that this is a DaT scan in its original intensities, and that the registration fits.",
        )


def _from_pose(scan: Sampler, registration: Pose, names: tuple[str, ...], usable: NDArray[np.bool_]) -> Array:
    matrix = np.asarray(registration.mni_to_scan, float)
    slopes = np.stack([pose.jacobian(scan, voi.points(name), matrix) for name in names])
    slopes[~usable] = 0
    # The head's volume is the product of its sizes along x, y and z.
    of_scale = np.concatenate([np.zeros(6), np.full(3, abs(np.linalg.det(matrix[:3, :3])))])
    slopes = np.concatenate([slopes, of_scale[None]])
    found: Array = slopes @ pose.covariance(registration.pose_covariance) @ slopes.T
    return found


@cache
def _spectra(names: tuple[str, ...]) -> NDArray[np.complex128]:
    return np.stack([noise.spectrum(voi.points(name)) for name in names])


def _from_counts(scan: Sampler, names: tuple[str, ...], values: Array) -> Array:
    pairs = noise.noise_points()
    right, left = scan.values(pairs.right), scan.values(pairs.left)
    autocovariance = noise.autocovariance(right, left)
    found = np.zeros((len(names) + 1, len(names) + 1))
    if autocovariance is None:
        return found * np.nan
    # Counting noise grows as the square root of the counts: hotter regions than the reference are noisier.
    louder = np.sqrt(np.clip(np.nan_to_num(values / values[-1]), 0, None))
    found[:-1, :-1] = noise.covariance_of_means(autocovariance, _spectra(names)) * np.outer(louder, louder)
    return found
