"""Studies: a plan and a cohort to a run folder whose every figure can be believed, and read again later."""

from __future__ import annotations

from dopascope.study.plan import PRESETS, Plan, changed, load

__all__ = ["PRESETS", "Plan", "changed", "load"]
