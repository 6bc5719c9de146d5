"""Every figure of a study, with its n and an interval, and beside it what the trivial answers reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import score
from dopascope.cohort.scan import CohortScan
from dopascope.errors import DopascopeError
from dopascope.learn.fit import NO_GRADE
from dopascope.quant.conditions import SIMULATED
from dopascope.score import Confusion
from dopascope.study.classes import classes_figures, share
from dopascope.study.folder import Lines
from dopascope.study.material import Material
from dopascope.study.people import FINAL, GRADES
from dopascope.study.plan import Plan, differences

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FORM: Final = "dopascope.metrics/1"
SIMULATED_MODEL: Final = "simulated"
"""How the model of a simulated T1 scanner begins."""
OLDER: Final = 65.0
"""Years; where the subgroups of age part."""
LEAST_OF_CLASS: Final = 5
"""Scans of either class below which a subgroup has no figures."""
THRESHOLDS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Of the decision curve (TRIPOD+AI: 5 to 50 %)."""
BRACKETED: Final = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
"""Probabilities whose calibration bracket is shown."""


def _cut(figure: str) -> Callable[[Floats, Bools], float]:
    def value(p: Floats, positive: Bools) -> float:
        found = getattr(Confusion.of(p >= 0.5, positive), figure)
        return np.nan if found is None else float(found)

    return value


FIGURES: Final[dict[str, Callable[[Floats, Bools], float]]] = {
    "auroc": score.auroc,
    "average_precision": score.average_precision,
    "log_loss": score.log_loss,
    "brier": score.brier,
    "balanced_accuracy": _cut("balanced_accuracy"),
    "f1": _cut("f1"),
    "mcc": _cut("mcc"),
}
COMPARED: Final = ("auroc", "log_loss")


def measure(plan: Plan, lines: Sequence[Lines], apart: Sequence[Lines], material: Material) -> dict[str, Any]:
    """All figures as JSON-ready data.

    Folds are pooled: every scan is answered once, by models that did not learn from it. AUROCs pooled over folds
    compare answers of different models; the mean over folds stands beside them. Further scans are judged `apart`.
    """
    folds = [one for one in lines if one.fold != FINAL]
    final = [one for one in lines if one.fold == FINAL and len(one.rows)]
    found: dict[str, Any] = {
        "form": FORM,
        "plan": plan.name,
        "positive": plan.labels.positive,
        "scans": sum(len(one.rows) for one in folds),
        "modality": material.modality.name,
        "simulated": all(_simulated(one) for one in material.seen.scans),
        "people": len({material.people[row] for one in folds for row in one.rows}),
        "failed": [{"scan_id": one.scan.name, "error": one.error} for one in material.seen.failed],
        "pooled": _of_lines(folds, material),
        "folds": [_fold_figures(one, material) for one in folds],
        "subgroups": _subgroups(folds, material),
        "seed_noise": _seed_noise(folds, material),
    }
    if plan.validation.leave_out is not None:
        found["bracket"] = _bracket(folds, material)
    if graded := _graded(plan, folds, material):
        found["grades"] = graded
    if classed := classes_figures(plan, folds, material):
        found["classes"] = classed
    if plan.aside:
        found["matched_nulls"] = matched_nulls(plan)
    if any(len(one.rows) for one in apart):
        found["also"] = _of_lines(apart, material)
    if final:
        found["final"] = _of_lines(final, material)
    return found


def _simulated(scan: CohortScan) -> bool:
    return str(scan.stated.manufacturer) in SIMULATED or str(scan.stated.model).startswith(SIMULATED_MODEL)


def matched_nulls(plan: Plan) -> list[dict[str, Any]]:
    """Each network that another is compared with, and the one setting in which it differs."""
    known = {one.name: one for one in plan.networks}
    found = []
    for member in plan.networks:
        if member.beside is None:
            continue
        of = known[member.beside]
        setting = differences(member, of)[0]
        values = [one.model_dump(mode="json")[setting] for one in (member, of)]
        found.append({"null": member.name, "of": of.name, "setting": setting, "values": values})
    return found


def _joined(lines: Sequence[Lines], material: Material) -> tuple[dict[str, Floats], Bools, list[str]]:
    rows = np.concatenate([one.rows for one in lines])
    readers = {name: np.concatenate([one.readers[name] for one in lines]) for name in lines[0].readers}
    return readers, material.positive[rows], [material.people[row] for row in rows]


def _of_lines(lines: Sequence[Lines], material: Material) -> dict[str, Any]:
    readers, positive, people = _joined(lines, material)
    figures = {name: reader_figures(p, positive, people, len(lines)) for name, p in readers.items()}
    verdicts = [verdict for one in lines for verdict in one.verdicts]
    return {
        "readers": figures,
        "differences": _differences(readers, positive, people),
        "three_way": _three_way(readers["answer"], verdicts, positive),
        "conformal": _conformal(lines, positive),
        "decision_curve": _decision_curve(readers, positive),
    }


def reader_figures(p: Floats, positive: Bools, people: Sequence[str], folds: int = 1) -> dict[str, Any]:
    """Every figure of one reader, of answers out of so many folds."""
    counts = Confusion.of(p >= 0.5, positive)
    wanted = {name: one for name, one in FIGURES.items() if np.isfinite(one(p, positive))}
    estimates = score.estimates_of_people(wanted, p, positive, people)
    exact = {
        name: {"value": value, "low": low, "high": high, "n": _of(counts, name)}
        for name, (low, high) in counts.intervals().items()
        if (value := counts.figures()[name]) is not None
    }
    shared = {"auroc_allowing_for_folds": _allowing(estimates["auroc"], folds)} if folds > 1 else {}
    return {
        **{name: one.as_dict() for name, one in estimates.items()},
        **shared,
        **exact,
        "confusion": asdict(counts),
        "classes": [
            {"label": one.label, "n": one.n, **{k: one.counts.figures()[k] for k in ("precision", "sensitivity", "f1")}}
            for one in score.class_report(
                np.where(p >= 0.5, "abnormal", "normal").tolist(), np.where(positive, "abnormal", "normal").tolist()
            )
        ],
        "calibration": _slope(p, positive),
        "ece": {"value": score.adaptive_ece(p, positive), "by_chance": score.chance_ece(p), "n": len(p)},
    }


def _allowing(one: score.Estimate, folds: int) -> dict[str, Any]:
    low, high = score.allowing_for_folds(one, folds)
    return one.as_dict() | {"low": low, "high": high}


def _of(counts: Confusion, name: str) -> int:
    return {
        "accuracy": counts.n,
        "sensitivity": counts.positives,
        "specificity": counts.negatives,
        "precision": counts.tp + counts.fp,
        "negative_precision": counts.tn + counts.fn,
    }[name]


def _slope(p: Floats, positive: Bools) -> dict[str, Any]:
    try:
        return asdict(score.calibration_slope(p, positive))
    except DopascopeError as error:
        return {"slope": None, "reason": f"{error.what} {error.found}".strip()}


def _differences(readers: dict[str, Floats], positive: Bools, people: Sequence[str]) -> list[dict[str, Any]]:
    """The answer less every other reader; p values of all of them together by Holm, accuracies by McNemar."""
    found = []
    for name, p in readers.items():
        if name == "answer":
            continue
        for figure in COMPARED:
            one = score.difference_over_people(FIGURES[figure], readers["answer"], p, positive, people)
            found.append({"figure": figure, "less": name, **asdict(one)})
        right = [(values >= 0.5) == positive for values in (readers["answer"], p)]
        gain = float(right[0].mean() - right[1].mean())
        found.append(
            {"figure": "accuracy", "less": name, "value": gain, "p": score.mcnemar(*right), "n": len(positive)}
        )
    for line, adjusted in zip(found, score.holm([float(line["p"]) for line in found]), strict=True):
        line["p_holm"] = adjusted
    return found


def _three_way(p: Floats, verdicts: Sequence[str], positive: Bools) -> dict[str, Any]:
    wrong = (p >= 0.5) != positive
    flagged = np.array([one == "uncertain" for one in verdicts])
    errors, sure = int(wrong.sum()), int((~flagged).sum())
    return {
        "uncertain": share(int(flagged.sum()), len(p)),
        "errors_among_uncertain": share(int((wrong & flagged).sum()), errors),
        "accuracy_of_the_others": share(int((~wrong & ~flagged).sum()), sure),
    }


def _conformal(lines: Sequence[Lines], positive: Bools) -> dict[str, Any] | None:
    """How often the true class is among those that the limits allow."""
    if any(one.possible is None for one in lines):
        return None
    possible = np.concatenate([one.possible for one in lines if one.possible is not None])
    held = np.where(positive, possible[:, 1], possible[:, 0])
    return {
        "coverage": share(int(held.sum()), len(held)),
        "coverage_positive": share(int(held[positive].sum()), int(positive.sum())),
        "coverage_negative": share(int(held[~positive].sum()), int((~positive).sum())),
        "uncertain": share(int((possible.sum(1) != 1).sum()), len(held)),
    }


def _decision_curve(readers: dict[str, Floats], positive: Bools) -> dict[str, Any]:
    """Net benefit at thresholds of 5 to 50 %, of each reader and of treating everyone."""
    curves = {name: score.net_benefit(p, positive, THRESHOLDS).tolist() for name, p in readers.items()}
    everyone = score.net_benefit(np.ones(len(positive)), positive, THRESHOLDS).tolist()
    return {"thresholds": list(THRESHOLDS), "n": len(positive), "readers": curves, "everyone": everyone}


def _fold_figures(one: Lines, material: Material) -> dict[str, Any]:
    p, positive = one.readers["answer"], material.positive[one.rows]
    trained = material.positive[one.train_rows]
    return {
        "fold": one.fold,
        "n": len(p),
        "positive": int(positive.sum()),
        "auroc": score.auroc(p, positive),
        "log_loss": score.log_loss(p, positive),
        "accuracy": float(((p >= 0.5) == positive).mean()),
        "train_n": len(trained),
        "train_log_loss": score.log_loss(one.train_p, trained),
        "train_accuracy": float(((one.train_p >= 0.5) == trained).mean()),
    }


def _subgroups(lines: Sequence[Lines], material: Material) -> list[dict[str, Any]]:
    """AUROC, log loss and accuracy of the answer by age, sex and camera."""
    rows = np.concatenate([one.rows for one in lines])
    p = np.concatenate([one.readers["answer"] for one in lines])
    kinds: dict[str, list[str | None]] = {"age": [], "sex": [], "camera": []}
    for row in rows:
        scan = material.seen.scans[row]
        kinds["age"].append(None if scan.age is None else f"{OLDER:g} and older" if scan.age >= OLDER else "younger")
        kinds["sex"].append(scan.sex)
        kinds["camera"].append(scan.cells.get("camera"))
    found = []
    for kind, values in kinds.items():
        for value in sorted({one for one in values if one is not None}):
            inside = np.array([one == value for one in values])
            found.append({"by": kind, "group": value} | _small(p[inside], rows[inside], material))
    return found


def _small(p: Floats, rows: NDArray[np.int_], material: Material) -> dict[str, Any]:
    positive = material.positive[rows]
    least = min(int(positive.sum()), int((~positive).sum()))
    if least < LEAST_OF_CLASS:
        return {"n": len(p), "reason": f"{least} scans of a class; at least {LEAST_OF_CLASS} are wanted"}
    figures = {"auroc": score.auroc, "log_loss": score.log_loss}
    known = score.estimates_of_people(figures, p, positive, [material.people[row] for row in rows], draws=1000)
    right = int(((p >= 0.5) == positive).sum())
    return {"n": len(p), **{name: one.as_dict() for name, one in known.items()}, "accuracy": share(right, len(p))}


def _bracket(lines: Sequence[Lines], material: Material) -> dict[str, Any]:
    """What the answer's probabilities may come to at another camera or site: see `score.fit_bracket`."""
    readers, positive, _ = _joined(lines, material)
    places = [one.fold for one in lines for _ in one.rows]
    try:
        bracket = score.fit_bracket(readers["answer"], positive, places)
    except DopascopeError as error:
        return {"reason": f"{error.what} {error.found}"}
    low, high = bracket(BRACKETED)
    return {
        "places": {name: one.as_dict() for name, one in bracket.places.items()},
        "left_out": dict(bracket.left_out),
        "p": list(BRACKETED),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def _graded(plan: Plan, lines: Sequence[Lines], material: Material) -> list[dict[str, Any]]:
    """How the grades of each network and region agree with the table's, beside always the most frequent grade."""
    rows = np.concatenate([one.rows for one in lines])
    found = []
    for member in plan.networks:
        if (every := material.grades(member)) is None:
            continue
        told = np.concatenate([one.grades[member.name] for one in lines]).argmax(2)
        for region, column in enumerate(member.grades):
            true, said = every[rows, region], told[:, region]
            known = true != NO_GRADE
            n = int(known.sum())
            people = [material.people[row] for row in rows[known]]
            apart = np.abs(said[known] - true[known])
            kappa = score.weighted_kappa_of_people(said[known], true[known], len(GRADES), people)
            found.append(
                {
                    "member": member.name,
                    "region": column,
                    "n": n,
                    "kappa": kappa.as_dict() if np.isfinite(kappa.value) else {"value": None, "reason": "one grade"},
                    "same": share(int((apart == 0).sum()), n),
                    "within_one": share(int((apart <= 1).sum()), n),
                    "most_frequent": share(int(np.bincount(true[known]).max()), n),
                    "confusion": [
                        [int(((true[known] == a) & (said[known] == b)).sum()) for b in range(len(GRADES))]
                        for a in range(len(GRADES))
                    ],
                }
            )
    return found


def _seed_noise(lines: Sequence[Lines], material: Material) -> dict[str, Any]:
    """What other seeds alone change in a member's figures: no smaller gain is a gain."""
    positive = material.positive[np.concatenate([one.rows for one in lines])]
    found: dict[str, Any] = {}
    for name in lines[0].by_seed:
        seeds = np.concatenate([one.by_seed[name] for one in lines])
        if seeds.shape[1] < 2:
            found[name] = {"seeds": 1, "reason": "one seed; give members.seeds two or more"}
            continue
        figures = {
            figure: [FIGURES[figure](seeds[:, at], positive) for at in range(seeds.shape[1])] for figure in COMPARED
        }
        found[name] = {
            "seeds": seeds.shape[1],
            **{figure: {"values": values, "sd": float(np.std(values, ddof=1))} for figure, values in figures.items()},
        }
    return found
