"""`dopascope normalise` and `dopascope-bids`: data and talk apart, exit codes, nothing beside raw data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope import phantom
from dopascope.cli import bids
from dopascope.formats import save_nifti
from dopascope.volume import Grid, Volume

CAMERA = phantom.SITES["siemens-lehr-osem"].camera


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two volumes of noise, one file that is none."""
    rng = np.random.default_rng(1)
    grid = Grid((40, 40, 30), np.diag([5.0, 5, 5, 1]))
    for name in "ab":
        save_nifti(Volume(rng.uniform(1, 2, grid.shape).astype(np.float32), grid), tmp_path / f"{name}.nii")
    (tmp_path / "c.nii").write_bytes(b"none")
    (tmp_path / "cohort.tsv").write_text("scan_id\tpath\n" + "".join(f"{n}\t{n}.nii\n" for n in "abc"))
    return tmp_path / "cohort.tsv"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def go(*arguments: object):  # type: ignore[no-untyped-def]
        words = ["normalise", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go


def test_a_failed_scan_is_recorded_and_the_exit_code_is_three(run, cohort: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run(cohort, "--out", tmp_path / "out", "--no-register")
    assert done.exit_code == 3
    assert done.stdout == f"{tmp_path / 'out' / 'cohort.tsv'}\n"
    assert "c failed" in done.stderr
    assert "1 of 3" in done.stderr
    assert "ASSUMED  intensity scale p99" in done.stderr
    assert "3/3" in done.stderr
    (tmp_path / "c.nii").write_bytes((tmp_path / "a.nii").read_bytes())
    again = run(cohort, "--out", tmp_path / "out", "--no-register", "--json")
    assert again.exit_code == 0, again.stderr
    assert "2 kept" in again.stderr or "3 kept" in again.stderr
    assert [one["error"] for one in json.loads(again.stdout)["scans"]] == [None] * 3


def test_parts_and_the_slurm_script(run, cohort: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    for text in ("3/2", "0/2", "x", "1/2/3", "1"):
        assert run(cohort, "--out", out, "--part", text).exit_code == 2
    assert not out.exists()
    done = run(cohort, "--out", out, "--no-register", "--part", "2/2")
    assert done.exit_code == 0, done.stderr
    assert len([*out.rglob("*.nii.gz")]) == 1
    script = run(cohort, "--out", out, "--no-register", "--slurm", tmp_path / "array.sh")
    assert script.stdout == f"{tmp_path / 'array.sh'}\n"
    text = (tmp_path / "array.sh").read_text()
    assert f"normalise {cohort} --out {out} --workers 1 --intensity p99 --no-register" in text
    assert "--array=1-3" in text


def test_what_cannot_be_meant_writes_nothing(run, cohort: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    assert run(cohort, "--out", out, "--intensity", "mean").exit_code == 2
    assert run(cohort, "--out", out, "--workers", 0).exit_code == 2
    assert run(tmp_path / "absent.tsv", "--out", out).exit_code == 4
    assert not out.exists()


@pytest.fixture(scope="module")
def bids_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, one of them twice, and an MR that nobody asked for."""
    root = tmp_path_factory.mktemp("bids")
    for seed, place in (
        (63_000, "sub-01/ses-BL/spect"),
        (63_001, "sub-01/ses-V1/spect"),
        (63_000, "sub-02/ses-BL/pet"),
    ):
        (root / place).mkdir(parents=True)
        volume, _ = phantom.scan(phantom.draw_person(seed, "healthy"), CAMERA, phantom.draw_pose(seed), seed)
        kind = place.rpartition("/")[2]
        save_nifti(volume, root / place / f"{'_'.join(place.split('/')[:2])}_{kind}.nii.gz")
    (root / "sub-01/anat").mkdir()
    (root / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"none")
    (root / "participants.tsv").write_text("participant_id\tage\tsex\tdiagnosis\nsub-01\t61\tF\tcontrol\n")
    return root


def ended(*arguments: object) -> int:
    try:
        bids.main([str(one) for one in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_bids_folder_becomes_derivatives(bids_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in bids_dir.rglob("*"))
    out = tmp_path / "out"
    assert ended(bids_dir, out, "participant", "--participant_label", "sub-02", "--skip-bids-validation") == 0
    capsys.readouterr()
    assert [path.name for path in out.rglob("*.nii.gz")] == [
        "sub-02_ses-BL_space-MNI152NLin2009aSym_desc-normalised_spect.nii.gz"
    ]
    assert len([*out.rglob("*_desc-sbr_spect.tsv")]) == 1
    assert (out / "dataset_description.json").is_file()
    assert not (out / "cohort.tsv").exists()
    assert ended(bids_dir, out, "participant", "--participant-label", "01", "02", "--session-label", "BL") == 0
    assert len([*out.rglob("*.nii.gz")]) == 2
    assert ended(bids_dir, out, "group", "--n-procs", "2") == 0
    head, *lines = [line.split("\t") for line in (out / "sbr.tsv").read_text().splitlines()]
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    assert [(row["participant_id"], row["age"], row["sex"], row["label"]) for row in rows] == [
        ("sub-01", "61", "F", "control"),
        ("sub-01", "61", "F", "control"),
        ("sub-02", "n/a", "n/a", "n/a"),
    ]
    assert all(float(row["putamen_left"]) > 0.5 for row in rows)
    assert len((out / "cohort.tsv").read_text().splitlines()) == 4
    assert sorted((path, path.stat().st_mtime_ns) for path in bids_dir.rglob("*")) == before


def test_bids_arguments_that_cannot_be_meant(
    bids_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(bids_dir, bids_dir / "sub-01", "participant") == 2
    assert ended(bids_dir, bids_dir, "participant") == 2
    assert ended(bids_dir, tmp_path / "out", "participant", "--participant-label", "03") == 2
    assert "sub-03" in capsys.readouterr().err
    assert ended(bids_dir, tmp_path / "out", "participant", "--participant-label", "02", "--session-label", "V1") == 2
    assert ended(tmp_path / "absent", tmp_path / "out", "participant") == 4
    assert ended(bids_dir, tmp_path / "out", "session") == 2
    assert ended("--version") == 0
