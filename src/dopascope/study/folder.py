"""The run folder: what a study leaves, so that it can be trusted, and read again, later."""

from __future__ import annotations

import io
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.errors import UsageError
from dopascope.learn.fit import NO_GRADE
from dopascope.study.material import Material
from dopascope.study.people import FINAL, GRADES
from dopascope.study.plan import Plan, to_toml

Floats = NDArray[np.float64]
PLAN: Final = "plan.toml"
SPLITS: Final = "splits.tsv"
PREDICTIONS: Final = "predictions.tsv"
FINAL_PREDICTIONS: Final = "predictions-final.tsv"
FURTHER_PREDICTIONS: Final = "predictions-also.tsv"
TRAINING_PREDICTIONS: Final = "predictions-training.tsv"
CLASS_PREDICTIONS: Final = "predictions-classes.tsv"
GRADE_PREDICTIONS: Final = "predictions-grades.tsv"
ERRORS: Final = "errors.npz"
COLUMNS: Final = ("scan_id", "participant_id", "fold", "label", "p_abnormal", "verdict")
MOST_ERRORS: Final = 48
PACKAGES: Final = ("torch", "torchvision", "timm", "monai", "lightning-fabric", "scikit-learn")


def claim(out: Path, plan: Plan, tables: Sequence[Path], resume: bool) -> None:
    """Make `out` the run's of this plan and these tables, or see that it is.

    Raises:
        UsageError: it holds a run, and `resume` is false or the run is another one.
        OSError: it cannot be written.
    """
    names = "".join(f"\n# cohort {one.name}, sha256 {provenance.sha256_of(one)}" for one in tables)
    text = f"{to_toml(plan)}{names}\n"
    written = out / PLAN
    if written.is_file():
        if not resume:
            raise UsageError(
                "This folder holds a run already.",
                where="--out",
                found=out,
                expected="a new folder",
                fix="Name another folder, or go on with this run: --resume.",
            )
        if written.read_text(encoding="utf-8") != text:
            raise UsageError(
                "The run in this folder is of another plan or cohort.",
                where=written,
                found="another plan.toml",
                expected="the same plan and cohort table",
                fix="Name another folder, or give what it was started with.",
            )
    provenance.check_writable(out)
    provenance.write_text(written, text)


@dataclass(frozen=True)
class Lines:
    """What one fold's models say of its test scans."""

    fold: str
    rows: NDArray[np.int_]
    """(N,) rows of the material."""
    readers: dict[str, Floats]
    """Reader -> p(abnormal) (N,): the answer, each member where there are several, and the baselines."""
    verdicts: list[str]
    possible: NDArray[np.bool_] | None
    """(N, 2), whether the conformal limits allow normal and reduced; None without limits."""
    train_rows: NDArray[np.int_]
    train_p: Floats
    """The answer for the scans that it learned from: in sample without inner folds, else out of fold."""
    by_seed: dict[str, Floats]
    """Member -> p(abnormal) (N, seeds)."""
    grades: dict[str, Floats]
    """Member -> probability of each region's grades (N, regions, grades), or of each class (N, 1, classes)."""

    def part(self, kept: NDArray[np.bool_]) -> Lines:
        """The test scans (N,) that are kept."""
        return replace(
            self,
            rows=self.rows[kept],
            readers={name: p[kept] for name, p in self.readers.items()},
            verdicts=[verdict for verdict, keep in zip(self.verdicts, kept, strict=True) if keep],
            possible=None if self.possible is None else self.possible[kept],
            by_seed={name: p[kept] for name, p in self.by_seed.items()},
            grades={name: p[kept] for name, p in self.grades.items()},
        )


def write_predictions(out: Path, lines: Sequence[Lines], apart: Sequence[Lines], material: Material) -> None:
    """`predictions.tsv` of the folds; those of the final model, of further scans and of training sets beside it."""
    folds = [one for one in lines if one.fold != FINAL]
    final = [one for one in lines if one.fold == FINAL and len(one.rows)]
    _write(out / PREDICTIONS, _tested(folds, material), [name for name in folds[0].readers if name != "answer"])
    if any(len(one.rows) for one in apart):
        _write(out / FURTHER_PREDICTIONS, _tested(apart, material), [n for n in apart[0].readers if n != "answer"])
    if final:
        _write(out / FINAL_PREDICTIONS, _tested(final, material), [n for n in final[0].readers if n != "answer"])
    trained = [
        (*_who(material, row), one.fold, material.seen.scans[row].cells["label"], f"{p:.6f}", "n/a")
        for one in lines
        for row, p in zip(one.train_rows, one.train_p, strict=True)
    ]
    _write(out / TRAINING_PREDICTIONS, trained, [])


def write_grades(out: Path, plan: Plan, lines: Sequence[Lines], material: Material) -> None:
    """`predictions-grades.tsv`: a line for each scan of the folds, network that grades, and region."""
    head = ("scan_id", "participant_id", "fold", "member", "region", "true", "grade", *(f"p_{one}" for one in GRADES))
    found = []
    for member in plan.networks:
        if (true := material.grades(member)) is None:
            continue
        for one in lines:
            if one.fold == FINAL:
                continue
            for at, row in enumerate(one.rows):
                for region, column in enumerate(member.grades):
                    p = one.grades[member.name][at, region]
                    known = "n/a" if true[row, region] == NO_GRADE else GRADES[true[row, region]]
                    said = (known, GRADES[int(p.argmax())], *(f"{value:.6f}" for value in p))
                    found.append((*_who(material, row), one.fold, member.name, column, *said))
    if found:
        text = "".join("\t".join(line) + "\n" for line in (head, *sorted(found)))
        provenance.write_text(out / GRADE_PREDICTIONS, text)


def write_classes(out: Path, plan: Plan, lines: Sequence[Lines], material: Material) -> None:
    """`predictions-classes.tsv`: a line for each scan of the folds and network that tells classes apart."""
    names = list(plan.labels.classes)
    head = ("scan_id", "participant_id", "fold", "member", "true", "class", *(f"p_{one}" for one in names))
    found = []
    for member in plan.networks:
        if not member.classes or material.classes is None:
            continue
        for one in lines:
            if one.fold == FINAL:
                continue
            for at, row in enumerate(one.rows):
                p = one.grades[member.name][at, 0]
                said = (names[material.classes[row, 0]], names[int(p.argmax())], *(f"{value:.6f}" for value in p))
                found.append((*_who(material, row), one.fold, member.name, *said))
    if found:
        text = "".join("\t".join(line) + "\n" for line in (head, *sorted(found)))
        provenance.write_text(out / CLASS_PREDICTIONS, text)


def _tested(lines: Sequence[Lines], material: Material) -> list[tuple[str, ...]]:
    found = []
    for one in lines:
        others = [values for name, values in one.readers.items() if name != "answer"]
        for at, row in enumerate(one.rows):
            known = (*_who(material, row), one.fold, material.seen.scans[row].cells["label"])
            said = (f"{one.readers['answer'][at]:.6f}", one.verdicts[at])
            found.append((*known, *said, *(f"{values[at]:.6f}" for values in others)))
    return found


def _who(material: Material, row: int) -> tuple[str, str]:
    scan = material.seen.scans[row]
    return scan.name, scan.cells["participant_id"]


def _write(path: Path, lines: Sequence[tuple[str, ...]], further: Sequence[str]) -> None:
    """The columns of the contract first, then the probabilities of the other readers."""
    head = (*COLUMNS, *(f"p_{name}" for name in further))
    provenance.write_text(path, "".join("\t".join(line) + "\n" for line in (head, *sorted(lines))))


def write_errors(out: Path, lines: Sequence[Lines], material: Material, view: str) -> None:
    """Pictures of the scans that were told wrong, the surest first, with their ratios."""
    wrong = []
    for one in lines:
        p = one.readers["answer"]
        for at in np.flatnonzero((p >= 0.5) != material.positive[one.rows]):
            wrong.append((abs(p[at] - 0.5), one.fold, int(one.rows[at]), float(p[at])))
    wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
    rows = [one[2] for one in wrong[:MOST_ERRORS]]
    scale = [material.seen.records[row]["references"][material.modality.shown_scale] for row in rows]
    pictures = [material.seen.views[view][row, 0] / one for row, one in zip(rows, scale, strict=True)]
    lower = [_smaller_putamen(material.seen.records[row]) for row in rows]
    stream = io.BytesIO()
    np.savez(
        stream,
        pictures=np.array(pictures, np.float32).reshape(-1, 91, 109),
        scan_id=np.array([material.seen.scans[row].name for row in rows], str),
        fold=np.array([one[1] for one in wrong[:MOST_ERRORS]], str),
        label=np.array([material.seen.scans[row].cells["label"] for row in rows], str),
        p=np.array([one[3] for one in wrong[:MOST_ERRORS]]),
        positive=material.positive[rows] if rows else np.empty(0, bool),
        lower_putamen=np.array(lower, np.float64),
        total=len(wrong),
    )
    provenance.write_bytes(out / ERRORS, stream.getvalue())


def _smaller_putamen(record: dict[str, Any]) -> float:
    """The lower binding ratio of the two sides, or the smaller volume (ml) of a T1."""
    known = record["sbr"] if "sbr" in record else record["volumes"]
    return float(min(known[f"putamen_{side}"] for side in ("left", "right")))


def environment() -> dict[str, Any]:
    """Where and with what the study was made."""
    found: dict[str, Any] = provenance.software() | {name: _version(name) for name in PACKAGES}
    return found | {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "created": provenance.now(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
