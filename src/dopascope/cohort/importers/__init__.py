"""Folders and tables of others as cohort tables: one module a layout, all behind `find_scans`."""

from __future__ import annotations

# Each layout is imported so that it is registered.
from dopascope.cohort.importers import bids as bids
from dopascope.cohort.importers import challenge as challenge
from dopascope.cohort.importers import folders as folders
from dopascope.cohort.importers import ntua as ntua
from dopascope.cohort.importers import ppmi as ppmi
from dopascope.cohort.importers import table as table
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut, Visits
from dopascope.cohort.importers.registry import IMPORTERS, Importer, find_scans
from dopascope.cohort.importers.write import write_cohort

__all__ = ["IMPORTERS", "Found", "ImportOptions", "Importer", "LeftOut", "Visits", "find_scans", "write_cohort"]
