"""From the scan's own grid to the template's: orientation, resampling, registration, intensity scales, views."""

from __future__ import annotations

from dopascope.space import intensity, views
from dopascope.space.orient import canonical
from dopascope.space.registration import Manual, Registration, normalise, register
from dopascope.space.resample import resample
from dopascope.space.template import dat_template
from dopascope.volume import MNI_2MM

__all__ = [
    "MNI_2MM",
    "Manual",
    "Registration",
    "canonical",
    "dat_template",
    "intensity",
    "normalise",
    "register",
    "resample",
    "views",
]
