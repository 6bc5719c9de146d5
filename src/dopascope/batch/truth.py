"""The table of a physical phantom's true ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dopascope.cohort.table import MISSING, read_table
from dopascope.quant.voi import MEASURED

EVERY_SCAN: Final = ""
"""Key of the ratios that hold for every scan: the table has no column `scan`."""
LARGEST: Final = 1000.0


def read_truth(path: Path) -> dict[str, dict[str, float]]:
    """Scan -> region -> true ratio, from the columns `region`, `true_ratio` and, for several scans, `scan`.

    A true ratio is specific: activity concentration of the chamber over that of the background, less one.

    Raises:
        UnreadableError: see `table.read_table`; an unknown region, a ratio that is not above 0, a region twice. The
            error names line and column.
    """
    truth: dict[str, dict[str, float]] = {}
    for row in read_table(path, ("region", "true_ratio")):
        region, scan = row.get("region"), row.get("scan")
        if region is None or region not in MEASURED:
            raise row.fault("region", region or MISSING, f"one of {', '.join(MEASURED)}")
        ratio = row.number("true_ratio", 0, LARGEST)
        if not ratio:
            raise row.fault("true_ratio", row.get("true_ratio") or MISSING, "a ratio above 0")
        if "scan" in row.columns and scan is None:
            raise row.fault("scan", MISSING, "the scan that this ratio is of, in every line or in none")
        known = truth.setdefault(scan or EVERY_SCAN, {})
        if region in known:
            raise row.fault("region", f"{region} a second time", "each region once a scan")
        known[region] = ratio
    return truth
