"""One conformance suite for every family of generators."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dopascope.augment import parse
from dopascope.errors import DopascopeError, UsageError
from dopascope.learn import checkpoint
from dopascope.learn.fit import weights_sha256
from dopascope.learn.generative import fit as loop
from dopascope.learn.generative.fit import GeneratorEpoch, Look, fit_generator
from dopascope.learn.generative.generator import Generator, load
from dopascope.learn.generative.plan import FAMILIES, known
from generator_cases import CASES, LEVELS, Case, examples, fitted

LONG = ("ddpm-3d", "ldm-3d", "rflow-3d")
"""Solid images under the U-Net: minutes of learning. Their networks are tried in tests/nets, a short fit below."""


def cases(names: list[str]) -> list[Any]:
    """Names of cases, the long ones marked slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in names]


EVERY = pytest.mark.parametrize("name", cases(sorted(CASES)))
GUIDED = pytest.mark.parametrize("name", cases([name for name in sorted(CASES) if name[:3] in ("ddp", "rfl", "ldm")]))
AUGMENT = parse([{"kind": "noise", "chance": 1.0, "sd": 0.05}, {"kind": "flip"}])


class StopError(Exception):
    """Raised in the middle of a training."""


def fit(case: Case, seed: int = 3, folder: Path | None = None, epochs: int = 4, **options: Any) -> Generator:
    recipe = case.recipe(epochs=epochs, **options.pop("recipe", {}))
    return fit_generator(case.plan(), *examples(case.shape), recipe, seed=seed, folder=folder, **options)


@cache
def whole_of(name: str) -> Generator:
    """Of a training that nothing stopped."""
    return fit(CASES[name], augment=AUGMENT)


def test_every_family_is_tried_in_every_number_of_axes_that_it_takes() -> None:
    known("cvae")
    tried = {(case.family, len(case.shape) - 1) for case in CASES.values()}
    assert tried == {(name, axes) for name, one in FAMILIES.items() for axes in one.axes}
    assert all(one.description for one in FAMILIES.values())


@EVERY
def test_it_tells_two_classes_apart(name: str) -> None:
    made = fitted(name)
    images = made.sample(["high"] * 8 + ["low"] * 8, seed=5)
    assert images.shape == (16, *CASES[name].shape)
    high, low = images.flatten(1).mean(1).split(8)
    assert int((high < 0.3).sum() + (low > -0.3).sum()) <= 1  # so short a training may err once in sixteen
    assert float(high.median()) == pytest.approx(LEVELS["high"], abs=0.25)
    assert float(low.median()) == pytest.approx(LEVELS["low"], abs=0.25)


@EVERY
def test_it_draws_nothing_beyond_what_it_has_seen(name: str) -> None:
    seen = examples(CASES[name].shape)[0]
    images = fitted(name).sample(["high", "low"] * 4, {"age": [200.0] * 8}, seed=2)
    assert seen.min() <= images.min() < images.max() <= seen.max()


@EVERY
@pytest.mark.parametrize(("least_s", "kept"), [(0.0, 2), (60.0, 1)])
def test_a_training_that_was_stopped_at_any_moment_ends_with_the_same_weights(
    tmp_path: Path, name: str, least_s: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two epochs that were over, both were kept, or of quick ones the first."""
    case = CASES[name]
    monkeypatch.setattr(checkpoint, "EVERY_S", least_s)
    whole = whole_of(name)
    with monkeypatch.context() as patched:
        patched.setattr(loop._Training, "_batch", _stopping(loop._Training._batch, after=5))
        with pytest.raises(StopError):  # in the third of four epochs of two batches
            fit(case, folder=tmp_path, augment=AUGMENT)
    assert (tmp_path / checkpoint.LOG).read_text().count("\n") == 1 + kept
    went_on = []
    resumed = fit(case, folder=tmp_path, augment=AUGMENT, progress=went_on.append)
    assert [one.epoch for one in went_on] == [1, 2, 3, 4][kept:]
    assert weights_sha256(resumed.model) == weights_sha256(whole.model)
    classes = ["high", "low"] * 2
    assert torch.equal(resumed.sample(classes, seed=7), whole.sample(classes, seed=7))


def _stopping(batch: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = []

    def stopping(*given: Any) -> Any:
        calls.append(given)
        if len(calls) > after:
            raise StopError
        return batch(*given)

    return stopping


@EVERY
def test_the_same_seed_gives_the_same_images_and_another_one_others(name: str) -> None:
    made = fitted(name)
    first, again, other = (made.sample(["high", "low"], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
    assert not torch.allclose(*made.sample(["high", "high"], seed=1), atol=1e-3)


@EVERY
def test_an_image_does_not_depend_on_those_beside_it(name: str) -> None:
    made = fitted(name)
    classes = ["high", "low", "low", "high", "low", "high", "high"]
    ages = {"age": [50.0, 61.0, torch.nan, 72.0, 55.0, 70.0, 81.0]}
    together = made.sample(classes, ages, seed=4)
    torch.testing.assert_close(made.sample(classes, ages, seed=4, batch=3), together, atol=1e-4, rtol=0)
    later = made.sample(classes[3:], {"age": ages["age"][3:]}, seed=4, first=3)
    torch.testing.assert_close(later, together[3:], atol=1e-4, rtol=0)


@EVERY
def test_a_training_of_the_same_seed_is_the_same_and_looking_changes_nothing(name: str) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []
    look = Look(lambda epoch, images: seen.append((epoch, tuple(images.shape))), every=2, each=3)
    one, looked, other = (fit(CASES[name], seed, look=show) for seed, show in ((1, None), (1, look), (2, None)))
    assert weights_sha256(one.model) == weights_sha256(looked.model) != weights_sha256(other.model)
    assert seen == [(epoch, (2, 3, *CASES[name].shape)) for epoch in (2, 4)]


@EVERY
def test_a_file_gives_the_same_images_back(tmp_path: Path, name: str) -> None:
    made = fitted(name)
    sha256 = made.save(tmp_path / "generator.npz")
    again = load(tmp_path / "generator.npz", sha256=sha256)
    assert again.plan == made.plan
    assert again.training == made.training
    assert torch.equal(again.sample(["high", "low"], seed=3), made.sample(["high", "low"], seed=3))
    assert again.save(tmp_path / "again.npz") == sha256
    with np.load(tmp_path / "generator.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
        assert not [name for name in stored.files if name.startswith("net/critic.")]


@EVERY
def test_it_says_what_it_learned_from(name: str) -> None:
    training = fitted(name).training
    assert training["images"] == 32
    assert training["classes"] == {"high": 16, "low": 16}
    assert training["stopped"] == "all epochs"
    assert training["epochs"] == training["recipe"]["epochs"] == CASES[name].epochs
    assert len(training["data_sha256"]) == 64


@EVERY
def test_each_epoch_is_told_and_kept_as_a_table(tmp_path: Path, name: str) -> None:
    told: list[GeneratorEpoch] = []
    fit(CASES[name], folder=tmp_path, progress=told.append)
    assert [one.epoch for one in told] == [1, 2, 3, 4]
    assert all(one.images == 32 and one.seconds > 0 and one.losses for one in told)
    header, *rows = (tmp_path / checkpoint.LOG).read_text().splitlines()
    assert len(rows) == 4
    assert set(told[0].losses) | set(told[-1].losses) <= set(header.split(","))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_time_limit_ends_when_it_can_draw(name: str) -> None:
    made = fit(CASES[name], epochs=500, recipe={"minutes": 1e-6})
    assert made.training["stopped"] == "time limit"
    assert made.training["epochs"] == (2 if name.startswith("ldm") else 1)
    assert torch.isfinite(made.sample(["high"], seed=1)).all()


@EVERY
def test_another_training_in_the_folder_is_not_gone_on_from(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    fit(case, folder=tmp_path, epochs=2)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    with pytest.raises(UsageError, match="checkpoint of another training") as caught:
        fit(case, seed=4, folder=tmp_path, epochs=2)
    error = caught.value
    assert error.where == str(tmp_path / checkpoint.FILE)
    assert error.found.startswith(f"{case.family} ")
    assert error.expected.startswith(f"{case.family} ")
    assert error.found != error.expected
    assert (tmp_path / checkpoint.FILE).read_bytes() == before


@EVERY
@pytest.mark.parametrize(
    ("asked", "where", "found"),
    [
        ({"classes": ["high", "ET"]}, "classes", "ET"),
        ({"conditions": {"sbr": [1.0, 2.0]}}, "conditions", "sbr"),
        ({"conditions": {"age": [60.0]}}, "conditions.age", "1 values"),
        ({"conditions": {"age": [60.0, torch.inf]}}, "conditions.age", "an infinite value"),
        ({"guidance": 10.5}, "guidance", "10.5"),
        ({"guidance": -0.5}, "guidance", "-0.5"),
        ({"guidance": torch.nan}, "guidance", "nan"),
        ({"steps": 0}, "steps", "0"),
        ({"steps": 1001}, "steps", "1001"),
        ({"sampler": "pndm"}, "sampler", "pndm"),
        ({"batch": 0}, "batch, first and seed", "0, 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(name: str, asked: dict[str, Any], where: str, found: str) -> None:
    given = {"classes": ["high", "low"], "conditions": None, "seed": 1} | asked
    with pytest.raises(UsageError) as caught:
        fitted(name).sample(**given)
    error = caught.value
    assert (error.where, error.found) == (where, found)
    assert error.expected
    assert error.fix


@GUIDED
def test_guidance_pulls_towards_what_is_asked(name: str) -> None:
    made = fitted(name)
    classes = ["high"] * 6 + ["low"] * 6
    means = {
        guidance: made.sample(classes, seed=1, guidance=guidance).flatten(1).mean(1).unflatten(0, (2, 6))
        for guidance in (0.0, 0.5, 1.0)
    }
    apart = {guidance: float(high.mean() - low.mean()) for guidance, (high, low) in means.items()}
    assert apart[0.0] < apart[0.5] < apart[1.0] + 0.05
    nobody = made.sample(["high", "low"], seed=1, guidance=0.0)
    swapped = made.sample(["low", "high"], seed=1, guidance=0.0)
    assert torch.equal(nobody, swapped)  # without guidance nothing is heard of the class


@GUIDED
def test_every_sampler_of_the_family_draws(name: str) -> None:
    made = fitted(name)
    for sampler in made.model.samplers:
        means = made.sample(["high"] * 4 + ["low"] * 4, seed=1, sampler=sampler, steps=25).flatten(1).mean(1)
        assert float(means[:4].mean()) == pytest.approx(LEVELS["high"], abs=0.3)
        assert float(means[4:].mean()) == pytest.approx(LEVELS["low"], abs=0.3)


@pytest.mark.parametrize("name", ["cvae-2d", "gan-2d"])
def test_what_draws_in_one_step_takes_no_sampler(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        fitted(name).sample(["high"], seed=1, sampler="ddim")
    assert "in one step" in caught.value.expected
    with pytest.raises(UsageError):
        fitted(name).sample(["high"], seed=1, steps=10)
    assert fitted(name).sample([], seed=1).shape == (0, *CASES[name].shape)


def test_too_short_a_training_of_two_stages_is_refused() -> None:
    with pytest.raises(UsageError, match="last stage") as caught:
        fit(CASES["ldm-2d"], epochs=1)
    assert (caught.value.where, caught.value.found, caught.value.expected) == ("training.epochs", "1", "2 or more")


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(DopascopeError, match="no number") as caught:
        fit(CASES["cvae-2d"], epochs=30, recipe={"learning_rate": 1e6, "clip": 0.0})
    assert caught.value.where.startswith("epoch ")
    assert "learning rate" in caught.value.fix
