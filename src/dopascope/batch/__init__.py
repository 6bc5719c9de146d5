"""A cohort through the floors below, scan by scan: tables in, tables out, interrupted and gone on with."""

from __future__ import annotations

from dopascope.batch.binding import Measured, Settings, measure_scan
from dopascope.batch.fitting import assumed_of, healthy_people, normals_of, recovery_of
from dopascope.batch.resume import Progress, measure_all, side_file
from dopascope.batch.sheet import sheet_text, write_sheet
from dopascope.batch.truth import read_truth
from dopascope.batch.workers import each

__all__ = [
    "Measured",
    "Progress",
    "Settings",
    "assumed_of",
    "each",
    "healthy_people",
    "measure_all",
    "measure_scan",
    "normals_of",
    "read_truth",
    "recovery_of",
    "sheet_text",
    "side_file",
    "write_sheet",
]
