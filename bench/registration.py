"""Registration beside ANTsPy, greedy and SimpleITK on the phantoms of the registration test, interleaved in one run.

    python bench/registration.py --data FOLDER --peer-python PEERS/bin/python [--cases 20] [--repeats 3]

Every engine runs in a process of its own with two threads (dopascope with one: its matrices are small) and gets the
same scans and the same template (`space.dat_template`) as NIfTI files; what is timed is the registration of an image in
memory, after one scan to warm up. Engines take turns on each scan, so that a busy moment of the machine meets all of
them. `--peer-python` is an interpreter that has antspyx, picsl_greedy and SimpleITK (their pins of numpy need not suit
ours); an engine that cannot be imported is reported so. Writes bench/results/registration.md and .json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREADS = "2"
ENGINES = {
    "dopascope": ("dopascope", "own"),
    "sitk_mi": ("SimpleITK", "peer"),
    "sitk_mi_4mm": ("SimpleITK", "peer"),
    "ants_affine": ("antspyx", "peer"),
    "ants_fast": ("antspyx", "peer"),
    "greedy_ncc": ("picsl_greedy", "peer"),
}
"""Engine -> (distribution, interpreter)."""
WORDS = {
    "dopascope": "dopascope, free regions",
    "sitk_mi": "SimpleITK affine, Mattes MI, 8-4-2 mm",
    "sitk_mi_4mm": "same, stopping at 4 mm",
    "ants_affine": "ANTsPy Affine",
    "ants_fast": "ANTsPy AffineFast",
    "greedy_ncc": "greedy affine NCC, radius 4",
}
FAILED_MM = 6.0
RESULTS = Path(__file__).parent / "results"


# --- engines: each returns a function from a scan's path to (seconds, RAS 4 x 4 as lists, accepted or None)


def engine_dopascope(template: str) -> Any:
    del template  # builds its own, the same
    import nibabel
    import numpy as np

    from dopascope import space
    from dopascope.volume import Grid, Volume

    def run(path: str) -> Any:
        image = nibabel.load(path)
        volume = Volume(np.asarray(image.dataobj, np.float32), Grid(image.shape, np.asarray(image.affine, float)))
        start = time.perf_counter()
        found = space.register(volume)
        return time.perf_counter() - start, found.mni_to_scan.tolist(), found.accepted

    return run


def engine_sitk(template: str, shrink: tuple[int, ...], sigmas: tuple[float, ...]) -> Any:
    import numpy as np
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(int(THREADS))
    fixed = sitk.ReadImage(template, sitk.sitkFloat32)

    def run(path: str) -> Any:
        moving = sitk.ReadImage(path, sitk.sitkFloat32)
        start = time.perf_counter()
        centred = sitk.CenteredTransformInitializer(
            fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
        )
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentagePerLevel([1.0, 0.5, 0.1][: len(shrink)], 42)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 100, 0.6, 1e-5)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel(list(shrink))
        method.SetSmoothingSigmasPerLevel(list(sigmas))
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetInitialTransform(centred, inPlace=False)
        found = method.Execute(fixed, moving)
        seconds = time.perf_counter() - start
        origin = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
        columns = [np.array(found.TransformPoint(tuple(map(float, axis)))) - origin for axis in np.eye(3)]
        return seconds, ras(np.stack(columns, 1), origin), None

    return run


def engine_ants(template: str, kind: str) -> Any:
    import ants
    import numpy as np

    fixed = ants.image_read(template)

    def run(path: str) -> Any:
        moving = ants.image_read(path)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            found = ants.registration(fixed, moving, kind, outprefix=str(Path(folder) / "ants"))
            seconds = time.perf_counter() - start
            transform = ants.read_transform(found["fwdtransforms"][0])
        origin = np.array(transform.apply_to_point((0.0, 0.0, 0.0)))
        columns = [np.array(transform.apply_to_point(tuple(map(float, axis)))) - origin for axis in np.eye(3)]
        return seconds, ras(np.stack(columns, 1), origin), None

    return run


def engine_greedy(template: str) -> Any:
    import numpy as np
    import SimpleITK as sitk  # noqa: N813
    from picsl_greedy import Greedy3D

    fixed = sitk.ReadImage(template, sitk.sitkFloat32)

    def run(path: str) -> Any:
        moving = sitk.ReadImage(path, sitk.sitkFloat32)
        greedy = Greedy3D()
        start = time.perf_counter()
        greedy.execute(
            f"-threads {THREADS} -a -dof 12 -m NCC 4x4x4 -i fixed moving -ia-image-centers -n 100x50x10 -V 0 -o found",
            fixed=fixed,
            moving=moving,
            found=None,
        )
        seconds = time.perf_counter() - start
        return seconds, np.asarray(greedy["found"], float).tolist(), None  # already RAS

    return run


def ras(linear: Any, origin: Any) -> list[list[float]]:
    """An ITK map (LPS mm) as a RAS 4 x 4."""
    import numpy as np

    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, origin
    flip = np.diag([-1.0, -1, 1, 1])
    turned: list[list[float]] = (flip @ matrix @ flip).tolist()
    return turned


def make_engine(name: str, template: str) -> Any:
    if name == "dopascope":
        return engine_dopascope(template)
    if name == "sitk_mi":
        return engine_sitk(template, (4, 2, 1), (6.0, 3.0, 1.0))
    if name == "sitk_mi_4mm":
        return engine_sitk(template, (4, 2), (6.0, 3.0))
    if name.startswith("ants"):
        return engine_ants(template, "Affine" if name == "ants_affine" else "AffineFast")
    return engine_greedy(template)


def worker(name: str, template: str) -> None:
    """Answer one JSON line a scan: {"seconds", "matrix", "accepted"} or {"error"}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not disturb the answers
    try:
        run = make_engine(name, template)
        version = importlib.metadata.version(ENGINES[name][0])
        answers.write(json.dumps({"version": version, "python": platform.python_version()}) + "\n")
    except Exception as problem:
        answers.write(json.dumps({"error": f"not installed: {problem!r}"}) + "\n")
        return
    finally:
        answers.flush()
    for line in sys.stdin:
        try:
            seconds, matrix, accepted = run(line.strip())
            answers.write(json.dumps({"seconds": seconds, "matrix": matrix, "accepted": accepted}) + "\n")
        except Exception as problem:
            answers.write(json.dumps({"error": repr(problem)}) + "\n")
        answers.flush()


# --- the run


class Engine:
    """A worker process and its results."""

    def __init__(self, name: str, python: str, template: str) -> None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, "1" if name == "dopascope" else THREADS)}
        command = [python, __file__, "--worker", name, "--template", template]
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.hello = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        return answer

    def ask(self, path: Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return self._answer()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DOPASCOPE_DATA"), help="folder of licensed maps")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter with antspyx, picsl_greedy, SimpleITK"
    )
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--series", type=int, default=9000, help="which people; 7000 is the series weights were chosen on"
    )
    parser.add_argument("--worker", choices=sorted(ENGINES), help=argparse.SUPPRESS)
    parser.add_argument("--template", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.template)
        return
    if not options.data:
        parser.error("--data or DOPASCOPE_DATA must name the folder of licensed maps (docs/testing.md)")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    with tempfile.TemporaryDirectory() as folder:
        report = compare(options, Path(folder))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "registration.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "registration.md").write_text(as_markdown(report), encoding="utf-8")
    print(as_markdown(report))


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import nibabel
    import numpy as np

    from dopascope import space
    from registration_cohort import case

    def write(volume: Any, path: Path) -> Path:
        nibabel.save(nibabel.Nifti1Image(np.asarray(volume.data), volume.grid.affine), path)
        return path

    template = write(space.dat_template(), folder / "template.nii")
    pythons = {"own": sys.executable, "peer": options.peer_python}
    engines = [Engine(name, pythons[where], str(template)) for name, (_, where) in ENGINES.items()]
    able = [engine for engine in engines if "error" not in engine.hello]
    step = max(60 // options.cases, 1)
    rows: list[dict[str, Any]] = []
    loads = []
    for turn, number in enumerate(range(0, 60, step)):
        one = case(options.data, number, options.series)
        path = write(one.volume, folder / "scan.nii")
        for repeat in range(options.repeats + (turn == 0)):
            loads.append(os.getloadavg()[0])
            for engine in able[turn % len(able) :] + able[: turn % len(able)]:
                answer = engine.ask(path)
                if turn == 0 and repeat == 0:
                    continue  # warming up
                errors = one.errors_mm(np.array(answer["matrix"])).tolist() if "matrix" in answer else None
                rows.append({"engine": engine.name, "case": one.label, "number": number, "errors_mm": errors, **answer})
    return {
        "series": options.series,
        "cases": len(range(0, 60, step)),
        "repeats": options.repeats,
        "threads": int(THREADS),
        "cpus": os.cpu_count(),
        "load": [round(min(loads), 2), round(float(np.median(loads)), 2), round(max(loads), 2)],
        "platform": platform.platform(terse=True),
        "engines": {engine.name: engine.hello for engine in engines},
        "rows": rows,
    }


def as_markdown(report: dict[str, Any]) -> str:
    """The table, from the rows."""
    import numpy as np

    lines = [
        "# Registration of DaT phantoms to MNI",
        "",
        f"{report['cases']} phantoms of series {report['series']} (tests/registration_cohort.py): striata of CIT168",
        "and Allen, warps of 3 to 3.5 mm, pose +-15 degrees and +-10 mm, scale .9 to 1.1, five cameras and axis",
        "orders, some fields cut. "
        f"Engines take turns, {report['repeats']} run(s) a scan, {report['threads']} threads each",
        f"(one for dopascope) on {report['cpus']} CPUs; load average min, median, max: {report['load']}.",
        "Made by `bench/registration.py`.",
        "",
        "| engine | version | s min / median / p90 | of SimpleITK's time | error mm median / p95 / worst "
        f"| failed (> {FAILED_MM:g} mm) | unnoticed |",
        "|---|---|---|---|---|---|---|",
    ]
    medians = {}
    for name, hello in report["engines"].items():
        rows = [row for row in report["rows"] if row["engine"] == name]
        done = [row for row in rows if row["errors_mm"]]
        if "error" in hello or not done:
            lines.append(f"| {WORDS[name]} | {hello.get('error', 'no result')[:60]} | | | | | |")
            continue
        seconds = np.array([row["seconds"] for row in done])
        errors = np.array([row["errors_mm"] for row in done])
        medians[name] = float(np.median(seconds))
        failed = [row for row in rows if not row["errors_mm"] or max(row["errors_mm"]) > FAILED_MM]
        unnoticed = (
            sum(row["accepted"] is not False for row in failed if "accepted" in row) if name == "dopascope" else "-"
        )
        time_cell = f"{seconds.min():.2f} / {np.median(seconds):.2f} / {np.percentile(seconds, 90):.2f}"
        error_cell = f"{np.median(errors):.2f} / {np.percentile(errors, 95):.2f} / {errors.max():.2f}"
        lines.append(
            f"| {WORDS[name]} | {hello['version']} | {time_cell} | {{ratio_{name}}} | {error_cell} "
            f"| {len(failed)} of {len(rows)} | {unnoticed} |"
        )
    yardstick = min((medians[n] for n in ("sitk_mi", "sitk_mi_4mm") if n in medians), default=None)
    text = "\n".join(lines)
    for name, median in medians.items():
        text = text.replace(f"{{ratio_{name}}}", f"{median / yardstick:.2f}" if yardstick else "-")
    return text + "\n"


if __name__ == "__main__":
    main()
