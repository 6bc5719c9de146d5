"""Grades of regions, learned, judged, and carried into a bundle; and what a bundle of a run says."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import formats, space
from dopascope.bundle import Bundle
from dopascope.convert.study_bundle import Named, bundle_of_run
from dopascope.errors import UnsuitableError, UsageError
from dopascope.explain import picture
from dopascope.report import study as page
from dopascope.study.answer import p_of
from dopascope.study.plan import parse
from dopascope.study.run import run_study
from dopascope.study.trained import networks_of
from dopascope.tasks import classify
from small_plan import PEOPLE, SMALL

pytestmark = pytest.mark.slow
"""Networks learn for a minute here."""
COLUMNS = ["grade_caudate_right", "grade_caudate_left", "grade_putamen_right", "grade_putamen_left"]
GRADED = (
    SMALL.replace("top = 6.5", f"top = 6.5\ncrop = [[27, 63], [49, 85]]\ngrades = {json.dumps(COLUMNS)}")
    .replace("epochs = 2", "epochs = 80\ngrade_weight = 1.0")
    .replace("batch = 8", "batch = 4")
    .replace("learning_rate = 1e-3", "learning_rate = 3e-3")
    .replace("folds = 3", "folds = 2\ninner = 2\nfinal = 'all'")
    + "[answer]\ncalibration = 'platt'\nuncertain = 0.2\n"
)
NAMED = Named("mine", "Networks of a test", "CC0-1.0", "nobody")


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def with_grades(table: Path, name: str, **changed: str) -> Path:
    """The table with a grade for each region: 0 of controls, 3 of people with Parkinson's."""
    lines = [row | dict.fromkeys(COLUMNS, "3" if row["label"] == "PD" else "0") for row in rows(table)]
    lines[0] |= changed
    found = table.with_name(name)
    found.write_text("".join("\t".join(line) + "\n" for line in [list(lines[0]), *(one.values() for one in lines)]))
    return found


@pytest.fixture(scope="module")
def graded(simulated: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose networks grade regions; the first scan's right caudate has no grade."""
    out = tmp_path_factory.mktemp("graded") / "run"
    table = with_grades(simulated, "graded.tsv", grade_caudate_right="n/a")
    run_study(parse(GRADED, where="test"), table, out, cache=cache)
    page.write(out)
    return out


def test_grades_are_judged_where_they_are_known(graded: Path) -> None:
    told = rows(graded / "predictions-grades.tsv")
    assert len(told) == PEOPLE * 4
    assert {row["region"] for row in told} == set(COLUMNS)
    assert [row["true"] for row in told].count("n/a") == 1
    for row in told:
        p = [float(row[f"p_{grade}"]) for grade in range(5)]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert int(row["grade"]) == int(np.argmax(p))
    metrics = json.loads((graded / "metrics.json").read_text())
    for one in metrics["grades"]:
        own = [row for row in told if row["region"] == one["region"] and row["true"] != "n/a"]
        assert one["n"] == len(own) == (PEOPLE - 1 if one["region"] == COLUMNS[0] else PEOPLE)
        assert one["same"]["value"] == pytest.approx(np.mean([row["grade"] == row["true"] for row in own]))
        assert np.sum(one["confusion"]) == one["n"]
        most = max(Counter(row["true"] for row in own).values())
        assert one["most_frequent"]["value"] == pytest.approx(most / one["n"])
    text = (graded / "report.html").read_text()
    assert "Grades of regions" in text
    assert "grade_putamen_left" in text


def test_a_bundle_answers_as_the_runs_networks_do(graded: Path, simulated: Path, tmp_path: Path) -> None:
    folder = bundle_of_run(graded, tmp_path / "bundles" / "mine", NAMED)
    bundle = Bundle.load(folder)
    assert (bundle.id, bundle.spec.licence.spdx) == ("mine", "CC0-1.0")
    assert "simulated people at 2 cameras; no real scan" in bundle.spec.training.summary
    told = json.loads((graded / "fold-final" / "fold.json").read_text())["answer"]
    nets = networks_of(graded)
    assert len(nets) == 2
    for row in rows(simulated)[:2]:
        scan = formats.load(simulated.parent / row["path"])
        placed = space.normalise(scan, space.register(scan))
        said = bundle.predict(placed)
        answers = [classify.logits_and_grades(one.net, picture(one.sight, placed).image) for one in nets]
        p = p_of(np.array([np.mean([logits[0] for logits, _ in answers])]))
        fitted = told["calibration"]
        expected = 1 / (1 + np.exp(-(fitted["a"] * np.log(p / (1 - p)) + fitted["c"])))
        assert said.p_abnormal == pytest.approx(float(expected[0]), abs=1e-4)
        assert said.grades is not None
        mean = np.mean([grades[0] for _, grades in answers if grades is not None], 0)
        for region, one in zip(mean, said.grades.values(), strict=True):
            assert one.probabilities == pytest.approx(region, abs=1e-3)
        low, high = told["uncertain_between"]
        verdict = "normal" if expected[0] < low else "reduced" if expected[0] >= high else "uncertain"
        assert said.verdict == verdict
        assert (said.networks, said.calibrated) == (2, True)
    assert list(said.grades) == ["caudate_right", "caudate_left", "putamen_right", "putamen_left"]
    card = (folder / "MODEL_CARD.md").read_text()
    assert "simulated scans only" in card
    assert f"| grade_putamen_left | {PEOPLE} |" in card
    assert "{" not in card


def test_the_same_run_gives_the_same_bytes(graded: Path, tmp_path: Path) -> None:
    one, other = (bundle_of_run(graded, tmp_path / name, NAMED) for name in ("one", "other"))
    for name in ("bundle.json", "model.onnx", "MODEL_CARD.md"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    ("named", "field"),
    [(Named("Mine", "x", "CC0-1.0", "x"), "id"), (Named("mine", "", "CC0-1.0", "x"), "title")],
)
def test_names_that_a_bundle_cannot_have_leave_nothing(graded: Path, tmp_path: Path, named: Named, field: str) -> None:
    with pytest.raises(UsageError, match="cannot be said") as caught:
        bundle_of_run(graded, tmp_path / "bundle", named)
    assert caught.value.where == field
    assert list(tmp_path.iterdir()) == []


def test_runs_that_cannot_be_a_bundle(graded: Path, tmp_path: Path) -> None:
    stacked = tmp_path / "stacked"
    shutil.copytree(graded, stacked, ignore=shutil.ignore_patterns("views"))
    with open(stacked / "plan.toml", "a") as plan:
        plan.write("[[members]]\nkind = 'tabular'\nname = 'ratios'\nmodel = 'logistic'\nfeatures = ['sbr']\n")
    with pytest.raises(UsageError, match="cannot be given by a bundle") as caught:
        bundle_of_run(stacked, tmp_path / "bundle", NAMED)
    assert caught.value.where.endswith("members")
    with pytest.raises(UsageError, match="exists already"):
        bundle_of_run(graded, tmp_path, NAMED)


@pytest.mark.parametrize(
    ("changed", "what"),
    [({"grade_putamen_left": "5"}, "A grade is none"), ({"grade_putamen_left": "mild"}, "A grade is none")],
)
def test_a_grade_that_is_none_is_named_before_anything_starts(
    simulated: Path, tmp_path: Path, changed: dict[str, str], what: str
) -> None:
    table = with_grades(simulated, "wrong_grades.tsv", **changed)
    with pytest.raises(UnsuitableError, match=what) as caught:
        run_study(parse(GRADED, where="test"), table, tmp_path / "run")
    assert "grade_putamen_left" in caught.value.where
    assert not (tmp_path / "run").exists()


def test_columns_and_networks_without_grades(simulated: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsuitableError, match="No scan has a grade"):
        run_study(parse(GRADED, where="test"), simulated, tmp_path / "run")
    plan = GRADED.replace('network = "slab"', 'network = "resnet18"').replace("slab_12mm", "rgb_slices")
    with pytest.raises(UsageError, match="grades no regions") as caught:
        run_study(parse(plan, where="test"), with_grades(simulated, "graded.tsv"), tmp_path / "run")
    assert "slab" in caught.value.expected
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("old", "new"), [("grade_weight = 1.0", ""), (json.dumps(COLUMNS), '["grade_putamen_left"]')])
def test_plans_whose_grades_cannot_be_meant(old: str, new: str) -> None:
    assert old in GRADED
    with pytest.raises(UsageError, match="grade"):
        parse(GRADED.replace(old, new), where="test")


def test_a_command_makes_the_bundle(graded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from typer.testing import CliRunner

    import dopascope.cli.app as program

    words: list[Any] = ["study", "bundle", graded, tmp_path / "made", "--id", "mine", "--title", "x"]
    monkeypatch.setattr(sys, "argv", ["dopascope", *map(str, words)])
    told = CliRunner().invoke(program.app, [*map(str, words)])
    assert told.exit_code == 0, told.stderr
    assert Bundle.load(tmp_path / "made").spec.licence.spdx == "LicenseRef-not-stated"
