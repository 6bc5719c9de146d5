"""`dopascope segment`: a run folder from a table and from painted heads, on from an interruption, exact refusals."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dopascope import formats
from dopascope.bundle import Bundle, store
from dopascope.cli import segment_fit
from dopascope.cli.app import app
from dopascope.errors import UnreadableError
from dopascope.learn.log import Epoch
from dopascope.report.segment import write
from grey_head import ByGrey, head

SMALL = ("--encoder", "tu-mobilenetv3_small_050", "--batch", 4)
SHAPE = (28, 34, 24)
HEAD = "participant_id\timage\tmask\tplane\tslices\n"


def run(*arguments: object) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["segment", *map(str, arguments)])
    return ended.exit_code, ended.stdout, ended.stderr


def ball(shape: tuple[int, ...], share: float) -> np.ndarray:
    at = (np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2) / (np.array(shape) / 2)
    return np.asarray((at**2).sum(axis=-1) < share**2)


def save(path: Path, data: np.ndarray) -> None:
    nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 2.5, 1.0])).to_filename(path)


def cohort(folder: Path, people: int, slices: str = "brain") -> Path:
    """People with a bright brain in a darker head, each of another size."""
    lines = []
    for number in range(people):
        rng = np.random.default_rng(number)
        brain = ball(SHAPE, 0.45 + 0.05 * (number % 3))
        data = 100.0 * ball(SHAPE, 0.9) + 150 * brain + rng.normal(0, 5, SHAPE)
        save(folder / f"s{number}.nii", data.astype(np.float32))
        save(folder / f"s{number}_mask.nii", brain.astype(np.uint8))
        lines.append(f"p{number}\ts{number}.nii\ts{number}_mask.nii\taxial\t{slices}\n")
    path = folder / "slices.tsv"
    path.write_text(HEAD + "".join(lines))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("table"), 5, "9-15/2")


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    out = tmp_path_factory.mktemp("runs") / "s5"
    code, stdout, stderr = run("fit", table, "--out", out, "--size", 32, "--epochs", 3, *SMALL)
    assert code == 0, stderr
    return out, stdout, stderr


def test_a_run_leaves_everything_to_trust_it_by(finished: tuple[Path, str, str]) -> None:
    out, stdout, stderr = finished
    plan = tomllib.loads((out / "plan.toml").read_text())
    assert plan["split"]["control_slices"] == 4
    assert plan["split"]["train_slices"] == 16
    assert plan["slices"]["shape"] == [32, 32]
    splits = list(csv.DictReader((out / "splits.tsv").open(), delimiter="\t"))
    assert sorted(one["role"] for one in splits) == ["test", *["train"] * 4]
    assert {one["participant_id"] for one in splits if one["role"] == "test"} == {*plan["split"]["control_people"]}
    log = list(csv.DictReader((out / "log.csv").open()))
    assert len(log) == 3
    assert all(float(one["train_loss"]) > 0 and float(one["validation_loss"]) > 0 for one in log)
    lines = list(csv.DictReader((out / "slices.tsv").open(), delimiter="\t"))
    assert len(lines) == 4
    assert {one["participant_id"] for one in lines} == {*plan["split"]["control_people"]}
    for name in ("environment.json", "weights.npz", "report.html"):
        assert (out / name).is_file()
    assert "20.0% where 20% was wanted" in stderr
    assert "ASSUMED  learning_rate" in stderr
    assert "ASSUMED  encoder" not in stderr, "it was said"
    assert stdout.splitlines()[-1] == str(out / "report.html")


def test_figures_have_both_kinds_their_n_and_their_interval(finished: tuple[Path, str, str]) -> None:
    figures = json.loads((finished[0] / "metrics.json").read_text())
    assert set(figures["readers"]) == {"network", "otsu"}
    for reader in figures["readers"].values():
        for name in ("pixel_iou", "pixel_dice", "pixel_recall", "object_recall", "object_f1"):
            one = reader[name]
            assert one["low"] <= one["value"] <= one["high"]
            assert (one["n"], one["people"]) == (4, 1)
        assert set(reader["object_counts"]) == {"tp", "fp", "fn", "iou"}
    assert "slices within people" in figures["intervals"], "one person is not enough to draw people"
    # The brain is brighter than the head: Otsu finds it, or the head with it.
    assert figures["readers"]["otsu"]["pixel_recall"]["value"] > 0.9
    assert figures["bundle"] == {"made": False, "reason": figures["bundle"]["reason"]}
    assert "32 x 32" in figures["bundle"]["reason"]
    assert not (finished[0] / "bundle").exists()


def test_the_page_shows_the_papers_figures_and_the_failures(finished: tuple[Path, str, str]) -> None:
    page = (finished[0] / "report.html").read_text()
    for words in (
        *("Not a medical device", "ASSUMED:", "Figure 1", "Figure 2", "Figure 3", "original, colour mask"),
        *("49 equal intervals", "lowest Dice", "audit-claim s5", "not comparable", "slices within people"),
    ):
        assert words in page, words
    assert "<script" not in page
    assert not re.search(r"(src|href)=.http", page)
    for number, columns in ((1, 3), (3, 3)):
        with Image.open(finished[0] / f"figure-{number}.png") as image:
            assert image.width > columns * 300
    before = page
    write(finished[0])
    assert (finished[0] / "report.html").read_text() == before, "from the files alone, the same page"


def interrupted(after: int) -> Callable[[int], object]:
    @contextmanager
    def training(epochs: int) -> Iterator[Callable[[Epoch], None]]:
        def show(one: Epoch) -> None:
            if one.epoch == after:
                raise KeyboardInterrupt

        yield show

    return training


def test_an_interrupted_training_goes_on_to_the_same_weights(
    table: Path, finished: tuple[Path, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("fit", table, "--out", tmp_path / "run", "--size", 32, "--epochs", 3, *SMALL)
    with monkeypatch.context() as patched:
        patched.setattr(segment_fit, "training", interrupted(2))
        code, _, stderr = run(*command)
    assert code == 130
    assert "the same command goes on" in stderr
    assert not (tmp_path / "run" / "metrics.json").exists()
    code, _, stderr = run(*command)
    assert code == 0, stderr
    for name in ("weights.npz", "plan.toml", "slices.tsv"):
        assert (tmp_path / "run" / name).read_bytes() == (finished[0] / name).read_bytes(), name
    code, _, stderr = run(*command[:-2], "--batch", 8)
    assert code == 2
    assert "another training" in stderr


def test_another_image_under_the_same_name_is_another_training(
    table: Path, finished: tuple[Path, str, str], tmp_path: Path
) -> None:
    other = cohort(tmp_path, 5, "9-15/2")
    save(tmp_path / "s0.nii", formats.load(tmp_path / "s0.nii").data + 1)
    code, _, stderr = run("fit", other, "--out", finished[0], "--size", 32, "--epochs", 3, *SMALL)
    assert code == 2, stderr
    assert "another training" in stderr


def test_a_folder_that_is_no_run_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="not a finished run"):
        write(tmp_path)


@pytest.mark.slow
def test_painted_heads_make_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dopascope.phantom.mr import draw_head
    from dopascope.study import segment, segment_plan
    from dopascope.tasks import painted

    monkeypatch.setattr(painted, "draw_head", lambda brains, rng: draw_head(brains, rng, spacing_mm=5.0))
    monkeypatch.setattr(segment, "HEADS", 5)
    monkeypatch.setattr(segment, "CONTROL_SLICES", 4)
    monkeypatch.setattr(segment_plan, "SLICES_PER_EPOCH", 8)
    code, _, stderr = run("fit", "--painted", "--out", tmp_path, "--epochs", 1, "--id", "painted-brain", *SMALL)
    assert code == 0, stderr
    assert "not a test on people" in stderr
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["bundle"] == {"made": True, "reason": None}
    assert "nothing about scans" in (tmp_path / "report.html").read_text()
    spec = Bundle.load(tmp_path / "bundle").spec
    assert (spec.id, spec.kind, spec.licence.spdx) == ("painted-brain", "segmenter", "LicenseRef-not-stated")


def test_apply_writes_the_mask_of_a_scan(tmp_path: Path) -> None:
    from dopascope.convert.segmenter_bundle import SegmenterNamed, bundle_of_segmenter

    named = SegmenterNamed("by-grey", "By grey value", "nothing", "A test.", "pytest", "CC0-1.0", "nobody")
    bundle_of_segmenter(ByGrey(), tmp_path / "models" / "by-grey", named)
    scan, brain = head()
    formats.save_nifti(scan, tmp_path / "scan.nii.gz")
    chosen = ("--model", "by-grey", "--models-dir", tmp_path / "models")
    code, stdout, stderr = run("apply", tmp_path / "scan.nii.gz", "--out", tmp_path / "out", *chosen)
    assert code == 0, stderr
    mask = formats.load(tmp_path / "out" / "brain_mask.nii.gz")
    assert stdout.splitlines() == [str(tmp_path / "out" / name) for name in ("brain_mask.nii.gz", "brain_mask.json")]
    assert 2 * ((mask.data > 0) & brain).sum() / ((mask.data > 0).sum() + brain.sum()) > 0.97
    assert json.loads((tmp_path / "out" / "brain_mask.json").read_text())["whole"]
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "slice.png")
    code, _, stderr = run("apply", tmp_path / "slice.png", *chosen)
    assert code == 4
    assert "picture of one slice" in stderr


def test_without_a_model_apply_asks_the_one_that_ships_and_says_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats.save_nifti(head()[0], tmp_path / "scan.nii.gz")
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "nothing ships")
    code, stdout, stderr = run("apply", tmp_path / "scan.nii.gz", "--out", tmp_path / "out", "--models-dir", tmp_path)
    assert code == 2
    assert "dopascope-brain" in stderr
    assert stdout == ""
    assert not (tmp_path / "out").exists()


def refusal(folder: Path, text: str, *options: object) -> tuple[int, str]:
    path = folder / "bad.tsv"
    path.write_text(text)
    code, stdout, stderr = run("fit", path, "--out", folder / "bad", "--size", 32, "--epochs", 1, *SMALL, *options)
    assert stdout == ""
    assert not (folder / "bad").exists(), "nothing is left of what was refused"
    return code, stderr


ROW = "{}\ts{}.nii\t{}\taxial\tbrain\n"


def test_tables_that_cannot_be_learned_from_are_refused_exactly(table: Path) -> None:
    folder = table.parent
    good = "".join(ROW.format(f"p{n}", n, f"s{n}_mask.nii") for n in range(2))
    save(folder / "empty.nii", np.zeros(SHAPE, np.uint8))
    nibabel.Nifti1Image(np.ones((5, 6, 7), np.uint8), np.eye(4)).to_filename(folder / "other.nii")
    for text, code, words in (
        ("", 4, ("bad.tsv",)),
        ("participant_id,image,mask\n", 4, ("commas",)),
        (HEAD, 4, ("no rows",)),
        (HEAD + good + ROW.format("p2", 99, "s2_mask.nii"), 4, ("line 4, column image",)),
        (HEAD + good + ROW.format("p2", 2, "none.nii"), 4, ("line 4, column mask",)),
        (HEAD + good + ROW.format("p2", 2, "other.nii"), 4, ("line 4", "not on the scan's grid")),
        (HEAD + good + ROW.format("p2", 2, "empty.nii"), 4, ("line 4", "no brain")),
        (HEAD + good.replace("p1", "p0"), 2, ("One person cannot be split", "p0", "says nothing of others")),
        (HEAD + good.replace("axial\tbrain", "axial\t0"), 4, ("class is missing", "brain")),
    ):
        found, stderr = refusal(folder, text)
        assert found == code, stderr
        for word in words:
            assert word in stderr
        assert "fix" in stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "not clear what to learn from"),
        (("TABLE", "--painted"), 2, "both"),
        (("TABLE", "--labels", "aseg.mgz"), 2, "--labels"),
        (("--painted", "--labels", "none.mgz"), 4, "none.mgz"),
        (("--painted", "--size", "native"), 2, "no pixels of their own"),
        (("TABLE", "--size", "large"), 2, "--size"),
        (("TABLE", "--size", "100"), 2, "multiple of 16"),
        (("TABLE", "--batch", "1"), 2, "batch statistics"),
        (("TABLE", "--epochs", "0"), 2, "segment.epochs"),
        (("TABLE", "--loss", "hinge"), 2, "cross-entropy or cross-entropy+dice"),
        (("TABLE", "--precision", "16"), 2, "32 or bf16"),
        (("TABLE", "--encoder", "resnet81"), 2, "resnet18"),
    ],
)
def test_options_that_cannot_be_meant(
    options: tuple[str, ...], code: int, words: str, table: Path, tmp_path: Path
) -> None:
    named = [str(table) if one == "TABLE" else one for one in options]
    found, stdout, stderr = run("fit", *named, "--out", tmp_path / "run")
    assert found == code, stderr
    assert words in stderr
    assert stdout == ""
    assert not (tmp_path / "run").exists()
