"""The table of binding ratios: one line a scan, as text and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dopascope import __version__, provenance
from dopascope.batch.binding import Measured
from dopascope.cohort.scan import COLUMNS
from dopascope.cohort.table import MISSING
from dopascope.quant.ratios import INDICES
from dopascope.quant.voi import LARGE, MEASURED

LEADING: Final = (
    *COLUMNS,
    *("status", "error", "method_id", "reference_mean", "normals", "normals_reason"),
    *("passport", "registration_quality", "registration_accepted", "assumed", "warnings", "sha256", "software"),
)
REGION_COLUMNS: Final = ("", "_low", "_high", "_expected", "_z", "_percent_expected")
INDEX_NAMES: Final = (*INDICES, *(f"sbr_{name}" for name in LARGE))
INDEX_COLUMNS: Final = ("", "_low", "_high")
HEADER: Final = (
    *LEADING,
    *(f"{region}{ending}" for region in MEASURED for ending in REGION_COLUMNS),
    *(f"{index}{ending}" for index in INDEX_NAMES for ending in INDEX_COLUMNS),
)


def sheet_text(results: Sequence[Measured]) -> str:
    """The table as tab-separated text: a region's ratio stands under its name, its interval under `_low`, `_high`."""
    lines = ["\t".join(HEADER)]
    for result in results:
        cells = _cells(result)
        lines.append("\t".join(cell_text(cells.get(column)) for column in HEADER))
    return "\n".join(lines) + "\n"


def write_sheet(results: Sequence[Measured], path: Path) -> None:
    """Write the table, whole or not at all."""
    provenance.write_text(path, sheet_text(results))


def _cells(result: Measured) -> dict[str, object]:
    cells: dict[str, object] = {
        **result.cells,
        "scan_id": result.cells.get("scan_id", result.name),
        "age": result.age,
        "sex": result.sex,
        "status": "done" if result.error is None else "failed",
        "error": None if result.error is None else "; ".join(f"{k}: {v}" for k, v in result.error.items()),
        "passport": result.passport,
        "registration_quality": result.quality,
        "registration_accepted": result.accepted,
        "assumed": "; ".join(result.assumed) or None,
        "sha256": result.sha256,
        "software": f"dopascope {__version__}",
    }
    numbers = result.quantification
    if numbers is None:
        return cells
    cells |= {"method_id": numbers.method_id, "reference_mean": numbers.reference_mean}
    cells |= {"normals": numbers.normals, "normals_reason": numbers.normals_reason}
    cells["warnings"] = "; ".join((*result.warnings, *numbers.warnings)) or None
    for name, region in numbers.regions.items():
        values = (region.sbr, *(region.interval or (None, None)), region.expected, region.z, region.percent_expected)
        cells |= {f"{name}{ending}": value for ending, value in zip(REGION_COLUMNS, values, strict=True)}
    for name, index in numbers.indices.items():
        values = (index.value, *(index.interval or (None, None)))
        cells |= {f"{name}{ending}": value for ending, value in zip(INDEX_COLUMNS, values, strict=True)}
    return cells


def cell_text(value: object) -> str:
    """A value as one cell of a table: `n/a` where there is none."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    # A table's cell is one line, whatever an error or a header says.
    return " ".join(str(value).split()) or MISSING
