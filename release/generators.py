"""The families of generators at equal training time on one cohort, judged by held-out people.

    python release/generators.py fit --cohort COHORT --work DIR [--minutes 4] [--frame slab-64]
    python release/generators.py page                       # docs/generators.md anew, of the recorded figures

Resumable: what stands in DIR is gone on with. Minutes are of the processor, one thread, so that a machine that others
use does not favour a family. Figures go to release/results/generators.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.batch.drive import Runner
from dopascope.cohort.splits import k_fold, write_splits
from dopascope.generate.asking import Request, shares
from dopascope.generate.fitting import Wanted, claim, fit_material
from dopascope.generate.frames import frame
from dopascope.generate.judging import judge, shown
from dopascope.generate.lineage import SPLITS, Lineage, read_lineage
from dopascope.generate.material import Material, chosen_scans, gather, split_of
from dopascope.generate.synthetic import read_synthetic, sample
from dopascope.learn.generative.plan import Setting
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.reading import readers
from dopascope.report import generated as judgement_page

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "release" / "results" / "generators.json"
PAGE: Final = ROOT / "docs" / "generators.md"
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
FORM: Final = "dopascope.generator-figures/1"
FAMILIES: Final = ("cvae", "gan", "ddpm", "rflow", "ldm")
RATES: Final = {"cvae": 1e-3, "gan": 2e-4, "ddpm": 1e-3, "rflow": 1e-3, "ldm": 1e-3}
"""Learning rates."""
SETTINGS: Final[dict[str, dict[str, Setting]]] = {
    "cvae": {"width": 16},
    "gan": {"width": 16, "critic_width": 16},
    "ddpm": {"width": 16},
    "rflow": {"width": 16},
    "ldm": {},
}
"""Narrow networks, so that a processor comes to a thousand steps; the others are the families' own."""
FOLDS: Final = 2
"""Half of the people are held out: distances between halves of few people tell nothing."""
COUNT: Final = 256
SEED: Final = 1
EVER: Final = 10**6
"""Epochs, where time decides."""
AIM: Final = 0.25
"""Share of the way to another camera that a family should stay below."""
AIM_POINTS: Final = 0.03
"""Within which readers should call synthetic images abnormal as often as held-out ones of the class."""


def fit(cohort: Path, work: Path, minutes: float, name: str, families: list[str]) -> dict[str, Any]:
    """Fit, draw and judge every family; what is in `work` already is kept."""
    known = frame(name)
    scans = chosen_scans(cohort, ())
    splits = work / SPLITS
    if not splits.is_file():
        provenance.check_writable(work)
        write_splits(k_fold(scans, FOLDS, seed=SEED), splits)
    places = split_of(scans, k_fold(scans, FOLDS, seed=SEED), "1")
    cache = cohort.parent / "generate.cache"
    material = gather(known, scans, places, work / "views", cache=cache, runner=Runner(2))
    found = []
    for family in families:
        out = work / family
        recipe = GeneratorRecipe(epochs=EVER, learning_rate=RATES[family], minutes=minutes)
        wanted = Wanted(
            family,
            known,
            recipe,
            conditions=("sbr",),
            settings=SETTINGS[family],
            splits=splits,
            seed=SEED,
            grid_every=200,
            clock=time.process_time,
        )
        claim(out, places)
        if not (out / "fit.json").is_file():
            fit_material(wanted, material, cohort, out)
        lineage = read_lineage(out)
        request = Request(counts=shares(COUNT, lineage.parents), seed=SEED, fixed={})
        sample(lineage, request, out / "made")
        found.append(_family(lineage, material, out))
        print(family, found[-1]["verdict"], flush=True)
    return {
        "form": FORM,
        "minutes": minutes,
        "frame": name,
        "frame_description": known.description,
        "people": {"training": len(material.training.scans), "held_out": len(material.held_out.scans)},
        "simulated": True,
        "machine": f"{platform.machine()}, one thread",
        "families": found,
        "software": provenance.software(),
    }


def _family(lineage: Lineage, material: Material, out: Path) -> dict[str, Any]:
    kept = out / "judged" / judgement_page.JUDGEMENT
    if not kept.is_file():
        made = read_synthetic(out / "made")
        told = judge(lineage, material, made, readers=readers.chosen(None, None))
        judgement_page.write(told, shown(material, made, told), out / "judged")
    told = json.loads(kept.read_text(encoding="utf-8"))
    training = lineage.generator().training
    return {
        "family": lineage.family,
        "epochs": training["epochs"],
        "settings": SETTINGS[lineage.family] | {"learning_rate": RATES[lineage.family]},
        "seen": training["epochs"] * len(lineage.parents),
        **{
            name: told[name]
            for name in ("n", "cameras", "features", "diversity", "by_class", "asked", "readers", "read_off", "verdict")
        },
        "quantities": [{k: one[k] for k in ("quantity", "wasserstein", "against")} for one in told["quantities"]],
        "memorisation": {k: told["memorisation"][k] for k in ("sentences", "control")}
        | {"verdict": told["memorisation"]["result"]["verdict"], "p": told["memorisation"]["result"]["p"]},
    }


def write_page(figures: dict[str, Any], page: Path = PAGE) -> None:
    """Put the figures into the page, between its marks."""
    text = page.read_text(encoding="utf-8")
    provenance.write_text(page, with_figures(text, figures))


def with_figures(page: str, figures: dict[str, Any]) -> str:
    """The page with what stands between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(figures)}\n{END}{after}"


def tables(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    families, n = figures["families"], figures["people"]
    cameras = families[0]["cameras"]
    head = (
        f"{figures['minutes']:g} minutes of the processor ({figures['machine']}) each, learned from {n['training']} "
        f"and judged by {n['held_out']} simulated people; {families[0]['n']['synthetic']} images of each, "
        f"{figures['frame_description']}. One training of each: differences between families are of these trainings. "
        "Ranges are of 95 %."
    )
    parts = [head, _made(families)]
    for number, features in enumerate(one["features"] for one in families[0]["features"]):
        parts.append(f"**Likeness on {features}.** {_likeness_note(cameras)}\n\n{_likeness(families, number)}")
    parts += [
        f"**Variety**, MS-SSIM between images of one class; higher is less varied.\n\n{_variety(families)}",
        f"**Numbers read off the images.** {families[0]['read_off']['how']}.\n\n{_numbers(families)}",
        f"**Readers**: share called abnormal, beside held-out images of the class.\n\n{_readers(families)}",
        f"**Copies.**\n\n{_copies(families)}",
        f"**Aim.** MMD and kernel distance at most {AIM:.0%} of the way to another camera, readers within "
        f"{AIM_POINTS * 100:g} points.\n\n{_aims(families)}",
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _measured(one: dict[str, Any] | None, form: str = ".2f") -> str:
    if one is None:
        return "-"
    return f"{one['value']:{form}} ({one['low']:{form}} to {one['high']:{form}})"


def _made(families: list[dict[str, Any]]) -> str:
    rows = [
        [one["family"], ", ".join(f"{k} {v}" for k, v in one["settings"].items()), str(one["epochs"]), str(one["seen"])]
        for one in families
    ]
    return _table(["family", "settings beside the usual ones", "epochs", "images learned from, repeats counted"], rows)


def _likeness_note(cameras: dict[str, Any]) -> str:
    if cameras["why_not"]:
        return f"No distance between cameras: {cameras['why_not']}."
    named = " and ".join(f"{name} ({n})" for name, n in zip(cameras["names"], cameras["n"], strict=True))
    return (
        f"Floor: held-out halves against each other; two cameras: {named} real images. Share of the way from the one "
        "to the other."
    )


def _likeness(families: list[dict[str, Any]], number: int) -> str:
    rows = []
    for one in families:
        told = one["features"][number]
        for name, title in judgement_page.FIGURES.items():
            against = told["against"][name]
            value, floor, far = (_measured(against[key], ".3g") for key in ("value", "floor", "reference"))
            p = f"{told['mmd']['p']:.3f}" if name == "mmd" else ""
            rows.append([one["family"], title, value, floor, far, _measured(against["share"]), p])
    return _table(["family", "figure", "half against synthetic", "floor", "two cameras", "share", "p"], rows)


def _variety(families: list[dict[str, Any]]) -> str:
    rows = [
        [one["family"], name, _measured(pair["synthetic"]["mean"], ".3f"), _measured(pair["real"]["mean"], ".3f")]
        for one in families
        for name, pair in one["diversity"].items()
        if name != "all"
    ]
    return _table(["family", "class", "synthetic", "held out"], rows)


def _numbers(families: list[dict[str, Any]]) -> str:
    titles = families[0]["read_off"]["quantities"]
    rows = []
    for one in families:
        for told in one["by_class"]:
            error = _measured(told.get("error"))
            what, n = f"{titles[told['quantity']]}, {told['label']}", f"{told['n_synthetic']} and {told['n_real']}"
            rows.append([one["family"], what, "synthetic less real", error, "-", n])
        for told in one["quantities"]:
            against = told["against"]
            value, floor = _measured(against["value"]), _measured(against["floor"])
            far = _measured(against["reference"])
            rows.append([one["family"], titles[told["quantity"]], "Wasserstein", value, floor, far])
        if one["asked"]:
            error, plain = _measured(one["asked"]["error"]), _measured(one["asked"]["class_mean"])
            plain, n = f"{plain} of class means", str(one["asked"]["n"])
            rows.append([one["family"], "ratio asked for", "mean absolute error", error, plain, n])
    return _table(["family", "number", "figure", "value", "floor or baseline", "two cameras, or n"], rows)


def _readers(families: list[dict[str, Any]]) -> str:
    rows = []
    for one in families:
        for reader in one["readers"]:
            if reader["why_not"]:
                rows.append([one["family"], reader["id"], "-", f"not asked: {reader['why_not']}", "-"])
            for line in reader["classes"]:
                told = [line[kind] for kind in ("synthetic", "held_out")]
                cells = [f"{_measured(kind.get('abnormal'))} of {kind['n']}" for kind in told]
                rows.append([one["family"], reader["id"], line["label"], *cells])
    return _table(["family", "reader", "class", "synthetic", "held out"], rows) if rows else "No reader is installed."


def _copies(families: list[dict[str, Any]]) -> str:
    rows = []
    for one in families:
        memory = one["memorisation"]
        control = memory["control"]
        planted = f"{control['named']} of {control['planted']} named, {control['verdict']}, p {control['p']:.3f}"
        rows.append([one["family"], f"{memory['verdict']}, p {memory['p']:.3f}", planted])
    return _table(["family", "memorisation", "positive control: planted training images"], rows)


def _aims(families: list[dict[str, Any]]) -> str:
    rows = []
    for one in families:
        cells = [one["family"]]
        for name in ("mmd", "kernel_distance"):
            shares_ = [told["against"][name]["share"] for told in one["features"]]
            cells.append("; ".join(_reached(share) for share in shares_))
        cells.append(_agreement(one["readers"]))
        rows.append(cells)
    return _table(["family", "MMD", "kernel distance", "readers"], rows)


def _reached(share: dict[str, float] | None) -> str:
    if share is None:
        return "cannot be said"
    told = "reached" if share["value"] <= AIM else "MISSED"
    return f"{told}, {share['value']:.2f}"


def _agreement(asked: list[dict[str, Any]]) -> str:
    gaps = [
        abs(line["synthetic"]["abnormal"]["value"] - line["held_out"]["abnormal"]["value"])
        for reader in asked
        for line in reader["classes"]
        if "abnormal" in line["synthetic"] and "abnormal" in line["held_out"]
    ]
    if not gaps:
        return "cannot be said"
    return f"{'reached' if max(gaps) <= AIM_POINTS else 'MISSED'}, at most {max(gaps) * 100:.0f} points off"


def main() -> None:
    """Fit and record, or write the page of what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    fitting = verbs.add_parser("fit", help="fit, draw and judge the families, and write the page")
    fitting.add_argument("--cohort", type=Path, required=True)
    fitting.add_argument("--work", type=Path, required=True)
    fitting.add_argument("--minutes", type=float, default=4.0)
    fitting.add_argument("--frame", default="slab-64")
    fitting.add_argument("--families", default=",".join(FAMILIES))
    verbs.add_parser("page", help="write the page anew of the recorded figures")
    chosen = parser.parse_args()
    if chosen.verb == "fit":
        found = fit(chosen.cohort, chosen.work, chosen.minutes, chosen.frame, chosen.families.split(","))
        provenance.write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")))
    print(PAGE)


if __name__ == "__main__":
    main()
