"""The selftest as a whole: scans through worker processes, then the lines."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Final

import dopascope
from dopascope import provenance, quant
from dopascope.bundle import store
from dopascope.errors import BundleError, UsageError
from dopascope.phantom import Camera
from dopascope.processes import one_thread_each, settle
from dopascope.reading.selftest import chain as chains
from dopascope.reading.selftest import phantoms
from dopascope.reading.selftest.chain import Chain, Found, NotRead, through_files
from dopascope.reading.selftest.judge import JUDGES, Evidence, Ideals, judge
from dopascope.reading.selftest.result import Selftest
from dopascope.reading.selftest.tolerances import TOLERANCES

LARGEST_SEED: Final = 10**6
WORKERS: Final = 2

Progress = Callable[[int, int], None]
"""Called with the number of finished tasks and of all."""


def run(
    *,
    seed: int = 0,
    site: str = phantoms.MAIN_CAMERA,
    models_dir: Path | None = None,
    lines: Collection[str] = tuple(TOLERANCES),
    workers: int = WORKERS,
    progress: Progress | None = None,
    chain: Chain = through_files,
) -> Selftest:
    """Put phantoms of known ratio through the chain and judge what comes out.

    Args:
        seed: of noise and drawn poses; the same seed gives the same figures.
        site: camera or site of the lines that use one camera.
        models_dir: where models are kept.
        lines: keys of `TOLERANCES`, which lines to run.
        workers: processes; 1 works in this one.
        progress: told after each task.
        chain: what is tested, a module-level function where there are several workers.

    Raises:
        UsageError: a seed, site or line that there is not.
    """
    _check(seed, lines)
    started = time.monotonic()
    main = phantoms.camera_named(site)
    needed = {used for key in lines for used in (key, *JUDGES[key][1])}
    jobs = [job for job in phantoms.jobs(seed, main) if job.line in needed]
    ideals = [pair for pair in phantoms.ideal_jobs(main) if _needs_ideals(pair, needed, main)]
    models = _models(models_dir)
    results, ideal = _gather(jobs, ideals, models_dir, workers, progress, chain)
    evidence = Evidence(results, ideal, main.name, networks=len(models))
    judged, tables = judge(evidence, [key for key in TOLERANCES if key in lines])
    return Selftest(
        passed=all(line.status == "passed" for line in judged),
        seed=seed,
        main_camera=main.name,
        cameras=tuple(_camera_facts(camera) for camera in _cameras(jobs)),
        phantoms=tuple(_phantom_facts(jobs)),
        models=tuple(models),
        lines=tuple(judged),
        tables={key: tuple(rows) for key, rows in tables.items()},
        scans=len(results),
        seconds=round(time.monotonic() - started, 1),
        method_id=quant.method_id(),
        hashes=_hashes(results),
        software=provenance.software(),
        created=provenance.now(),
    )


def _gather(
    jobs: list[phantoms.Job],
    ideals: list[tuple[str, Camera]],
    models_dir: Path | None,
    workers: int,
    progress: Progress | None,
    chain: Chain,
) -> tuple[list[Found | NotRead], Ideals]:
    """What the chain found in every job, in their order, and the ideal ratios."""
    # One folder for all workers, so that nothing is left where they are ended.
    with tempfile.TemporaryDirectory(prefix="dopascope-selftest-") as folder:
        tasks: list[tuple[Any, tuple[Any, ...]]] = [(chains.ideal, pair) for pair in ideals]
        tasks += [(chains.measure, (job, Path(folder), models_dir, chain)) for job in jobs]
        done = _in_order(tasks, min(workers, os.cpu_count() or 1), progress)
    found = {(name, camera.name): ratios for (name, camera), ratios in zip(ideals, done, strict=False)}
    return [one for made in done[len(ideals) :] for one in made], found


def _check(seed: int, lines: Collection[str]) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            "This seed cannot be used.", where="--seed", found=seed, expected=f"0 to {LARGEST_SEED}", fix="Choose one."
        )
    unknown = sorted(set(lines) - set(TOLERANCES))
    if unknown:
        raise UsageError(
            "The selftest has no such line.",
            where="lines",
            found=", ".join(unknown),
            expected=", ".join(TOLERANCES),
            fix="Correct the name.",
        )


def _needs_ideals(pair: tuple[str, Camera], needed: Collection[str], main: Camera) -> bool:
    name, camera = pair
    if name != phantoms.MAIN:
        return ("left_right" if name.endswith("lower") else "linearity") in needed
    return "recovery" in needed or (camera.name == main.name and bool({"counts", "linearity"} & set(needed)))


def _in_order(tasks: list[tuple[Any, tuple[Any, ...]]], workers: int, progress: Progress | None) -> list[Any]:
    """What each task gives, in the order of the tasks."""
    made: list[Any] = [None] * len(tasks)
    finished = _here(tasks) if workers < 2 else _in_workers(tasks, workers)
    for count, (number, result) in enumerate(finished, start=1):
        made[number] = result
        if progress:
            progress(count, len(tasks))
    return made


def _here(tasks: list[tuple[Any, tuple[Any, ...]]]) -> Iterator[tuple[int, Any]]:
    for number, (task, arguments) in enumerate(tasks):
        yield number, task(*arguments)


def _in_workers(tasks: list[tuple[Any, tuple[Any, ...]]], workers: int) -> Iterator[tuple[int, Any]]:
    # Ctrl-C reaches every process of a terminal; only this one answers it, and ends the workers it started.
    before = set(active_children())
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=settle)
    try:
        with _interruption_held_back(), one_thread_each():
            running: dict[Future[Any], int] = {
                pool.submit(task, *arguments): number for number, (task, arguments) in enumerate(tasks)
            }
        for done in as_completed(running):
            yield running[done], done.result()
    except BaseException:
        for worker in set(active_children()) - before:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interruption_held_back() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: a worker that is only half started would not be ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        signal.raise_signal(signal.SIGINT)


def _models(models_dir: Path | None) -> list[dict[str, str]]:
    try:
        installed = {one.id: one for one in store.list_models(models_dir)}
    except BundleError as error:
        return [{"id": error.where, "title": f"damaged: {error.what}", "model_sha256": "", "licence": ""}]
    asked = [installed[name] for name in store.default_readers(models_dir)]
    return [{name: str(getattr(one, name)) for name in ("id", "title", "model_sha256", "licence")} for one in asked]


def _cameras(jobs: Iterable[phantoms.Job]) -> list[Camera]:
    known = phantoms.every_camera()
    return sorted((known[name] for name in {job.camera.name for job in jobs}), key=lambda camera: camera.fwhm_mm)


def _camera_facts(camera: Camera) -> dict[str, Any]:
    return {name: value for name, value in asdict(camera).items() if name not in ("scale", "clipped")}


def _phantom_facts(jobs: Iterable[phantoms.Job]) -> Iterator[dict[str, Any]]:
    used = {job.phantom for job in jobs}
    for name, person in phantoms.PHANTOMS.items():
        if name in used:
            yield {"phantom": name, "true_sbr": dict(person.sbr)}


def _hashes(results: Iterable[Found | NotRead]) -> dict[str, str]:
    """Of the installed package, file by file, and of all phantom files together."""
    files = "".join(one.file_sha256 for one in results if isinstance(one, Found))
    return {"installed package": package_sha256(), "phantom files": hashlib.sha256(files.encode()).hexdigest()}


def package_sha256() -> str:
    """SHA-256 over the names and digests of all files of the installed package, in the order of their names."""
    root = Path(dopascope.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root).as_posix()}\0{provenance.sha256_of(path)}\n".encode())
    return digest.hexdigest()
