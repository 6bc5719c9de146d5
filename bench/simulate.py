"""What a simulated scan costs: in image space and from projections, and what a thousand cost in memory.

    python bench/simulate.py [--scans 40] [--subjects 1000] [--projections 2] [--processes 2]

All scans have 128 x 128 x 64 voxels. Every process has one thread and does the same work at the same time. Image
space: `phantom.scan` of people at the two sites of that size, then a whole cohort by `dopascope simulate`, files,
tables and hashes included, with the memory of all its processes summed. Projections: `physics.acquire` and
`physics.reconstruct` (without torch left out). CPU seconds stand beside seconds of the clock, since a shared machine
stretches only the latter. Reconstruction alone beside PyTomography: bench/reconstruct.py. Writes
bench/results/simulate.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

SITES = ("ge-lehr-osem-chang", "siemens-leuhr-osem-rr-map-tew")
RESULTS = Path(__file__).parent / "results"
MODES = {
    "fbp": {"reconstruction": "fbp", "iterations": 1, "subsets": 1, "resolution_model": False, "attenuation": "none"},
    "osem": {"reconstruction": "osem", "iterations": 8, "subsets": 8, "resolution_model": False, "attenuation": "none"},
    "osem_full": {
        "reconstruction": "osem",
        "iterations": 8,
        "subsets": 8,
        "resolution_model": True,
        "attenuation": "map",
    },
}
WORDS = {
    "image": ("image space, `phantom.scan`", 0.2),
    "acquire": ("projections, `physics.acquire`", None),
    "fbp": ("FBP", 4.0),
    "osem": ("OSEM 8 x 8, no correction", 4.0),
    "osem_full": ("OSEM 8 x 8, attenuation map and blur", 15.0),
}
"""What is timed -> (words, goal in seconds)."""

Times = dict[str, list[tuple[float, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=40, help="image-space scans that are timed, over all processes")
    parser.add_argument("--subjects", type=int, default=1000, help="size of the cohort; 0 for none")
    parser.add_argument(
        "--projections", type=int, default=2, help="people scanned from projections in each process; 0 for none"
    )
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    record = measure(chosen)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "simulate.json").write_text(json.dumps(record, indent=2) + "\n")
    (RESULTS / "simulate.md").write_text(table(record))
    print(table(record))


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    from dopascope.batch import each

    shares = [range(start, chosen.scans, chosen.processes) for start in range(chosen.processes)]
    record: dict[str, Any] = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load_before": os.getloadavg()[0],
        "processes": chosen.processes,
        "seconds": merged(result for _, result in each(time_image, shares, chosen.processes)),
    }
    if chosen.projections and has_torch():
        people = [range(k * chosen.projections, (k + 1) * chosen.projections) for k in range(chosen.processes)]
        record["seconds"] |= merged(result for _, result in each(time_projection, people, chosen.processes))
    if chosen.subjects:
        record["cohort"] = time_cohort(chosen.subjects, chosen.processes)
    record["load_after"] = os.getloadavg()[0]
    return record


def time_image(numbers: range) -> Times:
    """Clock and CPU seconds of each scan after one to warm up; runs in a worker."""
    from dopascope import phantom
    from dopascope.simulate import Plan

    plan = Plan(100, 1, sites=SITES)
    times: Times = {"image": []}
    for turn, number in enumerate([numbers[0], *numbers]):
        one = plan.participant(number + 1)
        person, camera = one.person(), phantom.SITES[one.site].camera
        with clock(times["image"] if turn else []):
            phantom.scan(person, camera, one.pose, one.seed)
    return times


def time_projection(numbers: range) -> Times:
    """The same for projections and each way to reconstruct them; the first person only warms up."""
    import torch

    from dopascope import phantom, physics
    from dopascope.simulate import Plan

    torch.set_num_threads(1)
    site = replace(phantom.SITES[SITES[0]], scatter="none")
    sites = {name: replace(site, **changes) for name, changes in MODES.items()}  # type: ignore[arg-type]
    times: Times = {"acquire": [], **{name: [] for name in sites}}
    for turn, number in enumerate([numbers[0], *numbers]):
        one = Plan(100, 1, sites=SITES[:1]).participant(number + 1)
        with clock(times["acquire"] if turn else []):
            projections = physics.acquire(one.person(), site, one.pose, one.seed)
        for name, changed in sites.items():
            with clock(times[name] if turn else []):
                physics.reconstruct(projections, changed)
    return times


class clock:  # noqa: N801
    """Adds clock and CPU seconds of its block to a list."""

    def __init__(self, times: list[tuple[float, float]]) -> None:
        self.times = times

    def __enter__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.times.append((time.perf_counter() - self.start[0], time.process_time() - self.start[1]))


def merged(parts: Iterator[Times]) -> Times:
    whole: Times = {}
    for part in parts:
        for name, times in part.items():
            whole.setdefault(name, []).extend(times)
    return whole


def has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def time_cohort(subjects: int, processes: int) -> dict[str, float]:
    """Clock seconds, CPU seconds and peak memory of `dopascope simulate` with all its processes."""
    import psutil

    folder = tempfile.mkdtemp()
    words = f"simulate --subjects {subjects} --sites {','.join(SITES)} --no-ideal --processes {processes}"
    start = time.perf_counter()
    running = psutil.Popen(
        [sys.executable, "-m", "dopascope", *words.split(), "--out", f"{folder}/cohort"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak, spent = 0.0, 0.0
    while running.poll() is None:
        found = usage(running)
        peak, spent = max(peak, found[0]), max(spent, found[1])
        time.sleep(0.2)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    shutil.rmtree(folder)
    if running.returncode:
        sys.exit(f"dopascope {words} ended with {running.returncode}")
    return {"subjects": subjects, "seconds": seconds, "cpu_s": spent, "peak_mb": peak, "files_mb": size / 1e6}


def usage(process: Any) -> tuple[float, float]:
    """Resident MB and CPU seconds of a process and its children, shared pages counted in each."""
    import psutil

    megabytes, seconds = 0.0, 0.0
    for one in [process, *children(process)]:
        try:
            megabytes += one.memory_info().rss / 1e6
            seconds += sum(one.cpu_times()[:2])
        except psutil.Error:
            continue
    return megabytes, seconds


def children(process: Any) -> list[Any]:
    import psutil

    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def table(record: dict[str, Any]) -> str:
    lines = [
        "# Simulated scans",
        "",
        f"Made by `python bench/simulate.py`. {record['machine']}; {record['processes']} processes at once, one thread "
        f"each; load {record['load_before']:.1f} before, {record['load_after']:.1f} after. 128 x 128 x 64 voxels.",
        "",
        "| what | scans | median CPU s | median s in its process | max s | s a scan, all processes | goal s a scan |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, times in record["seconds"].items():
        words, goal = WORDS[name]
        seconds, spent = ([one[k] for one in times] for k in (0, 1))
        figures = f"{statistics.median(spent):.2f} | {statistics.median(seconds):.2f} | {max(seconds):.2f}"
        together = statistics.median(seconds) / record["processes"]
        lines.append(f"| {words} | {len(times)} | {figures} | {together:.3f} | {goal or ''} |")
    if cohort := record.get("cohort"):
        count = cohort["subjects"]
        lines += [
            "",
            f"A cohort of {count} by `dopascope simulate`, files and tables included: {cohort['seconds']:.0f} s "
            f"({cohort['seconds'] / count:.2f} s and {cohort['cpu_s'] / count:.2f} CPU s a scan), "
            f"{cohort['files_mb']:.0f} MB of files; all processes together at most {cohort['peak_mb']:.0f} MB resident "
            "(goal 2000).",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
