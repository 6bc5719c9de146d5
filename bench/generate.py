"""Seconds an image and kernel distance by sampler and number of steps, of a ddpm and an rflow fitted for it.

    python bench/generate.py [--work DIR] [--minutes 6] [--how ancestral:1000,dpm++:10,...] [--count 256]

Simulates 360 people and fits both on 100 of them; the other 260 judge. Every way to draw is asked for the same images:
classes and ratios as `generate sample --count` asks for them, seed 1. The kernel distance is to the held-out people, on
the main axes of the training images (on InceptionV3 it would be KID; docs/judging.md), with its jackknife interval.
Seconds are of the processor, one thread. With --work, what stands there is gone on with, and what is measured already
of the same generator is kept. An hour of one processor. Writes bench/results/generate.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dopascope import provenance
from dopascope.cohort.splits import Place, k_fold, write_splits
from dopascope.generate.asking import Request, asked, shares
from dopascope.generate.judging import material_of
from dopascope.generate.lineage import FILE as FIT
from dopascope.generate.lineage import Lineage, read_lineage
from dopascope.generate.material import Material, chosen_scans
from dopascope.learn.generative.padding import cut_back
from dopascope.nets.generative.samplers import evaluations
from dopascope.score import generated as figures
from dopascope.score.generated.features import COMPONENTS

RESULTS = Path(__file__).parent / "results"
SEED = 1
FAMILIES = ("ddpm", "rflow")
HOW = {
    "ddpm": "ancestral:1000,ddim:20,dpm++:20,dpm++:10,heun:10,euler:20",
    "rflow": "dpm++:20,dpm++:10,heun:10,euler:20",
}
SUBJECTS = 360
PARTS, LEARNED = 18, 5
"""People are dealt into parts of even classes; of so many it is learned."""


def called(words: str, *paths: Path | str) -> None:
    """Run a command of dopascope's."""
    subprocess.run([sys.executable, "-m", "dopascope", *words.split(), *map(str, paths)], check=True)


def generator(family: str, work: Path, subjects: int, minutes: float) -> Lineage:
    """Fitted in `work`, on a cohort that is simulated there; what stands there is kept."""
    cohort, splits, out = work / "cohort" / "cohort.tsv", work / "splits.tsv", work / family
    if not cohort.is_file():
        called(f"simulate --subjects {subjects} --seed 11 --mix healthy=.5,pd=.5 --no-ideal --out", cohort.parent)
    if not splits.is_file():
        scans = chosen_scans(cohort, ())
        part = {one.scan_id: int(one.fold) for one in k_fold(scans, PARTS, seed=3) if one.role == "test"}
        roles = {name: "train" if number <= LEARNED else "test" for name, number in part.items()}
        write_splits([Place("1", roles[one.name], one.name, one.person, one.label) for one in scans], splits)
    if not (out / FIT).is_file():
        settings = f"--family {family} --condition sbr --set width=16 --learning-rate 0.001 --fold 1 --workers 1"
        paths = ("--cohort", cohort, "--splits", splits, "--cache", work / "cache", "--out", out)
        called(f"generate fit {settings} --minutes {minutes}", *paths)
    return read_lineage(out)


def measured(lineage: Lineage, material: Material, sampler: str, steps: int, count: int) -> dict[str, Any]:
    """Draw `count` images in one way and judge them."""
    made = lineage.generator()
    request = Request(counts=shares(count, lineage.parents), seed=SEED, fixed={})
    wanted = asked(request, made.plan, lineage.parents)
    before = time.process_time()
    drawn = made.sample(wanted.classes, wanted.conditions, seed=SEED, sampler=sampler, steps=steps)
    seconds = (time.process_time() - before) / count
    images = cut_back(drawn, material.frame.shape).clamp(0, 1).numpy()
    training, real = material.training.images, material.held_out.images
    axes = figures.principal_components(training, components=min(COMPONENTS, len(training) // 2))
    one, other = axes(real), axes(images)
    distance = figures.kernel_distance(one, other).value
    floor = figures.against_floor(figures.kernel_distance_value, one, other, people=material.held_out.people).floor
    return {
        "family": lineage.family,
        "generator_sha256": lineage.generator_sha256,
        "sampler": sampler,
        "steps": steps,
        "evaluations": evaluations(sampler, steps),
        "n": [count, len(real)],
        "features": axes.name.replace("real", "training"),
        "cpu_s_per_image": seconds,
        "kernel_distance": [distance.value, distance.low, distance.high],
        "floor": [floor.value, floor.low, floor.high],
    }


def table(found: Sequence[dict[str, Any]], head: str) -> str:
    """The figures as Markdown; each way beside the one of its generator that asked the network most often."""
    lines = ["# Drawing synthetic images", "", "Made by `python bench/generate.py`. " + head, ""]
    lines += ["| family | sampler | steps | network asked | CPU s an image | kernel distance (95 %) | beside |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in found:
        own = [other for other in found if other["generator_sha256"] == one["generator_sha256"]]
        most = max(own, key=lambda other: (other["sampler"] == "ancestral", other["evaluations"]))
        value, low, high = one["kernel_distance"]
        overlap = low <= most["kernel_distance"][2] and most["kernel_distance"][1] <= high
        name = f"{most['sampler']} {most['steps']}"
        beside = "-" if one is most else f"{'overlaps' if overlap else 'DOES NOT OVERLAP'} {name}"
        cells = [one["family"], one["sampler"], one["steps"], one["evaluations"], f"{one['cpu_s_per_image']:.3f}"]
        lines.append(f"| {' | '.join(map(str, cells))} | {value:.3g} ({low:.3g} to {high:.3g}) | {beside} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder of cohort and generators; a temporary one when omitted")
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    parser.add_argument("--minutes", type=float, default=6.0, help="of each fit")
    parser.add_argument("--how", help="sampler:steps,...; by default " + "; ".join(f"{k} {v}" for k, v in HOW.items()))
    parser.add_argument("--count", type=int, default=256)
    told = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        run(told, told.work or Path(temporary))


def run(told: argparse.Namespace, work: Path) -> None:
    """Measure what is not measured yet of the generators in `work`."""
    before = os.getloadavg()[0]
    lineages = [generator(family, work, told.subjects, told.minutes) for family in FAMILIES]
    shas = {one.generator_sha256 for one in lineages}
    kept = RESULTS / "generate.json"
    known = json.loads(kept.read_text())["found"] if kept.is_file() else []
    found = [one for one in known if one["generator_sha256"] in shas and one["n"][0] == told.count]
    for lineage in lineages:
        material = material_of(lineage, work / "cohort" / "cohort.tsv", cache=work / "cache")
        for way in (told.how or HOW[lineage.family]).split(","):
            sampler, _, steps = way.partition(":")
            asked_for = (lineage.generator_sha256, sampler, int(steps))
            if asked_for not in {(one["generator_sha256"], one["sampler"], one["steps"]) for one in found}:
                found.append(measured(lineage, material, sampler, int(steps), told.count))
                print(lineage.family, way, found[-1]["kernel_distance"], flush=True)
                _write(found, before)


def _write(found: list[dict[str, Any]], before: float) -> None:
    found.sort(key=lambda one: (one["family"], -one["evaluations"], one["sampler"]))
    first = found[0]
    head = (
        f"{platform.machine()}, one thread, load {before:.1f} to {os.getloadavg()[0]:.1f}; {first['n'][0]} synthetic "
        f"images against {first['n'][1]} held-out simulated people on {first['features']}; between halves of these "
        f"people the distance is {first['floor'][0]:.3g} ({first['floor'][1]:.3g} to {first['floor'][2]:.3g})."
    )
    provenance.write_text(RESULTS / "generate.md", table(found, head))
    provenance.write_text(RESULTS / "generate.json", json.dumps({"head": head, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
