"""From what the chain found to the lines of the selftest: figures, their limits, and the rows behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.phantom import CAMERAS
from dopascope.quant.ratios import STRIATAL_VOLUME_ML
from dopascope.quant.voi import MEASURED, SIDES
from dopascope.reading.selftest.chain import Found, NotRead
from dopascope.reading.selftest.phantoms import COUNTS, FULL, MAIN, RATIOS, USUAL_COUNTS, striatal_ml
from dopascope.reading.selftest.result import Line, Measure
from dopascope.reading.selftest.tolerances import TOLERANCES, Tolerance

Array = NDArray[np.float64]
Rows = list[dict[str, Any]]
Ideals = Mapping[tuple[str, str], Mapping[str, float]]
"""(phantom, camera) -> region -> ideal ratio."""

STRIATA: Final = [MEASURED.index(f"striatum_{side}") for side in SIDES]


@dataclass(frozen=True)
class Judged:
    """The values of a line's limits in their order, and what they rest on."""

    values: Sequence[float]
    n: int
    n_of: str = "scans"
    rows: Rows = field(default_factory=list)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Everything that was found, by the line it was made for."""

    results: Sequence[Found | NotRead]
    ideals: Ideals
    main: str
    """Name of the main camera."""
    networks: int = 0
    """How many networks are installed."""

    def of(self, *lines: str) -> list[Found]:
        """The scans of these lines that were read."""
        return [one for one in self.results if isinstance(one, Found) and one.job.line in lines]

    def missed(self, *lines: str) -> list[NotRead]:
        """The scans of these lines that were not."""
        return [one for one in self.results if isinstance(one, NotRead) and one.job.line in lines]

    def ideal(self, camera: str, phantom: str = MAIN) -> Array:
        """Ideal ratios (10,) in the order of `MEASURED`."""
        return np.array([self.ideals[phantom, camera][region] for region in MEASURED])


def judge(evidence: Evidence, keys: Sequence[str] = tuple(TOLERANCES)) -> tuple[list[Line], dict[str, Rows]]:
    """Every line, and the rows behind it by its key."""
    lines, tables = [], {}
    for key in keys:
        line, rows = _line(TOLERANCES[key], evidence)
        lines.append(line)
        if rows:
            tables[key] = rows
    return lines, tables


def _line(tolerance: Tolerance, evidence: Evidence) -> tuple[Line, Rows]:
    rule, uses = JUDGES[tolerance.key]
    missed = evidence.missed(*uses)
    found: Sequence[float | None]
    if missed:
        # A line that lacks scans has no figures: what is left could look better than the whole.
        found, notes = [None] * len(tolerance.limits), _why_not(missed)
        judged = Judged((), len(evidence.of(*uses)) + len(missed))
    else:
        judged = rule(evidence)
        found, notes = [float(value) for value in judged.values], judged.notes
    measures = tuple(
        Measure(
            limit.what,
            value,
            limit.low,
            limit.high,
            limit.unit,
            limit.digits,
            limit.text,
            limit.holds(value),
        )
        for limit, value in zip(tolerance.limits, found, strict=True)
    )
    line = Line(
        key=tolerance.key,
        title=tolerance.title,
        asks=tolerance.asks,
        status="passed" if all(one.passed for one in measures) else "failed",
        n=judged.n,
        n_of=judged.n_of,
        measures=measures,
        notes=notes,
        reason=tolerance.reason,
        failure=tolerance.failure,
    )
    return line, judged.rows


def _why_not(missed: Sequence[NotRead]) -> tuple[str, ...]:
    reasons = sorted({one.why for one in missed})
    count = "One scan was" if len(missed) == 1 else f"{len(missed)} scans were"
    return (f"{count} not read: {reasons[0]}", *reasons[1:3])


def _ratios(found: Sequence[Found]) -> Array:
    """(scans, 10) in the order of `MEASURED`."""
    return np.array([[one.sbr[region] for region in MEASURED] for one in found])


def _recovery(evidence: Evidence) -> Judged:
    rows: Rows = []
    for one in sorted(evidence.of("recovery"), key=lambda one: one.job.camera.fwhm_mm):
        camera, ideal = one.job.camera, evidence.ideal(one.job.camera.name)
        for region, measured, wanted in zip(MEASURED, _ratios([one])[0], ideal, strict=True):
            coefficients = {"measured": measured / FULL, "ideal": wanted / FULL}
            rows.append({"camera": camera.name, "fwhm_mm": camera.fwhm_mm, "region": region, **coefficients})
    apart = max(abs(row["measured"] - row["ideal"]) for row in rows)
    relative = max(abs(row["measured"] / row["ideal"] - 1) for row in rows)
    # Sites differ in scatter and attenuation as well: only the plain cameras must follow their resolution.
    plain = [row for row in rows if row["camera"] in CAMERAS]
    rising = [r for r in MEASURED if (np.diff([row["measured"] for row in plain if row["region"] == r]) >= 0).any()]
    return Judged((apart, 100 * relative, len(rising)), len(rows), "regions", rows)


def _deviations(evidence: Evidence, counts: float) -> Array:
    """Per cent (scans, 10) by which the noisy scans at `counts` differ from the ideal ratio."""
    level = [one for one in evidence.of("counts") if one.job.level == counts]
    return 100 * (_ratios(level) / evidence.ideal(evidence.main) - 1)


def _bias(evidence: Evidence) -> Judged:
    off = _deviations(evidence, USUAL_COUNTS)
    mean = off.mean(0)
    rows = [
        {"region": region, "bias_percent": float(bias), "sd_percent": float(sd), "n": len(off)}
        for region, bias, sd in zip(MEASURED, mean, off.std(0, ddof=1), strict=True)
    ]
    return Judged((abs(mean.mean()), np.abs(mean).max()), len(off), rows=rows)


def _sd(evidence: Evidence) -> Judged:
    off = _deviations(evidence, USUAL_COUNTS)
    spread = off.std(0, ddof=1)
    return Judged((spread[STRIATA].max(), spread.max()), len(off))


def _counts(evidence: Evidence) -> Judged:
    rows: Rows = []
    for counts in COUNTS:
        off = _deviations(evidence, counts)
        scans = off[:, STRIATA].mean(1)
        spread = float(np.sqrt(off.var(0, ddof=1).mean()))
        row = {"counts": counts, "n": len(off), "bias_percent": float(scans.mean()), "sd_percent": spread}
        rows.append({**row, "scans_percent": [float(one) for one in scans]})
    worst = max(abs(row["bias_percent"]) for row in rows)
    ratio = rows[0]["sd_percent"] / rows[-1]["sd_percent"]
    note = "The spread is the root mean square over ten regions; the bias is the striatum's, both sides."
    return Judged((worst, ratio), sum(row["n"] for row in rows), rows=rows, notes=(note,))


def _tilt(evidence: Evidence) -> Judged:
    return _moved(evidence, "tilt", "degrees")


def _shift(evidence: Evidence) -> Judged:
    return _moved(evidence, "shift", "mm")


def _moved(evidence: Evidence, line: str, unit: str) -> Judged:
    scans = evidence.of(line)
    upright = _ratios([one for one in scans if one.job.level == 0])[0]
    rows: Rows = []
    for one in scans:
        if one.job.level:
            change = 100 * (_ratios([one])[0] / upright - 1)
            worst, striatum = np.abs(change).max(), np.abs(change[STRIATA]).max()
            row = {"axis": one.job.axis, unit: one.job.level, "worst_percent": float(worst)}
            rows.append({**row, "striatum_percent": float(striatum), "off_mm": one.off_mm})
    return Judged(
        [max(row[name] for row in rows) for name in ("worst_percent", "striatum_percent")], len(scans), rows=rows
    )


def _position(evidence: Evidence) -> Judged:
    scans = evidence.of("tilt", "shift")
    names = ("off_mm", "off_degrees", "off_size_percent")
    return Judged([max(getattr(one, name) for one in scans) for name in names], len(scans))


def _left_right(evidence: Evidence) -> Judged:
    scans = evidence.of("left_right")
    left_lower = evidence.ideals["uniform, left lower", evidence.main]
    low, high = left_lower["putamen_left"], left_lower["putamen_right"]
    ideal = 200 * (low - high) / (low + high)
    rows: Rows = []
    for one in scans:
        lower, other = SIDES if "left" in one.job.phantom else SIDES[::-1]
        wrong = any(one.sbr[f"{part}_{lower}"] >= one.sbr[f"{part}_{other}"] for part in ("caudate", "putamen"))
        wanted = ideal if lower == "left" else -ideal
        found = one.indices["asymmetry_putamen"]
        stored = f"{one.storage.format} {one.storage.axes}"
        row = {"lower": lower, "stored": stored, "right_side": not wrong}
        rows.append({**row, "asymmetry": found, "ideal": float(wanted)})
    wrongs = sum(not row["right_side"] for row in rows)
    return Judged((wrongs, max(abs(row["asymmetry"] - row["ideal"]) for row in rows)), len(rows), rows=rows)


def _storage(evidence: Evidence) -> Judged:
    scans = evidence.of("storage")
    ratios = _ratios(scans)
    change = 100 * np.abs(ratios / ratios[0] - 1).max(1)
    rows = [
        {
            "format": one.storage.format,
            "axes": one.storage.axes,
            "spacing_sign": one.storage.spacing_sign if one.storage.format == "dicom" else None,
            "change_percent": float(moved),
        }
        for one, moved in zip(scans, change, strict=True)
    ]
    return Judged((change.max(),), len(scans), "files", rows)


def _linearity(evidence: Evidence) -> Judged:
    by_ratio = {one.job.level: _ratios([one])[0] for one in evidence.of("linearity")}
    found = np.array([by_ratio[ratio] for ratio in RATIOS])
    ideal = np.array([evidence.ideal(evidence.main, f"uniform, ratio {ratio:g}") for ratio in RATIOS])
    rows = [
        {"true": ratio, "striatum": float(own[STRIATA].mean()), "ideal": float(best[STRIATA].mean())}
        for ratio, own, best in zip(RATIOS, found, ideal, strict=True)
    ]
    # The second ratio is twice the first, so the line through both meets a true ratio of 0 here. Not at 0 exactly:
    # near the brain's surface the reference is a little colder than the filling.
    offset = (2 * found[0] - found[1]) - (2 * ideal[0] - ideal[1])
    bent = (found / found[-1]) / (ideal / ideal[-1]) - 1
    return Judged((np.abs(offset).max(), 100 * np.abs(bent).max()), len(rows), rows=rows)


def _large(evidence: Evidence) -> Judged:
    specific = FULL * striatal_ml() / STRIATAL_VOLUME_ML
    rows: Rows = []
    for one in sorted(evidence.of("recovery"), key=lambda one: one.job.camera.fwhm_mm):
        if one.job.camera.name in CAMERAS:
            camera = {"camera": one.job.camera.name, "fwhm_mm": one.job.camera.fwhm_mm}
            rows.append(camera | {side: one.indices[f"sbr_large_{side}"] / specific for side in SIDES})
    shares = np.array([[row[side] for side in SIDES] for row in rows])
    fall = 100 * (1 - shares[-1].mean() / shares[0].mean())
    return Judged((shares.min(), shares.max(), fall), len(rows), "cameras", rows)


def _coverage(evidence: Evidence) -> Judged:
    ideal = evidence.ideals[MAIN, evidence.main]
    held, widths = [], []
    for number, one in enumerate(evidence.of("counts")):
        region = f"putamen_{SIDES[number % 2]}"
        low, high = one.intervals[region]
        held.append(low <= ideal[region] <= high)
        widths.append(50 * (high - low) / ideal[region])
    n, k = len(held), sum(held)
    low, high = exact_interval(k, n)
    note = f"{k} of {n} held it: {100 * k / n:.0f} %, exact 95 % interval {100 * low:.0f} to {100 * high:.0f} %."
    return Judged((100 * high, float(np.median(widths))), n, notes=(note,))


def exact_interval(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of which `k` of `n` were seen (Clopper and Pearson 1934, Biometrika 26:404)."""
    from scipy.special import betaincinv

    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 0.025))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.975))
    return low, high


def _repeatability(evidence: Evidence) -> Judged:
    scans = evidence.of("repeatability")
    first, second = ([one for one in scans if one.job.level == time] for time in (1, 2))
    pairs = list(zip(first, second, strict=True))
    files = sum(a.file_sha256 != b.file_sha256 for a, b in pairs)
    readings = sum(a.reading_sha256 != b.reading_sha256 for a, b in pairs)
    return Judged((files, readings), len(pairs), "pairs")


def _refusals(evidence: Evidence) -> Judged:
    read, missed = evidence.of("refusals"), evidence.missed("refusals")
    failed = [one for one in missed if not one.refused]
    notes = tuple(f"{one.job.phantom}: {one.why}" for one in missed)
    return Judged((len(read) + len(failed),), len(read) + len(missed), notes=notes)


def _readers(evidence: Evidence) -> Judged:
    rows: Rows = []
    for one in evidence.of("readers"):
        expected = "normal" if one.job.phantom.endswith("symmetric") else "reduced"
        scan = {"phantom": one.job.phantom, "camera": one.job.camera.name, "expected": expected}
        rows += [{**scan, "reader": reader, "verdict": verdict} for reader, verdict in one.verdicts.items()]
    wrong = sum(row["verdict"] != row["expected"] for row in rows)
    notes = () if evidence.networks else ("No network is installed: the binding-ratio rule alone was asked.",)
    return Judged((wrong,), len(rows), "verdicts", rows, notes)


JUDGES: Final[Mapping[str, tuple[Callable[[Evidence], Judged], tuple[str, ...]]]] = {
    "recovery": (_recovery, ("recovery",)),
    "bias": (_bias, ("counts",)),
    "sd": (_sd, ("counts",)),
    "counts": (_counts, ("counts",)),
    "tilt": (_tilt, ("tilt",)),
    "shift": (_shift, ("shift",)),
    "position": (_position, ("tilt", "shift")),
    "left_right": (_left_right, ("left_right",)),
    "storage": (_storage, ("storage",)),
    "linearity": (_linearity, ("linearity",)),
    "large": (_large, ("recovery",)),
    "coverage": (_coverage, ("counts",)),
    "repeatability": (_repeatability, ("repeatability",)),
    "refusals": (_refusals, ()),
    "readers": (_readers, ("readers",)),
}
"""Line -> how it is judged, and the lines whose scans must all have been read for it."""
