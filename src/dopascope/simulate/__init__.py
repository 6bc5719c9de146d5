"""Simulated cohorts: scans of simulated people at simulated sites, with the truth beside them, from one seed."""

from __future__ import annotations

from dopascope.simulate.plan import Participant, Plan, parse_mix, parse_sites
from dopascope.simulate.run import run

__all__ = ["Participant", "Plan", "parse_mix", "parse_sites", "run"]
