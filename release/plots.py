"""The plots of docs/cohort_realism.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from checks import LABELS, Lines, mean_of

INK, SOFT, ACCENT, WARM = "#22303c", "#9fb3c1", "#1f77a4", "#c8553d"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 110,
}


def draw(found: dict[str, Any], lines: dict[str, Lines], folder: Path) -> None:
    """Write the four plots of the page into `folder`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    plots = {
        "groups": (_groups, lines["groups"], (7.2, 3.0)),
        "single": (_single, found["single_feature"], (7.2, 3.2)),
        "recovery": (_recovery, found["recovery"], (4.6, 3.0)),
        "judge": (_judge, found["final"][0], (7.2, 2.8)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, (plot, what, size) in plots.items():
            figure = Figure(figsize=size, layout="constrained")
            plot(figure, what)
            figure.savefig(folder / f"realism-{name}.png", metadata={"Software": None})


def _groups(figure: Any, lines: Lines) -> None:
    for axes, region in zip(figure.subplots(1, 2, sharey=True), ("caudate", "putamen"), strict=True):
        values = [[mean_of(region, "occipital")(one) for one in lines if one["group"] == group] for group in LABELS]
        shown = axes.boxplot(values, showfliers=False, patch_artist=True, medianprops={"color": WARM})
        for box in shown["boxes"]:
            box.set(facecolor="#dfe8ee", edgecolor=INK)
        rng = np.random.default_rng(1)
        for place, some in enumerate(values, 1):
            axes.plot(place + rng.uniform(-0.15, 0.15, len(some)), some, ".", color=ACCENT, ms=2, alpha=0.5)
        axes.set_xticks(range(1, len(LABELS) + 1), list(LABELS.values()), rotation=30, ha="right")
        axes.set_title(f"{region}, mean of the sides")
    figure.axes[0].set_ylabel("binding ratio (occipital)")


def _single(figure: Any, checks: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    ordered = sorted(checks, key=lambda one: (one["name"] == "all sites together", -one["value"]))
    for place, one in enumerate(reversed(ordered)):
        colour = WARM if one["name"] == "all sites together" else ACCENT
        axes.plot(one["interval"], [place, place], color=colour)
        axes.plot([one["value"]], [place], "o", color=colour)
    axes.set_yticks(range(len(ordered)), [one["name"] for one in reversed(ordered)])
    axes.set_xlabel("AUROC of the lower putamen's ratio, early PD against healthy (95 %)")


def _recovery(figure: Any, rows: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    fwhm = [row["fwhm_mm"] for row in rows]
    looks = {"large": (WARM, "-"), "caudate": (ACCENT, "-"), "anterior_putamen": (INK, "--")}
    looks |= {"posterior_putamen": (INK, ":"), "putamen": (INK, "-")}
    for name, (colour, line) in looks.items():
        axes.plot(fwhm, [row[name] for row in rows], line, color=colour, label=name.replace("_", " "))
    axes.set(xlabel="FWHM (mm)", ylabel="measured over true", ylim=(0, 1.05))
    axes.legend(frameon=False, fontsize=8)


def _judge(figure: Any, one: dict[str, Any]) -> None:
    axes = figure.subplots()
    left = np.zeros(len(LABELS))
    people = np.array([max(1, one["groups"][group]["people"]) for group in LABELS])
    for verdict, colour in (("normal", ACCENT), ("uncertain", SOFT), ("reduced", WARM)):
        width = np.array([one["groups"][group]["verdicts"][verdict] for group in LABELS]) / people
        axes.barh(list(LABELS.values()), width, left=left, color=colour, label=verdict)
        left = left + width
    axes.invert_yaxis()
    axes.set(xlabel=f"share of people, {one['ensemble']}", xlim=(0, 1))
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
