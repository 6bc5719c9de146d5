"""The page of a synthetic cohort's judgement: images, figures with their floors, nearest real images, the verdict."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dopascope.report import html, wording
from dopascope.report.files import save
from dopascope.report.generated_pictures import Plane, picture
from dopascope.report.study_plots import INKS, Plot
from dopascope.report.tiles import Tile
from dopascope.score import p_words

PAGE: Final = "report.html"
JUDGEMENT: Final = "judgement.json"
FIGURES: Final = {
    "mmd": "MMD, squared",
    "frechet": "Frechet distance",
    "kernel_distance": "Kernel distance",
    "outside": "1 - precision",
    "uncovered": "1 - coverage",
}


@dataclass(frozen=True)
class Pair:
    """A synthetic image beside the real ones that are nearest to it."""

    synthetic: Plane
    training: Plane
    held_out: Plane
    copy_score: float
    above: bool


@dataclass(frozen=True)
class Shown:
    """Planes `(I, J)` in units of the intensity scale."""

    synthetic: Mapping[str, Sequence[Plane]]
    """By class."""
    real: Mapping[str, Sequence[Plane]]
    """Held-out images by class."""
    pairs: Sequence[Pair]
    grey: bool = False
    """In grey, as MRI is shown."""


def write(found: dict[str, Any], shown: Shown, out: Path) -> Path:
    """Write `report.html` and `judgement.json` into a folder, whole or not at all.

    Raises:
        DopascopeError: the disk refuses.
    """
    page = render(found, shown).encode()
    save(out / JUDGEMENT, (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return save(out / PAGE, page)


def render(found: Mapping[str, Any], shown: Shown) -> str:
    """The page: self-contained, no script, nothing fetched."""
    titles = found["read_off"]["quantities"]
    return (
        html.environment()
        .get_template("generated.html.j2")
        .render(
            f=found,
            moment=wording.moment(found["created"]),
            rows=[
                (
                    label,
                    _tiles(planes, label, grey=shown.grey, synthetic=True),
                    _tiles(shown.real.get(label, ()), label, grey=shown.grey),
                )
                for label, planes in shown.synthetic.items()
            ],
            features=[
                (one["features"], _figure_rows(one), _coverage(one["coverage"]), _no_share(one))
                for one in found["features"]
            ],
            diversity=[
                (name, _measured(pair["synthetic"]["mean"], 3), _measured(pair["real"]["mean"], 3))
                for name, pair in found["diversity"].items()
            ],
            quantities=[_quantity(one, titles[one["quantity"]]) for one in found["quantities"]],
            plots=[_distribution(one, titles[one["quantity"]]) for one in found["quantities"]],
            by_class=[_class_row(one, titles[one["quantity"]]) for one in found["by_class"]],
            asked=_asked(found["asked"]),
            readers=[_reader(one) for one in found["readers"]],
            memory=_memory(found["memorisation"]["result"]),
            pairs=[
                (
                    _tile(one.synthetic, "synthetic image", grey=shown.grey, synthetic=True),
                    _tile(one.training, "nearest training image", grey=shown.grey),
                    _tile(one.held_out, "nearest held-out image", grey=shown.grey),
                    f"{one.copy_score:.2f}",
                    one.above,
                )
                for one in shown.pairs
            ],
        )
    )


def _tiles(planes: Sequence[Plane], label: str, *, grey: bool, synthetic: bool = False) -> list[Tile]:
    kind = "synthetic" if synthetic else "real"
    return [_tile(one, f"{kind} {label}", grey=grey, synthetic=synthetic) for one in planes]


def _tile(plane: Plane, alt: str, *, grey: bool, synthetic: bool = False) -> Tile:
    return Tile("", alt, picture(plane, synthetic=synthetic, grey=grey), 0.0, 0.0)


def _measured(one: Mapping[str, float] | None, digits: int) -> str:
    if one is None:
        return wording.NONE
    shown = [wording.number(one[name], digits) for name in ("value", "low", "high")]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def _scaled(one: Mapping[str, float] | None) -> str:
    """Three significant digits, for figures of any size."""
    if one is None:
        return wording.NONE
    return f"{one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"


def _figure_rows(one: Mapping[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """Name, value with interval, then against the floor: value, floor, two cameras, share."""
    alone = {
        "mmd": f"{_scaled(one['mmd']['squared'])}, {p_words(one['mmd']['p'])}",
        "frechet": _scaled(one["frechet"]["squared"]),
        "kernel_distance": _scaled(one["kernel_distance"]["value"]),
    }
    found = []
    for name, title in FIGURES.items():
        against = one["against"][name]
        cells = (_scaled(against["value"]), _scaled(against["floor"]), _scaled(against["reference"]))
        found.append((title, alone.get(name, wording.NONE), *cells, _measured(against["share"], 2)))
    return found


def _no_share(one: Mapping[str, Any]) -> str:
    """Why figures have no share of the way."""
    names: dict[str, list[str]] = {}
    for name, title in FIGURES.items():
        if one["against"][name]["share"] is None:
            names.setdefault(one["against"][name]["why_not"], []).append(title)
    return "; ".join(f"No share of {', '.join(titles)}: {why}" for why, titles in names.items())


def _coverage(one: Mapping[str, Any]) -> str:
    names = ("precision", "recall", "density", "coverage")
    told = ", ".join(f"{name} {_measured(one[name], 2)}" for name in names)
    return f"{told}; coverage expected of as many real images {one['expected_coverage']:.2f}; k {one['k']}."


def _quantity(one: Mapping[str, Any], title: str) -> tuple[str, str, str, str, str]:
    distance, against = one["wasserstein"], one["against"]
    alone = f"{_measured(distance['distance'], 2)}, {p_words(distance['p'])}"
    shift = wording.number(distance["shift"], 2)
    cells = _measured(against["value"], 2), _measured(against["floor"], 2)
    return title, alone, shift, f"{cells[0]} | {cells[1]}", _measured(against["reference"], 2)


def _class_row(one: Mapping[str, Any], title: str) -> tuple[str, str, str, str, str]:
    n = f"{one['n_synthetic']} and {one['n_real']}"
    if "error" not in one:
        return one["label"], title, n, wording.NONE, wording.NONE
    real = f"{wording.number(one['real_mean'])} (sd {wording.number(one['real_sd'])})"
    return one["label"], title, n, real, _measured(one["error"], 2)


def _asked(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "No ratio was asked for: the generator was fitted without, or it was left open."
    correlation = wording.NONE if one["correlation"] is None else f"{one['correlation']:.2f}"
    return (
        f"Ratio of the lower putamen asked for, {one['n']} images: mean absolute error {_measured(one['error'], 2)}; "
        f"an answer that gives each class its mean has {_measured(one['class_mean'], 2)}; correlation {correlation}."
    )


def _reader(one: Mapping[str, Any]) -> tuple[str, str, list[tuple[str, str, str]]]:
    lines = []
    for line in one["classes"]:
        cells = []
        for kind in ("synthetic", "held_out"):
            told = line[kind]
            cells.append(f"{_measured(told['abnormal'], 2)} of {told['n']}" if told["n"] else "no image")
        lines.append((line["label"], cells[0], cells[1]))
    return f"{one['title']} ({one['id']})", one["why_not"], lines


def _memory(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Verdict", f"{one['verdict']}, {p_words(one['p'])} at {one['alpha']:.2f}"),
        ("Nearer to training than to held-out", f"{_scaled(one['closeness'])}, {p_words(one['p_closer'])}"),
        ("Above the copy score's threshold", f"{_measured(one['copied'], 3)}, {p_words(one['p_copies'])}"),
        ("Threshold", f"{one['threshold']:.2f}; {one['false_alarm']:.3f} of images that are no copies lie above"),
        ("Median distance to training", f"{one['generated_to_training']:.3g}"),
        ("Median distance to held-out", f"{one['generated_to_held_out']:.3g}"),
        ("Held-out to training", f"{one['held_out_to_training']:.3g}"),
    ]


def _distribution(one: Mapping[str, Any], title: str) -> Plot:
    """Empirical distribution functions of real and synthetic values."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.0), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for number, (kind, dash) in enumerate((("real", "-"), ("synthetic", "--"))):
        values = np.sort(one[kind])
        label = f"{kind}, n {len(values)}"
        axes.step(
            values, np.arange(1, len(values) + 1) / len(values), dash, where="post", color=INKS[number], label=label
        )
    axes.set_xlabel(title)
    axes.set_ylabel("share at or below")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    alt = f"distribution of {title} in held-out and in synthetic images"
    return Plot(title, alt, "Held-out real images and synthetic ones.", stream.getvalue())
