"""Seconds an image and kernel distance by sampler and number of steps, of generators that `generate fit` has made.

    python bench/generate.py GENERATOR... --cohort cohort.tsv [--how ancestral:1000,dpm++:10,...] [--count 256]

Every way to draw is asked for the same images: classes and ratios as `generate sample --count` asks for them, seed 1.
The kernel distance is to held-out people, on the main axes of the training images (on InceptionV3 it would be KID;
docs/judging.md), with its jackknife interval. Seconds are of the processor, one thread. What is measured already for
the same generator file is kept, so an interrupted run goes on. Writes bench/results/generate.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dopascope import provenance
from dopascope.generate.asking import Request, asked, shares
from dopascope.generate.judging import material_of
from dopascope.generate.lineage import Lineage, read_lineage
from dopascope.generate.material import Material
from dopascope.learn.generative.padding import cut_back
from dopascope.nets.generative.samplers import evaluations
from dopascope.score import generated as figures
from dopascope.score.generated.features import COMPONENTS

RESULTS = Path(__file__).parent / "results"
SEED = 1
HOW = "ancestral:1000,ancestral:100,ddim:50,ddim:20,dpm++:20,dpm++:10,heun:10,euler:20"


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
    parser.add_argument("generators", type=Path, nargs="+")
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="of registered scans")
    parser.add_argument("--how", default=HOW)
    parser.add_argument("--count", type=int, default=256)
    told = parser.parse_args()
    torch.set_num_threads(1)
    kept = RESULTS / "generate.json"
    lineages = [read_lineage(folder) for folder in told.generators]
    shas = {one.generator_sha256 for one in lineages}
    known = json.loads(kept.read_text())["found"] if kept.is_file() else []
    found = [one for one in known if one["generator_sha256"] in shas and one["n"][0] == told.count]
    before = os.getloadavg()[0]
    for lineage in lineages:
        material = material_of(lineage, told.cohort, cache=told.cache)
        for way in told.how.split(","):
            sampler, _, steps = way.partition(":")
            asked_for = (lineage.generator_sha256, sampler, int(steps))
            if asked_for not in {(one["generator_sha256"], one["sampler"], one["steps"]) for one in found}:
                found.append(measured(lineage, material, sampler, int(steps), told.count))
                print(lineage.family, way, found[-1]["kernel_distance"], flush=True)
                _write(found, before)
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
