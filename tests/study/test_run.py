"""Whole studies on simulated people: the run folder, going on, and what is refused before anything starts."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import formats, score
from dopascope.errors import UnreadableError, UsageError
from dopascope.report import study as page
from dopascope.report.study_compare import compare_runs
from dopascope.study.members import _key
from dopascope.study.plan import parse
from dopascope.study.run import Watch, run_study
from dopascope.study.trained import networks_of
from small_plan import NESTED, PEOPLE, SMALL


class StopError(Exception):
    """Raised in the middle of a study."""


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


@pytest.fixture(scope="session")
def done(simulated: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished nested run."""
    out = tmp_path_factory.mktemp("runs") / "nested"
    run_study(parse(NESTED, where="test"), simulated, out, cache=cache)
    page.write(out)
    return out


def test_every_scan_is_answered_once_by_models_that_did_not_see_it(done: Path, simulated: Path) -> None:
    cohort = {row["scan_id"]: row for row in rows(simulated)}
    told = rows(done / "predictions.tsv")
    assert list(told[0])[:6] == ["scan_id", "participant_id", "fold", "label", "p_abnormal", "verdict"]
    assert sorted(row["scan_id"] for row in told) == sorted(cohort)
    assert all(row["label"] == cohort[row["scan_id"]]["label"] for row in told)
    places = {(row["fold"], row["scan_id"]): row["role"] for row in rows(done / "splits.tsv")}
    assert all(places[row["fold"], row["scan_id"]] == "test" for row in told)
    assert {row["verdict"] for row in told} <= {"normal", "reduced", "uncertain"}
    assert {"p_slab", "p_ratios", "p_majority", "p_sbr-rule", "p_sbr-logistic"} < told[0].keys()


def test_every_figure_has_its_n_and_interval_and_follows_from_the_predictions(done: Path) -> None:
    metrics = json.loads((done / "metrics.json").read_text())
    told = rows(done / "predictions.tsv")
    truth = np.array([row["label"] == "PD" for row in told])
    for name, column in (("answer", "p_abnormal"), ("ratios", "p_ratios"), ("majority", "p_majority")):
        p = np.array([float(row[column]) for row in told])
        figures = metrics["pooled"]["readers"][name]
        for figure, function in (("auroc", score.auroc), ("log_loss", score.log_loss), ("brier", score.brier)):
            assert figures[figure]["value"] == pytest.approx(function(p, truth), abs=2e-4), (name, figure)
            assert figures[figure]["low"] <= figures[figure]["value"] <= figures[figure]["high"]
            assert figures[figure]["n"] == PEOPLE
        assert figures["accuracy"]["value"] == pytest.approx(((p >= 0.5) == truth).mean())
    assert {"majority", "sbr-rule", "sbr-logistic"} < metrics["pooled"]["readers"].keys()
    differences = metrics["pooled"]["differences"]
    assert all(one["p_holm"] >= one["p"] for one in differences)
    assert metrics["pooled"]["conformal"]["coverage"]["n"] == PEOPLE
    assert metrics["seed_noise"]["slab"]["seeds"] == 2
    assert "NaN" not in (done / "metrics.json").read_text()


def test_the_run_folder_has_all_that_the_contract_names(done: Path) -> None:
    for name in ("plan.toml", "splits.tsv", "predictions.tsv", "metrics.json", "environment.json", "report.html"):
        assert (done / name).is_file(), name
    assert parse((done / "plan.toml").read_text(), where="run") == parse(NESTED, where="test")
    final = done / "fold-final"
    assert len(list(final.glob("*/weights.npz"))) == 4  # two seeds in two inner folds
    assert not list(done.glob("fold-1/*/weights.npz"))
    assert not list(done.glob("fold-*/*/checkpoint.npz"))
    facts = json.loads(next(done.glob("fold-1/slab-*/facts.json")).read_text())
    assert (facts["stopped"], facts["epochs"], len(facts["weights_sha256"])) == ("all epochs", 2, 64)
    told = json.loads((done / "fold-1" / "fold.json").read_text())["answer"]
    assert told["calibration"]["method"] == "platt"
    assert told["uncertain_between"][0] <= 0.5 <= told["uncertain_between"][1]


@pytest.mark.slow
def test_an_interrupted_study_goes_on_to_the_same_answers(
    done: Path, simulated: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    epochs = 0

    def stop(_: object) -> None:
        nonlocal epochs
        epochs += 1
        if epochs in (3, 9):
            raise StopError

    plan = parse(NESTED, where="test")
    with pytest.raises(StopError):
        run_study(plan, simulated, out, cache=cache, watch=Watch(epoch=stop))
    with pytest.raises(UsageError, match="holds a run already"):
        run_study(plan, simulated, out, cache=cache)
    with pytest.raises(UsageError, match="another plan or cohort"):
        run_study(parse(SMALL, where="test"), simulated, out, cache=cache, resume=True)
    with pytest.raises(StopError):
        run_study(plan, simulated, out, cache=cache, resume=True, watch=Watch(epoch=stop))
    run_study(plan, simulated, out, cache=cache, resume=True)
    for name in ("predictions.tsv", "predictions-training.tsv", "splits.tsv", "metrics.json", "plan.toml"):
        assert (out / name).read_bytes() == (done / name).read_bytes(), name


@pytest.mark.slow
def test_the_order_of_the_table_changes_nothing(done: Path, simulated: Path, cache: Path, tmp_path: Path) -> None:
    head, *lines = simulated.read_text().splitlines()
    turned = simulated.with_name("turned.tsv")
    turned.write_text("\n".join([head, *lines[::-1]]) + "\n")
    run_study(parse(NESTED, where="test"), turned, tmp_path / "turned", cache=cache)
    assert (tmp_path / "turned" / "predictions.tsv").read_bytes() == (done / "predictions.tsv").read_bytes()


def test_the_page_says_what_must_be_said(done: Path) -> None:
    text = (done / "report.html").read_text()
    for words in (
        "For research and education. Not a medical device.",
        f"{PEOPLE} scans of {PEOPLE} people",
        "logistic regression on binding ratios",
        "sbr-rule",
        "Calibration",
        "Conformal limits",
        "weighted mean",
        "the loss behaves as if",
        "95 %",
    ):
        assert words in text, words
    assert text.count("data:image/png;base64,") >= 6
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_an_error_is_shown_with_its_picture_and_ratio(done: Path, tmp_path: Path) -> None:
    """A run whose every answer is turned round: every scan is told wrong, and the page shows them."""
    out = tmp_path / "wrong"
    shutil.copytree(done, out)
    with np.load(out / "errors.npz", allow_pickle=False) as stored:
        known = {name: stored[name] for name in stored.files}
    known |= {
        "pictures": np.ones((2, 91, 109), np.float32),
        "scan_id": np.array(["<b>one", "two"]),
        "fold": np.array(["1", "2"]),
        "label": np.array(["PD", "control"]),
        "p": np.array([0.1, 0.9]),
        "positive": np.array([True, False]),
        "lower_putamen": np.array([2.5, 0.4]),
        "total": np.array(2),
    }
    np.savez(out / "errors.npz", **known)
    text = page.write(out).read_text()
    assert "false negative" in text
    assert "false positive" in text
    assert "lower putamen 2.50" in text
    assert "&lt;b&gt;one" in text
    assert "<b>one" not in text


@pytest.mark.slow
def test_a_preset_runs_by_one_command_and_is_compared(
    command: Any, done: Path, simulated: Path, cache: Path, tmp_path: Path
) -> None:
    s1 = tmp_path / "s1"
    told = command(
        "run", "s1", "--cohort", simulated, "--out", s1, "--weights", "none", "--epochs", "1", "--cache", cache
    )
    assert told.exit_code == 0, told.stderr
    assert "ASSUMED  members.resnet18.training.batch" in told.stderr
    assert "set on the command line" in told.stderr
    assert "epoch 1, loss" in told.stderr
    assert told.stdout.splitlines()[-1] == str(s1 / "report.html")
    assert told.stdout.startswith("answer")
    text = (s1 / "report.html").read_text()
    assert "Reported in the paper" in text
    assert "These two columns are not comparable" in text
    assert "Here, simulated" in text
    assert "Every scan is simulated" in text
    compared = command("compare", done, s1)
    assert compared.exit_code == 0
    assert f"{PEOPLE} scans" in compared.stdout
    assert "OTHER FOLDS" in compared.stdout
    found = compare_runs([done, s1])
    assert {one["figure"] for one in found["differences"]} == {"auroc", "log_loss"}
    as_json = json.loads(command("compare", done, s1, "--json").stdout)
    assert as_json["scans"] == PEOPLE


def test_a_scan_that_cannot_be_used_is_named_and_the_others_go_on(
    command: Any, simulated: Path, cache: Path, tmp_path: Path
) -> None:
    broken = simulated.with_name("broken.nii")
    broken.write_bytes(b"none")
    head, *lines = simulated.read_text().splitlines()
    columns = head.split("\t")
    cells = dict(zip(columns, lines[0].split("\t"), strict=True)) | {"path": broken.name}
    table = simulated.with_name("broken.tsv")
    table.write_text("\n".join([head, "\t".join(cells[name] for name in columns), *lines[1:]]) + "\n")
    plan = tmp_path / "plan.toml"
    plan.write_text(SMALL.replace("epochs = 2", "epochs = 1"))
    told = command("run", plan, "--cohort", table, "--out", tmp_path / "run", "--cache", cache)
    assert told.exit_code == 3, told.stderr
    assert cells["scan_id"] in told.stderr
    assert len(rows(tmp_path / "run" / "predictions.tsv")) == PEOPLE - 1
    assert cells["scan_id"] in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("old", "new", "what", "where"),
    [
        ('network = "slab"', 'network = "slap"', "No network has this name", "network"),
        ('view = "slab_12mm"', 'view = "volume_4mm"', "This image cannot be made", "view"),
        ('view = "slab_12mm"', 'view = "slab_12mm"\nweights = "absent.pth"', "no such weights file", "weights"),
        ('view = "slab_12mm"', 'view = "slab_12mm"\nweights = "imagenet"', "Nobody's weights", "weights"),
        ("top = 6.5", 'top = 6.5\naugment = [{ kind = "warp" }]', "No augmentation", "augment"),
        ('positive = ["PD"]', 'positive = ["ET"]', "labels that the plan does not know", "column label"),
    ],
)
def test_wrong_plans_are_refused_before_anything_starts(
    command: Any, simulated: Path, tmp_path: Path, old: str, new: str, what: str, where: str
) -> None:
    assert old in SMALL
    plan = tmp_path / "plan.toml"
    plan.write_text(SMALL.replace(old, new, 1))
    out = tmp_path / "run"
    told = command("run", plan, "--cohort", simulated, "--out", out)
    assert told.exit_code in (2, 4), told.stderr
    assert what in told.stderr
    assert where in told.stderr
    assert not out.exists()


def test_a_feature_that_is_no_number_is_named_before_training(
    simulated: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dopascope.errors import UnsuitableError
    from dopascope.tasks import tabular

    monkeypatch.setattr(tabular, "shape_features", lambda shape: [np.nan] * len(tabular.SHAPE_FEATURES))
    plan = parse(NESTED.replace("features = ['sbr']", "features = ['sbr', 'shape']"), where="test")
    trained: list[str] = []
    with pytest.raises(UnsuitableError, match="not a number") as caught:
        run_study(plan, simulated, tmp_path / "run", cache=cache, watch=Watch(training=trained.append))
    assert "lower_volume_ml" in caught.value.where
    assert trained == []


def flat(told: Any, name: str = "") -> dict[str, Any]:
    """What stands in nested figures, by its path."""
    pairs = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list | tuple) else None
    if pairs is None:
        return {name: told}
    return {path: value for key, one in pairs for path, value in flat(one, f"{name}/{key}").items()}


def test_a_folder_that_is_no_run(command: Any, tmp_path: Path) -> None:
    told = command("report", tmp_path)
    assert told.exit_code == 4
    assert "not a finished run" in told.stderr
    told = command("compare", tmp_path)
    assert told.exit_code == 2
    assert "two runs or more" in told.stderr


@pytest.mark.slow
def test_further_scans_are_answered_by_the_fold_that_tests_their_person(
    simulated: Path, cache: Path, tmp_path: Path
) -> None:
    """Copies under other names: each gets its original's answer, and the originals' answers do not change."""
    lines = rows(simulated)
    head = list(lines[0])
    copies = [{**row, "scan_id": f"{row['scan_id']}_again"} for row in lines[:9]]
    table = simulated.with_name("more.tsv")
    table.write_text("\t".join(head) + "\n" + "".join("\t".join(row[name] for name in head) + "\n" for row in copies))
    plan = parse(SMALL.replace("folds = 3", "folds = 3\nwatch_test = true"), where="test")
    alone = run_study(plan, simulated, tmp_path / "alone", cache=cache)
    figures = run_study(plan, simulated, tmp_path / "run", cache=cache, also=table)
    found, expected = flat(figures["pooled"]), flat(alone["pooled"])
    assert found.keys() == expected.keys()
    for name, value in expected.items():  # sums of arrays of other shapes may round otherwise
        near = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        assert found[name] == near, name
    assert figures["also"]["readers"]["answer"]["auroc"]["n"] == 9
    told = {row["scan_id"]: row for row in rows(tmp_path / "run" / "predictions.tsv")}
    again = rows(tmp_path / "run" / "predictions-also.tsv")
    assert len(again) == 9
    for row in again:
        original = told[row["scan_id"].removesuffix("_again")]
        assert (row["fold"], row["p_abnormal"]) == (original["fold"], original["p_abnormal"])
    assert "Further scans" in page.write(tmp_path / "run").read_text()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("participant_id", "sub-stranger", "a person of the cohort"),
        ("label", "ET", "control"),
        ("scan_id", None, "own"),
    ],
)
def test_further_scans_that_do_not_belong(
    command: Any, simulated: Path, tmp_path: Path, column: str, value: str | None, expected: str
) -> None:
    row = rows(simulated)[0]
    row = {**row, "scan_id": "more"} | ({column: value} if value else {"scan_id": row["scan_id"]})
    table = simulated.with_name("strange.tsv")
    table.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    plan = tmp_path / "plan.toml"
    plan.write_text(SMALL)
    told = command("run", plan, "--cohort", simulated, "--also", table, "--out", tmp_path / "run")
    assert told.exit_code == 4, told.stderr
    assert expected in told.stderr


def test_the_final_networks_are_explained_on_the_scans_own_grid(
    command: Any, done: Path, simulated: Path, tmp_path: Path
) -> None:
    scan = simulated.parent / rows(simulated)[0]["path"]
    told = command("explain", done, scan, "--out", tmp_path, "--method", "integrated-gradients", "--json")
    assert told.exit_code == 0, told.stderr
    maps = json.loads(told.stdout)["maps"]
    assert len(maps) == 4
    volume = formats.load(scan)
    for one in maps:
        assert formats.load(one["map"]).grid.same_as(volume.grid)
        assert 0 <= one["share_inside_striatum"] <= 1
        assert one["sanity"]["draws"] == 5
    spoken = command("explain", done, scan, "--out", tmp_path)
    assert spoken.stdout.count("inside the striatum") == 4
    assert command("explain", done, scan, "--out", tmp_path, "--method", "lime").exit_code == 2
    masked = command("explain", done, scan, "--mask", scan, "--out", tmp_path)
    assert masked.exit_code == 2
    assert "need no mask" in masked.stderr


def test_weights_that_changed_are_not_explained(done: Path, tmp_path: Path) -> None:
    again = tmp_path / "run"
    shutil.copytree(done, again)
    weights = next(again.glob("fold-final/*/weights.npz"))
    with np.load(weights) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(weights, **arrays | {"mean": arrays["mean"] + 1})
    with pytest.raises(UnreadableError, match="not those that the run was evaluated with"):
        networks_of(again)
    weights.write_bytes(b"none")
    with pytest.raises(UnreadableError, match="damaged"):
        networks_of(again)
    with pytest.raises(UsageError, match="kept no weights"):
        networks_of(done, "1")
    with pytest.raises(UsageError, match="no run folder"):
        networks_of(tmp_path)


def test_a_finished_training_stays_finished_when_other_seeds_are_asked_for_beside_it() -> None:
    plans = [SMALL.replace("top = 6.5", f"top = 6.5\nseeds = {seeds}") for seeds in ([1], [1, 2])]
    one, more = (parse(plan, where="test").networks[0] for plan in plans)
    rows = [["a"], ["b"], []]
    assert _key(one, 1, "none", rows) == _key(more, 1, "none", rows)
    assert _key(more, 1, "none", rows) != _key(more, 2, "none", rows)
    assert _key(one, 1, "none", rows) != _key(one, 1, "none", [["a"], ["c"], []])
