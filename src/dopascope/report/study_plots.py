"""The curves of a study as pictures for its page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import score
from dopascope.report.study_folder import FINAL, Answers, Log, Run

Floats = NDArray[np.float64]
INKS: Final = ("#2f5d8a", "#b3541e", "#1d6f4a", "#7a4a8a", "#8a7a00", "#56606d", "#a3281f")
DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
"""So that colour is never the only carrier."""
BINS: Final = 10
MOST_LOGS: Final = 60
"""Trainings that are drawn; more are only averaged."""


@dataclass(frozen=True)
class Plot:
    """A picture with its caption and a sentence for those who cannot see it."""

    title: str
    alt: str
    caption: str
    png: bytes

    def data_uri(self) -> str:
        """For the page."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def all_plots(run: Run, positive: list[str]) -> list[Plot]:
    """Every figure that the run has material for."""
    truth = run.tested.positive(positive)
    found = [
        _roc(run, positive),
        _precision_recall(run.tested.p, truth),
        _reliability(run.tested.p, truth),
        _confusion(run.metrics["pooled"]["readers"]["answer"]["confusion"], "All folds"),
        _decision(run.metrics["pooled"]["decision_curve"]),
    ]
    if "final" in run.metrics:
        found.insert(4, _confusion(run.metrics["final"]["readers"]["answer"]["confusion"], "Final model"))
    for kind in sorted({_kind(log) for log in run.logs}):
        found.append(_losses(kind, [log for log in run.logs if _kind(log) == kind]))
    return found


def axes_of(title: str, x: str, y: str) -> Any:
    """Axes of a new plot in the page's style."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.9), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def png_of(axes: Any) -> bytes:
    """The plot of these axes."""
    stream = io.BytesIO()
    axes.figure.savefig(stream, format="png")
    return stream.getvalue()


def _roc(run: Run, positive: list[str]) -> Plot:
    axes = axes_of("ROC", "1 - specificity", "sensitivity")
    told = []
    parts: list[tuple[str, Answers]] = [("test", run.tested)]
    training = _not_final(run.trained)
    parts += [("training", training)] if len(training.p) else []
    parts += [("final model, test", run.final)] if run.final is not None else []
    for number, (name, one) in enumerate(parts):
        truth = one.positive(positive)
        curve = score.roc_curve(one.p, truth)
        text = f"{name}: AUROC {score.auroc(one.p, truth):.3f}, n {len(one.p)}"
        told.append(text)
        axes.plot(curve.x, curve.y, DASHES[number], color=INKS[number], label=text)
    axes.plot([0, 1], [0, 1], color="#9aa3ad", linewidth=0.8)
    axes.legend(fontsize=8, loc="lower right")
    nested = bool(run.plan["validation"].get("inner"))
    what = "out of inner folds" if nested else "as learned from"
    caption = f"Test scans pooled over folds; training scans {what}, once for each fold that has them."
    return Plot("ROC", "; ".join(told), caption, png_of(axes))


def _not_final(answers: Answers) -> Answers:
    kept = [at for at, fold in enumerate(answers.fold) if fold != FINAL]

    def of(values: list[str]) -> list[str]:
        return [values[at] for at in kept]

    return Answers(
        of(answers.scan_id),
        of(answers.person),
        of(answers.fold),
        of(answers.label),
        answers.p[kept],
        of(answers.verdict),
    )


def _precision_recall(p: Floats, truth: NDArray[np.bool_]) -> Plot:
    axes = axes_of("Precision and recall", "recall (sensitivity)", "precision")
    curve = score.precision_recall_curve(p, truth)
    area, share = score.average_precision(p, truth), float(truth.mean())
    axes.plot(curve.x, curve.y, color=INKS[0], label=f"average precision {area:.3f}")
    axes.axhline(share, color="#9aa3ad", linewidth=0.8, label=f"share of positives {share:.3f}")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=8, loc="lower left")
    text = f"average precision {area:.3f}; a blind answer has {share:.3f}"
    return Plot("Precision and recall", text, "Test scans, all folds.", png_of(axes))


def _reliability(p: Floats, truth: NDArray[np.bool_]) -> Plot:
    """Bins of equally many scans, each with the exact interval of its share."""
    axes = axes_of("Reliability", "probability said", "share of positives")
    order = np.argsort(p, kind="stable")
    for part in np.array_split(order, min(BINS, max(2, len(p) // 10))):
        share, said = float(truth[part].mean()), float(p[part].mean())
        low, high = score.exact_interval(int(truth[part].sum()), len(part))
        axes.errorbar(said, share, [[share - low], [high - share]], fmt="o", color=INKS[0], markersize=4, capsize=2)
    axes.plot([0, 1], [0, 1], color="#9aa3ad", linewidth=0.8)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    alt = f"{len(p)} test scans in bins of equal number; points on the diagonal are calibrated"
    return Plot("Reliability", alt, "Bins of equally many scans, exact 95 % intervals.", png_of(axes))


def _confusion(counts: dict[str, int], name: str) -> Plot:
    axes = axes_of(f"Confusion at 0.5: {name.lower()}", "said", "true")
    cells = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]])
    axes.imshow(cells / np.maximum(cells.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1.3)
    for row in range(2):
        for column in range(2):
            axes.text(column, row, cells[row, column], ha="center", va="center", fontsize=16)
    axes.set_xticks([0, 1], ["normal", "abnormal"])
    axes.set_yticks([0, 1], ["normal", "abnormal"])
    axes.grid(visible=False)
    alt = ", ".join(f"{key.upper()} {value}" for key, value in counts.items())
    return Plot("Confusion", alt, f"{name}: {alt}.", png_of(axes))


def _decision(known: dict[str, Any]) -> Plot:
    axes = axes_of("Decision curve", "threshold", "net benefit")
    for number, (name, values) in enumerate(known["readers"].items()):
        if name != "majority":
            ink, dash = INKS[number % len(INKS)], DASHES[number % len(DASHES)]
            axes.plot(known["thresholds"], values, color=ink, linestyle=dash, label=name)
    axes.plot(known["thresholds"], known["everyone"], color="#9aa3ad", linewidth=0.8, label="everyone treated")
    axes.axhline(0, color="#9aa3ad", linewidth=0.8)
    axes.legend(fontsize=7)
    best = max(known["readers"], key=lambda name: sum(known["readers"][name]))
    alt = f"largest net benefit over thresholds of 5 to 50 %: {best}"
    return Plot("Decision curve", alt, "Vickers and Elkin 2006; test scans, all folds.", png_of(axes))


def _kind(log: Log) -> str:
    return log.name.split("/")[-1].split("-seed-")[0]


def _losses(kind: str, logs: Sequence[Log]) -> Plot:
    axes = axes_of(f"Loss: {kind}", "epoch", "loss")
    names = {"train_loss": "training", "validation_loss": "watched"}
    for number, (column, name) in enumerate(names.items()):
        curves = [log.columns[column] for log in logs if column in log.columns]
        curves = [one for one in curves if np.isfinite(one).any()]
        if not curves:
            continue
        for one in curves[:MOST_LOGS]:
            axes.plot(np.arange(1, len(one) + 1), one, color=INKS[number], alpha=0.2, linewidth=0.7)
        # Trainings end early; the mean goes as far as half of them do.
        reach = sorted(len(one) for one in curves)[len(curves) // 2]
        padded = np.full((len(curves), reach), np.nan)
        for row, one in enumerate(curves):
            padded[row, : min(reach, len(one))] = one[:reach]
        mean = np.nanmean(padded, 0)
        axes.plot(np.arange(1, reach + 1), mean, DASHES[number], color=INKS[number], label=f"{name}, mean", linewidth=2)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    alt = f"{len(logs)} trainings of {kind}"
    return Plot("Loss", alt, f"{len(logs)} trainings; the training loss is weighted and augmented.", png_of(axes))
