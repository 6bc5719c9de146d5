"""The two tables of a simulated cohort: `cohort.tsv`, who was scanned where, and `truth.tsv`, what is true of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from dopascope.provenance import write_text
from dopascope.simulate.t1_scans import Record, t1_row

COHORT: Final = "cohort.tsv"
TRUTH: Final = "truth.tsv"
MISSING: Final = "n/a"
_FIRST: Final = ("participant_id", "scan_id", "site", "camera", "reconstruction", "label")
_PLAIN: Final = ("group", "abnormal", "read_abnormal", "pattern", "years", "worse_side", "seed")
_POSE: Final = ("tilt_deg", "shift_mm", "scale", "axes", "cut")


def write_tables(records: Sequence[Record], out: Path) -> tuple[Path, Path]:
    """Write `cohort.tsv` and `truth.tsv` of `records` into `out`; returns their paths."""
    cohort, truth = out / COHORT, out / TRUTH
    _write([record["cohort"] for record in records], cohort)
    rows = [t1_row(one) if one["cohort"]["modality"] == "t1" else truth_row(one) for one in records]
    _write(rows, truth)
    return cohort, truth


def truth_row(record: Record) -> dict[str, Any]:
    """One line of `truth.tsv`: names, true and ideal ratios, then geometry. Vectors and matrices are numbers with
    spaces between them, matrices row by row."""
    cohort, truth = record["cohort"], record["truth"]
    row = {name: cohort[name] for name in _FIRST} | {name: truth[name] for name in _PLAIN}
    row |= {f"sbr_{region}": value for region, value in truth["sbr"].items()}
    for reference, ratios in truth["ideal_sbr"].items():
        row |= {f"ideal_sbr_{reference}_{region}": value for region, value in ratios.items()}
    row["mni_to_scan"] = [number for line in truth["mni_to_scan"] for number in line]
    row |= {f"landmark_mm_{region}": place for region, place in truth["landmarks_mm"].items()}
    row |= {name: truth["pose"][name] for name in _POSE}
    return row | {"physics": truth["physics"], "spacing_sign": truth["spacing_sign"]}


def _write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    columns = list(rows[0])
    lines = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    write_text(path, "".join("\t".join(line) + "\n" for line in lines))


def _text(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
