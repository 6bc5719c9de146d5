"""A run folder read back, by nothing but its files."""

from __future__ import annotations

import csv
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnreadableError

FINAL: Final = "final"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Lines of a table of predictions."""

    scan_id: list[str]
    person: list[str]
    fold: list[str]
    label: list[str]
    p: Floats
    verdict: list[str]

    def positive(self, labels: list[str]) -> NDArray[np.bool_]:
        """(N,) by the labels that are positive."""
        return np.array([label in labels for label in self.label], bool)


@dataclass(frozen=True)
class Log:
    """One training's epochs: column -> values, NaN where nothing was measured."""

    name: str
    columns: dict[str, Floats]


@dataclass(frozen=True)
class Errors:
    """Scans that were told wrong, the surest first."""

    pictures: NDArray[np.float32]
    """(N, 91, 109) slabs in units of the 75th percentile outside the striatum."""
    scan_id: list[str]
    fold: list[str]
    label: list[str]
    p: Floats
    positive: NDArray[np.bool_]
    lower_putamen: Floats
    total: int


@dataclass(frozen=True)
class Run:
    """Everything of a finished run."""

    folder: Path
    plan: dict[str, Any]
    cohort: str
    metrics: dict[str, Any]
    environment: dict[str, Any]
    tested: Answers
    final: Answers | None
    trained: Answers
    logs: list[Log]
    answers: dict[str, Any]
    """Fold -> how the members' answers were combined there."""
    trainings: list[dict[str, Any]]
    """What is known of each training of the folds: member, prior, why it ended, and more."""
    errors: Errors


def read_run(folder: Path) -> Run:
    """The run in `folder`.

    Raises:
        UnreadableError: it is not there, not finished, or damaged; the error names the file.
    """
    plan_text = _text(folder / "plan.toml")
    final = folder / "predictions-final.tsv"
    try:
        plan = tomllib.loads(plan_text)
        metrics, environment = (json.loads(_text(folder / f"{name}.json")) for name in ("metrics", "environment"))
        told = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("fold-*/fold.json"))]
        return Run(
            folder=folder,
            plan=plan,
            cohort=next((line[2:] for line in plan_text.splitlines() if line.startswith("# cohort ")), ""),
            metrics=metrics,
            environment=environment,
            tested=_answers(folder / "predictions.tsv"),
            final=_answers(final) if final.is_file() else None,
            trained=_answers(folder / "predictions-training.tsv"),
            logs=[_log(folder, path) for path in sorted(folder.glob("fold-*/*/log.csv"))],
            answers={one["fold"]: one["answer"] for one in told},
            trainings=[training for one in told for training in one["trainings"]],
            errors=_errors(folder / "errors.npz"),
        )
    except (ValueError, KeyError, OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableError(
            "A file of the run is damaged.",
            where=folder,
            found=error,
            expected="the files of a finished run",
            fix="Run the study again with --resume.",
        ) from error


def _text(path: Path) -> str:
    if not path.is_file():
        raise UnreadableError(
            "This is not a finished run.",
            where=path,
            found="no such file",
            expected="plan.toml, metrics.json and the other files of a run folder",
            fix="Name a run folder, or finish the run with --resume.",
        )
    return path.read_text(encoding="utf-8")


def _answers(path: Path) -> Answers:
    rows = list(csv.DictReader(_text(path).splitlines(), delimiter="\t"))
    columns = {name: [row[name] for row in rows] for name in ("scan_id", "participant_id", "fold", "label", "verdict")}
    return Answers(
        columns["scan_id"],
        columns["participant_id"],
        columns["fold"],
        columns["label"],
        np.array([float(row["p_abnormal"]) for row in rows]),
        columns["verdict"],
    )


def _log(folder: Path, path: Path) -> Log:
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    names = list(rows[0]) if rows else []
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    return Log(str(path.parent.relative_to(folder)), columns)


def _errors(path: Path) -> Errors:
    with np.load(path, allow_pickle=False) as stored:
        return Errors(
            stored["pictures"],
            [str(one) for one in stored["scan_id"]],
            [str(one) for one in stored["fold"]],
            [str(one) for one in stored["label"]],
            stored["p"],
            stored["positive"],
            stored["lower_putamen"],
            int(stored["total"]),
        )
