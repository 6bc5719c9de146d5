"""The acceptance test of an installation: phantoms of known ratio through the whole chain, judged by tolerances."""

from __future__ import annotations

from dopascope.reading.selftest.conduct import LARGEST_SEED, run
from dopascope.reading.selftest.phantoms import MAIN_CAMERA
from dopascope.reading.selftest.result import Line, Measure, Selftest
from dopascope.reading.selftest.tolerances import TOLERANCES

__all__ = ["LARGEST_SEED", "MAIN_CAMERA", "TOLERANCES", "Line", "Measure", "Selftest", "run"]
