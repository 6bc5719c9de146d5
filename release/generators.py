"""The families of generators at equal training time on one cohort, judged by held-out people.

    python release/generators.py fit --cohort COHORT --work DIR [--frame slab-64] [--minutes 4] [--families cvae,gan]
    python release/generators.py page --work DIR --work DIR  # record what is judged there, and write docs/generators.md
    python release/generators.py page                        # the page anew, of the recorded figures

Resumable: what stands in DIR is gone on with, and families may be fitted by several such calls. Minutes are of the
processor, one thread, so that a machine that others use does not favour a family. What is recorded first is told whole;
of another frame or time, what it adds. Figures go to release/results/generators.json, beside what stands there.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.batch.drive import Runner
from dopascope.cohort import CohortScan
from dopascope.cohort.splits import k_fold
from dopascope.generate.asking import Request, shares
from dopascope.generate.fitting import Wanted, claim, fit_material
from dopascope.generate.frames import frame
from dopascope.generate.judging import judge, shown
from dopascope.generate.lineage import FILE as FIT
from dopascope.generate.lineage import read_lineage
from dopascope.generate.material import chosen_scans, gather, split_of
from dopascope.generate.read_off import DAT
from dopascope.generate.synthetic import read_synthetic, sample
from dopascope.learn.generative.plan import Setting
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.quant.conditions import Conditions
from dopascope.reading import readers
from dopascope.report import generated as judgement_page
from dopascope.score import p_words

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "release" / "results" / "generators.json"
PAGE: Final = ROOT / "docs" / "generators.md"
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
REAL: Final = "real.json"
"""How many of the people are no simulated ones."""
JUDGED: Final = Path("judged") / judgement_page.JUDGEMENT
FORM: Final = "dopascope.generator-figures/2"
FAMILIES: Final = ("cvae", "gan", "ddpm", "rflow", "ldm")
RATES: Final = {"cvae": 1e-3, "gan": 5e-4, "ddpm": 1e-3, "rflow": 1e-3, "ldm": 1e-3}
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
BATCH: Final = 16
SEED: Final = 1
EVER: Final = 10**6
"""Epochs, where time decides."""
AIM: Final = 0.25
"""Share of the way to another camera that a family should stay below."""
AIM_POINTS: Final = 0.03
"""Within which readers should call synthetic images abnormal as often as held-out ones of the class."""
READERS: Final = "**Readers**: share called abnormal, beside held-out images of the class."
AIMED: Final = (
    f"**Aim.** MMD and kernel distance at most {AIM:.0%} of the way to another camera, readers within "
    f"{AIM_POINTS * 100:g} points."
)


def fit(
    cohort: Path,
    work: Path,
    cache: Path,
    minutes: float,
    name: str,
    families: list[str],
    count: int = COUNT,
    batch: int = BATCH,
    guidance: float = 1.0,
) -> None:
    """Fit, draw and judge families; what is in `work` already is kept."""
    known = frame(name)
    scans = chosen_scans(cohort, ())
    places = split_of(scans, k_fold(scans, FOLDS, seed=SEED), "1")
    provenance.check_writable(work)
    material = gather(known, scans, places, work / "views", cache=cache, runner=Runner(1))
    real = {
        name: sum(map(_real, side.scans))
        for name, side in (("training", material.training), ("held_out", material.held_out))
    }
    provenance.write_text(work / REAL, json.dumps(real) + "\n")
    for family in families:
        out = work / family
        recipe = GeneratorRecipe(epochs=EVER, batch=batch, learning_rate=RATES[family], minutes=minutes)
        wanted = Wanted(
            family,
            known,
            recipe,
            conditions=("sbr",) if known.modality is DAT else (),
            settings=SETTINGS[family],
            seed=SEED,
            grid_every=200,
            clock=time.process_time,
        )
        claim(out, places)
        if not (out / FIT).is_file():
            fit_material(wanted, material, cohort, out)
        lineage = read_lineage(out)
        sample(lineage, Request(shares(count, lineage.parents), SEED, {}, guidance=guidance), out / "made")
        if not (out / JUDGED).is_file():
            made = read_synthetic(out / "made")
            told = judge(lineage, material, made, readers=readers.chosen(None, None))
            judgement_page.write(told, shown(material, made, told), (out / JUDGED).parent)
        print(out / JUDGED, flush=True)


def _real(scan: CohortScan) -> bool:
    return not Conditions.of_simulation(scan.stated)


def collected(works: Sequence[Path]) -> dict[str, Any]:
    """The figures of every family that is judged in these folders."""
    return {"form": FORM, "sets": [_set(work) for work in works], "software": provenance.software()}


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was found before and now; of the same frame, time, guidance and cohort, what was found now."""
    found = {
        (one["frame"], one["minutes"], one.get("guidance", 1.0), one["cohort_sha256"]): one
        for figures in (before, now)
        for one in figures["sets"]
    }
    return {**now, "sets": list(found.values())}


def _set(work: Path) -> dict[str, Any]:
    found = [_family(work / name) for name in FAMILIES if (work / name / JUDGED).is_file()]
    if len({(one["minutes"], one["guidance"], one["frame"], one["cohort_sha256"]) for one in found}) != 1:
        raise SystemExit(f"{work}: no family is judged, or not all on the same cohort, frame, time and guidance")
    alike = ("minutes", "guidance", "frame", "frame_description", "simulated", "cohort_sha256")
    same = {key: found[0][key] for key in alike}
    real = json.loads((work / REAL).read_text(encoding="utf-8"))
    return {**same, "real": real, "machine": f"{platform.machine()}, one thread", "families": found}


def _family(folder: Path) -> dict[str, Any]:
    lineage, told = read_lineage(folder), json.loads((folder / JUDGED).read_text(encoding="utf-8"))
    training = lineage.generator().training
    names = ("n", "frame", "frame_description", "simulated", "cameras", "features", "diversity", "by_class", "asked")
    return {
        "family": lineage.family,
        "cohort_sha256": lineage.cohort_sha256,
        "minutes": training["recipe"]["minutes"],
        "guidance": told["request"]["guidance"],
        "settings": SETTINGS[lineage.family] | {key: training["recipe"][key] for key in ("learning_rate", "batch")},
        "epochs": training["epochs"],
        "seen": training["epochs"] * len(lineage.parents),
        **{name: told[name] for name in (*names, "readers", "read_off", "verdict")},
        "quantities": [{key: one[key] for key in ("quantity", "wasserstein", "against")} for one in told["quantities"]],
        "memorisation": {key: told["memorisation"][key] for key in ("sentences", "control")}
        | {key: told["memorisation"]["result"][key] for key in ("verdict", "p")},
    }


def with_figures(page: str, figures: dict[str, Any]) -> str:
    """The page with its figures made anew."""
    return between(page, BEGIN, END, tables(figures))


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with `text` between these marks."""
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def tables(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    whole, *others = figures["sets"]
    parts = [*_whole(whole), *(part for one in others for part in _brief(one))]
    return "\n\n".join(parts) + "\n"


def _head(figures: dict[str, Any]) -> str:
    n, real = figures["families"][0]["n"], figures["real"]
    among = f" (of them {real['training']} and {real['held_out']} real)" if any(real.values()) else ""
    return (
        f"Processor time of each: {figures['minutes']:g} min ({figures['machine']}); learned from {n['training']} "
        f"and judged by {n['held_out']} simulated people{among}; {n['synthetic']} images of each, "
        f"{figures['frame_description']}. One training of each: differences between families are of these trainings. "
        "Ranges are of 95 %."
    )


def _whole(figures: dict[str, Any]) -> list[str]:
    families = figures["families"]
    cameras = families[0]["cameras"]
    parts = [_head(figures), _made(families)]
    for number, features in enumerate(one["features"] for one in families[0]["features"]):
        parts.append(f"**Likeness on {features}.** {_likeness_note(cameras)}\n\n{_likeness(families, number)}")
    return [
        *parts,
        f"**Variety**, MS-SSIM between images of one class; higher is less varied.\n\n{_variety(families)}",
        f"**Numbers read off the images.** {families[0]['read_off']['how']}.\n\n{_numbers(families)}",
        f"{READERS}\n\n{_readers(families)}",
        f"**Copies.**\n\n{_copies(families)}",
        f"{AIMED}\n\n{_aims(families)}",
    ]


def _brief(figures: dict[str, Any]) -> list[str]:
    """Of another frame: likeness on the main axes, variety, copies, the aims, and readers where some can look."""
    families = figures["families"]
    axes = families[0]["features"][-1]["features"]
    note = _likeness_note(families[0]["cameras"])
    asked = any(reader["classes"] for one in families for reader in one["readers"])
    return [
        f"### On {figures['frame_description']}: {figures['minutes']:g} min each{_guided(figures)}",
        _head(figures),
        _made(families),
        f"**Likeness on {axes}.** {note}\n\n{_likeness(families, -1)}",
        f"**Variety.**\n\n{_variety(families)}",
        *([f"{READERS}\n\n{_readers(families)}"] if asked else []),
        f"**Copies.**\n\n{_copies(families)}",
        f"{AIMED}\n\n{_aims(families)}",
    ]


def _guided(figures: dict[str, Any]) -> str:
    guidance = figures.get("guidance", 1.0)
    return "" if guidance == 1.0 else f", drawn with guidance {guidance:g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def measured(one: dict[str, Any] | None, form: str = ".2f") -> str:
    """Value and interval."""
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
            value, floor, far = (measured(against[key], ".3g") for key in ("value", "floor", "reference"))
            p = p_words(told["mmd"]["p"]).removeprefix("p ") if name == "mmd" else ""
            rows.append([one["family"], title, value, floor, far, measured(against["share"]), p])
    return _table(["family", "figure", "half against synthetic", "floor", "two cameras", "share", "p"], rows)


def _variety(families: list[dict[str, Any]]) -> str:
    rows = [
        [one["family"], name, measured(pair["synthetic"]["mean"], ".3f"), measured(pair["real"]["mean"], ".3f")]
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
            error = measured(told.get("error"))
            what, n = f"{titles[told['quantity']]}, {told['label']}", f"{told['n_synthetic']} and {told['n_real']}"
            rows.append([one["family"], what, "synthetic less real", error, "-", n])
        for told in one["quantities"]:
            against = told["against"]
            value, floor = measured(against["value"]), measured(against["floor"])
            far = measured(against["reference"])
            rows.append([one["family"], titles[told["quantity"]], "Wasserstein", value, floor, far])
        if one["asked"]:
            error, plain = measured(one["asked"]["error"]), measured(one["asked"]["class_mean"])
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
                cells = [f"{measured(kind.get('abnormal'))} of {kind['n']}" for kind in told]
                rows.append([one["family"], reader["id"], line["label"], *cells])
    return _table(["family", "reader", "class", "synthetic", "held out"], rows) if rows else "No reader is installed."


def _copies(families: list[dict[str, Any]]) -> str:
    rows = []
    for one in families:
        memory = one["memorisation"]
        control = memory["control"]
        planted = f"{control['named']} of {control['planted']} named, {control['verdict']}, {p_words(control['p'])}"
        rows.append([one["family"], f"{memory['verdict']}, {p_words(memory['p'])}", planted])
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
    if share["value"] > AIM:
        return f"MISSED, {share['value']:.2f}"
    told = "reached" if share["high"] <= AIM else f"the range is not (to {share['high']:.2f}), the value is"
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
    """Fit families, or write the page of what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    fitting = verbs.add_parser("fit", help="fit, draw and judge families")
    fitting.add_argument("--cohort", type=Path, required=True)
    fitting.add_argument("--work", type=Path, required=True)
    fitting.add_argument("--cache", type=Path, help="of registered scans; inside --work when omitted")
    fitting.add_argument("--minutes", type=float, default=4.0)
    fitting.add_argument("--frame", default="slab-64")
    fitting.add_argument("--families", default=",".join(FAMILIES))
    fitting.add_argument("--count", type=int, default=COUNT, help="of images that are drawn")
    fitting.add_argument("--guidance", type=float, default=1.0, help="of what is drawn; in a folder of its own")
    fitting.add_argument("--batch", type=int, default=BATCH, help="fewer where people are few: more steps an epoch")
    writing = verbs.add_parser("page", help="write the page of the recorded figures")
    writing.add_argument("--work", type=Path, action="append", help="record the figures of this folder first; repeat")
    chosen = parser.parse_args()
    if chosen.verb == "fit":
        cache = chosen.cache or chosen.work / "cache"
        families = chosen.families.split(",")
        asked = (chosen.minutes, chosen.frame, families, chosen.count, chosen.batch, chosen.guidance)
        fit(chosen.cohort, chosen.work, cache, *asked)
        return
    if chosen.work:
        found = merged(json.loads(RESULTS.read_text(encoding="utf-8")), collected(chosen.work))
        provenance.write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    provenance.write_text(PAGE, with_figures(text, json.loads(RESULTS.read_text(encoding="utf-8"))))
    print(PAGE)


if __name__ == "__main__":
    main()
