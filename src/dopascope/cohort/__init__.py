"""Tables of scans: what is in a cohort, where it came from, and how it may be split."""

from __future__ import annotations

from dopascope.cohort.scan import COLUMNS, CohortScan, one_scan, read_cohort
from dopascope.cohort.table import MISSING, Row, read_table

__all__ = ["COLUMNS", "MISSING", "CohortScan", "Row", "one_scan", "read_cohort", "read_table"]
