"""`dopascope generate` from a simulated cohort to the page, and what it refuses."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope.cohort import read_cohort
from dopascope.cohort.splits import k_fold, write_splits
from dopascope.phantom import SITES
from dopascope.simulate import Plan, parse_mix, run


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    def go(*arguments: object) -> Any:
        words = ["generate", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go


@pytest.mark.slow  # 27 scans are simulated and registered
@pytest.mark.parametrize(
    ("family", "settings"),
    [("cvae", ["width=8", "latent=4"]), ("rflow", ["width=16", "halvings=1", "patch=4", "attention=false"])],
)
def test_from_a_cohort_to_the_page(
    command: Any, tmp_path_factory: pytest.TempPathFactory, family: str, settings: list[str]
) -> None:
    out = tmp_path_factory.mktemp("generate")
    sites = tuple(sorted(SITES))[:2]
    shared = tmp_path_factory.getbasetemp()
    plan = Plan(subjects=27, seed=31, sites=sites, mix=parse_mix("healthy=.5,pd=.5"), ideal=False)
    cohort = run(plan, shared / "generate-cohort", processes=1)
    splits = cohort.with_name("splits.tsv")
    write_splits(k_fold(read_cohort(cohort), 3, seed=1), splits)
    named = [word for one in settings for word in ("--set", one)]
    fit = [
        *("fit", "--cohort", cohort, "--family", family, "--condition", "sbr", "--condition", "age", *named),
        *(
            "--splits",
            splits,
            "--fold",
            2,
            "--epochs",
            4,
            "--grid-every",
            2,
            "--workers",
            1,
            "--cache",
            shared / "generate-cache",
        ),
    ]
    first = command(*fit, "--out", out / "fit", "--json")
    assert first.exit_code == 0, first.output
    sha256 = json.loads(first.stdout)["generator_sha256"]
    again = command(*fit, "--out", out / "fit", "--json")
    assert json.loads(again.stdout)["generator_sha256"] == sha256
    drawn = command("sample", out / "fit", "--count", 30, "--seed", 7, "--out", out / "made")
    assert drawn.exit_code == 0, drawn.output
    with (out / "made" / "cohort.tsv").open() as stream:
        told = list(csv.DictReader(stream, delimiter="\t"))
    assert len(told) == 30
    assert {row["generator_sha256"] for row in told} == {sha256}
    judged = command(
        *("judge", out / "made", "--generator", out / "fit", "--cohort", cohort, "--out", out / "judged"),
        *("--cache", shared / "generate-cache", "--workers", 1),
    )
    assert judged.exit_code == 0, judged.output
    assert "Memorisation" in judged.stdout
    assert "simulated person" in (out / "judged" / "report.html").read_text()
    lines = cohort.read_text().splitlines()
    other = cohort.with_name("other.tsv")
    other.write_text("\n".join([*lines[:-1], ""]))
    refused = command("judge", out / "made", "--generator", out / "fit", "--cohort", other, "--out", out / "no")
    assert refused.exit_code == 2
    assert "not the cohort table" in refused.stderr
    assert not (out / "no").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--family", "vae"], "No generator has this name."),
        (["--frame", "slab-65"], "There is no such frame."),
        (["--set", "width"], "This option cannot be meant."),
        (["--set", "width=12"], "a multiple of 8"),
        (["--set", "depth=3"], "settings.depth"),
        (["--condition", "height"], "There is no such condition."),
        (["--epochs", "0"], "training.epochs"),
        (["--fold", "9"], "The split has no such fold."),
        (["--class", "MSA"], "A class has no images to learn from."),
        (["--family", "gan", "--frame", "volume-32"], "2-D images"),
        (["--set", "halvings=7"], "halves an image"),
    ],
)
def test_a_fit_that_cannot_be_meant_is_refused_before_a_scan_is_read(
    command: Any, tmp_path: Path, words: list[str], said: str
) -> None:
    lines = ["participant_id\tscan_id\tpath\tlabel\tage"]
    lines += [f"p{n}\ts{n}\ts{n}.nii.gz\t{('PD', 'control')[n % 2]}\t{50 + n}" for n in range(12)]
    cohort = tmp_path / "cohort.tsv"
    cohort.write_text("\n".join(lines) + "\n")
    found = command("fit", "--cohort", cohort, "--out", tmp_path / "out", *words)
    assert found.exit_code in (2, 4), found.output
    assert said in found.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["--count", "3", "--class", "PD=3"]])
def test_how_many_images_must_be_said_once(command: Any, tmp_path: Path, words: list[str]) -> None:
    found = command("sample", tmp_path, "--out", tmp_path / "out", *words)
    assert found.exit_code == 2
    assert "how many images" in found.stderr


def test_a_folder_without_a_generator_draws_nothing(command: Any, tmp_path: Path) -> None:
    found = command("sample", tmp_path, "--count", 3, "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert "no folder of a fitted generator" in found.stderr
    assert not (tmp_path / "out").exists()
