"""Make docs/cohort_realism.md, its plots and release/results/cohort_realism.json from readings that are there.

    python release/readings.py tuning --out FOLDER --models MODELS      (also: final; sites and groups need no models)
    python release/physics_checks.py --out FOLDER
    python release/cohort_realism.py FOLDER

For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import judge
import plots
from checks import LABELS, Check, ordering, population, single_feature
from dopascope import __version__, provenance
from dopascope.phantom import SITES
from readings import ONE_SITE, lines_of

ROOT = Path(__file__).resolve().parents[1]
PAGE, IMAGES = ROOT / "docs" / "cohort_realism.md", ROOT / "docs" / "images"
TEMPLATE = ROOT / "release" / "cohort_realism.md.j2"
RESULTS = ROOT / "release" / "results" / "cohort_realism.json"
DEVIATIONS = ROOT / "release" / "deviations.json"
"""Name of a check -> why it falls outside the published range, by hand; a check outside without one is marked so."""


def collected(folder: Path) -> dict[str, Any]:
    """All figures of the page, JSON-ready."""
    lines = {name: lines_of(folder / f"{name}.jsonl") for name in ("groups", "sites", "tuning", "final")}
    physics = json.loads((folder / "physics.json").read_text(encoding="utf-8"))
    return {
        "dopascope": __version__,
        "one_site": ONE_SITE,
        "population": [check.as_dict() for check in population(lines["groups"])],
        "single_feature": [check.as_dict() for check in single_feature(lines["sites"])],
        "ordering": ordering(physics["corrections"]),
        "recovery": physics["recovery"],
        "accepted": {name: [sum(line["accepted"] for line in found), len(found)] for name, found in lines.items()},
        "tuning": [judge.figures(lines["tuning"], name) for name in judge.TUNING],
        "final": [judge.figures(lines["final"], name) for name in judge.FINAL],
        "slab": {name: judge.slab(lines[name]) for name in ("tuning", "final")},
    }


def page(found: dict[str, Any]) -> str:
    """The page in Markdown."""
    from jinja2 import Environment, StrictUndefined

    reasons = json.loads(DEVIATIONS.read_text(encoding="utf-8"))
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        version=found["dopascope"],
        sites=len(SITES),
        one_site=found["one_site"],
        population=_table(found["population"], reasons),
        single_feature=_table(found["single_feature"], reasons),
        ordering=_ordering(found["ordering"]),
        recovery=_recovery(found["recovery"]),
        judge=_judge(found),
    )


def _table(checks: list[dict[str, Any]], reasons: dict[str, str]) -> str:
    rows = ["| What | found (95 %) | n | published | verdict |", "|---|---|---|---|---|"]
    rows += [_row(Check(**{k: v for k, v in check.items() if k != "inside"}), reasons) for check in checks]
    return "\n".join(rows)


def _row(check: Check, reasons: dict[str, str]) -> str:
    low, high = check.interval
    unit = f" {check.unit}" if check.unit else ""
    remark = f"; {check.remark}" if check.remark else ""
    published, verdict = "", ""
    if check.published is not None:
        published = f"{check.published[0]:g} to {check.published[1]:g}{unit} ({check.source})"
        verdict = "inside" if check.inside else "*outside*: " + reasons.get(check.name, "not explained")
    value = f"{check.value:.3g}{unit} ({low:.3g} to {high:.3g}){remark}"
    return f"| {check.name} | {value} | {check.n} | {published} | {verdict} |"


def _ordering(rows: list[dict[str, Any]]) -> str:
    lines = ["| Corrections | striatal ratio | share of the best |", "|---|---|---|"]
    lines += [f"| {row['corrections']} | {row['ratio']:.2f} | {100 * row['of_best']:.0f} % |" for row in rows]
    falling = all(one["ratio"] >= other["ratio"] for one, other in pairwise(rows))
    lines += ["", "The order is the published one." if falling else "The order is *not* the published one."]
    return "\n".join(lines)


def _recovery(rows: list[dict[str, Any]]) -> str:
    regions = [name for name in rows[0] if name != "fwhm_mm"]
    lines = [
        "| FWHM mm | " + " | ".join(name.replace("_", " ") for name in regions) + " |",
        "|---" * (len(regions) + 1) + "|",
    ]
    lines += [f"| {row['fwhm_mm']} | " + " | ".join(f"{row[name]:.2f}" for name in regions) + " |" for row in rows]
    return "\n".join(lines)


def _judge(found: dict[str, Any]) -> str:
    lines = [
        "| | " + " | ".join(f"`{one['ensemble']}`" for one in _all(found)) + " |",
        "|---" * (len(_all(found)) + 1) + "|",
    ]
    lines.append(
        "| seeds | " + " | ".join(["1 to 400"] * len(found["tuning"]) + ["401 to 800"] * len(found["final"])) + " |"
    )
    lines.append("| AUROC | " + " | ".join(_auroc(one) for one in _all(found)) + " |")
    lines.append(
        "| right, of all | " + " | ".join(judge.words(one["right"], one["known"]) for one in _all(found)) + " |"
    )
    lines.append(
        "| right, of the certain | "
        + " | ".join(judge.words(one["right"], one["certain"]) for one in _all(found))
        + " |"
    )
    lines.append("| uncertain | " + " | ".join(_verdict(one, "uncertain") for one in _all(found)) + " |")
    for group, label in LABELS.items():
        wanted = {"healthy": "normal", "et": "normal", "swedd": "normal", "borderline": "uncertain"}.get(
            group, "reduced"
        )
        cells = [_verdict(one["groups"][group], wanted) for one in _all(found)]
        lines.append(f"| {label}: {wanted} | " + " | ".join(cells) + " |")
    cells = [_verdict(one["normal_swedd"], "normal") for one in _all(found)]
    lines.append("| SWEDD drawn normal: normal | " + " | ".join(cells) + " |")
    for site in SITES:
        cells = [judge.words(one["sites"][site]["right"], one["sites"][site]["known"]) for one in _all(found)]
        lines.append(f"| right at {site} | " + " | ".join(cells) + " |")
    slab = found["slab"]["final"]
    mean, sd = slab["training"]
    said = f"mean {slab['mean']:.3f}, standard deviation {slab['sd']:.3f}; training data {mean} and {sd}."
    lines += ["", f"12 mm slab in units of the reference, {slab['n']} scans: {said}"]
    return "\n".join(lines)


def _all(found: dict[str, Any]) -> list[dict[str, Any]]:
    both: list[dict[str, Any]] = found["tuning"] + found["final"]
    return both


def _auroc(one: dict[str, Any]) -> str:
    low, high = one["auroc_interval"]
    return f"{one['auroc']:.3f} ({low:.3f} to {high:.3f}), n {one['n']}"


def _verdict(one: dict[str, Any], verdict: str) -> str:
    return judge.words(one["verdicts"][verdict], one["people"])


def main() -> None:
    """Collect, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = collected(folder)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    provenance.write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    plots.draw(found, {name: lines_of(folder / f"{name}.jsonl") for name in ("groups", "final")}, IMAGES)
    provenance.write_text(PAGE, page(found))


if __name__ == "__main__":
    main()
