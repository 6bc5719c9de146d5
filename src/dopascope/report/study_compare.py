"""Several runs on the same scans, beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dopascope import score
from dopascope.errors import UsageError
from dopascope.report.study_folder import Run, read_run

FIGURES = {"auroc": score.auroc, "log_loss": score.log_loss}


def compare_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """Figures of every run on the scans that all have answered, and the first run's less each other's.

    Raises:
        UnreadableError: a folder is no finished run.
        UsageError: fewer than two runs, no scan in common, or other truths for the same scan.
    """
    if len(folders) < 2:
        raise _wrong("There is nothing to compare.", f"{len(folders)} run", "two runs or more")
    runs = [read_run(folder) for folder in folders]
    common = sorted(set.intersection(*(set(one.tested.scan_id) for one in runs)))
    if not common:
        raise _wrong("The runs have no scan in common.", "other scan ids", "runs of the same cohort")
    answers = [_of(one, common) for one in runs]
    truth, people = answers[0][1], answers[0][2]
    for run, one in zip(runs, answers, strict=True):
        if not np.array_equal(one[1], truth):
            raise _wrong("The runs do not agree on what is positive.", str(run.folder), "the same labels of the plan")
    names = [str(folder) for folder in folders]
    differences = [
        {"figure": figure, "first": names[0], "less": name}
        | asdict(score.difference_over_people(function, answers[0][0], other[0], truth, people))
        for name, other in zip(names[1:], answers[1:], strict=True)
        for figure, function in FIGURES.items()
    ]
    for line, adjusted in zip(differences, score.holm([float(line["p"]) for line in differences]), strict=True):
        line["p_holm"] = adjusted
    return {
        "form": "dopascope.comparison/1",
        "scans": len(common),
        "left_out": {name: len(run.tested.p) - len(common) for name, run in zip(names, runs, strict=True)},
        "same_folds": len({tuple(one[3]) for one in answers}) == 1,
        "runs": {
            name: {k: v.as_dict() for k, v in score.estimates_of_people(FIGURES, one[0], truth, people).items()}
            for name, one in zip(names, answers, strict=True)
        },
        "differences": differences,
    }


def _of(run: Run, scans: Sequence[str]) -> tuple[Any, Any, list[str], list[str]]:
    """p, truth, people and folds of these scans."""
    at = {name: index for index, name in enumerate(run.tested.scan_id)}
    rows = [at[name] for name in scans]
    truth = run.tested.positive(run.metrics["positive"])
    return run.tested.p[rows], truth[rows], [run.tested.person[r] for r in rows], [run.tested.fold[r] for r in rows]


def lines(found: dict[str, Any]) -> list[str]:
    """The comparison in words."""
    told = [f"{found['scans']} scans that every run answered" + ("" if found["same_folds"] else "; OTHER FOLDS")]
    told += [f"  {count} scans of {name} are in no other run" for name, count in found["left_out"].items() if count]
    for name, figures in found["runs"].items():
        shown = ", ".join(f"{k} {v['value']:.4f} ({v['low']:.4f} to {v['high']:.4f})" for k, v in figures.items())
        told.append(f"{name}: {shown}")
    for one in found["differences"]:
        told.append(
            f"{one['figure']}, {one['first']} less {one['less']}: {one['value']:+.4f} "
            f"({one['low']:+.4f} to {one['high']:+.4f}), p {one['p_holm']:.4f} (Holm)"
        )
    return told


def _wrong(what: str, found: str, expected: str) -> UsageError:
    return UsageError(what, where="RUN", found=found, expected=expected, fix="Name other run folders.")
