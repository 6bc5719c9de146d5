"""Where the camera stands: views on a circular orbit, their bins, and the image they look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UsageError


@dataclass(frozen=True)
class Geometry:
    """An image and the views of it from a circular orbit around the middle of its x-y planes.

    Image axes are RAS: x to the patient's right, y to the front, z up; the axis of rotation is z through the middle
    of the array. In the view at angle a (degrees) the collimator's face is at `radius_mm` in direction
    (cos a, sin a), so 0 is the patient's right and 90 the front; bins u run along (-sin a, cos a). Detector rows
    are the image's slices.

    Raises:
        UsageError: a field that cannot be meant.
    """

    shape: tuple[int, int, int]
    """Voxels (nx, ny, nz)."""
    voxel_mm: tuple[float, float, float]
    angles_deg: tuple[float, ...]
    radius_mm: float
    """From the axis to the collimator's face."""
    bins: int | None = None
    """Across the detector; None: nx."""
    bin_mm: float | None = None
    """None: the voxel's x."""
    support_mm: float | None = None
    """Radius of the cylinder that can hold activity; None: up to the collimator's face or the image's edge,
    whichever is nearer. Voxels with their centre outside it are neither projected nor reconstructed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_deg", tuple(float(a) for a in self.angles_deg))
        lengths = {"voxel_mm": self.voxel_mm, "radius_mm": (self.radius_mm,)}
        lengths |= {name: (value,) for name in ("bin_mm", "support_mm") if (value := getattr(self, name)) is not None}
        for name, values in lengths.items():
            if not all(math.isfinite(v) and v > 0 for v in values):
                raise _refused(name, values, "lengths above 0 mm")
        counts = {"shape": self.shape, "bins": (self.nu,), "angles_deg": (len(self.angles_deg),)}
        for name, numbers in counts.items():
            if not all(n >= 1 for n in numbers):
                raise _refused(name, numbers, "at least 1 of each")
        if len(self.shape) != 3 or len(self.voxel_mm) != 3:
            raise _refused("shape, voxel_mm", (self.shape, self.voxel_mm), "three axes: x, y, z")
        if not np.isfinite(self.angles_deg).all():
            raise _refused("angles_deg", self.angles_deg, "finite angles in degrees")
        if not self.support.any():
            raise _refused("support_mm", self.reach_mm, "a cylinder that holds a voxel's centre")

    @property
    def views(self) -> int:
        """How many views."""
        return len(self.angles_deg)

    @property
    def nu(self) -> int:
        """Bins across the detector."""
        return self.shape[0] if self.bins is None else self.bins

    @property
    def bin_width(self) -> float:
        """Width of a bin in mm."""
        return self.voxel_mm[0] if self.bin_mm is None else self.bin_mm

    @property
    def reach_mm(self) -> float:
        """Radius of the support in mm."""
        edge = min(self.shape[0] * self.voxel_mm[0], self.shape[1] * self.voxel_mm[1]) / 2
        return min(self.radius_mm, edge) if self.support_mm is None else self.support_mm

    @cached_property
    def support(self) -> NDArray[np.bool_]:
        """(nx, ny): voxel columns that are projected and reconstructed."""
        x, y = self.centres_mm()
        inside: NDArray[np.bool_] = np.hypot(x, y) <= self.reach_mm
        return inside

    def centres_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Voxel centres from the axis, x and y of shape (nx, ny)."""
        x, y = ((np.arange(n) - (n - 1) / 2) * v for n, v in zip(self.shape[:2], self.voxel_mm[:2], strict=True))
        grid = np.meshgrid(x, y, indexing="ij")
        return grid[0], grid[1]


def circle(views: int, *, start_deg: float = 0.0, arc_deg: float = 360.0) -> tuple[float, ...]:
    """Angles of `views` views evenly over `arc_deg`, the first at `start_deg`."""
    return tuple(start_deg + arc_deg * v / views for v in range(views))


def chosen_views(geometry: Geometry, views: Sequence[int] | None) -> list[int]:
    """Indices of views, all where None.

    Raises:
        UsageError: an index that the geometry has not.
    """
    if views is None:
        return list(range(geometry.views))
    wrong = [v for v in views if not 0 <= v < geometry.views]
    if wrong:
        raise _refused("views", wrong, f"indices from 0 to {geometry.views - 1}")
    return list(views)


def _refused(where: str, found: Any, expected: str) -> UsageError:
    return UsageError(
        "The projector's geometry cannot be meant.",
        where=where,
        found=found,
        expected=expected,
        fix=f"Correct {where} and run again.",
    )
