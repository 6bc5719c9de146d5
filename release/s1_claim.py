"""S1's claim where data is scarce: do synthetic images help a classifier more than the same scans shown again?

    python release/s1_claim.py run --cohort COHORT --work DIR [--sizes 50,100,200] [--arms cvae,rflow] [--seeds 1,2,3]
    python release/s1_claim.py page --work DIR              # record what is there, and write docs/generators.md

Plan `s1` on so many people that each of five folds is learned from `size` of them: healthy ones, and as many with
Parkinson's or borderline, who have lost a little on one side (`dopascope simulate --subjects 260 --seed 12 --mix
healthy=.5,pd=.25,borderline=.25`). Early Parkinson's alone is told from healthy without an error from 50 simulated
people, so nothing could be gained there, and borderline alone hardly better than by chance.

Every arm has the folds and seeds of its matched null, `repeated`: as many extra images, so as many steps, but nothing
new. The difference is paired over people. S1 stops where the loss of a few watched people rises; here every training
has all its epochs, so that arms do have the same steps, and nobody is watched. An arm of fewer seeds stands beside a
null of as many, whose trainings are those of the larger null. Resumable: runs that are whole are kept, others go on.
Figures go to release/results/s1_claim.json, and stay there when a later call of `page` is about other sizes or arms.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.batch.drive import Runner
from dopascope.cohort import CohortScan, read_cohort
from dopascope.generate.frames import frame
from dopascope.report.study_compare import compare_runs
from dopascope.score import p_words
from dopascope.study import changed, load
from dopascope.study.modality import DAT
from dopascope.study.plan import NetworkMember, Plan, parse, to_toml
from dopascope.study.run import run_study
from generators import FAMILIES, PAGE, SETTINGS, between, measured

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "release" / "results" / "s1_claim.json"
BEGIN, END = "<!-- claim:begin -->", "<!-- claim:end -->"
FORM: Final = "dopascope.s1-claim/1"
NULL: Final = "repeated"
WHOLE: Final = {"schedule": "constant", "early_stopping": 0}
"""Of a training that is never cut short."""
MIDDLE: Final = "slab-64"
"""The frame whose pixels are taken of each slice: 64 x 64, so that a processor comes to the end."""
FOLDS: Final = 5
HEAD: Final = (
    "learned from",
    "extra images",
    "n",
    "AUROC with",
    "of the null",
    "of ratios",
    "difference (95 %), p",
    "of log loss",
    "gain",
    "seeds",
    "epochs, generator's",
)
KEPT: Final = ("figure", "value", "low", "high", "p")


def plan_of(
    arm: str, seeds: Sequence[int], epochs: int | None, generator_epochs: int | None, precision: str = "32"
) -> Plan:
    """`s1` without first weights of photographs, on the middle of slices, with this arm's extra images and seeds."""
    extra: dict[str, Any] = {"source": arm}
    if arm != NULL:
        extra["settings"] = SETTINGS[arm]
        if generator_epochs is not None:
            extra["epochs"] = generator_epochs
    plan = changed(load("s1"), weights="none", epochs=epochs, extra=extra)
    members = [
        one.model_copy(
            update={
                "seeds": list(seeds),
                "crop": list(frame(MIDDLE).sight.crop),
                "training": one.training.model_copy(update=WHOLE | {"precision": precision}),
            }
        )
        if isinstance(one, NetworkMember)
        else one
        for one in plan.members
    ]
    labels = plan.labels.model_copy(update={"positive": ["PD", "borderline"], "negative": ["control"], "leave_out": []})
    unwatched = plan.validation.model_copy(update={"watched": 0.0})
    changes = {"members": members, "validation": unwatched, "labels": labels}
    return parse(to_toml(plan.model_copy(update=changes)), where=f"s1 with {arm}")


def chosen(scans: Sequence[CohortScan], size: int) -> list[CohortScan]:
    """So many people that four of five folds are `size`, the first by name; groups of a simulated cohort are mixed.

    Raises:
        SystemExit: the cohort has too few.
    """
    wanted = -(-size * FOLDS // (FOLDS - 1))
    if len(scans) < wanted:
        raise SystemExit(f"size {size}: the cohort has {len(scans)} scans, {wanted} are needed")
    return sorted(scans, key=lambda one: one.name)[:wanted]


def table_of(cohort: Path, scans: Sequence[CohortScan], out: Path) -> Path:
    """A cohort table of these scans alone."""
    with cohort.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        kept = {scan.name for scan in scans}
        rows = [row for row in reader if row["scan_id"] in kept]
        names = list(reader.fieldnames or ())
    for row in rows:
        row["path"] = os.path.relpath(cohort.parent / row["path"], out.parent)
    stream_out = io.StringIO()
    writer = csv.DictWriter(stream_out, names, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    provenance.write_text(out, stream_out.getvalue())
    return out


def run(told: argparse.Namespace) -> None:
    """Every arm at every size, the null first."""
    scans = read_cohort(told.cohort)
    for size in _whole(told.sizes):
        folder = told.work / f"size-{size:04d}-seeds-{len(_whole(told.seeds))}"
        provenance.check_writable(folder)
        table = table_of(told.cohort, chosen(scans, size), folder / "cohort.tsv")
        for arm in (NULL, *told.arms.split(",")):
            plan = plan_of(arm, _whole(told.seeds), told.epochs, told.generator_epochs, told.precision)
            out = folder / arm
            if arm == NULL and not out.is_dir():
                lend(told.work, size, plan, out)
            if not (out / "metrics.json").is_file():
                run_study(
                    plan, table, out, resume=out.is_dir(), cache=told.cache or told.work / "cache", runner=Runner(1)
                )
            print(out, flush=True)


def lend(work: Path, size: int, plan: Plan, out: Path) -> None:
    """Lay into `out` the trainings that a null of other seeds has in common with this one.

    What was trained otherwise than the plan says is trained anew: the study looks.
    """
    trainings = {f"{one.name}-seed-{seed}" for one in plan.networks for seed in one.seeds}
    for sibling in sorted(work.glob(f"size-{size:04d}-seeds-*")):
        if not (sibling / NULL / "metrics.json").is_file():
            continue
        for training in sorted((sibling / NULL).glob("fold-*/*-seed-*")):
            if training.name in trainings:
                shutil.copytree(training, out / training.parent.name / training.name, dirs_exist_ok=True)


def collected(work: Path) -> dict[str, Any]:
    """The comparison of every arm that is there with its null."""
    found = []
    for folder in sorted(work.glob("size-*")):
        null = folder / NULL
        arms = [one for one in sorted(folder.iterdir()) if (one / "metrics.json").is_file() and one != null]
        for arm in arms if (null / "metrics.json").is_file() else ():
            told = compare_runs([arm, null])
            member = parse((arm / "plan.toml").read_text(encoding="utf-8"), where=str(arm)).members[0]
            assert isinstance(member, NetworkMember)
            assert member.extra is not None
            found.append(
                {
                    "size": int(folder.name.split("-")[1]),
                    "arm": arm.name,
                    "scans": told["scans"],
                    "same_folds": told["same_folds"],
                    "seeds": member.seeds,
                    "epochs": member.training.epochs,
                    "generator_epochs": member.extra.epochs,
                    "precision": member.training.precision,
                    "settings": member.extra.settings,
                    "runs": {Path(name).name: figures for name, figures in told["runs"].items()},
                    "ratios": ratios_of(null),
                    "differences": [{key: one[key] for key in KEPT} for one in told["differences"]],
                }
            )
    return {"form": FORM, "found": found, "software": provenance.software()}


def ratios_of(run: Path) -> dict[str, float]:
    """AUROC of the model of binding ratios in the run's folds, with its interval."""
    pooled = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["pooled"]["readers"]
    told = pooled[DAT.baseline.name]["auroc"]
    return {key: told[key] for key in ("value", "low", "high")}


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was found before and now; of the same size, arm and number of seeds, what was found now."""
    found = {
        (one["size"], FAMILIES.index(one["arm"]), len(one["seeds"])): one for one in (*before["found"], *now["found"])
    }
    return {**now, "found": [found[key] for key in sorted(found)]}


def with_claim(page: str, figures: dict[str, Any]) -> str:
    """The page with its comparison made anew."""
    return between(page, BEGIN, END, told_of(figures))


def told_of(figures: dict[str, Any]) -> str:
    """The figures as Markdown, as they are."""
    if not figures["found"]:
        return "Not run: nothing is said.\n"
    lines = [
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
    ]
    for one in figures["found"]:
        gain = {told["figure"]: told for told in one["differences"]}
        with_, null = (measured(one["runs"][name]["auroc"], ".3f") for name in (one["arm"], NULL))
        auroc = f"{measured(gain['auroc'], '+.3f')}, {p_words(gain['auroc']['p'])}"
        loss = measured(gain["log_loss"], "+.3f")
        ratios = measured(one["ratios"], ".3f")
        asked = [len(one["seeds"]), f"{one['epochs']}, {one['generator_epochs']}"]
        cells = [one["size"], one["arm"], one["scans"], with_, null, ratios, auroc, loss, _verdict(one), *asked]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    about = (
        "Simulated people, half of them healthy, a quarter PD, a quarter borderline; the middle 64 x 64 pixels of "
        "slices 40, 41 and 42; ResNet18 from random weights, as many extra images as scans, generators as narrow as "
        "above; of ratios: the logistic model. The rate is constant and nothing is stopped early, so an arm and its "
        "null have the same steps. The null is that of the arm's seeds. Intervals are over people; seeds are few, and "
        f"{len(figures['found'])} comparisons are made without correction."
    )
    return "\n".join(lines) + f"\n\n{about}\n"


def _verdict(one: dict[str, Any]) -> str:
    gain = {told["figure"]: (told["low"], told["high"]) for told in one["differences"]}
    said = {"AUROC": gain["auroc"], "log loss": tuple(-end for end in reversed(gain["log_loss"]))}
    shown = [f"by {name}" for name, (low, _) in said.items() if low > 0]
    lost = [f"LOSS by {name}" for name, (_, high) in said.items() if high < 0]
    return ", ".join([*shown, *lost]) or "not shown"


def _whole(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def main() -> None:
    """Run arms, or write the page of what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run", help="train and test every arm; run again to go on")
    running.add_argument("--cohort", type=Path, required=True)
    running.add_argument("--work", type=Path, required=True)
    running.add_argument("--cache", type=Path, help="of registered scans; inside --work when omitted")
    running.add_argument("--sizes", default="50,100,200")
    running.add_argument("--arms", default="cvae")
    running.add_argument("--seeds", default="1,2,3")
    running.add_argument("--epochs", type=int)
    running.add_argument("--generator-epochs", type=int)
    running.add_argument("--precision", choices=("32", "bf16"), default="32", help="of the classifier's arithmetic")
    writing = verbs.add_parser("page", help="write the page of the recorded figures")
    writing.add_argument("--work", type=Path, help="record the figures of this folder first")
    told = parser.parse_args()
    if told.verb == "run":
        run(told)
        return
    if told.work:
        before = json.loads(RESULTS.read_text(encoding="utf-8"))
        provenance.write_text(RESULTS, json.dumps(merged(before, collected(told.work)), indent=1) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    provenance.write_text(PAGE, with_claim(text, json.loads(RESULTS.read_text(encoding="utf-8"))))
    print(PAGE)


if __name__ == "__main__":
    main()
