"""Extra training images: of the training scans alone, as many of each class as there are scans, and their null."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.cohort.splits import read_splits
from dopascope.errors import UsageError
from dopascope.learn.fit import NO_GRADE
from dopascope.learn.generative.generator import load
from dopascope.report.study_compare import compare_runs
from dopascope.study.extra import with_extra
from dopascope.study.plan import Extra, changed, parse, to_toml
from dopascope.study.run import run_study
from small_plan import PEOPLE, SMALL

TINY = {"width": 8, "latent": 3, "halvings": 2}
POSITIVE = np.arange(24) % 3 == 0


def scans(seed: int = 0) -> torch.Tensor:
    """(24, 1, 9, 13), a size that no network halves; positive ones are dark."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.where(torch.from_numpy(POSITIVE), 0.2, 0.7).reshape(-1, 1, 1, 1)
    return (level + 0.05 * torch.randn(24, 1, 9, 13, generator=generator)).clamp(0, 1)


def synthetic(**changes: object) -> Extra:
    return Extra(**({"source": "cvae", "epochs": 30, "learning_rate": 5e-3, "settings": TINY} | changes))  # type: ignore[arg-type]


def test_without_extra_images_nothing_changes(tmp_path: Path) -> None:
    images = scans()
    grades = np.ones((24, 4), int)
    found = with_extra(None, images, POSITIVE, grades, seed=1, folder=tmp_path)
    assert found.images is images
    assert found.positive is POSITIVE
    assert found.grades is grades
    assert found.facts == {}


@pytest.mark.parametrize(("share", "negative", "positive"), [(0.5, 8, 4), (1.0, 16, 8), (2.0, 32, 16)])
def test_the_null_shows_scans_again_class_by_class(tmp_path: Path, share: float, negative: int, positive: int) -> None:
    images, grades = scans(), np.arange(96).reshape(24, 4)
    extra = Extra(source="repeated", share=share)
    found = with_extra(extra, images, POSITIVE, grades, seed=1, folder=tmp_path)
    assert torch.equal(found.images[:24], images)
    more, truth = found.images[24:], found.positive[24:]
    assert ((~truth).sum(), truth.sum()) == (negative, positive)
    assert found.grades is not None
    for image, one, grade in zip(more, truth, found.grades[24:], strict=True):
        (row,) = [at for at in range(24) if torch.equal(images[at], image)]
        assert POSITIVE[row] == one
        assert (grades[row] == grade).all()
    again = with_extra(extra, images, POSITIVE, grades, seed=1, folder=tmp_path)
    other = with_extra(extra, images, POSITIVE, grades, seed=2, folder=tmp_path)
    assert torch.equal(again.images, found.images)
    assert not torch.equal(other.images, found.images)


def test_synthetic_images_follow_the_training_scans_and_have_no_grades(tmp_path: Path) -> None:
    images, grades = scans(), np.zeros((24, 4), int)
    found = with_extra(synthetic(), images, POSITIVE, grades, seed=1, folder=tmp_path)
    assert found.images.shape == (48, 1, 9, 13)
    assert torch.equal(found.images[:24], images)
    more, truth = found.images[24:], found.positive[24:]
    assert ((more >= 0) & (more <= 1)).all()
    levels = more.flatten(1).mean(1).numpy()
    assert levels[truth].mean() == pytest.approx(0.2, abs=0.1)
    assert levels[~truth].mean() == pytest.approx(0.7, abs=0.1)
    assert found.grades is not None
    assert (found.grades[24:] == NO_GRADE).all()
    told = found.facts["extra"]
    assert told["learned_from"] == {"negative": 16, "positive": 8}
    made = load(tmp_path / "generator" / "generator.npz", sha256=told["generator_sha256"])
    assert made.training["images"] == 24  # the training scans, and no other


def test_trained_on_synthetic_images_alone(tmp_path: Path) -> None:
    found = with_extra(synthetic(alone=True, epochs=2), scans(), POSITIVE, None, seed=1, folder=tmp_path)
    assert found.images.shape == (24, 1, 9, 13)
    assert found.positive.sum() == 8
    assert found.grades is None


def test_the_matched_null_has_as_many_images_as_what_it_is_the_null_of(tmp_path: Path) -> None:
    for share in (0.3, 1.0):
        ours = with_extra(
            synthetic(share=share, epochs=1), scans(), POSITIVE, None, seed=1, folder=tmp_path / str(share)
        )
        null = with_extra(Extra(source="repeated", share=share), scans(), POSITIVE, None, seed=1, folder=tmp_path)
        assert ours.images.shape == null.images.shape
        assert (ours.positive == null.positive).all()


def test_the_command_line_sets_extra_images_of_every_network() -> None:
    plan = parse(SMALL, where="test")
    extra = {"source": "rflow", "share": 0.5, "alone": False}
    made = changed(plan, extra=extra)
    assert made.networks[0].extra == Extra(source="rflow", share=0.5)
    assert made.assumed["members.slab.extra"] == "set on the command line"
    assert parse(to_toml(made), where="test") == made
    settled = changed(plan, extra=extra | {"settings": {"width": 16, "attention": False}})
    assert parse(to_toml(settled), where="test") == settled
    assert changed(plan).networks[0].extra is None


@pytest.mark.parametrize(
    ("extra", "field"),
    [({"source": "vae"}, "extra.source"), ({"source": "gan", "share": 0}, "extra.share"), ({}, "extra.source")],
)
def test_extra_images_that_cannot_be_meant_are_refused(extra: dict[str, object], field: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(parse(SMALL, where="test"), extra=extra)
    assert field in caught.value.where


@pytest.mark.slow  # registers a cohort, where no other test of studies did
def test_a_study_with_synthetic_images_beside_its_matched_null(simulated: Path, cache: Path, tmp_path: Path) -> None:
    runs = []
    for source in ("repeated", "cvae"):
        extra = {"source": source, "epochs": 2, "settings": TINY if source == "cvae" else {}}
        plan = changed(parse(SMALL, where="test"), extra=extra)
        runs.append(tmp_path / source)
        figures = run_study(plan, simulated, runs[-1], cache=cache)
        assert run_study(plan, simulated, runs[-1], cache=cache, resume=True) == figures
    roles = read_splits(runs[1] / "splits.tsv")
    assert (runs[0] / "splits.tsv").read_bytes() == (runs[1] / "splits.tsv").read_bytes()
    for fold in sorted({place.fold for place in roles}):
        learned = [place.label for place in roles if place.fold == fold and place.role == "train"]
        told = [json.loads((run / f"fold-{fold}" / "slab-seed-1" / "facts.json").read_text()) for run in runs]
        assert [one["extra"]["images"] for one in told] == [len(learned)] * 2
        expected = {"negative": learned.count("control"), "positive": learned.count("PD")}
        assert told[1]["extra"]["learned_from"] == expected
        assert [one["last"]["epoch"] for one in told] == [2, 2]
    compared = compare_runs(runs)
    assert compared["scans"] == PEOPLE
