"""From the scan's own grid to the template's: orientation, resampling, registration, intensity scales, views."""

from __future__ import annotations

from dopascope.space.orient import canonical
from dopascope.space.resample import resample
from dopascope.volume import MNI_2MM

__all__ = ["MNI_2MM", "canonical", "resample"]
