"""Simulated cohorts: scans of simulated people at simulated sites, with the truth beside them, from one seed."""

from __future__ import annotations

from dopascope.simulate.plan import Participant, Plan, parse_mix, parse_sites
from dopascope.simulate.run import run
from dopascope.simulate.t1_plan import T1Plan, parse_scanners

__all__ = ["Participant", "Plan", "T1Plan", "parse_mix", "parse_scanners", "parse_sites", "run"]
