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
from dopascope.cohort.splits import Place, k_fold, write_splits
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
    fit = [
        *("fit", "--cohort", cohort, "--family", family, "--condition", "sbr", "--condition", "age", *_set(*settings)),
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


def _set(*settings: str) -> list[str]:
    return [word for one in settings for word in ("--set", one)]


@pytest.mark.slow  # 60 scans are simulated and registered
def test_a_generator_that_learned_twenty_images_by_heart_is_flagged_and_an_honest_one_is_not(
    command: Any, tmp_path: Path
) -> None:
    """By heart: the decoder is told class, age and ratio, which name each person, and its code is worth nothing."""
    cohort = run(Plan(subjects=60, seed=11, mix=parse_mix("healthy=.5,pd=.5"), ideal=False), tmp_path, processes=1)
    scans = sorted(read_cohort(cohort), key=lambda scan: scan.name)
    twenty, others = scans[:20], scans[20:]
    splits = tmp_path / "splits.tsv"
    sides = [("1", "train", twenty), ("1", "test", others), ("2", "train", others), ("2", "test", twenty)]
    write_splits([Place(fold, role, one.name, str(one.person)) for fold, role, side in sides for one in side], splits)
    shared = ("--cohort", cohort, "--cache", tmp_path / "cache", "--workers", 1)
    kinds: dict[str, tuple[object, ...]] = {
        "by-heart": ("--fold", 1, "--condition", "age", *_set("latent=1", "beta=1000", "drop=0"), "--epochs", 250),
        "honest": ("--fold", 2, *_set("latent=4"), "--epochs", 15),
    }
    found = {}
    for name, own in kinds.items():
        fitted, made, judged = (tmp_path / f"{name}{ending}" for ending in ("", "-made", "-judged"))
        words = (*_set("width=8"), "--condition", "sbr", "--batch", 10, "--learning-rate", 0.002, *own)
        assert command("fit", *shared, "--splits", splits, *words, "--out", fitted).exit_code == 0
        assert command("sample", fitted, "--count", 40, "--seed", 3, "--out", made).exit_code == 0
        told = command("judge", made, "--generator", fitted, *shared, "--model", "none", "--out", judged, "--json")
        assert told.exit_code == 0, told.output
        found[name] = json.loads(told.stdout)["memorisation"]
    assert found["by-heart"]["result"]["verdict"] == "memorises"
    assert found["honest"]["result"]["verdict"] == "not shown"
    assert found["honest"]["control"]["verdict"] == "memorises"
    assert found["honest"]["control"]["named"] == found["honest"]["control"]["planted"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--family", "vae"], "There is no such family of generators."),
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
        (["--preset", "s5"], "There is no such preset."),
        (["--preset", "s4"], "not what the frame shows"),
        (["--frame", "t1-slice", "--condition", "sbr"], "There is no such condition."),
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
