"""The loop: it learns, it is the same twice, and it goes on from any kill bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dopascope.augment import parse
from dopascope.learn import checkpoint
from dopascope.learn.fit import NO_GRADE, Examples, Standardised, answers, evaluate, fit, logit_of, weights_sha256
from dopascope.learn.log import Epoch
from dopascope.learn.recipe import Recipe
from dopascope.nets import create

AUGMENT = parse([{"kind": "pose"}, {"kind": "flip"}, {"kind": "blur"}, {"kind": "noise", "chance": 1.0}])


def examples(count: int = 40, seed: int = 0, size: tuple[int, int] = (24, 27)) -> Examples:
    """A bright spot in the middle of abnormal images, over noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, *size, generator=generator)
    positive = torch.arange(count) % 2 == 0
    images[positive, :, 9:15, 9:15] += 1.0
    return Examples(images, positive)


def network(seed: int = 1) -> Standardised:
    torch.manual_seed(seed)
    net = Standardised(create("slab"), 1, 2)
    net.adjust(examples().images)
    return net


def recipe(**changes: object) -> Recipe:
    known = {"epochs": 4, "batch": 8, "learning_rate": 3e-3, "optimiser": "adamw", "weight_decay": 1e-2}
    return Recipe(**(known | changes))  # type: ignore[arg-type]


class StopError(Exception):
    """Raised in the middle of a training."""


def stop_after(epoch: int) -> Callable[[Epoch], None]:
    def progress(done: Epoch) -> None:
        if done.epoch == epoch:
            raise StopError

    return progress


def test_it_learns_what_there_is_to_learn() -> None:
    net = network()
    trained = fit(net, examples(), recipe(epochs=10, schedule="cosine"), seed=1)
    loss, accuracy = evaluate(net, examples(seed=5), recipe())
    assert accuracy == 1.0
    assert loss < 0.3
    assert trained.log[-1].train_loss < trained.log[0].train_loss
    assert trained.log[0].train_loss == pytest.approx(0.69, abs=0.35)
    assert not net.training


def test_standardising_is_fitted_on_the_training_images_alone() -> None:
    net = network()
    scaled = (examples().images - net.mean) / net.spread
    assert float(scaled.mean()) == pytest.approx(0, abs=1e-5)
    assert float(scaled.std()) == pytest.approx(1, abs=1e-3)
    assert {"mean", "spread"} <= net.state_dict().keys()


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    hashes = []
    for seed in (1, 1, 2):
        net = network()
        fit(net, examples(), recipe(), seed=seed, augment=AUGMENT)
        hashes.append(weights_sha256(net))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path: Path, schedule: str) -> None:
    plan = recipe(schedule=schedule, every=1, imbalance="both", early_stopping=3)
    watched = examples(20, seed=9)
    whole = network()
    expected = fit(whole, examples(), plan, seed=3, augment=AUGMENT, validation=watched)
    for epoch in (1, 3):
        with pytest.raises(StopError):
            fit(
                network(),
                examples(),
                plan,
                seed=3,
                augment=AUGMENT,
                validation=watched,
                folder=tmp_path,
                progress=stop_after(epoch),
            )
    resumed = network(seed=77)  # other first weights: everything comes from the checkpoint
    found = fit(resumed, examples(), plan, seed=3, augment=AUGMENT, validation=watched, folder=tmp_path)
    assert weights_sha256(resumed) == weights_sha256(whole)
    assert [one.train_loss for one in found.log] == [one.train_loss for one in expected.log]
    assert (tmp_path / checkpoint.LOG).read_text().count("\n") == len(found.log) + 1


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import test_fit
from collections.abc import Callable
from pathlib import Path
import torch
torch.set_num_threads(1)
net = test_fit.network()
trained = test_fit.fit(net, test_fit.examples(), test_fit.recipe(epochs=12), seed=3, augment=test_fit.AUGMENT,
                       folder=Path(sys.argv[2]) if sys.argv[2] else None)
print(test_fit.weights_sha256(net))
"""


@pytest.mark.slow
def test_kill_minus_nine_and_going_on_gives_the_same_hash(tmp_path: Path) -> None:
    def command(folder: str) -> list[str]:
        return [sys.executable, "-c", KILLED, str(Path(__file__).parent), folder]

    whole = subprocess.run(command(""), capture_output=True, text=True, check=True).stdout.strip()
    kills = 0
    for _ in range(2):
        process = subprocess.Popen(command(str(tmp_path)), stdout=subprocess.PIPE, text=True)
        before = _epochs(tmp_path)
        until = time.monotonic() + 120
        while process.poll() is None and _epochs(tmp_path) < before + 2 and time.monotonic() < until:
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    found = subprocess.run(command(str(tmp_path)), capture_output=True, text=True, check=True).stdout.strip()
    assert found == whole
    assert len(whole) == 64


def _epochs(folder: Path) -> int:
    log = folder / checkpoint.LOG
    return log.read_text().count("\n") - 1 if log.is_file() else 0


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    fit(network(), examples(), recipe(), seed=1, folder=tmp_path)
    fresh, other = network(), network()
    fit(fresh, examples(), recipe(), seed=2)
    fit(other, examples(), recipe(), seed=2, folder=tmp_path)
    assert weights_sha256(other) == weights_sha256(fresh)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_checkpoint_starts_anew(tmp_path: Path, damage: bytes | None) -> None:
    fit(network(), examples(), recipe(epochs=2), seed=1, folder=tmp_path)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    fresh, other = network(), network()
    fit(fresh, examples(), recipe(epochs=2), seed=1)
    fit(other, examples(), recipe(epochs=2), seed=1, folder=tmp_path)
    assert weights_sha256(other) == weights_sha256(fresh)


@pytest.mark.promise(
    "Checkpoints and weights of studies are arrays without pickle; published torch files are "
    "opened in a child process with `weights_only`",
    asvs="1.5.2",
    threats="T12",
)
def test_a_checkpoint_holds_nothing_that_could_execute(tmp_path: Path) -> None:
    fit(network(), examples(), recipe(epochs=1), seed=1, folder=tmp_path)
    with np.load(tmp_path / checkpoint.FILE, allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def test_early_stopping_ends_with_the_best_weights() -> None:
    """Watched labels are wrong on purpose: the better it learns, the worse it is watched."""
    watched = examples(20, seed=4)
    wrong = Examples(watched.images, ~watched.positive)
    net = network()
    trained = fit(net, examples(), recipe(epochs=12, early_stopping=2), seed=1, validation=wrong)
    losses = [one.validation_loss for one in trained.log]
    assert trained.stopped == "early stopping"
    assert len(losses) < 12
    best = min(one for one in losses if one is not None)
    assert trained.best_epoch == losses.index(best) + 1
    assert evaluate(net, wrong, recipe())[0] == pytest.approx(best, abs=1e-5)


def test_a_time_limit_ends_at_an_end_of_an_epoch() -> None:
    trained = fit(network(), examples(), recipe(epochs=500, minutes=1e-6), seed=1)
    assert (trained.stopped, len(trained.log)) == ("time limit", 1)


class Recorder(nn.Module):
    """Keeps the images and answers with grades that depend on nothing but a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.grade = nn.Parameter(torch.zeros(1, 21))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.grade.expand(len(x), 21) + 0 * x.mean()


def test_a_mirrored_image_has_its_grades_exchanged() -> None:
    """All mirrored: the net learns the right caudate's grade for the left one, and so on."""
    grades = torch.tensor([[0, 1, 2, 3]]).repeat(16, 1)
    shown = Examples(torch.rand(16, 1, 8, 8), torch.arange(16) % 2 == 0, grades)
    net = Recorder()
    plan = recipe(epochs=60, learning_rate=0.2, optimiser="adam", weight_decay=0.0, grade_weight=1.0)
    fit(net, shown, plan, seed=1, augment=parse([{"kind": "flip", "chance": 1.0}]))
    assert net.grade[0, 1:].reshape(4, 5).argmax(1).tolist() == [1, 0, 3, 2]


def test_an_unknown_grade_teaches_nothing() -> None:
    shown = Examples(torch.rand(8, 1, 8, 8), torch.arange(8) % 2 == 0, torch.full((8, 4), NO_GRADE))
    net = Recorder()
    fit(net, shown, recipe(optimiser="adam", weight_decay=0.0, grade_weight=1.0), seed=1)
    assert not net.grade[0, 1:].any()


def test_answers_are_the_same_in_any_batch() -> None:
    net = network().eval()
    images = examples().images
    torch.testing.assert_close(logit_of(answers(net, images, batch=7)), logit_of(answers(net, images)))


def test_bf16_learns_too() -> None:
    net = network()
    fit(net, examples(), recipe(epochs=10, precision="bf16"), seed=1)
    assert evaluate(net, examples(seed=5), recipe())[1] == 1.0
    assert all(one.dtype == torch.float32 for one in net.parameters())


SHARED = """
import sys
sys.path.insert(0, sys.argv[1])
import test_fit, torch
from torch import nn
from dopascope.learn.fit import fabric
torch.set_num_threads(1)
torch.manual_seed(1)
net = nn.Sequential(nn.Flatten(), nn.Linear(24 * 27, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
on = fabric(devices=int(sys.argv[2]))
plan = test_fit.recipe(epochs=5, batch=10, imbalance="loss", learning_rate=1e-3)
trained = test_fit.fit(net, test_fit.examples(45), plan, seed=3, augment=test_fit.parse([{"kind": "pose"}]), on=on)
if on.is_global_zero:
    print(" ".join(str(one.train_loss) for one in trained.log))
if torch.distributed.is_initialized():  # who leaves first would make the other one abort
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_lose_as_one() -> None:
    """Without batch statistics, and with a last batch that two cannot share evenly."""

    def losses(processes: int) -> list[float]:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--no-python"]
        starter = [sys.executable, *(launch if processes > 1 else []), *([sys.executable] if processes > 1 else [])]
        told = subprocess.run(
            [*starter, "-c", SHARED, str(Path(__file__).parent), str(processes)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert told.returncode == 0, told.stderr[-2000:]
        return [float(one) for one in told.stdout.split()]

    one, two = losses(1), losses(2)
    assert len(one) == 5
    assert one == pytest.approx(two, abs=1e-4)
