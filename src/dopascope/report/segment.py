"""The page of a segmenter's run: what it learned from, what came of it, and where it went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from dopascope import claims
from dopascope.report import html, segment_pictures, wording
from dopascope.report.files import save
from dopascope.report.segment_folder import STAGES, SegmentRun, read_segment_run
from dopascope.report.study_plots import DASHES, INKS, Plot, axes_of, png_of

PAGE: Final = "report.html"
FIGURES: Final = {
    "pixel_iou": "IoU of pixels",
    "pixel_dice": "Dice of pixels (their F1)",
    "pixel_precision": "Precision of pixels",
    "pixel_recall": "Recall of pixels",
    "hausdorff95_mm": "HD95, median, mm",
    "object_precision": "Precision of objects",
    "object_recall": "Recall of objects",
    "object_f1": "F1 of objects",
    "object_map": "mAP of objects, IoU .50 to .95",
}
BESIDE: Final = {
    "pixel_iou": "jaccard",
    "object_precision": "precision",
    "object_recall": "sensitivity",
    "object_f1": "f1",
}
"""Figure -> what of the paper's claim (`claims.shipped("s5")`) stands beside it. The paper does not say of what its
figures are; its counts are of objects, and its IoU and F1 do not agree."""
MAP: Final = "0.6131"
"""The paper's mAP, which no other figure of it can be checked against."""
CITATION: Final = "Abramov et al. 2021, SibDATA 2021, CEUR Workshop Proceedings, table 2."


def write(run: Path) -> Path:
    """Write `report.html` and its three figures into a run folder, from its files alone.

    Raises:
        UnreadableError: it is no finished run of a segmenter.
        DopascopeError: the disk refuses.
    """
    known = read_segment_run(run)
    figures = _figures(known)
    for number, one in enumerate(figures, 1):
        save(run / f"figure-{number}.png", one.png)
    return save(run / PAGE, _render(known, figures).encode())


def _render(run: SegmentRun, figures: list[Plot]) -> str:
    readers = run.metrics["readers"]
    paper = claims.shipped("s5").sets[0]
    reported = {name: paper.reported[key].text for name, key in BESIDE.items()} | {"object_map": MAP}
    reported["pixel_iou"] += " %"
    return (
        html.environment()
        .get_template("segment.html.j2")
        .render(
            plan=run.plan,
            metrics=run.metrics,
            moment=wording.moment(run.environment["created"]),
            painted=run.plan["source"] != "table",
            headline=_headline(run),
            assumed=_assumed(run.plan),
            rows=[
                (title, [estimate(readers[reader][name]) for reader in readers], reported.get(name, ""))
                for name, title in FIGURES.items()
            ],
            counts={name: one["object_counts"] for name, one in readers.items()},
            readers=list(readers),
            paper_counts=paper.counts,
            citation=CITATION,
            figures=figures,
            worst=[(segment_pictures.gallery_tile(one), one) for one in run.shown if one.why != STAGES],
            inks={name: html.css(getattr(segment_pictures, name)) for name in ("EXPERT", "NETWORK", "OUTSIDE")},
            environment=list(run.environment.items()),
        )
    )


def estimate(one: dict[str, Any]) -> str:
    """A figure with its interval and on how much it was found, or why it cannot be had."""
    if one["value"] is None:
        return str(one["reason"])
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}; n {one['n']} of {one['people']})"


def _headline(run: SegmentRun) -> str:
    own, otsu = (run.metrics["readers"][name] for name in ("network", "otsu"))
    return (
        f"Pixels: IoU {estimate(own['pixel_iou'])}; Otsu's threshold and the largest piece, which knows nothing of "
        f"brains: {estimate(otsu['pixel_iou'])}. Objects: precision {estimate(own['object_precision'])}, recall "
        f"{estimate(own['object_recall'])}."
    )


def _assumed(plan: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, why in plan["assumed"].items():
        found += [(name, one) for one in why] if isinstance(why, list) else [(name, why)]
    return found


def _figures(run: SegmentRun) -> list[Plot]:
    shown = [one for one in run.shown if one.why == STAGES]
    return [
        Plot(
            "Figure 1",
            f"original, colour mask and training mask of {run.example.name}",
            "A mark-up example, the training slice with the most brain: original image, colour mask, training mask.",
            segment_pictures.markup(run.example),
        ),
        _losses(run),
        Plot(
            "Figure 3",
            "; ".join(f"{one.name}: {segment_pictures.dice_words(one)}" for one in shown),
            "Expert, network, and the network's brain in 49 equal intervals of its grey range. Control slices chosen "
            "by rule: the best, the middle and the lowest Dice, and the one with the largest piece outside the "
            "expert's mask (orange). The colours add no information.",
            segment_pictures.stages(shown),
        ),
    ]


def _losses(run: SegmentRun) -> Plot:
    """Figure 2: the error function of training and control slices."""
    axes = axes_of("Loss", "epoch", "loss")
    both = run.plan["training"]["loss"]
    names = {"train_loss": f"training ({both})", "validation_loss": "control (cross-entropy)"}
    for number, (column, name) in enumerate(names.items()):
        values = run.log[column]
        marker = "o" if len(values) == 1 else ""
        axes.plot(np.arange(1, len(values) + 1), values, DASHES[number], color=INKS[number], label=name, marker=marker)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    last = {name: float(run.log[column][-1]) for column, name in names.items()}
    alt = ", ".join(f"{name} {value:.3f}" for name, value in last.items())
    caption = (
        f"After {len(run.log['epoch'])} epochs: {alt}. Training: mean over the epoch while the weights move, with "
        "drop-out; control: at the epoch's end, without. Nothing was chosen by the control loss."
    )
    return Plot("Figure 2", alt, caption, png_of(axes))
