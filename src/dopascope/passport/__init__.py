"""Is this scan fit to be read as a DaT SPECT, or as a T1 MRI? Checks with named thresholds, a verdict with reasons."""

from __future__ import annotations

from dopascope.passport.brain import BrainFound
from dopascope.passport.inspection import inspect
from dopascope.passport.result import Check, Passport
from dopascope.passport.t1 import inspect_t1

__all__ = ["BrainFound", "Check", "Passport", "inspect", "inspect_t1"]
