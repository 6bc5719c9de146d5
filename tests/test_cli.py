"""The command line: data and talk apart, agreed exit codes, errors in one shape, nothing half-written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from dopascope import __version__, formats, phantom
from dopascope.cli import app as program
from dopascope.errors import DopascopeError
from dopascope.reading.schema import json_schema
from interruptible import started
from t1_head import brain_known, simulated


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "one.dcm"
    phantom.write(phantom.example(seed=2, group="pd")[0], path, format="dicom")
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run `dopascope ARGS` in this process, with no models installed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def go(*arguments: object):  # type: ignore[no-untyped-def]
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go


def test_version(run) -> None:  # type: ignore[no-untyped-def]
    assert run("--version").stdout == f"dopascope {__version__}\n"


def test_read_writes_its_files_and_prints_the_ratios(run, scan: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("read", scan, "--out", tmp_path / "out", "--age", 70, "--sex", "F")
    assert done.exit_code == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["evidence-dopascope-dat.nii.gz", "reading.json", "report.html", "report.pdf"]
    assert "putamen_left" in done.stdout
    assert "Not a medical device" in done.stdout
    assert "Report:" in done.stderr
    reading = json.loads((tmp_path / "out" / "reading.json").read_text())
    jsonschema.validate(reading, json_schema())
    assert reading["person"] == {"age_years": 70, "sex": "F", "age_from": "argument", "sex_from": "argument"}


def test_json_on_stdout_is_the_reading_alone(run, scan: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("read", scan, "--json", "--no-evidence")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["schema"] == "dopascope.reading/2"


def test_a_simulation_is_shown_as_one_and_its_absence_is_told(run, scan: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("read", scan, "--counterfactual", "normal", "--age", 70, "--no-evidence", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "Simulated" in done.stdout
    assert "no evidence" in done.stdout
    assert (tmp_path / "out" / "counterfactual.png").is_file()
    jsonschema.validate(json.loads((tmp_path / "out" / "reading.json").read_text()), json_schema())
    young = run("read", scan, "--counterfactual", "normal", "--age", 12, "--no-evidence", "--out", tmp_path / "young")
    assert "No counterfactual: Normal ratios are known for" in young.stderr
    wrong = run("read", scan, "--counterfactual", "younger", "--out", tmp_path / "wrong")
    assert wrong.exit_code == 2
    assert "found    younger" in wrong.stderr


def test_a_refused_scan_is_reported_with_exit_code_4(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import numpy as np

    from dopascope.formats import save_nifti
    from dopascope.volume import Grid, Volume

    save_nifti(Volume(np.zeros((30, 31, 32)), Grid((30, 31, 32), np.diag([4.0, 4, 4, 1]))), tmp_path / "empty.nii")
    done = run("read", tmp_path / "empty.nii", "--json")
    assert done.exit_code == 4
    assert json.loads(done.stdout)["verdict"] == "refused"
    assert "This scan was not read" in done.stderr
    assert (tmp_path / "empty-reading" / "report.html").is_file()


def test_a_shift_is_recorded_and_moves_the_ratios(run, scan: Path) -> None:  # type: ignore[no-untyped-def]
    plain = json.loads(run("read", scan, "--json").stdout)
    moved = json.loads(run("read", scan, "--json", "--shift", "0,8,0", "--rotate", "0,0,5").stdout)
    assert moved["registration"]["manual"] == {"shift_mm": [0, 8, 0], "rotate_deg": [0, 0, 5]}
    region = "posterior_putamen_left"
    assert moved["quantification"]["regions"][region]["sbr"] != plain["quantification"]["regions"][region]["sbr"]


def test_a_t1_mri_is_measured_and_the_refusal_of_a_verdict_is_no_failure(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "head_T1w.nii.gz"
    formats.save_nifti(simulated().volume, path, whole=True)
    with brain_known():
        done = run("read", path, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    for said in ("no verdict", "does not tell Parkinson's disease", "putamen_left", "midbrain_pons_ratio"):
        assert said in done.stdout, said
    assert "ASSUMED" in done.stderr
    assert (tmp_path / "out" / "brain-mask.nii.gz").is_file()
    seen = run("inspect", path)
    assert "as t1" in seen.stdout
    assert "as dat" in run("inspect", path, "--modality", "dat").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["read"], 2, "SCAN"),
        (["read", "absent.dcm"], 4, "absent.dcm"),
        (["read", "SCAN", "--shift", "1,2"], 2, "--shift"),
        (["read", "SCAN", "--limit", "max_moons=3"], 2, "max_pixels"),
        (["read", "SCAN", "--age", "300"], 2, "age"),
        (["read", "SCAN", "--sex", "X"], 2, "sex"),
        (["read", "SCAN", "--model", "nobody"], 2, "nobody"),
        (["read", "SCAN", "--reference", "liver"], 2, "liver"),
        (["read", "SCAN", "--modality", "t2"], 2, "dat or t1"),
        (["read", "SCAN", "--modality", "t1", "--reference", "occipital"], 2, "DaT SPECT alone"),
        (["models", "inspect", "nobody"], 2, "nobody"),
        (["models", "add", "absent-folder"], None, "absent-folder"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_wrong_arguments_and_inputs_end_with_one_clear_error(run, scan: Path, arguments, code, word: str) -> None:  # type: ignore[no-untyped-def]
    done = run(*[scan if argument == "SCAN" else argument for argument in arguments])
    assert done.exit_code == code if code else done.exit_code in (2, 4)
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_with_json_an_error_is_data_too(run) -> None:  # type: ignore[no-untyped-def]
    done = run("inspect", "absent.nii", "--json")
    assert done.exit_code == 4
    assert json.loads(done.stdout)["error"]["code"] == "unreadable"


def test_inspect_hides_identity_unless_asked(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from dopascope.formats.dicom_write import write_nm

    path = tmp_path / "named.dcm"
    write_nm(phantom.example(seed=2, group="pd")[0], path, patient_name="ZZCANARY^PAT")
    plain, named = run("inspect", path), run("inspect", path, "--identity")
    assert plain.exit_code == named.exit_code == 0, plain.stderr
    assert "ZZCANARY" not in plain.stdout + plain.stderr
    assert "ZZCANARY" in named.stdout


def test_a_picture_is_read_as_far_as_it_goes(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import numpy as np
    from PIL import Image

    volume, _ = phantom.example(seed=4, group="healthy")
    middle = volume.data[:, :, volume.data.shape[2] // 2]
    Image.fromarray(np.uint8(255 * middle / middle.max()).T).save(tmp_path / "slice.png")
    done = run("read", tmp_path / "slice.png", "--json")
    reading = json.loads(done.stdout)
    assert reading["quantification"] is None
    assert "picture" in reading["reasons"]["quantification"]
    assert reading["verdict"] in ("uncertain", "refused")


def test_our_own_fault_is_confessed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(program, "app", broken)
    with pytest.raises(SystemExit) as ended:
        program.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "fault of dopascope" in said
    assert "Traceback" not in said


def test_a_full_disk_leaves_nothing_half_written(run, scan: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import os

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    done = run("read", scan, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_errors_survive_the_way_home_from_a_worker() -> None:
    import pickle

    from dopascope.errors import GeometryError

    there = GeometryError("Uneven.", where="slice 3", found="4 mm", expected="3 mm", fix="Convert again.")
    back = pickle.loads(pickle.dumps(there))
    assert isinstance(back, DopascopeError)
    assert type(back) is GeometryError
    assert str(back) == str(there)


QUICK = ("--sites", "siemens-leap-fbp", "--no-ideal", "--processes", 1)


def test_simulate_prints_the_table_and_counts_aloud(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("simulate", "--subjects", 1, "--seed", 3, "--out", "made", *QUICK, "--mix", "et=1", "--format", "dicom")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "made/cohort.tsv\n"
    assert "1/1" in done.stderr
    assert "ASSUMED  poses" in done.stderr
    (line,) = (tmp_path / "made" / "cohort.tsv").read_text().splitlines()[1:]
    assert line.split("\t")[3:7] == ["scans/sub-00001_ses-01.dcm", "dat", "ET", "siemens-leap-fbp"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_simulate_shows_a_bar_on_a_terminal_only(tmp_path: Path) -> None:
    import os
    import pty

    words = ["simulate", "--subjects", "1", "--out", str(tmp_path / "made"), *map(str, QUICK)]
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "dopascope", *words]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(reader, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(reader)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert said.decode() == f"{tmp_path / 'made' / 'cohort.tsv'}\n"
    assert b"Simulating" in shown
    assert b"1/1" in shown
    assert b"\x1b[" in shown
    piped = subprocess.run(command, capture_output=True, check=True)
    assert b"1/1  (1 kept)" in piped.stderr
    assert b"\x1b[" not in piped.stderr


def test_large_cohorts_have_no_ideal_ratios_and_say_so(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    few = run("simulate", "--subjects", 100, "--out", "taken")
    many = run("simulate", "--subjects", 101, "--out", "taken")
    asked = run("simulate", "--subjects", 101, "--out", "taken", "--ideal")
    assert few.exit_code == many.exit_code == asked.exit_code == 2
    assert "no ideal ratios" in many.stderr
    assert "no ideal ratios" not in few.stderr + asked.stderr
    assert "mine.txt" in many.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--subjects"),
        (["--subjects", 0], "subjects"),
        (["--subjects", "many"], "--subjects"),
        (["--seed", -1], "seed"),
        (["--seed", 0.5], "--seed"),
        (["--modality", "t1", "--physics", "projection"], "--physics"),
        (["--modality", "t1", "--effect", 9], "effect"),
        (["--effect", 1], "--modality t1"),
        (["--physics", "magic"], "physics"),
        (["--format", "mgz"], "format"),
        (["--sites", "nowhere"], "nowhere"),
        (["--mix", "healthy=.5,pd=.6"], "mix"),
        (["--mix", "healthy"], "mix"),
        (["--mix", "elves=1"], "elves"),
        (["--spacing-sign", "up"], "spacing_sign"),
        (["--processes", 0], "processes"),
    ],
)
def test_impossible_cohorts_are_refused_by_field(run, tmp_path: Path, arguments: list[object], word: str) -> None:  # type: ignore[no-untyped-def]
    needed = ["--subjects", 2] if arguments and "--subjects" not in arguments else []
    done = run("simulate", "--out", "made", *needed, *arguments)
    assert done.exit_code == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert not (tmp_path / "made").exists()


def test_the_demo_draws_every_group_on_three_cameras() -> None:
    from collections import Counter

    from dopascope.cli.demo import DRAWN, demo_plan

    plan = demo_plan()
    drawn = [plan.participant(number) for number in range(1, DRAWN + 1)]
    assert DRAWN == 24
    assert {one.group for one in drawn} == set(phantom.GROUPS)
    sites = Counter(one.site for one in drawn)
    assert len(sites) == 3
    assert min(sites.values()) >= 5
    assert len({phantom.SITES[name].collimator for name in sites}) == 3


def test_a_demo_scan_that_was_read_is_kept_until_it_changes(tmp_path: Path) -> None:
    from dopascope.cli.demo import _job, _read_one, demo_plan

    plan = demo_plan()
    job = _job(plan.participant(1), tmp_path, tmp_path / "none")
    phantom.write(phantom.example(seed=2, group="pd")[0], job.scan, format="dicom")
    first, again = _read_one(job), _read_one(job)
    assert first.entry is not None
    assert "(kept)" not in first.text
    assert again.text == f"{first.text} (kept)"
    job.scan.write_bytes(b"no scan any more")
    failed = _read_one(job)
    assert failed.entry is None
    assert failed.text.startswith("failed")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupted_demo_goes_on(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "dopascope",
        "demo",
        "--out",
        str(tmp_path / "demo"),
        "--models-dir",
        str(tmp_path / "none"),
    ]
    first = started(command)
    done = tmp_path / "demo" / "readings"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(done.glob("*/report.pdf")):
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert "goes on" in said
    kept = len(list(done.glob("*/reading.json")))
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("(kept)") >= kept > 0
    assert (tmp_path / "demo" / "index.html").is_file()
