"""Reconstruction beside PyTomography with the same model, interleaved in one run.

    python bench/reconstruct.py [--processes 2] [--repeats 5] [--peer-repeats 2] [--peer-iterations 2]

A head with hot striata, 128 x 128 x 64 voxels of 3.3 mm, 120 views at a radius of 130 mm, 3 million counts. Every
process has one thread and does the same work at the same time, as in `dopascope simulate` with as many processes.
Timed is what a scan costs from its projections on: attenuation factors and sensitivities too. `first` has to build the
matrices of the geometry as well, which later scans of the same camera share. The peer is timed with fewer iterations
where it is slow, beside ours with as many. Needs `pip install pytomography==3.4.0` in the same environment for the
comparison; without it, says so and times dopascope alone. Writes bench/results/reconstruct.md and .json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEER = "pytomography"
SUBSETS = 8
ITERATIONS = 8
RESULTS = Path(__file__).parent / "results"
JOBS = {
    "fbp": ("FBP, ramp and Butterworth", 4.0),
    "plain": (f"OSEM {ITERATIONS} x {SUBSETS}, no correction", 4.0),
    "plain_short": (f"OSEM 4 x {SUBSETS}, no correction", 4.0),
    "full": (f"OSEM {ITERATIONS} x {SUBSETS}, attenuation and blur", 15.0),
}
"""Job -> (words, goal in seconds)."""


class Case:
    """The scan that everybody reconstructs."""

    def __init__(self) -> None:
        import torch

        from dopascope.physics import Geometry, PointSpread, Projector, circle

        self.geometry = Geometry((128, 128, 64), (3.3, 3.3, 3.3), circle(120), 130.0)
        x, y = (torch.from_numpy(axis)[..., None].float() for axis in self.geometry.centres_mm())
        z = (torch.arange(64) - 31.5) * 3.3
        body = ((x / 75) ** 2 + (y / 92) ** 2 + (z / 95) ** 2 <= 1).float()
        hot = sum((((x - s * 25) / 9) ** 2 + ((y - 5) / 22) ** 2 + (z / 13) ** 2 <= 1).float() for s in (-1, 1))
        self.mu = 0.0147 * body
        self.spread = PointSpread.from_holes(1.11, 23.0, 3.6)
        clean = Projector(self.geometry, self.mu, self.spread).forward((body + 5 * hot)[None])
        clean = clean * (3e6 / float(clean.sum()))
        self.counts = torch.poisson(clean, generator=torch.Generator().manual_seed(1))

    def corrections(self, job: str) -> tuple[Any, Any]:
        return (self.mu, self.spread) if job == "full" else (None, None)


def ours(case: Case, job: str, iterations: int) -> Callable[[], Any]:
    from dopascope.physics import Projector, butterworth, fbp, osem

    def run() -> Any:
        if job == "fbp":
            return butterworth(fbp(case.counts, case.geometry), case.geometry.voxel_mm, 0.6, 8)
        projector = Projector(case.geometry, *case.corrections(job))
        return osem(case.counts, projector, iterations, SUBSETS, order=range(SUBSETS))

    return run


def theirs(case: Case, job: str, iterations: int) -> Callable[[], Any]:
    import numpy as np
    import pytomography
    from pytomography.algorithms import OSEM
    from pytomography.likelihoods import PoissonLogLikelihood
    from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
    from pytomography.projectors.SPECT import SPECTSystemMatrix
    from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

    pytomography.set_device("cpu")
    geometry, (mu, spread) = case.geometry, case.corrections(job)

    def run() -> Any:
        views = SPECTProjMeta((128, 64), [0.33, 0.33], [270 - a for a in geometry.angles_deg], radii=[13.0] * 120)
        transforms: list[Any] = []
        if mu is not None:
            parameters = (spread.slope, spread.sigma0_mm / 10, spread.intrinsic_mm / 10)
            blur = SPECTPSFMeta(parameters, lambda r, a, b, c: np.sqrt((a * r + b) ** 2 + c**2))
            transforms = [SPECTAttenuationTransform(10 * mu), SPECTPSFTransform(blur)]
        matrix = SPECTSystemMatrix(
            transforms,
            [],
            SPECTObjectMeta([0.33] * 3, list(geometry.shape)),
            views,
            object_initial_based_on_camera_path=True,
        )
        return OSEM(PoissonLogLikelihood(matrix, case.counts[0]))(n_iters=iterations, n_subsets=SUBSETS)

    return run


def worker(repeats: int, peer_repeats: int, peer_iterations: int) -> list[dict[str, Any]]:
    """Time every job, the two programs taking turns; rows with seconds by the wall and by the processor."""
    import torch

    from dopascope.physics import footprint

    torch.set_num_threads(1)
    case, rows, images = Case(), [], {}

    def timed(job: str, who: str, iterations: int, run: Callable[[], Any]) -> None:
        load, wall, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
        images[job, who, iterations] = run()
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        rows.append({"job": job, "who": who, "iterations": iterations, "load": load, **seconds})

    steps = {"fbp": 0, "plain": ITERATIONS, "plain_short": 4, "full": ITERATIONS}
    ours(case, "plain", 1)()  # warming up
    for repeat in range(repeats):
        for job, iterations in steps.items():
            footprint.footprints.cache_clear()
            timed(job, "first", iterations, ours(case, job, iterations))
            timed(job, "dopascope", iterations, ours(case, job, iterations))
        if not has_peer() or repeat >= peer_repeats:
            continue
        for job in ("plain", "full"):
            timed(job, "beside", peer_iterations, ours(case, job, peer_iterations))
            timed(job, PEER, peer_iterations, theirs(case, job, peer_iterations))
    inside = case.mu > 0
    for job in ("plain", "full") if has_peer() and peer_repeats else ():
        found = images[job, "beside", peer_iterations][0][inside] * case.geometry.voxel_mm[0]
        peer = images[job, PEER, peer_iterations][inside]
        rows.append({"job": job, "who": "difference", "relative": float((found - peer).norm() / peer.norm())})
    return rows


def has_peer() -> bool:
    try:
        importlib.metadata.version(PEER)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=2, help="each takes minutes")
    parser.add_argument("--peer-iterations", type=int, default=2)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # libraries that print must not disturb the answer
        json.dump(worker(options.repeats, options.peer_repeats, options.peer_iterations), answers)
        return
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    command = [sys.executable, __file__, *sys.argv[1:], "--worker"]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(options.processes)
    ]
    rows = [row for child in children for row in json.loads(child.communicate()[0])]
    packages = ("dopascope", "torch", *([PEER] if has_peer() else []))
    report = {
        "processes": options.processes,
        "cpus": os.cpu_count(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reconstruct.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "reconstruct.md").write_text(as_markdown(report), encoding="utf-8")
    print(as_markdown(report))


def seconds_of(report: dict[str, Any], job: str, who: str, clock: str) -> list[float]:
    return sorted(row[clock] for row in report["rows"] if row["job"] == job and row["who"] == who)


def spread_of(values: list[float]) -> str:
    return f"{values[0]:.2f} / {values[len(values) // 2]:.2f} / {values[-1]:.2f}"


def as_markdown(report: dict[str, Any]) -> str:
    """The tables, from the rows."""
    loads = [row["load"] for row in report["rows"] if "load" in row]
    lines = [
        "# Reconstruction of a DaT scan",
        "",
        "128 x 128 x 64 voxels, 120 views, 3 million counts; one thread a process,",
        f"{report['processes']} process(es) at once on {report['cpus']} CPUs; load average {min(loads):.1f} to "
        f"{max(loads):.1f} (others were at work where it",
        "is above the number of processes). Seconds of one scan: min / median / max by the wall, median of processor",
        "time.",
        f"{', '.join(f'{k} {v}' for k, v in report['versions'].items())}. Made by `bench/reconstruct.py`.",
        "",
        "| job | goal s | wall s | processor s | first of its geometry, wall s |",
        "|---|---|---|---|---|",
    ]
    for job, (words, goal) in JOBS.items():
        wall, cpu = (seconds_of(report, job, "dopascope", clock) for clock in ("wall", "cpu"))
        first = seconds_of(report, job, "first", "wall")
        lines.append(f"| {words} | {goal:g} | {spread_of(wall)} | {cpu[len(cpu) // 2]:.2f} | {spread_of(first)} |")
    lines.append("")
    if PEER not in report["versions"]:
        return "\n".join([*lines, "PyTomography was not installed in this environment: no comparison.", ""])
    lines += [
        "| same model and updates | dopascope wall s | PyTomography wall s | times as fast | by processor time "
        "| images differ inside the head |",
        "|---|---|---|---|---|---|",
    ]
    for job in ("plain", "full"):
        mine, peer = seconds_of(report, job, "beside", "wall"), seconds_of(report, job, PEER, "wall")
        if not peer:
            continue
        cpu, peer_cpu = seconds_of(report, job, "beside", "cpu"), seconds_of(report, job, PEER, "cpu")
        iterations = next(row["iterations"] for row in report["rows"] if row["who"] == PEER)
        apart = max(row["relative"] for row in report["rows"] if row["who"] == "difference" and row["job"] == job)
        words = f"OSEM {iterations} x {SUBSETS}" + (", attenuation and blur" if job == "full" else "")
        ratio = peer[len(peer) // 2] / mine[len(mine) // 2]
        lines.append(
            f"| {words} | {spread_of(mine)} | {spread_of(peer)} | {ratio:.0f} "
            f"| {peer_cpu[len(peer_cpu) // 2] / cpu[len(cpu) // 2]:.0f} | {100 * apart:.2f} % |"
        )
    return "\n".join([*lines, "", "PyTomography 3.4.0's FBP class fails when called, so that it has no FBP time.", ""])


if __name__ == "__main__":
    main()
