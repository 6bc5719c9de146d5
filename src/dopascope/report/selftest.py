"""A selftest as files: `selftest.json`, one offline page that a physicist can sign, and the same on paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dopascope.reading.selftest import Line, Measure, Selftest
from dopascope.report import html, wording
from dopascope.report.files import save
from dopascope.report.selftest_plots import plots

FILES: Final = {"pdf": "selftest.pdf", "html": "selftest.html", "json": "selftest.json"}
"""Parts and their names; the JSON comes last, so that where it is, the rest is too."""

SIGNED: Final = ("Institution", "Computer", "Name and function", "Date", "Signature")
"""What is filled in by hand."""
STRUCTURES: Final = ("striatum", "caudate", "putamen", "anterior_putamen", "posterior_putamen")


def write(found: Selftest, out_dir: str | Path) -> dict[str, Path]:
    """Write the selftest into `out_dir`, which is made where it is missing; all parts are made first.

    Raises:
        DopascopeError: the disk refuses; no half-written file is left.
    """
    from dopascope.report import selftest_pdf

    parts = {
        "pdf": selftest_pdf.render(found),
        "html": render(found).encode(),
        "json": (json.dumps(found.as_dict(), indent=2, ensure_ascii=False) + "\n").encode(),
    }
    return {name: save(Path(out_dir) / FILES[name], data) for name, data in parts.items()}


def render(found: Selftest) -> str:
    """`selftest.html`: self-contained, no script, nothing fetched."""
    return (
        html.environment()
        .get_template("selftest.html.j2")
        .render(
            t=found,
            word=word(found),
            says=says(found),
            moment=wording.moment(found.created),
            facts=facts(found),
            rows=[row for line in found.lines for row in line_rows(line)],
            charts=plots(found),
            recovery=recovery_rows(found.tables.get("recovery", ())),
            structures=[wording.plain(one).capitalize() for one in STRUCTURES],
            readers=found.tables.get("readers", ()),
            phantoms=phantom_rows(found.phantoms),
            cameras=camera_rows(found.cameras),
            signed=SIGNED,
        )
    )


def word(found: Selftest) -> str:
    """`passed` or `failed`."""
    return "passed" if found.passed else "failed"


def says(found: Selftest) -> str:
    """The outcome in one sentence."""
    failed = [line.title for line in found.lines if line.status == "failed"]
    if not failed:
        return f"All {len(found.lines)} lines are within their tolerances."
    return f"{len(failed)} of {len(found.lines)} lines are outside their tolerances: {', '.join(failed)}."


def facts(found: Selftest) -> list[tuple[str, str]]:
    """What was run."""
    networks = ", ".join(one["id"] for one in found.models) or "none installed"
    return [
        ("Phantom scans", f"{found.scans}, each written to a file and read back"),
        ("Main camera", found.main_camera),
        ("Method", found.method_id),
        ("Networks", networks),
        ("Seed", str(found.seed)),
        ("Time", f"{found.seconds:.0f} s"),
    ]


@dataclass(frozen=True)
class Row:
    """One figure of the table; the first of a line carries the line."""

    line: Line | None
    span: int
    what: str
    found: str
    limit: str
    passed: bool


def line_rows(line: Line) -> list[Row]:
    """The figures of a line, in order."""
    return [
        Row(line if number == 0 else None, len(line.measures), one.what, value(one), one.limit, one.passed)
        for number, one in enumerate(line.measures)
    ]


def value(one: Measure) -> str:
    """A figure with its unit, or that there is none."""
    if one.value is None:
        return "not measured"
    return f"{wording.number(one.value, one.digits)} {one.unit}".strip()


def recovery_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Camera, resolution, and measured and ideal recovery of each of `STRUCTURES`, the mean of both sides."""
    made = []
    for camera in dict.fromkeys(row["camera"] for row in rows):
        own = [row for row in rows if row["camera"] == camera]
        cells = []
        for structure in STRUCTURES:
            both = [row for row in own if row["region"].rpartition("_")[0] == structure]
            cells.append(
                tuple(wording.number(sum(row[kind] for row in both) / len(both)) for kind in ("measured", "ideal"))
            )
        made.append((camera, wording.number(own[0]["fwhm_mm"], 1), [(a, b) for a, b in cells]))
    return made


def phantom_rows(phantoms: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Name and true ratios, left and right, of caudate, anterior and posterior putamen."""
    names = [f"{part}_{side}" for part in STRUCTURES[1:2] + STRUCTURES[3:] for side in ("left", "right")]
    return [(one["phantom"], [f"{one['true_sbr'][name]:g}" for name in names]) for one in phantoms]


def camera_rows(cameras: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Name, matrix, voxel, resolution, counts, scatter and attenuation left uncorrected."""
    return [
        (
            one["name"],
            " × ".join(str(n) for n in one["shape"]),
            " × ".join(f"{mm:g}" for mm in one["spacing_mm"]),
            wording.number(one["fwhm_mm"], 1),
            f"{one['counts'] / 1e6:g}",
            wording.number(one["haze"]) if one["haze"] else wording.NONE,
            wording.number(one["attenuation_per_cm"], 3) if one["attenuation_per_cm"] else wording.NONE,
        )
        for one in cameras
    ]
