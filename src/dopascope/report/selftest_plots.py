"""The four plots of a selftest, from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dopascope.phantom import CAMERAS
from dopascope.reading.selftest import TOLERANCES, Selftest
from dopascope.report.charts import INKS, SHAPES, Axis, Chart, Series, round_top

Rows = Sequence[Mapping[str, Any]]

STRUCTURES: Final = ("caudate", "anterior_putamen", "posterior_putamen")


def plots(found: Selftest) -> list[Chart]:
    """Those plots whose lines were run and could be measured."""
    makers = {"recovery": _recovery, "counts": _counts, "tilt": _tilt, "shift": _shift}
    return [make(found.tables[key]) for key, make in makers.items() if key in found.tables]


def _recovery(rows: Rows) -> Chart:
    plain = [row for row in rows if row["camera"] in CAMERAS]
    widths = sorted({row["fwhm_mm"] for row in plain})
    x, top = Axis(min(widths) - 1, max(widths) + 1), round_top(max(row["ideal"] for row in plain))
    y, series = Axis(0.0, top), []
    for structure, ink, shape in zip(STRUCTURES, INKS, SHAPES, strict=True):
        both = {
            kind: [(width, _mean(plain, width, structure, kind)) for width in widths] for kind in ("ideal", "measured")
        }
        name = structure.replace("_", " ")
        series.append(Series(f"{name}, ideal", x.points(both["ideal"], y), ink, "none"))
        series.append(Series(name, x.points(both["measured"], y), ink, shape, joined=False))
    return Chart(
        "Recovery coefficients",
        "camera's resolution, FWHM in mm",
        "measured / true ratio",
        x.ticks(range(int(x.low) + 1, int(x.high) + 1), 0),
        y.ticks([top * n / 4 for n in range(5)], 2),
        tuple(series),
        None,
        "Recovery falls with the resolution; marks are measured, lines are ideal.",
        keys=tuple(one for one in series if one.shape != "none"),
    )


def _mean(rows: Rows, width: float, structure: str, kind: str) -> float:
    both = [row[kind] for row in rows if row["fwhm_mm"] == width and row["region"].rpartition("_")[0] == structure]
    return float(sum(both) / len(both))


def _counts(rows: Rows) -> Chart:
    limit = TOLERANCES["counts"].limits[0].high or 0.0
    counts = [row["counts"] for row in rows]
    scans = [(row["counts"], one) for row in rows for one in row["scans_percent"]]
    reach = [abs(row["bias_percent"]) + row["sd_percent"] for row in rows]
    top = round_top(max(limit, *reach, *(abs(one) for _, one in scans)))
    x, y = Axis(min(counts) / 1.6, max(counts) * 1.6, "log"), Axis(-top, top)
    means = [(row["counts"], row["bias_percent"]) for row in rows]
    ends = tuple(
        (y.at(row["bias_percent"] - row["sd_percent"]), y.at(row["bias_percent"] + row["sd_percent"])) for row in rows
    )
    mean = Series("mean, with the spread of a region", x.points(means, y), INKS[0], SHAPES[0], whiskers=ends)
    single = Series("single scan", x.points(scans, y), INKS[0], SHAPES[0], joined=False, faint=True)
    return Chart(
        "Bias and counts",
        "counts, millions",
        "striatum, % off the ideal ratio",
        tuple((f"{one / 1e6:g}", x.at(one)) for one in counts),
        y.ticks([-top, -top / 2, 0, top / 2, top], 1 if top % 2 else 0),
        (single, mean),
        (y.at(-limit), y.at(limit)),
        "Deviation of the striatal ratio at each level of counts, with the tolerance of its mean as a band.",
        keys=(mean, single),
    )


def _tilt(rows: Rows) -> Chart:
    return _moved("tilt", rows, "Tilt", "degrees")


def _shift(rows: Rows) -> Chart:
    return _moved("shift", rows, "Shift", "mm")


def _moved(key: str, rows: Rows, title: str, unit: str) -> Chart:
    limit = TOLERANCES[key].limits[0].high or 0.0
    top = round_top(1.25 * max(limit, *(row["worst_percent"] for row in rows)))
    levels = sorted({row[unit] for row in rows})
    x, y, series = Axis(0.0, 1.1 * max(levels)), Axis(0.0, top), []
    for axis, ink, shape in zip(dict.fromkeys(row["axis"] for row in rows), INKS, SHAPES, strict=True):
        pairs = [(row[unit], row["worst_percent"]) for row in rows if row["axis"] == axis]
        series.append(Series(axis, x.points([(0.0, 0.0), *pairs], y), ink, shape))
    return Chart(
        title,
        f"{title.lower()}, {unit}",
        "worst region, % changed",
        x.ticks([0, *levels], 0),
        y.ticks([top * n / 5 for n in range(6)], 0 if top % 5 == 0 else 1),
        tuple(series),
        (0.0, y.at(limit)),
        f"Largest change of any region against {title.lower()}, with the tolerance as a band.",
        keys=tuple(series),
    )
