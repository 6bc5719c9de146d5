"""A cohort through the floors below, scan by scan: tables in, tables and images out, interrupted and gone on with."""

from __future__ import annotations

from dopascope.batch.binding import Measured, Settings, measure_scan
from dopascope.batch.cache import cache_of
from dopascope.batch.drive import Outcome, Runner
from dopascope.batch.fitting import assumed_of, healthy_people, normals_of, recovery_of
from dopascope.batch.measuring import Progress, measure_all
from dopascope.batch.normalise import Part, normalise_cohort
from dopascope.batch.normalising import NormaliseSettings
from dopascope.batch.sheet import sheet_text, write_sheet
from dopascope.batch.truth import read_truth
from dopascope.batch.workers import each

__all__ = [
    "Measured",
    "NormaliseSettings",
    "Outcome",
    "Part",
    "Progress",
    "Runner",
    "Settings",
    "assumed_of",
    "cache_of",
    "each",
    "healthy_people",
    "measure_all",
    "measure_scan",
    "normalise_cohort",
    "normals_of",
    "read_truth",
    "recovery_of",
    "sheet_text",
    "write_sheet",
]
