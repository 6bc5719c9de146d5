"""What one reading costs: cold process, warm with and without evidence, peak memory.

    python bench/reading.py [--models FOLDER] [--repeats 5]

One phantom written as NM DICOM; two cores. FOLDER holds the published dat_spect_ud weights; without it the rule
alone reads. Cold is the whole command `dopascope read`, interpreter start included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

WARM = """
import json, sys, time, resource
from pathlib import Path
from dopascope import formats, report
from dopascope.reading import Choices, examine
scan, out, models, repeats = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
times = {"with evidence": [], "without evidence": []}
for turn in range(repeats + 1):
    for name in times:
        start = time.perf_counter()
        done = examine(formats.load(scan), Choices(evidence=name == "with evidence", models_dir=models))
        report.write(done, out)
        if turn:
            times[name].append(time.perf_counter() - start)
print(json.dumps({"times": times, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder with the published dat_spect_ud weights")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(measure(Path(folder), chosen.models, chosen.repeats))


def measure(folder: Path, weights: Path | None, repeats: int) -> str:
    from dopascope import phantom

    scan, models = folder / "scan.dcm", folder / "models"
    phantom.write(phantom.example(seed=1, group="pd")[0], scan, format="dicom")
    if weights:
        run([sys.executable, "-m", "dopascope", "models", "add", "dat-spect-ud", weights, "--models-dir", models])
    cold, cold_peak = [], 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        run([sys.executable, "-m", "dopascope", "read", scan, "--out", folder / "cold", "--models-dir", models])
        cold.append(time.perf_counter() - start)
        cold_peak = max(cold_peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    warm = json.loads(run([sys.executable, "-c", WARM, scan, folder / "warm", models, repeats]))
    rows = {"cold process": cold, **{f"warm, {name}": times for name, times in warm["times"].items()}}
    record = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f}",
        "networks": bool(weights),
        "seconds": rows,
        "peak_mb": {"cold process": cold_peak, "warm process": warm["peak_mb"]},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reading.json").write_text(json.dumps(record, indent=2) + "\n")
    text = table(record)
    (RESULTS / "reading.md").write_text(text)
    return text


def run(command: list[object]) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def table(record: dict) -> str:  # type: ignore[type-arg]
    lines = [
        "# One reading",
        "",
        f"Made by `python bench/reading.py`. {record['machine']}; "
        + ("25 networks" if record["networks"] else "rule alone")
        + ".",
        "",
        "| what | median s | min s | max s |",
        "|---|---|---|---|",
    ]
    for name, times in record["seconds"].items():
        lines.append(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")
    lines += ["", "| what | peak resident MB |", "|---|---|"]
    lines += [f"| {name} | {mb:.0f} |" for name, mb in record["peak_mb"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
