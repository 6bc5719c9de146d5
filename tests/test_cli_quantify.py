"""`dopascope quantify`: one scan, a cohort, fitted normals and a phantom's recovery, from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dopascope
from dopascope import formats, phantom, space
from dopascope.cli import app as program
from dopascope.quant import load_normals, load_recovery
from interruptible import started

SITE, OTHER = phantom.SITES["siemens-lehr-osem"], phantom.SITES["siemens-leap-fbp"]
HEALTHY = 22


def store(folder: Path, name: str, seed: int, group: str, site: phantom.Site) -> None:
    person = phantom.draw_person(seed, group)
    volume, _ = phantom.scan(person, site.camera, phantom.draw_pose(seed), seed)
    facts = replace(site.acquisition(age_years=person.age, sex=person.sex), corrections=("UNIF",))
    formats.write_nm(replace(volume, acquisition=facts), folder / name)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for number in range(3):
        store(folder, f"{number}.dcm", 64_000 + number, "healthy", OTHER)
    store(folder, "site.dcm", 64_003, "pd", SITE)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, scans: Path):  # type: ignore[no-untyped-def]
    """Run `dopascope quantify ARGS` in this process, in the folder of the scans."""
    monkeypatch.chdir(scans)

    def go(*arguments: object):  # type: ignore[no-untyped-def]
        words = ["quantify", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go


def table(path: Path, columns: str, *lines: tuple[object, ...]) -> Path:
    rows = ["\t".join(columns.split()), *("\t".join(map(str, line)) for line in lines)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def healthy(scans: Path, tmp_path: Path) -> Path:
    """22 healthy people (three scans in turn under many names) and one with Parkinson's."""
    lines = [(f"H{n:02d}", scans / f"{n % 3}.dcm", "Control", 40 + 2 * n, "FM"[n // 3 % 2]) for n in range(HEALTHY)]
    return table(tmp_path / "cohort.tsv", "scan_id path label age sex", *lines, ("P", scans / "0.dcm", "PD", 60, "F"))


def test_one_scan_is_printed_with_z_and_whom_it_is_compared_with(run) -> None:  # type: ignore[no-untyped-def]
    done = run("site.dcm", "--age", 70, "--sex", "F")
    assert done.exit_code == 0, done.stderr
    assert "putamen_left" in done.stdout
    assert " z " in done.stdout
    assert "% of expected" in done.stdout
    assert "Normals    simulated healthy people" in done.stdout
    assert "not against real ones" in done.stderr
    assert "Not a medical device" in done.stdout


def test_a_reading_and_its_report_say_that_the_normals_are_of_simulated_people(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(program.app, ["read", str(scans / "site.dcm"), "--out", str(out), "--model", "none"])
    assert done.exit_code == 0, done.stderr
    assert " z " in done.stdout
    assert "Normals    simulated healthy people" in done.stdout
    page = " ".join((out / "report.html").read_text().split())
    assert "expected at this age and sex, from simulated healthy people" in page
    assert "against simulated healthy people, not against real ones" in page


def test_json_and_the_python_verb_give_the_same_numbers(run, scans: Path) -> None:  # type: ignore[no-untyped-def]
    said = json.loads(run("site.dcm", "--json").stdout)
    volume = dopascope.load(scans / "site.dcm")
    facts = volume.acquisition  # type: ignore[union-attr]
    found = dopascope.quantify(volume, space.register(volume), age=facts.age_years, sex=facts.sex)  # type: ignore[arg-type]
    assert said["form"] == "dopascope.quantify/1"
    (scan,) = said["scans"]
    assert json.loads(json.dumps(found.as_dict())) == scan["quantification"]


def test_a_cohort_without_out_is_a_table_on_stdout(run, scans: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run(table(tmp_path / "c.tsv", "path", (scans / "site.dcm",)), "--reference", "occipital")
    assert done.exit_code == 0, done.stderr
    head, row = (line.split("\t") for line in done.stdout.rstrip("\n").split("\n"))
    assert dict(zip(head, row, strict=True))["method_id"] == "dopascope-voi1/occipital/cubic/1"
    assert "1/1" in done.stderr


def test_a_bad_scan_is_recorded_and_tried_again(run, scans: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    cohort, out = table(tmp_path / "c.tsv", "path", (scans / "site.dcm",), ("absent.dcm",)), tmp_path / "sbr.tsv"
    done = run(cohort, "--out", out)
    assert done.exit_code == 3
    assert "1 of 2" in done.stderr
    assert done.stdout == f"{out}\n"
    assert "no such file" in out.read_text()
    (tmp_path / "absent.dcm").write_bytes((scans / "0.dcm").read_bytes())
    again = run(cohort, "--out", out)
    assert again.exit_code == 0, again.stderr
    assert "1/2" in again.stderr
    assert "kept" in again.stderr
    assert "failed" not in out.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["absent.dcm", "c.tsv", "sbr.tsv", "sbr.tsv.cache"]


@pytest.mark.slow
def test_normals_are_fitted_written_and_used_for_the_same_camera_only(run, healthy: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "own.json"
    with open(healthy, "a") as stream:
        stream.write("LOST\tabsent.dcm\tcontrol\t60\tF\n")
    done = run(healthy, "--fit-normals", out)
    assert done.exit_code == 3, done.stderr
    assert len(done.stdout.rstrip("\n").split("\n")) == HEALTHY + 3  # the header, P and LOST, and nothing but the table
    assert "Not fitted, since not measured or not placed well: LOST" in done.stderr
    assert "women, " in done.stderr
    found = load_normals(out)
    assert found.n == HEALTHY
    assert "22 simulated people labelled control or normal in cohort.tsv" in found.population
    assert found.age_range == (40, 82)
    assert len(found.provenance.scans) == HEALTHY
    assert found.provenance.software["dopascope"]
    used = run("0.dcm", "--normals", out)
    assert "Normals    own (simulated healthy people)" in used.stdout
    refused = run("site.dcm", "--normals", out)
    assert "model: 'siemens-leap-fbp' there, 'siemens-lehr-osem' in this scan" in refused.stdout
    assert " z " not in refused.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a phantom whose striata have the ratio 6: `phantom.nii.gz`."""
    folder = tmp_path_factory.mktemp("phantom")
    person = phantom.draw_person(64_010, "healthy")
    person = replace(person, warp_mm=0.0, thalamus=0.0, sbr=dict.fromkeys(person.sbr, 6.0))
    volume, _ = phantom.scan(person, replace(phantom.CAMERAS["lehr-osem"], counts=2e7), phantom.Pose(), 1)
    phantom.write(volume, folder / "phantom.nii.gz")
    return folder


def test_a_phantom_gives_factors_that_bring_its_ratios_back(run, filled: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    scan = filled / "phantom.nii.gz"
    truth = table(tmp_path / "truth.tsv", "region true_ratio", ("striatum_left", 6), ("striatum_right", 6))
    out = tmp_path / "recovery.json"
    done = run(scan, "--truth", truth, "--fit-recovery", out)
    assert done.exit_code == 0, done.stderr
    found = load_recovery(out)
    assert f"Recovery   {found.id}" in done.stdout
    assert len(found.provenance.scans) == 1
    assert found.measurements[0].true_ratio == 6
    corrected = json.loads(run(scan, "--recovery", out, "--json").stdout)["scans"][0]["quantification"]
    assert corrected["method_id"] == found.corrected_method_id
    assert {round(region["sbr"], 6) for region in corrected["regions"].values()} == {6.0}
    named = table(tmp_path / "named.tsv", "scan region true_ratio", ("phantom.nii.gz", "striatum_left", 6))
    assert run(scan, "--truth", named).exit_code == 0
    other = table(tmp_path / "other.tsv", "scan region true_ratio", ("else.nii", "striatum_left", 6))
    refused = run(scan, "--truth", other)
    assert refused.exit_code == 2
    assert "else.nii" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["absent.dcm"], 4, "absent.dcm"),
        (["absent.tsv"], 4, "absent.tsv"),
        (["0.dcm", "--reference", "liver"], 2, "liver"),
        (["0.dcm", "--method", "magic"], 2, "magic"),
        (["0.dcm", "--age", "300"], 2, "age"),
        (["0.dcm", "--sex", "X"], 2, "sex"),
        (["0.dcm", "--normals", "absent.json"], 4, "absent.json"),
        (["0.dcm", "--recovery", "absent.json"], 4, "absent.json"),
        (["0.dcm", "--truth", "absent.tsv"], 4, "absent.tsv"),
        (["0.dcm", "--fit-normals", "n.json"], 2, "--fit-normals"),
        (["0.dcm", "--fit-recovery", "r.json"], 2, "--fit-recovery"),
        (["0.dcm", "--label", "well"], 2, "--label"),
        (["0.dcm", "--truth", "t.tsv", "--recovery", "r.json"], 2, "--truth"),
        (["0.dcm", "--out", "0.dcm"], 2, "read and written"),
        (["HEALTHY", "--age", "60"], 2, "--age"),
        (["HEALTHY", "--fit-normals", "n.json", "--label", "ghost"], 4, "0 labelled ghost"),
        (["HEALTHY", "--out", "o.tsv", "--fit-normals", "o.tsv"], 2, "o.tsv"),
    ],
)
def test_what_cannot_be_meant_ends_with_one_clear_error(run, healthy: Path, arguments, code: int, word: str) -> None:  # type: ignore[no-untyped-def]
    done = run(*[healthy if argument == "HEALTHY" else argument for argument in arguments])
    assert done.exit_code == code
    assert word in done.stderr
    assert not done.stdout


def test_a_full_disk_leaves_no_half_table(run, scans: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import os

    cohort = table(tmp_path / "c.tsv", "path", (scans / "site.dcm",))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    done = run(cohort, "--out", tmp_path / "sbr.tsv")
    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c.tsv"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.slow
def test_an_interrupted_cohort_goes_on(scans: Path, tmp_path: Path) -> None:
    cohort, out = (
        table(tmp_path / "c.tsv", "scan_id path age", *((n, scans / f"{n % 3}.dcm", 50 + n) for n in range(8))),
        tmp_path / "sbr.tsv",
    )
    command = [sys.executable, "-m", "dopascope", "quantify", str(cohort), "--out", str(out)]
    first = started(command)
    cache = tmp_path / "sbr.tsv.cache"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len([*cache.glob("??/[0-9a-f]*")]) < 2:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130, said
    assert "goes on" in said
    assert not out.exists()
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("kept") >= 2
    assert len(out.read_text().splitlines()) == 9
