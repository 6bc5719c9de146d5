"""A measurement without fault, made up, for the tests of the selftest's lines, page and command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dopascope import provenance
from dopascope.phantom import Camera
from dopascope.quant import method_id
from dopascope.quant.ratios import STRIATAL_VOLUME_ML
from dopascope.quant.voi import MEASURED, SIDES
from dopascope.reading.selftest import Selftest, conduct, judge, phantoms
from dopascope.reading.selftest.chain import Found, NotRead

MAIN = phantoms.camera_named(phantoms.MAIN_CAMERA)
JOBS = list(phantoms.jobs(0, MAIN))


def ideal_of(name: str, camera: Camera) -> dict[str, float]:
    """Ratios that fall with the camera's resolution and its scatter."""
    person = phantoms.PHANTOMS[name]
    seen = (1 - camera.fwhm_mm / 25) / (1 + camera.haze)
    parts = {region: seen * person.sbr[region] for region in person.sbr}
    for side in SIDES:
        anterior, posterior = (parts[f"{part}_putamen_{side}"] for part in ("anterior", "posterior"))
        parts[f"putamen_{side}"] = 0.46 * anterior + 0.54 * posterior
        parts[f"striatum_{side}"] = 0.33 * parts[f"caudate_{side}"] + 0.67 * parts[f"putamen_{side}"]
    return {region: parts[region] for region in MEASURED}


IDEALS = {
    (name, camera.name): ideal_of(name, camera)
    for name in (phantoms.MAIN, "uniform, left lower", "uniform, ratio 1.25", "uniform, ratio 2.5")
    for camera in phantoms.every_camera().values()
}


def perfect(job: phantoms.Job, storage: phantoms.Storage) -> Found | NotRead:
    """What a chain without fault would find, with noise that goes with the counts."""
    if job.line == "refusals":
        return NotRead(job, storage, "refused: nothing is here", refused=True)
    ideal = ideal_of(job.phantom, job.camera)
    noise = 0.03 * np.sqrt(2e6 / job.camera.counts) if job.camera.counts else 0.0
    draw = np.random.default_rng([job.seed, 1]).normal(size=len(MEASURED))
    sbr = {region: ideal[region] * (1 + noise * one) for region, one in zip(MEASURED, draw, strict=True)}
    left, right = (ideal[f"putamen_{side}"] for side in SIDES)
    asymmetry = 200 * (left - right) / (left + right) if left + right else 0.0
    large = phantoms.FULL * phantoms.striatal_ml() / STRIATAL_VOLUME_ML
    expected = "normal" if job.phantom.endswith("symmetric") else "reduced"
    return Found(
        job=job,
        storage=storage,
        sbr=sbr,
        intervals={region: (0.92 * one, 1.08 * one) for region, one in sbr.items()},
        indices={"asymmetry_putamen": asymmetry, "sbr_large_left": large, "sbr_large_right": large},
        off_mm=0.3,
        off_degrees=0.3,
        off_size_percent=0.5,
        verdicts={"sbr-rule": expected},
        file_sha256="same",
        reading_sha256="same",
    )  # fmt: skip


PERFECT = [perfect(job, storage) for job in JOBS for storage in job.stored]


def judged(change: Callable[[Found], Found | NotRead] = lambda one: one) -> judge.Evidence:
    results = [change(one) if isinstance(one, Found) else one for one in PERFECT]
    return judge.Evidence(results, IDEALS, MAIN.name)


def scaled(one: Found, factor: float, only: str = "") -> Found:
    return replace(one, sbr={name: value * (factor if only in name else 1) for name, value in one.sbr.items()})


def result(change: Callable[[Found], Found | NotRead] = lambda one: one) -> Selftest:
    """A whole selftest of what `change` makes of a perfect measurement."""
    lines, tables = judge.judge(judged(change))
    return Selftest(
        passed=all(line.status == "passed" for line in lines),
        seed=0,
        main_camera=MAIN.name,
        cameras=tuple(conduct._camera_facts(camera) for camera in conduct._cameras(JOBS)),
        phantoms=tuple(conduct._phantom_facts(JOBS)),
        models=(),
        lines=tuple(lines),
        tables={key: tuple(rows) for key, rows in tables.items()},
        scans=len(PERFECT),
        seconds=61.0,
        method_id=method_id(),
        hashes={"installed package": "ab" * 32, "phantom files": "cd" * 32},
        software=provenance.software(),
        created="2026-01-02T03:04:05+00:00",
    )


def some_failed() -> Selftest:
    """One that fails, with figures in every line."""
    return result(lambda one: replace(scaled(one, 1.06), verdicts={"sbr-rule": "normal"}))
