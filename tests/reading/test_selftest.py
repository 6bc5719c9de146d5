"""The lines of the selftest: a perfect measurement passes, each damage fails its own, and so does a broken chain."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from dopascope import geometry
from dopascope.errors import UnreadableError, UsageError
from dopascope.reading.selftest import TOLERANCES, chain, conduct, judge, phantoms, run
from dopascope.reading.selftest.chain import Found, NotRead, measure, through_files
from dopascope.volume import Grid, Volume
from selftest_evidence import IDEALS, JOBS, MAIN, PERFECT, judged, perfect, scaled


def failed(evidence: judge.Evidence) -> set[str]:
    return {line.key for line in judge.judge(evidence)[0] if line.status == "failed"}


def test_a_perfect_measurement_passes_every_line() -> None:
    lines, tables = judge.judge(judged())
    assert failed(judged()) == set()
    assert [line.key for line in lines] == list(TOLERANCES)
    assert {"recovery", "counts", "tilt", "shift"} <= set(tables)
    n = {line.key: line.n for line in lines}
    assert {
        "recovery": 80,
        "bias": 8,
        "sd": 8,
        "counts": 32,
        "tilt": 10,
        "shift": 7,
        "position": 17,
    }.items() <= n.items()
    assert {"storage": 15, "linearity": 3, "large": 5, "coverage": 32, "left_right": 4}.items() <= n.items()
    assert {"repeatability": 2, "refusals": 2, "readers": 4}.items() <= n.items()


def swapped(one: Found) -> Found:
    other = {"left": "right", "right": "left"}
    turned = {re.sub("left|right", lambda m: other[m[0]], name): value for name, value in one.sbr.items()}
    return replace(one, sbr=turned, indices=one.indices | {"asymmetry_putamen": -one.indices["asymmetry_putamen"]})


def in_line(key: str, change: Callable[[Found], Found]) -> Callable[[Found], Found]:
    return lambda one: change(one) if one.job.line == key else one


DAMAGE: dict[str, tuple[Callable[[Found], Found], set[str]]] = {
    "sides swapped": (swapped, {"left_right"}),
    "all ratios 6 % high": (lambda one: scaled(one, 1.06), {"recovery", "bias", "counts"}),
    "posterior putamen 4.5 % low": (in_line("counts", lambda one: scaled(one, 0.955, "posterior_putamen")), {"bias"}),
    "more scatter, no bias": (
        in_line("counts", lambda one: scaled(one, 1 + 0.09 * (-1) ** one.job.seed)),
        {"sd", "counts"},
    ),
    "noise that does not fall with counts": (
        in_line("counts", lambda one: perfect(replace(one.job, camera=MAIN), one.storage)),  # type: ignore[arg-type,return-value]
        {"counts"},
    ),
    "low at few counts": (
        lambda one: scaled(one, 0.95) if one.job.line == "counts" and one.job.level == 0.5e6 else one,
        {"counts"},
    ),
    "5 % lost at 15 degrees": (in_line("tilt", lambda one: scaled(one, 1 - one.job.level / 300)), {"tilt"}),
    "5 % lost at 10 mm": (in_line("shift", lambda one: scaled(one, 1 - one.job.level / 200)), {"shift"}),
    "3 mm off": (lambda one: replace(one, off_mm=3.0), {"position"}),
    "voxel size 4 % wrong": (lambda one: replace(one, off_size_percent=4.0), {"position"}),
    "one axis order read upside down": (
        lambda one: scaled(one, 0.99) if one.storage.spacing_sign < 0 else one,
        {"storage"},
    ),
    "a constant was added": (
        lambda one: (
            replace(one, sbr={name: value + 0.05 for name, value in one.sbr.items()})
            if one.job.line in ("linearity", "counts")
            else one
        ),
        {"linearity", "bias", "counts"},
    ),
    "large volume follows the camera": (
        lambda one: replace(
            one, indices={name: value * (1.3 - one.job.camera.fwhm_mm / 35) for name, value in one.indices.items()}
        ),
        {"large"},
    ),
    "intervals a fifth as wide": (
        lambda one: replace(one, intervals={r: (0.99 * v, 1.01 * v) for r, v in one.sbr.items()}),
        {"coverage"},
    ),
    "intervals that hold everything": (
        lambda one: replace(one, intervals={r: (0.5 * v, 2 * v) for r, v in one.sbr.items()}),
        {"coverage"},
    ),
    "another file the second time": (
        in_line("repeatability", lambda one: replace(one, file_sha256=f"{one.job.level}")),
        {"repeatability"},
    ),
    "a reader that is never sure": (lambda one: replace(one, verdicts={"net": "uncertain"}), {"readers"}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_fails_its_lines(name: str) -> None:
    change, expected = DAMAGE[name]
    assert failed(judged(change)) == expected


def test_every_line_can_fail() -> None:
    assert set().union(*(lines for _, lines in DAMAGE.values())) | {"refusals"} == set(TOLERANCES)
    read = [replace(one, refused=False) if isinstance(one, NotRead) else one for one in PERFECT]
    assert failed(judge.Evidence(read, IDEALS, MAIN.name)) == {"refusals"}


def test_a_scan_that_was_not_read_fails_the_lines_that_need_it() -> None:
    lost = judged(lambda one: NotRead(one.job, one.storage, "gone") if one.job.line == "tilt" else one)
    assert failed(lost) == {"tilt", "position"}
    line = next(line for line in judge.judge(lost)[0] if line.key == "tilt")
    assert all(measure.value is None and not measure.passed for measure in line.measures)
    assert "10 scans were not read: gone" in line.notes


@pytest.mark.parametrize(("k", "n"), [(0, 32), (5, 32), (27, 32), (32, 32), (1, 1)])
def test_exact_interval_is_where_the_binomial_tails_are_a_fortieth(k: int, n: int) -> None:
    low, high = judge.exact_interval(k, n)
    assert low == 0 if k == 0 else binom.sf(k - 1, n, low) == pytest.approx(0.025)
    assert high == 1 if k == n else binom.cdf(k, n, high) == pytest.approx(0.025)


def test_27_of_32_are_too_few_and_28_are_not() -> None:
    assert judge.exact_interval(27, 32)[1] < 0.95 < judge.exact_interval(28, 32)[1]


def test_the_closed_form_of_the_striatum_is_its_volume_by_counting() -> None:
    from dopascope import atlas

    counted_ml = len(atlas.sample_points("striatum_left", 1.0)) / 1000
    assert phantoms.striatal_ml() == pytest.approx(counted_ml, rel=0.005)


# The real chain, whole and broken on purpose.


def mirrored(volume: Volume, storage: phantoms.Storage, folder: Path, choices: object):  # type: ignore[no-untyped-def]
    axis = next(n for n, letter in enumerate(storage.axes) if letter in "LR")
    return through_files(replace(volume, data=np.flip(volume.data, axis)), storage, folder, choices)  # type: ignore[arg-type]


def lifted(volume: Volume, storage: phantoms.Storage, folder: Path, choices: object):  # type: ignore[no-untyped-def]
    """Every voxel brighter by a twentieth of the brightest: a lost rescale intercept."""
    return through_files(replace(volume, data=volume.data + volume.data.max() / 20), storage, folder, choices)  # type: ignore[arg-type]


def cut_off(volume: Volume, storage: phantoms.Storage, folder: Path, choices: object):  # type: ignore[no-untyped-def]
    """Nothing is stored that is hotter than 2.5 times the filling."""
    return through_files(replace(volume, data=volume.data.clip(max=2.5 * MAIN.scale)), storage, folder, choices)  # type: ignore[arg-type]


def stretched(volume: Volume, storage: phantoms.Storage, folder: Path, choices: object):  # type: ignore[no-untyped-def]
    """Voxels said to be 8 % larger than they are."""
    grid = Grid(volume.grid.shape, volume.grid.affine @ geometry.from_parts(np.eye(3), [1.08] * 3, [0, 0, 0]))
    return through_files(replace(volume, grid=grid), storage, folder, choices)  # type: ignore[arg-type]


def torn(volume: Volume, storage: phantoms.Storage, folder: Path, choices: object):  # type: ignore[no-untyped-def]
    raise UnreadableError("The file is torn.", found="half of it")


def status(
    line: str, made: list[phantoms.Job], scratch: Path, broken: chain.Chain = through_files
) -> tuple[str, judge.Judged]:
    results = [one for job in made for one in measure(job, scratch, None, broken)]
    quiet = {job.camera.name: replace(job.camera, counts=None) for job in made}
    wanted = {
        "recovery": [phantoms.MAIN],
        "left_right": ["uniform, left lower"],
        "linearity": [f"uniform, ratio {ratio:g}" for ratio in phantoms.RATIOS],
    }
    ideals = {(name, camera): chain.ideal(name, quiet[camera]) for name in wanted.get(line, ()) for camera in quiet}
    lines, _ = judge.judge(judge.Evidence(results, ideals, MAIN.name), [line])
    return lines[0].status, lines[0]


SOME = {
    "left_right": [job for job in JOBS if job.line == "left_right"],
    "recovery": [job for job in JOBS if job.line == "recovery" and job.camera.name in ("lehr-osem", "coarse")],
    "linearity": [job for job in JOBS if job.line == "linearity"],
    "position": [job for job in JOBS if job.line == "tilt" and job.level in (0, 15)][:2],
    "large": [job for job in JOBS if job.line == "recovery" and job.camera.name in ("fan-beam", "coarse")],
    "storage": [job for job in JOBS if job.line == "storage"][:2],
    "readers": [job for job in JOBS if job.line == "readers"][1:3],
    "refusals": [job for job in JOBS if job.line == "refusals"],
}


LONG = ("left_right", "linearity", "recovery", "storage")
"""Lines of many scans; a broken chain fails most of them in `make test`, a sound one passes in `make test-slow`."""


@pytest.mark.parametrize("line", [pytest.param(one, marks=pytest.mark.slow) if one in LONG else one for one in SOME])
def test_the_installed_chain_passes(line: str, tmp_path: Path) -> None:
    found, whole = status(line, SOME[line], tmp_path)
    assert found == "passed", whole


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("left_right", mirrored),
        pytest.param("recovery", lifted, marks=pytest.mark.slow),
        pytest.param("linearity", cut_off, marks=pytest.mark.slow),
        ("position", stretched),
        ("large", stretched),
        ("storage", torn),
    ],
)
def test_a_broken_chain_fails_the_right_line(line: str, broken: chain.Chain, tmp_path: Path) -> None:
    found, whole = status(line, SOME[line], tmp_path, broken)
    assert found == "failed", whole


# The whole.


@pytest.mark.slow
def test_the_parts_come_out_the_same_through_workers() -> None:
    seen: list[tuple[int, int]] = []
    lines = ("refusals", "repeatability")
    whole = run(lines=lines, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(n, 4) for n in range(1, 5)]
    assert whole.passed
    assert [line.key for line in whole.lines] == ["repeatability", "refusals"]
    assert whole.scans == 6
    again = run(lines=lines, workers=1)
    assert again.hashes == whole.hashes
    assert again.lines == whole.lines


def interrupted_while_held(reached: list[str]) -> None:
    with conduct._interruption_held_back():
        signal.raise_signal(signal.SIGINT)
        reached.append("the end of the block")


def test_ctrl_c_while_the_workers_start_is_answered_afterwards() -> None:
    reached: list[str] = []
    # A shell that runs the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted_while_held(reached)
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == ["the end of the block"]


def test_an_unknown_line_is_refused() -> None:
    with pytest.raises(UsageError, match="no such line"):
        run(lines=("gravity",))


def test_a_damaged_network_fails_the_readers(tmp_path: Path) -> None:
    (tmp_path / "dat-spect-ud").mkdir()
    (tmp_path / "dat-spect-ud" / "bundle.json").write_text("{}")
    found = run(lines=("readers",), models_dir=tmp_path, workers=1)
    assert not found.passed
    assert "damaged" in found.models[0]["title"]
    assert "4 scans were not read" in found.lines[0].notes[0]


@pytest.mark.data
@pytest.mark.slow
def test_the_networks_read_the_clear_cases_right(data_dir: Path, tmp_path: Path) -> None:
    from dopascope.convert import add_dat_spect_ud

    add_dat_spect_ud(data_dir / "models" / "dat_spect_ud", tmp_path)
    found = run(lines=("readers",), models_dir=tmp_path)
    assert len(found.models) == 3
    assert found.lines[0].n == 16
    assert found.passed, found.tables["readers"]
