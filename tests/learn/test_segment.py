"""Training of a segmenter: it learns, it goes on bit for bit, and its stream and rate are what they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dopascope.errors import UsageError
from dopascope.learn import checkpoint
from dopascope.learn.fit import weights_sha256
from dopascope.learn.log import Epoch
from dopascope.learn.segment import SegmentRecipe, _rate, evaluate, fit_segmenter


class Discs:
    """A bright disc over noise, by its number."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.count, self.seed = count, seed
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        self.asked.append(number)
        rng = np.random.default_rng([self.seed, number])
        i, j = np.mgrid[:24, :32]
        at = rng.uniform(8, 16), rng.uniform(8, 24)
        mask = (i - at[0]) ** 2 + (j - at[1]) ** 2 < rng.uniform(4, 7) ** 2
        image = rng.normal(0.3, 0.1, mask.shape) + 0.5 * mask
        return torch.from_numpy(image.astype(np.float32))[None], torch.from_numpy(mask).long()


def network(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)),
        nn.Conv2d(8, 2, 3, padding=1),
    )


def recipe(**changes: object) -> SegmentRecipe:
    known = {"epochs": 4, "slices_per_epoch": 16, "batch": 8, "learning_rate": 1e-2, "workers": 0}
    return SegmentRecipe(**(known | changes))  # type: ignore[arg-type]


class StopError(Exception):
    """Raised in the middle of a training."""


def stop_after(epoch: int) -> Callable[[Epoch], None]:
    def progress(done: Epoch) -> None:
        if done.epoch == epoch:
            raise StopError

    return progress


@pytest.mark.parametrize("loss", ["cross-entropy", "cross-entropy+dice"])
def test_a_tiny_network_learns_bright_discs(loss: str) -> None:
    net, watched = network(), Discs(16, seed=9)
    before = evaluate(net, watched, recipe())
    log = fit_segmenter(net, Discs(32), recipe(epochs=6, slices_per_epoch=32, loss=loss), watched=watched)
    cross_entropy, dice = evaluate(net, watched, recipe())
    assert dice > 0.9 > before[1]
    assert cross_entropy < 0.2
    assert log[-1].train_loss < log[0].train_loss
    assert (log[-1].validation_loss, log[-1].validation_accuracy) == pytest.approx((cross_entropy, dice))
    assert not net.training


@pytest.mark.parametrize("slices", [32, 10_000], ids=["fixed set", "stream"])
def test_a_training_that_was_stopped_ends_with_the_same_weights(slices: int, tmp_path: Path) -> None:
    whole = network()
    expected = fit_segmenter(whole, Discs(slices), recipe(), watched=Discs(8, seed=9))
    for epoch in (1, 3):
        with pytest.raises(StopError):
            fit_segmenter(network(), Discs(slices), recipe(), folder=tmp_path, progress=stop_after(epoch))
    resumed = network(seed=77)  # other first weights: everything comes from the checkpoint
    torch.manual_seed(5)
    found = fit_segmenter(resumed, Discs(slices), recipe(), folder=tmp_path)
    assert weights_sha256(resumed) == weights_sha256(whole)
    assert [one.train_loss for one in found] == [one.train_loss for one in expected]
    assert (tmp_path / checkpoint.LOG).read_text().count("\n") == 5


def facts(folder: Path) -> dict[str, object]:
    with np.load(folder / checkpoint.FILE) as stored:
        return dict(json.loads(stored[checkpoint.FACTS].tobytes()))


def test_a_checkpoint_belongs_to_recipe_and_number_and_where_named_to_its_slices(tmp_path: Path) -> None:
    plan = recipe(epochs=1)
    fit_segmenter(network(), Discs(32), plan, folder=tmp_path)
    # The key that checkpoints of earlier versions have.
    assert facts(tmp_path)["key"] == hashlib.sha256(repr((plan, 32)).encode()).hexdigest()
    told: list[Epoch] = []
    fit_segmenter(network(), Discs(32), plan, folder=tmp_path, progress=told.append)
    assert told == [], "the same training is over"
    fit_segmenter(network(), Discs(32), plan, folder=tmp_path, identity="others", progress=told.append)
    assert len(told) == 1, "of other slices nothing is gone on from"


def test_a_stream_gives_each_slice_once_and_a_fixed_set_a_new_order_each_epoch() -> None:
    stream = Discs(10_000)
    fit_segmenter(network(), stream, recipe(epochs=2))
    assert stream.asked == list(range(32))
    fixed = Discs(16)
    fit_segmenter(network(), fixed, recipe(epochs=2))
    first, second = fixed.asked[:16], fixed.asked[16:]
    assert sorted(first) == sorted(second) == list(range(16))
    assert first != second
    assert first != sorted(first)


def test_a_last_batch_is_filled_with_slices_seen_twice() -> None:
    slices = Discs(13)
    fit_segmenter(network(), slices, recipe(epochs=1, slices_per_epoch=16))
    assert set(slices.asked) == set(range(13))
    assert len(slices.asked) == 16


def test_the_rate_rises_once_and_falls_to_a_hundredth() -> None:
    plan = recipe(epochs=10, slices_per_epoch=80)
    rates = [_rate(plan, step) for step in range(100)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(plan.learning_rate)
    assert top == pytest.approx(5, abs=1)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert rates[-1] == pytest.approx(plan.learning_rate / 100, rel=0.1)


@pytest.mark.parametrize("name", ["epochs", "slices_per_epoch", "batch", "learning_rate"])
def test_numbers_that_cannot_be_meant_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe(**{name: 0})
    assert caught.value.where == f"segment.{name}"
