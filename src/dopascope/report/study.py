"""The page of a study: what was done, what came of it, and what it is to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dopascope.report import html, study_words, tiles, wording
from dopascope.report.files import save
from dopascope.report.study_folder import Run, read_run
from dopascope.report.study_plots import all_plots
from dopascope.report.tiles import Tile

PAGE: Final = "report.html"
SLAB_SPACING: Final = (2.0, 2.0)
DISPLAY_TOP: Final = 6.0
"""Of the pictures of errors, in units of the intensity reference."""
FIGURES: Final = {
    "auroc": "AUROC",
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mcc": "MCC",
    "brier": "Brier",
}


def write(run: Path) -> Path:
    """Write `report.html` into a run folder, from its files alone.

    Raises:
        UnreadableError: it is no finished run.
        DopascopeError: the disk refuses.
    """
    return save(run / PAGE, render(read_run(run)).encode())


def render(run: Run) -> str:
    """The page: self-contained, no script, nothing fetched."""
    pooled = run.metrics["pooled"]
    modality = run.metrics.get("modality", "dat")
    return (
        html.environment()
        .get_template("study.html.j2")
        .render(
            plan=run.plan,
            metrics=run.metrics,
            moment=wording.moment(run.environment["created"]),
            headline=study_words.headline(pooled),
            baselines=study_words.beside(pooled),
            modality=modality,
            two_aurocs=study_words.two_aurocs(pooled),
            nulls=[study_words.matched_null(one) for one in run.metrics.get("matched_nulls", [])],
            classed=[
                (one, study_words.classes_headline(one), study_words.classes(one))
                for one in run.metrics.get("classes", [])
            ],
            flow=study_words.data_flow(run.plan, modality),
            networks=study_words.architectures(run.plan),
            trainings=study_words.trainings(run),
            assumed=list(run.plan.get("assumed", {}).items()),
            figures=list(FIGURES.values()),
            readers=[(name, _cells(one)) for name, one in pooled["readers"].items()],
            final=[(name, _cells(one)) for name, one in run.metrics.get("final", {}).get("readers", {}).items()],
            also=[(name, _cells(one)) for name, one in run.metrics.get("also", {}).get("readers", {}).items()],
            differences=[study_words.difference(one) for one in pooled["differences"]],
            classes=[_class(one) for one in pooled["readers"]["answer"]["classes"]],
            calibration=study_words.calibration(pooled, run.answers)
            + study_words.bracket(run.metrics.get("bracket"), run.plan["validation"].get("leave_out", "")),
            three_way=study_words.three_way(pooled),
            folds=run.metrics["folds"],
            fold_means=_fold_means(run.metrics["folds"]),
            subgroups=[study_words.subgroup(one) for one in run.metrics["subgroups"]],
            grades=[study_words.grade(one) for one in run.metrics.get("grades", [])],
            seeds=study_words.seed_noise(run.metrics["seed_noise"]),
            plots=all_plots(run, run.metrics["positive"]),
            errors=_errors(run, modality),
            total_errors=run.errors.total,
            paper=study_words.paper(run),
            methods=study_words.methods(run),
            environment=list(run.environment.items()),
            cohort=run.cohort,
        )
    )


def _cells(reader: dict[str, Any]) -> list[tuple[str, str]]:
    """Each figure and its interval; nothing where it cannot be had."""
    found = []
    for name in FIGURES:
        value, _, interval = study_words.estimate(reader[name]).partition(" ") if name in reader else ("n/a", "", "")
        found.append((value, interval.strip("()")))
    return found


def _class(one: dict[str, Any]) -> tuple[str, int, list[str]]:
    shown = [wording.NONE if one[k] is None else f"{one[k]:.3f}" for k in ("precision", "sensitivity", "f1")]
    return one["label"], one["n"], shown


def _fold_means(folds: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Mean over folds weighted by their size, and the sample's spread: of N scans, not of N + 1 (S3's table 1)."""
    sizes = {"accuracy": "n", "log_loss": "n", "train_accuracy": "train_n", "train_log_loss": "train_n", "auroc": "n"}
    found = {}
    for name, size in sizes.items():
        values, weights = np.array([one[name] for one in folds]), np.array([one[size] for one in folds])
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        found[name] = (float(np.average(values, weights=weights)), spread)
    return found


@dataclass(frozen=True)
class Shown:
    """A scan that was told wrong."""

    tile: Tile
    kind: str
    scan: str
    label: str
    fold: str
    p: float
    lower_putamen: float


def _errors(run: Run, modality: str) -> list[Shown]:
    found = []
    errors = run.errors
    for at, picture in enumerate(errors.pictures):
        kind = "false negative" if errors.positive[at] else "false positive"
        plane = tiles.scaled(tiles.radiological(picture), SLAB_SPACING)
        drawn = {"dat": tiles.hot, "t1": tiles.grey}[modality]
        image = drawn(plane, DISPLAY_TOP, ("R", "L"))
        tile = Tile("", f"axial slab, {kind}", image, 182.0, 0.0)
        found.append(
            Shown(
                tile,
                kind,
                errors.scan_id[at],
                errors.label[at],
                errors.fold[at],
                float(errors.p[at]),
                float(errors.lower_putamen[at]),
            )
        )
    return found
