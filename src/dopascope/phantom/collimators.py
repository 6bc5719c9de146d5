"""Parallel-hole collimators: their holes, and how sharply a camera with them sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

INTRINSIC_MM: Final = 3.8 * math.sqrt(140.0 / 159.0)
"""Intrinsic FWHM of the detector at 159 keV: 3.8 mm at 140 keV, better with the root of the energy."""
LEAD_PER_CM: Final = 19.8
"""Attenuation of lead at 159 keV, 1/cm."""


@dataclass(frozen=True)
class Collimator:
    """A parallel-hole collimator; lengths in cm as makers give them.

    `penetration` is the share of the counts in the 159 keV window that comes from the 529 keV line through the
    septa (Cot et al. 2006: up to 28 % with LEHR).
    """

    name: str
    hole_cm: float
    septum_cm: float
    length_cm: float
    penetration: float

    @property
    def effective_length_cm(self) -> float:
        """Hole length less two mean free paths in lead, since edges let through: L - 2 / mu."""
        return self.length_cm - 2 / LEAD_PER_CM

    def fwhm_at(self, distance_mm: float) -> float:
        """System FWHM in mm at `distance_mm` from the collimator's face.

        Geometric part d + d z / (L - 2 / mu) (Cherry, Sorenson, Phelps: Physics in Nuclear Medicine,
        collimator resolution), in quadrature with `INTRINSIC_MM`.
        """
        hole = 10 * self.hole_cm
        return math.hypot(hole * (1 + distance_mm / (10 * self.effective_length_cm)), INTRINSIC_MM)


COLLIMATORS: Final[Mapping[str, Collimator]] = MappingProxyType(
    {
        collimator.name: collimator
        for collimator in (
            Collimator("siemens-lehr", 0.111, 0.016, 2.405, 0.28),
            Collimator("siemens-leuhr", 0.116, 0.013, 3.58, 0.24),
            Collimator("siemens-leap", 0.145, 0.020, 2.405, 0.25),
            Collimator("siemens-me", 0.294, 0.114, 4.064, 0.03),
            Collimator("ge-lehr", 0.150, 0.020, 3.5, 0.20),
            Collimator("ge-elegp", 0.25, 0.04, 4.0, 0.08),
            Collimator("philips-lehr", 0.122, 0.0152, 2.7, 0.26),
            Collimator("mediso-leuhr", 0.12, 0.02, 3.4, 0.18),
            Collimator("mediso-lehr", 0.15, 0.02, 3.5, 0.20),
        )
    }
)
"""Holes, septa and lengths as in published SIMIND and PyTomography tables; penetration estimated from the septa
within the .03 to .28 that is published for these classes."""
