"""Places that make T1-weighted scans: voxels, field of view, noise, coil shading and contrast. All are invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.phantom.camera import ORIENTATIONS
from dopascope.volume import Acquisition, Grid

CROWN_MM: Final = 112.0
"""Upper end of every field of view: above the head of every person in every pose."""
FIELD_CENTRE_MM: Final = (0.0, -12.0)
SPACING_MM: Final = (0.5, 4.0)
"""Cubic voxels that can be asked for."""


@dataclass(frozen=True)
class Scanner:
    """A scanner with its protocol.

    Raises:
        UsageError: voxels outside `SPACING_MM`, or axes there are not.
    """

    name: str
    manufacturer: str
    model: str
    voxel_mm: tuple[float, float, float]
    """Along x, y, z of the world."""
    field_mm: tuple[float, float, float]
    axes: str
    """Order and direction in which the array is stored."""
    grey: float
    white: float
    fluid: float
    """Signal of the main tissues; the others follow `contrast.SEQUENCES`."""
    noise: float
    """Standard deviation in each of the two channels, over white matter's signal."""
    shading: float
    """Standard deviation of the log of the coil's shading."""
    gain: float
    """Stored value of white matter."""
    blur: float = 1.0
    """Full width at half maximum of the point spread, in voxels."""

    def __post_init__(self) -> None:
        low, high = SPACING_MM
        if self.axes not in ORIENTATIONS or not all(low <= one <= high for one in self.voxel_mm):
            raise UsageError(
                "These voxels cannot be simulated.",
                where="spacing",
                found=f"{self.voxel_mm} mm, axes {self.axes}",
                expected=f"{low:g} to {high:g} mm",
                fix="Give --spacing a number of that range.",
            )

    def cubic(self, spacing_mm: float) -> Scanner:
        """The same with cubic voxels."""
        return replace(self, voxel_mm=(spacing_mm, spacing_mm, spacing_mm))

    def grid(self) -> Grid:
        """The field of view, RAS, before it is stored along `axes`."""
        shape = tuple(int(np.ceil(length / step)) for length, step in zip(self.field_mm, self.voxel_mm, strict=True))
        middle = np.array([*FIELD_CENTRE_MM, CROWN_MM - self.field_mm[2] / 2])
        origin = middle - np.array(self.voxel_mm) * (np.array(shape) - 1) / 2
        return Grid((shape[0], shape[1], shape[2]), geometry.from_parts(np.eye(3), self.voxel_mm, origin))

    def acquisition(self, age: float, sex: str) -> Acquisition:
        """What a header says."""
        return Acquisition(
            modality="MR",
            image_type=("ORIGINAL", "PRIMARY", "M"),
            manufacturer=self.manufacturer,
            model=self.model,
            age_years=age,
            sex=sex,
        )


_ALL: Final = (
    Scanner("siemens-3t-sagittal", "SIEMENS", "simulated 3 T", (1.0, 1.0, 1.0), (176.0, 240.0, 256.0), "PIR",
            grey=0.56, white=0.82, fluid=0.15, noise=0.020, shading=0.20, gain=600.0),
    Scanner("ge-3t-axial", "GE MEDICAL SYSTEMS", "simulated 3 T", (0.94, 0.94, 1.2), (240.0, 240.0, 204.0), "LPS",
            grey=0.60, white=0.80, fluid=0.20, noise=0.030, shading=0.30, gain=3000.0),
    Scanner("philips-3t-sagittal", "Philips", "simulated 3 T", (1.2, 1.0, 1.0), (180.0, 240.0, 240.0), "AIL",
            grey=0.52, white=0.85, fluid=0.12, noise=0.022, shading=0.35, gain=1200.0),
    Scanner("siemens-1.5t-sagittal", "SIEMENS", "simulated 1.5 T", (1.2, 1.25, 1.25), (180.0, 240.0, 240.0), "PIR",
            grey=0.62, white=0.80, fluid=0.22, noise=0.045, shading=0.10, gain=350.0),
    Scanner("ge-1.5t-axial", "GE MEDICAL SYSTEMS", "simulated 1.5 T", (0.94, 0.94, 1.5), (240.0, 240.0, 186.0), "RAS",
            grey=0.60, white=0.78, fluid=0.20, noise=0.050, shading=0.12, gain=200.0),
    Scanner("philips-1.5t-thick", "Philips", "simulated 1.5 T", (0.9, 0.9, 3.0), (230.0, 230.0, 174.0), "LPS",
            grey=0.58, white=0.78, fluid=0.18, noise=0.030, shading=0.15, gain=800.0),
)  # fmt: skip
SCANNERS: Final[Mapping[str, Scanner]] = MappingProxyType({one.name: one for one in _ALL})
"""Makers' names say whose habits a protocol is like, not whose scans these are."""
