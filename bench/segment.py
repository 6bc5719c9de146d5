"""The brain mask of a T1 of 256 cubed voxels, beside BrainExtractor, in turn in one run.

    python bench/segment.py [--peer-python PEERS/bin/python] [--rounds 5] [--scan T1 --labels MASK]

The scan is a painted head with T1 contrast at 1 mm, whose brain is known; `--scan` and `--labels` (above 0 in the
brain) take another. Every engine runs as a process of its own with two threads, from a NIfTI file to a mask in a NIfTI
file; seconds are of the whole process, and memory is its largest resident size. Engines take turns, so that a busy
moment of the machine meets all of them. `--peer-python` is an interpreter that has `brainextractor` (BET after
Smith 2002, in Python); where it cannot be imported the page says so. It needs no weights: other peers fetch theirs from
addresses that an installation cannot count on. The first run of each engine is not counted. Writes
bench/results/segment.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dopascope import formats
from dopascope.atlas.brain import BRAIN
from dopascope.atlas.hull import brain_hull
from dopascope.phantom.mr.contrast import draw_means
from dopascope.phantom.mr.heads import draw_head
from dopascope.space import resample
from dopascope.volume import Grid, LabelMap, Volume

RESULTS = Path(__file__).parent / "results"
AIM_S = 15.0
SIDE = 256
SEED = 20261130
_BET = (
    "import sys, nibabel; from brainextractor import BrainExtractor; "
    "b = BrainExtractor(img=nibabel.load(sys.argv[1])); b.run(); b.save_mask(sys.argv[2])"
)
_WATCH = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
OWN = "dopascope segment apply"
PEERS = {"BrainExtractor": _BET}


def painted(folder: Path) -> tuple[Path, Path]:
    """A T1-like head of 256 cubed voxels of 1 mm, and its brain, as files."""
    rng = np.random.default_rng(SEED)
    head = draw_head([], rng, spacing_mm=1.0)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = head.grid.to_world((np.array(head.grid.shape) - 1) / 2) - (SIDE - 1) / 2
    grid = Grid((SIDE, SIDE, SIDE), affine)
    labels = resample(head, grid)
    means = draw_means(rng, "t1", spread=0.03)
    image = 1000 * np.hypot(means[labels.data] + rng.normal(0, 0.02, grid.shape), rng.normal(0, 0.02, grid.shape))
    brain = np.isin(labels.data, BRAIN)
    formats.save_nifti(Volume(image.astype(np.float32), grid), folder / "t1.nii.gz")
    formats.save_nifti(LabelMap(brain.astype(np.uint8), grid), folder / "brain.nii.gz")
    return folder / "t1.nii.gz", folder / "brain.nii.gz"


def command(engine: str, scan: Path, folder: Path, python: str) -> tuple[list[str], Path]:
    """What is run, and where its mask will lie."""
    if engine == OWN:
        out = folder / "own"
        return [sys.executable, "-m", "dopascope", "segment", "apply", str(scan), "--out", str(out)], (
            out / "brain_mask.nii.gz"
        )
    mask = folder / f"{engine.split()[0]}.nii.gz"
    return [python, "-c", PEERS[engine], str(scan), str(mask)], mask


def once(words: list[str]) -> tuple[float, float]:
    """Seconds and MB of one run."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "2")
    started = time.perf_counter()
    # A process of its own in between: the kernel counts what this one holds as its children's.
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *words],
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(words)[:200]} failed:\n{done.stderr[-2000:]}")
    return seconds, int(done.stdout.split()[-1]) / 1024


def dice(mask: Path, truth: Path) -> float:
    """Of two masks on one grid."""
    found, known = formats.load(mask), formats.load(truth)
    one, other = found.data > 0.5, brain_hull(known.data > 0.5, known.grid)
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def table(record: dict[str, Any]) -> str:
    """As Markdown."""
    own = record["engines"][OWN]["seconds"]
    lines = [
        "# Brain masks",
        "",
        f"Made by `python bench/segment.py`. {record['machine']}. {record['scan']}; whole processes with two threads, "
        f"in turn, {record['rounds']} rounds; median and range.",
        "",
        "| engine | s | peak MB | Dice | time beside ours (by round) |",
        "|---|---|---|---|---|",
    ]
    for name, one in record["engines"].items():
        if "missing" in one:
            lines.append(f"| {name} | not installed: {one['missing']} | | | |")
            continue
        ratios = [a / b for a, b in zip(one["seconds"], own, strict=True)]
        lines.append(
            f"| {name} | {statistics.median(one['seconds']):.1f} ({min(one['seconds']):.1f} to "
            f"{max(one['seconds']):.1f}) | {max(one['mb']):.0f} | {one['dice']:.3f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    lines += ["", f"Aim: at most {AIM_S:g} s for {SIDE} cubed.", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--labels", type=Path)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan, truth = (chosen.scan, chosen.labels) if chosen.scan else painted(folder)
        engines: dict[str, Any] = {OWN: {}}
        for peer, words in PEERS.items():
            module = words.split("from ")[1].split()[0]
            done = subprocess.run([chosen.peer_python, "-c", f"import {module}"], capture_output=True, check=False)
            engines[peer] = {} if done.returncode == 0 else {"missing": module}
        running = [one for one, told in engines.items() if not told]
        for one in running:
            engines[one] = {"seconds": [], "mb": []}
        for turn in range(chosen.rounds + 1):
            for one in running:
                words, mask = command(one, scan, folder, chosen.peer_python)
                seconds, mb = once(words)
                print(f"{one}: {seconds:.1f} s, {mb:.0f} MB", file=sys.stderr)
                if turn:
                    engines[one]["seconds"].append(seconds)
                    engines[one]["mb"].append(mb)
                engines[one]["dice"] = dice(mask, truth)
        record = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {load:.2f} before",
            "scan": "A scan given by name" if chosen.scan else f"A painted head of {SIDE} cubed voxels, T1 contrast",
            "rounds": chosen.rounds,
            "engines": engines,
        }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "segment.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "segment.md").write_text(table(record))
    print(table(record))


if __name__ == "__main__":
    main()
