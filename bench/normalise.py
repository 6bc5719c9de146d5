"""Scans a second onto the MNI grid: dopascope beside straightforward SimpleITK, nilearn and MONAI chains.

    python bench/normalise.py [--scans 40] [--rounds 5] [--registered 24] [--memory 500] [--monai-python PATH]

Linear work on the same simulated scans (NIfTI, gzip): load, axes in the order R, A, S, grid centre on the centre of the
91 x 109 x 91 grid, linear sampling, division by the 99th percentile, `.nii.gz` written. Each engine is a warm process
with one thread; engines are asked in turn for one scan after another, so that all meet the same noise; medians over
scans and rounds stand beside quartiles. Peers write with the compression that they choose by themselves. MONAI is
heavy: `--monai-python` names an interpreter that has it. Then whole cohorts by `normalise_cohort`, cache included, with
1 and 2 processes and on a Dask cluster of two workers, linear and with registration; and the largest memory of a worker
at 50 scans and at `--memory` scans (0: left out). Needs 3 MB of
temporary space a scan. Writes bench/results/normalise.md and .json.
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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
)
os.environ.update(ONE_THREAD)
RESULTS = Path(__file__).parent / "results"
SHAPE = (91, 109, 91)
CENTRE_MM = (0.0, -18.0, 18.0)
ENGINES = ("dopascope", "SimpleITK", "nilearn", "MONAI")
SITES = "ge-lehr-osem-chang,siemens-lehr-osem,philips-lehr-osem-rr-map,siemens-leuhr-osem-rr-map-tew"

Chain = Callable[[str, str], None]


def by_dopascope() -> Chain:
    from dopascope.batch.derivatives import targets_of
    from dopascope.batch.normalising import NormaliseSettings, Normalising
    from dopascope.cohort import one_scan

    settings = NormaliseSettings(register=False, intensity="p99")

    def chain(source: str, target: str) -> None:
        scan = one_scan(Path(source), None, None)
        work = Normalising(settings, targets_of([scan], Path(target).parent / "dopascope", "centred"))
        work.keep(scan, *work.make(scan))

    return chain


def by_simpleitk() -> Chain:
    import numpy as np
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def chain(source: str, target: str) -> None:
        image = sitk.DICOMOrient(sitk.ReadImage(source, sitk.sitkFloat32), "LPS")
        half = [(n - 1) / 2 * s for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
        image.SetDirection(np.eye(3).ravel().tolist())
        image.SetOrigin([-CENTRE_MM[0] - half[0], -CENTRE_MM[1] - half[1], CENTRE_MM[2] - half[2]])
        origin = (-90.0, -90.0, -72.0)  # LPS corner of the grid
        placed = sitk.Resample(image, SHAPE, sitk.Transform(), sitk.sitkLinear, origin, (2.0,) * 3)
        scale = float(np.percentile(sitk.GetArrayViewFromImage(placed), 99))
        sitk.WriteImage(placed * (1 / scale), target)

    return chain


def _ras_centred(data: Any, affine: Any) -> tuple[Any, Any]:
    import nibabel
    import numpy as np

    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(data, affine))
    spacing = np.array(image.header.get_zooms()[:3], float)
    straight = np.diag([*spacing, 1.0])
    straight[:3, 3] = CENTRE_MM - spacing * (np.array(image.shape) - 1) / 2
    return np.asarray(image.dataobj, np.float32), straight


def _mni_affine() -> Any:
    import numpy as np

    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -90, -126, -72
    return affine


def by_nilearn() -> Chain:
    import nibabel
    import numpy as np
    from nilearn.image import resample_img

    def chain(source: str, target: str) -> None:
        image = nibabel.load(source)
        data, straight = _ras_centred(np.asarray(image.dataobj, np.float32), image.affine)
        placed = resample_img(
            nibabel.Nifti1Image(data, straight),
            target_affine=_mni_affine(),
            target_shape=SHAPE,
            interpolation="linear",
            copy_header=True,
            force_resample=True,
        )
        values = np.asarray(placed.dataobj, np.float32)
        nibabel.save(nibabel.Nifti1Image(values / np.percentile(values, 99), placed.affine), target)

    return chain


def by_monai() -> Chain:
    import nibabel
    import numpy as np
    import torch
    from monai.data import MetaTensor
    from monai.transforms import LoadImage, Orientation, SpatialResample

    torch.set_num_threads(1)
    load, orient = LoadImage(image_only=True, ensure_channel_first=True), Orientation("RAS")
    resample = SpatialResample(mode="bilinear", padding_mode="zeros", align_corners=True)

    def chain(source: str, target: str) -> None:
        image = orient(load(source))
        spacing = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0)
        straight = np.diag([*spacing, 1.0])
        straight[:3, 3] = CENTRE_MM - spacing * (np.array(image.shape[1:]) - 1) / 2
        placed = resample(MetaTensor(image.as_tensor(), affine=torch.tensor(straight)), _mni_affine(), SHAPE)
        values = placed.numpy()[0].astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(values / np.percentile(values, 99), _mni_affine()), target)

    return chain


CHAINS = {"dopascope": by_dopascope, "SimpleITK": by_simpleitk, "nilearn": by_nilearn, "MONAI": by_monai}


def serve(name: str) -> None:
    """In an engine's process: a line says whether it can work; then a time for each pair of paths on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not disturb the answers
    try:
        chain = CHAINS[name]()
    except ImportError as error:
        print(f"not installed: {error.name}", file=answers, flush=True)
        return
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        start = time.perf_counter()
        chain(source, target)
        print(time.perf_counter() - start, file=answers, flush=True)


def linear(scans: list[Path], rounds: int, monai: str, folder: Path) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of each scan by engine, interleaved; and why an engine was left out."""
    engines, absent = {}, {}
    for name in ENGINES:
        python = monai if name == "MONAI" else sys.executable
        words = [python, __file__, "--serve", name]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        answer = process.stdout.readline().strip()
        if answer == "ready":
            engines[name] = process
        else:
            absent[name] = answer or "ended"
    times: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):  # the first warms up
        for number, scan in enumerate(scans):
            for name in sorted(engines, key=lambda one: (list(engines).index(one) + number) % len(engines)):
                engine = engines[name]
                print(scan, folder / f"{name}.nii.gz", sep="\t", file=engine.stdin, flush=True)
                seconds = float(engine.stdout.readline())
                if turn:
                    times[name].append(seconds)
    for engine in engines.values():
        engine.stdin.close()
        engine.wait()
    return times, absent


def cohort_of(scans: list[Path], count: int, folder: Path) -> Path:
    """A table of so many scans: copies that differ in the time in gzip's header, so that no cache knows them."""
    place = folder / f"copies-{count}"
    place.mkdir(exist_ok=True)
    lines = ["participant_id\tscan_id\tpath"]
    for n in range(count):
        copy = place / f"{n}.nii.gz"
        raw = scans[n % len(scans)].read_bytes()
        copy.write_bytes(raw[:4] + n.to_bytes(4, "little") + raw[8:])
        lines.append(f"sub-{n:05d}\ts{n}\t{copy}")
    path = folder / f"cohort-{count}.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def largest_worker() -> Iterator[list[int]]:
    """The largest resident memory of any process below this one, bytes, as the only item of the list."""
    import psutil

    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):  # looking for children costs 10 ms of a core, which the workers need
            for child in psutil.Process().children(recursive=True):
                try:
                    peak[0] = max(peak[0], child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield peak
    over.set()
    watcher.join()


def whole(table: Path, register: bool, workers: int, dask: str | None, folder: Path) -> dict[str, float]:
    """Scans a second of a whole cohort from nothing, start of the workers included, and the memory of the largest."""
    from dopascope.batch import NormaliseSettings, Runner, normalise_cohort

    out = folder / "out"
    settings = NormaliseSettings(register=register, intensity="p75_nonstriatal" if register else "p99")
    with largest_worker() as peak:
        start = time.perf_counter()
        done = normalise_cohort(table, out, settings, runner=Runner(workers, dask))
        seconds = time.perf_counter() - start
    shutil.rmtree(out)
    shutil.rmtree(out.with_name("out.cache"))
    failed = sum(one.error is not None for one in done)
    return {"scans": len(done), "failed": failed, "scans_per_s": len(done) / seconds, "worker_mb": peak[0] / 1e6}


def cohorts(scans: list[Path], chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Whole cohorts in every way to run them, in turn."""
    rows = []
    kinds = [(False, chosen.scans), (True, chosen.registered)]
    for _ in range(min(chosen.rounds, 3)):
        for register, count in kinds:
            table = cohort_of(scans, count, folder)
            for way in ("1 process", "2 processes", "Dask, 2 workers"):
                with cluster() if way.startswith("Dask") else nullcontext() as address:
                    if way.startswith("Dask") and address is None:
                        continue
                    found = whole(table, register, 1 if way.startswith("1") else 2, address, folder)
                rows.append({"way": way, "registered": register, **found})
    return rows


@contextmanager
def cluster() -> Iterator[str | None]:
    """The scheduler of a Dask cluster of two worker processes, or None without the package."""
    try:
        from distributed import LocalCluster
    except ImportError:
        yield None
        return
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as started:
        yield started.scheduler_address


def simulated(count: int, folder: Path) -> list[Path]:
    """So many simulated scans as NIfTI."""
    words = ["simulate", "--subjects", str(count), "--seed", "4", "--sites", SITES, "--no-ideal", "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "dopascope", *words], check=True, capture_output=True)
    return sorted((folder / "scans").glob("*.nii.gz"))


def spread(values: list[float], digits: int) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def as_markdown(record: dict[str, Any]) -> str:
    """The tables, from the record."""
    lines = ["# Normalising", "", f"{record['machine']}; load {record['load'][0]:.1f} to {record['load'][1]:.1f}.", ""]
    lines += ["Linear work without registration, one thread, ms a scan: median (quartiles).", ""]
    lines += ["| engine | ms a scan | of SimpleITK's speed |", "|---|---|---|"]
    medians = {name: statistics.median(times) for name, times in record["linear_s"].items()}
    for name, times in record["linear_s"].items():
        ratio = f"{medians['SimpleITK'] / medians[name]:.2f}" if "SimpleITK" in medians else "-"
        lines.append(f"| {name} | {spread([1e3 * one for one in times], 1)} | {ratio} |")
    lines += [f"| {name} | {why} | |" for name, why in record["absent"].items()]
    lines += ["", "Whole cohorts, start of the workers and cache included.", ""]
    lines += ["| work | way | scans | scans/s | largest worker, MB |", "|---|---|---|---|---|"]
    for key in dict.fromkeys((row["registered"], row["way"], row["scans"]) for row in record["cohorts"]):
        rows = [row for row in record["cohorts"] if (row["registered"], row["way"], row["scans"]) == key]
        rate = spread([row["scans_per_s"] for row in rows], 2)
        # One process works by itself and has no workers below it.
        memory = 0 if key[1] == "1 process" else max(row["worker_mb"] for row in rows)
        work = "registered" if key[0] else "linear"
        lines.append(f"| {work} | {key[1]} | {key[2]} | {rate} | {f'{memory:.0f}' if memory else '-'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--registered", type=int, default=24, help="scans of the registered cohorts")
    parser.add_argument("--memory", type=int, default=500, help="scans of the large cohort; 0 for none")
    parser.add_argument("--monai-python", default=sys.executable)
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scans = simulated(chosen.scans, folder / "simulated")
        times, absent = linear(scans, chosen.rounds, chosen.monai_python, folder)
        rows = cohorts(scans, chosen, folder)
        for count in (50, chosen.memory) if chosen.memory else ():
            for register in (False, True):
                found = whole(cohort_of(scans, count, folder), register, 2, None, folder)
                rows.append({"way": "2 processes, for memory", "registered": register, **found})
    record = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load": [load, os.getloadavg()[0]],
        "linear_s": times,
        "absent": absent,
        "cohorts": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "normalise.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "normalise.md").write_text(as_markdown(record), encoding="utf-8")
    print(as_markdown(record))


if __name__ == "__main__":
    main()
