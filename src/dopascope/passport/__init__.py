"""Is this scan fit to be read as a DaT SPECT? Checks with named thresholds, and a verdict with reasons."""

from __future__ import annotations

from dopascope.passport.inspection import inspect
from dopascope.passport.result import Check, Passport

__all__ = ["Check", "Passport", "inspect"]
