"""What an AUROC of a T1 study is worth: python release/t1_calibration.py --slices COHORT.

Simulated people, whose volumes are drawn and measured with an error; the model, folds and intervals are those of
`dopascope study`. Three questions: do 95 % intervals hold 0.5 where nothing is planted; what does a planted difference
come to, beside the most that it allows; what would slices of one scan on both sides of a split have claimed?
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import erf, exp, log, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import formats, provenance, score
from dopascope.batch.viewing import Seen
from dopascope.cohort import CohortScan, leaks, read_cohort
from dopascope.cohort.splits import Place, k_fold
from dopascope.phantom import draw_person
from dopascope.phantom.mr.anatomy import PUTAMEN_IN_PD, SPREAD, draw_anatomy
from dopascope.phantom.mr.brain import template
from dopascope.space import canonical
from dopascope.study.material import Material
from dopascope.study.modality import T1
from dopascope.study.people import folds
from dopascope.study.plan import Plan, TabularMember, parse
from dopascope.tasks.tabular import Tabular
from dopascope.volume import Volume

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "release" / "results" / "t1_calibration.json"
WALK: Final = ROOT / "release" / "results" / "t1_studies.json"
"""Of `release/t1_studies.py`, whose figures stand on the same page."""
TEMPLATE: Final = "t1_studies.md.j2"
PAGE: Final = ROOT / "docs" / "t1_studies.md"
SEEDS: Final = 200
FOLDS: Final = 5
DRAWS: Final = 1000
"""Of people, for an interval."""
PEOPLE: Final = 60
"""Of a null cohort, half of them PD."""
MANY: Final = 400
"""Of a cohort with a planted difference, so that chance does not hide it."""
PLANTED: Final = (1.0, 2.0, 3.0)
REPEATS: Final = 10
ERROR_SD: Final = 0.05
"""ASSUMED: of the log of a measured volume, apart for each structure of a side."""
STRUCTURES: Final = ("caudate_left", "caudate_right", "putamen_left", "putamen_right", "midbrain", "pons")
INTERVALS: Final = {
    "people_drawn": "five folds, people drawn",
    "allowing_for_folds": "five folds, allowing for what folds share",
    "held_out": "learned from 60 people, tested on 60 others, people drawn",
}
"""Kind of interval -> in words."""
SIDE: Final = 16
"""Pixels of a slice's side, for the leak."""
SLICES: Final = 8
PLAN: Final = """
form = "dopascope.plan/1"
name = "calibration"
title = "Volumes, age and sex"
[labels]
positive = ["PD"]
negative = ["control"]
[[members]]
kind = "tabular"
name = "volumes"
model = "logistic"
features = ["volumes"]
covariates = ["age", "sex"]
[validation]
folds = FOLDS
seed = SEED
"""


def main() -> None:
    """Answer the three questions and write what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=Path, required=True, help="a simulated T1 cohort, for the leak")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    chosen = parser.parse_args()
    started = time.process_time()
    found: dict[str, Any] = {
        "form": "dopascope.t1-calibration/1",
        "error_sd": ERROR_SD,
        "null": null(chosen.seeds),
        "planted": [planted(effect) for effect in PLANTED],
        "leak": leak(read_cohort(chosen.slices)),
        "software": provenance.software(),
    }
    found["cpu_seconds"] = round(time.process_time() - started)
    provenance.write_text(chosen.out, json.dumps(found, indent=2) + "\n")
    provenance.write_text(chosen.page, page(found, json.loads(WALK.read_text(encoding="utf-8"))))
    print(chosen.page)


def null(seeds: int) -> dict[str, Any]:
    """How many of the 95 % intervals hold 0.5 where PD takes nothing: of the study's figures, and of fixed scores."""
    crossed = [_auroc(_cohort(seed, PEOPLE, 0.0), seed) for seed in range(1, seeds + 1)]
    apart = [_auroc(_cohort(10_000 + seed, 2 * PEOPLE, 0.0), seed, held_out=True) for seed in range(1, seeds + 1)]
    wide = [
        replace(one, low=ends[0], high=ends[1]) for one in crossed for ends in [score.allowing_for_folds(one, FOLDS)]
    ]
    known = {"people_drawn": crossed, "allowing_for_folds": wide, "held_out": apart}
    return {"people": PEOPLE, "seeds": seeds, "expected": [0.90, 0.98]} | {
        name: _coverage(found) for name, found in known.items()
    }


def _coverage(found: Sequence[score.Estimate]) -> dict[str, Any]:
    held = [one.low <= 0.5 <= one.high for one in found]
    low, high = score.exact_interval(sum(held), len(held))
    values = np.array([one.value for one in found])
    return {
        "hold_half": sum(held) / len(held),
        "interval": [low, high],
        "above": sum(one.low > 0.5 for one in found),
        "below": sum(one.high < 0.5 for one in found),
        "mean_auroc": float(values.mean()),
        "sd_auroc": float(values.std(ddof=1)),
    }


def planted(effect: float) -> dict[str, Any]:
    """The AUROC with `effect` times the literature's difference, beside the most that it allows.

    Two normal distributions of equal spread, d apart: AUROC = Phi(d / sqrt 2). Known volumes at known age, sex and
    brain volume have d; measured ones d less the share of their spread that is error.
    """
    d = effect * abs(PUTAMEN_IN_PD)
    spread = SPREAD["putamen"]
    left = spread / sqrt(spread**2 + ERROR_SD**2 / 2)  # both sides are measured, each with its own error
    got = [_auroc(_cohort(1000 + seed, MANY, effect), seed) for seed in range(1, REPEATS + 1)]
    return {
        "effect": effect,
        "d": d,
        "people": MANY,
        "cohorts": REPEATS,
        "auroc_allowed_by_d": _phi(d / sqrt(2)),
        "auroc_allowed_by_measured_d": _phi(d * left / sqrt(2)),
        "auroc": float(np.mean([one.value for one in got])),
        "range": [min(one.value for one in got), max(one.value for one in got)],
        "intervals": [[round(one.low, 3), round(one.high, 3)] for one in got],
    }


def _phi(z: float) -> float:
    return 0.5 * (1 + erf(z / sqrt(2)))


def _cohort(seed: int, people: int, effect: float) -> Seen:
    """Half PD, half healthy; volumes (ml) as they were measured."""
    rng = np.random.default_rng([seed, 51])
    scans, records = [], []
    for number in range(people):
        person = draw_person(int(rng.integers(2**52)), "pd" if number % 2 else "healthy")
        cells = {"participant_id": f"p{number:04d}", "label": "PD" if number % 2 else "control", "modality": "t1"}
        cells |= {"age": f"{person.age:.1f}", "sex": person.sex}
        scans.append(CohortScan(cells["participant_id"], Path(f"{number}.nii"), cells, age=person.age, sex=person.sex))
        records.append({"volumes": _measured(draw_anatomy(person, effect), rng)})
    return Seen(scans, {}, records, [])


@lru_cache(maxsize=1)
def _template_ml() -> dict[str, float]:
    """Structures and `brain` of the template."""
    brain = template()
    return {name: brain.counts[name] / 1000 for name in STRUCTURES} | {"brain": brain.hull_ml}


def _measured(anatomy: Any, rng: np.random.Generator) -> dict[str, float]:
    size, ml = float(np.prod(anatomy.axes)), _template_ml()
    known = {name: ml[name] * size * anatomy.parts[name] * exp(ERROR_SD * rng.normal()) for name in STRUCTURES}
    known |= {name: known[f"{name}_left"] + known[f"{name}_right"] for name in ("caudate", "putamen")}
    return known | {"midbrain_pons_ratio": known["midbrain"] / known["pons"], "brain": ml["brain"] * size}


def _auroc(seen: Seen, seed: int, *, held_out: bool = False) -> score.Estimate:
    """Of out-of-fold answers as a study pools them, or of one half after learning from the other; people are drawn."""
    plan = parse(PLAN.replace("SEED", str(seed)).replace("FOLDS", str(FOLDS)), where="calibration")
    material = Material.of(seen, plan, T1)
    p = _of_the_other_half(plan, material) if held_out else _out_of_fold(plan, material, seen)
    rows = np.arange(len(p) // 2 if held_out else 0, len(p))
    people = [material.people[row] for row in rows]
    found = score.estimates_of_people({"auroc": score.auroc}, p[rows], material.positive[rows], people, draws=DRAWS)
    return found["auroc"]


def _out_of_fold(plan: Plan, material: Material, seen: Seen) -> NDArray[np.float64]:
    member = plan.members[0]
    assert isinstance(member, TabularMember)
    features = material.features(member)[0]
    p = np.empty(len(seen.scans))
    for fold in folds(seen.scans, plan)[0]:
        model = Tabular(member.model).fit(features[fold.train], material.positive[fold.train])
        p[fold.test] = model.logits(features[fold.test])
    return p


def _of_the_other_half(plan: Plan, material: Material) -> NDArray[np.float64]:
    """Logits of the first half's model; those of the first half itself are not looked at."""
    member = plan.members[0]
    assert isinstance(member, TabularMember)
    features, half = material.features(member)[0], len(material.people) // 2
    return Tabular(member.model).fit(features[:half], material.positive[:half]).logits(features)


def leak(scans: Sequence[CohortScan]) -> dict[str, Any]:
    """What slices of one scan on both sides would have claimed for labels drawn at random, and what the lint says."""
    rng = np.random.default_rng(52)
    label = {one.name: "PD" if at % 2 else "control" for at, one in enumerate(rng.permutation(scans))}  # type: ignore[arg-type]
    lines, pictures = [], []
    for scan in scans:
        for number, picture in enumerate(_slices(scan)):
            name = f"{scan.name}-{number}"
            cells = {"participant_id": str(scan.person), "label": label[scan.name], "modality": "t1"}
            lines.append(CohortScan(name, Path(f"{name}.png"), cells, further={"volume": scan.name}))
            pictures.append(picture)
    features = np.stack(pictures)
    positive = np.array([one.label == "PD" for one in lines])
    people = [str(one.person) for one in lines]
    dealt = rng.permutation(len(lines)) % 5
    by_slice = [
        Place(str(fold + 1), "test" if dealt[at] == fold else "train", one.name, people[at])
        for fold in range(5)
        for at, one in enumerate(lines)
    ]
    by_person = k_fold(lines, 5, seed=52)
    found: dict[str, Any] = {"people": len(scans), "slices": len(lines), "labels": "drawn at random, each person's own"}
    for name, places in (("slices_dealt", by_slice), ("people_dealt", by_person)):
        caught = leaks.leaks(lines, places, contents=False)
        p = _nearest(features, positive, lines, places)
        estimate = score.estimates_of_people({"auroc": score.auroc}, p, positive, people)["auroc"]
        kinds = sorted({one.kind for one in caught})
        found[name] = {"lint": f"{len(caught)} pairs ({', '.join(kinds)})" if caught else "clean", **estimate.as_dict()}
    return found


def _slices(scan: CohortScan) -> list[NDArray[np.float64]]:
    """Slices through the middle of the brain, of few pixels, each in units of its own spread."""
    image, mask = (formats.load(path) for path in (scan.path, scan.mask or scan.path))
    assert isinstance(image, Volume)
    assert isinstance(mask, Volume)
    data, brain = canonical(image).data, canonical(mask).data > 0
    inside = np.flatnonzero(brain.any((0, 1)))
    middle = inside[len(inside) // 2 - SLICES // 2 :][:SLICES]
    rows, columns = (np.flatnonzero(brain.any(axes)) for axes in ((1, 2), (0, 2)))
    at = [np.linspace(edge[0], edge[-1], SIDE).round().astype(int) for edge in (rows, columns)]
    found = [np.where(brain, data, 0)[np.ix_(*at, [k])].ravel().astype(np.float64) for k in middle]
    return [(one - one.mean()) / (one.std() + log(2)) for one in found]


def _nearest(
    features: NDArray[np.float64], positive: NDArray[np.bool_], lines: Sequence[CohortScan], places: Sequence[Place]
) -> NDArray[np.float64]:
    """For each slice the share of PD among its five nearest of the training side, nearer ones counting more."""
    at = {one.name: row for row, one in enumerate(lines)}
    p = np.empty(len(lines))
    for fold in sorted({one.fold for one in places}):
        train, test = (
            np.array([at[one.scan_id] for one in places if one.fold == fold and one.role == role])
            for role in ("train", "test")
        )
        apart = np.linalg.norm(features[test][:, None] - features[train][None], axis=2)
        near = np.argsort(apart, axis=1)[:, :5]
        weight = 1 / (np.take_along_axis(apart, near, 1) + 1e-6)
        p[test] = (weight * positive[train][near]).sum(1) / weight.sum(1)
    return p


def page(found: dict[str, Any], walk: dict[str, Any]) -> str:
    """`docs/t1_studies.md`, of these figures and those of the walk-through."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    low, high = found["null"]["expected"]
    text: str = environment.get_template(TEMPLATE).render(
        found,
        intervals=[
            (title, one, low <= one["hold_half"] <= high)
            for name, title in INTERVALS.items()
            for one in [found["null"][name]]
        ],
        splits=[(f"{what} dealt", found["leak"][f"{what}_dealt"]) for what in ("slices", "people")],
        walk=walk,
        share=lambda value: f"{value:.1%}",
        figure=lambda one: f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})",
    )
    return text


if __name__ == "__main__":
    main()
