"""`dopascope deidentify`: exit codes, what is printed, and where the key may lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaries import CANARY, NAME, leaks, plant_some, rewrite
from dopascope.cli.app import app
from dopascope.formats import load, write_nm
from dopascope.volume import Volume


@pytest.fixture
def scan(tmp_path: Path, oblique_volume: Volume) -> Path:
    path = write_nm(oblique_volume, tmp_path / f"{CANARY}.dcm", patient_name=NAME, patient_id=CANARY)
    return rewrite(path, lambda made: plant_some(made, [(0x00081030, "LO"), (0x00104000, "LT")]))


def run(*arguments: object) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["deidentify", *map(str, arguments)])
    return ended.exit_code, ended.stdout, ended.stderr


def test_a_scan_is_cleaned_and_nothing_names_the_person(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "clean.dcm"
    code, stdout, stderr = run(scan, "--out", out, "--key", tmp_path / "project.key")
    assert code == 0
    assert leaks(out.read_bytes() + stdout.encode() + stderr.encode()) == []
    assert "StudyDescription" in stdout
    assert (load(out).data == load(scan).data).all()
    assert [path.name for path in out.parent.iterdir()] == ["clean.dcm"]


def test_the_report_is_json_and_a_missing_key_is_assumed_aloud(scan: Path, tmp_path: Path) -> None:
    code, stdout, stderr = run(scan, "--out", tmp_path / "clean.dcm", "--json", "--pseudonym", "sub-7")
    assert code == 0
    report = json.loads(stdout)
    assert report["schema"] == "dopascope.deidentified/1"
    assert report["pseudonym"] == "sub-7"
    assert report["attributes"]["PatientComments"] == {"removed": 1}
    assert "ASSUMED" in stderr


def test_a_key_inside_the_copy_is_refused(scan: Path, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    scan.rename(folder / "scan.dcm")
    code, _, stderr = run(folder, "--out", tmp_path / "clean", "--key", tmp_path / "clean" / "key")
    assert code == 2
    assert "--key" in stderr
    assert not (tmp_path / "clean").exists()


def test_burned_in_text_is_an_exit_code_and_a_warning(scan: Path, tmp_path: Path) -> None:
    rewrite(scan, lambda made: setattr(made, "BurnedInAnnotation", "YES"))
    assert run(scan, "--out", tmp_path / "clean.dcm")[0] == 4
    assert not (tmp_path / "clean.dcm").exists()
    code, _, stderr = run(scan, "--out", tmp_path / "clean.dcm", "--allow-burned-in")
    assert code == 0
    assert "WARNING  clean.dcm" in stderr


def test_what_a_folder_holds_besides_is_said(scan: Path, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    scan.rename(folder / scan.name)
    (folder / "notes.txt").write_text(NAME)
    code, stdout, stderr = run(folder, "--out", tmp_path / "clean")
    assert code == 0
    assert "LEFT OUT 1" in stderr
    assert leaks((stdout + stderr).encode()) == []
