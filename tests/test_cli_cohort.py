"""`dopascope cohort`: a split goes to a file, and a leak ends with exit code 4 and the person's name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dopascope", "cohort", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["participant_id\tscan_id\tpath\tlabel\tsite"]
    for n in range(12):
        (tmp_path / f"{n}.nii").write_bytes(bytes([n]))
        lines.append(f"p{n // 2}\ts{n}\t{n}.nii\t{'PD' if n < 6 else 'control'}\t{'Ulm' if n % 4 < 2 else 'Bonn'}")
    path = tmp_path / "cohort.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_split_is_written_and_clean_and_a_moved_person_is_found(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "splits.tsv"
    done = run("split", table, "--out", out, "--folds", 3, "--seed", 2, "--inner", 2)
    assert (done.returncode, done.stdout.strip()) == (0, str(out))
    assert done.stderr.count("fold ") == 3
    clean = run("lint-split", out, "--cohort", table, "--no-images")
    assert (clean.returncode, clean.stdout, clean.stderr.strip()) == (0, "", "No leak found.")
    lines = out.read_text().splitlines()
    moved = next(k for k, line in enumerate(lines) if "\ttest\t" in line)
    lines[moved] = lines[moved].replace("\ttest\t", "\ttrain\t")
    out.write_text("\n".join(lines) + "\n")
    person = lines[moved].split("\t")[3]
    leaky = run("lint-split", out, "--cohort", table, "--json")
    assert (leaky.returncode, person in leaky.stderr) == (4, True)
    assert {tuple(leak["people"]) for leak in json.loads(leaky.stdout)["leaks"]} == {(person,)}
    read = run("lint-split", out, "--cohort", table)
    assert "person" in read.stdout
    assert "12 images are no volume or cannot be read" in read.stderr


def test_a_site_is_left_out_and_options_that_clash_are_refused(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "sites.tsv"
    assert run("split", table, "--out", out, "--leave-out", "site").returncode == 0
    assert {line.split("\t")[0] for line in out.read_text().splitlines()[1:]} == {"Ulm", "Bonn"}
    clash = run("split", table, "--out", out, "--leave-out", "site", "--folds", 3)
    assert (clash.returncode, "--leave-out" in clash.stderr) == (2, True)
    few = run("split", table, "--out", tmp_path / "none.tsv", "--folds", 7)
    assert (few.returncode, "2 to 6" in few.stderr, (tmp_path / "none.tsv").exists()) == (2, True, False)
