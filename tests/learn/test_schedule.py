"""Learning rates against torch's own schedulers, and the order of an epoch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UsageError
from dopascope.learn.recipe import Recipe
from dopascope.learn.sampling import loss_weights, order, seed_of
from dopascope.learn.schedule import rate, stop_early


def recipe(**changes: object) -> Recipe:
    return Recipe(**({"epochs": 30, "batch": 8, "learning_rate": 1e-2} | changes))  # type: ignore[arg-type]


def torchs(scheduler: str, losses: list[float], **options: object) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2)
    made = getattr(torch.optim.lr_scheduler, scheduler)(optimiser, **options)
    rates = []
    for loss in losses:
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        made.step(*([loss] if scheduler == "ReduceLROnPlateau" else []))
    return rates


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=40), st.integers(1, 4))
def test_plateau_is_torchs(losses: list[float], patience: int) -> None:
    expected = torchs("ReduceLROnPlateau", losses, factor=0.3, patience=patience, threshold=0.0, eps=0.0)
    plan = recipe(schedule="plateau", factor=0.3, every=patience)
    assert [rate(plan, losses[:epoch]) for epoch in range(len(losses))] == pytest.approx(expected)


def test_steps_are_torchs() -> None:
    expected = torchs("StepLR", [0.0] * 30, step_size=7, gamma=0.5)
    plan = recipe(schedule="step", factor=0.5, every=7)
    assert [rate(plan, [0.0] * epoch) for epoch in range(30)] == pytest.approx(expected)


def test_cosine_is_torchs_and_ends_at_the_floor() -> None:
    plan = recipe(schedule="cosine", floor=1e-4)
    expected = torchs("CosineAnnealingLR", [0.0] * 30, T_max=29, eta_min=1e-4)
    found = [rate(plan, [0.0] * epoch) for epoch in range(30)]
    assert found == pytest.approx(expected)
    assert found[-1] == pytest.approx(1e-4)


def test_s3_goes_from_a_thousandth_to_a_millionth() -> None:
    plan = Recipe(epochs=500, batch=16, learning_rate=1e-3, schedule="step", factor=0.5, every=50, floor=1e-6)
    rates = [rate(plan, [0.0] * epoch) for epoch in range(500)]
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-3 * 2**-9)
    assert rate(plan, [0.0] * 500) == 1e-6


def test_early_stopping_counts_from_the_best() -> None:
    plan = recipe(early_stopping=3)
    losses = [5.0, 4.0, 3.0, 3.5, 3.1, 3.0]
    assert [stop_early(plan, losses[:n]) for n in range(len(losses) + 1)] == [False] * 6 + [True]
    assert not stop_early(recipe(), [1.0] * 100)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 70), st.integers(2, 20), st.integers(0, 5))
def test_every_scan_comes_once_an_epoch(count: int, batch: int, epoch: int) -> None:
    truth = torch.arange(count) % 3 == 0
    batches = order(truth, recipe(batch=batch), 1, epoch)
    assert sorted(torch.cat(batches).tolist()) == list(range(count))
    assert all(len(one) > 1 for one in batches)
    assert all(len(one) <= batch + 1 for one in batches)


def test_another_epoch_has_another_order_and_the_same_epoch_the_same() -> None:
    truth = torch.zeros(50, dtype=torch.bool)
    one, same, other = (torch.cat(order(truth, recipe(), 1, epoch)).tolist() for epoch in (3, 3, 4))
    assert one == same != other


def test_the_sampler_shows_both_classes_equally_often() -> None:
    truth = torch.arange(100) < 10
    plan = recipe(imbalance="sampler")
    drawn = torch.cat([torch.cat(order(truth, plan, 1, epoch)) for epoch in range(60)])
    assert float(truth[drawn].float().mean()) == pytest.approx(0.5, abs=0.02)


def test_loss_weights_balance_and_average_to_one() -> None:
    truth = torch.arange(100) < 20
    weights = loss_weights(truth, recipe(imbalance="loss"))
    assert float(weights.mean()) == pytest.approx(1.0)
    assert float(weights[truth].sum()) == pytest.approx(float(weights[~truth].sum()))
    leaning = loss_weights(truth, recipe(imbalance="loss", positive_weight=4.0))
    assert float(leaning[truth].sum() / leaning[~truth].sum()) == pytest.approx(4.0)
    assert torch.equal(loss_weights(truth, recipe()), torch.ones(100))


@pytest.mark.parametrize(("imbalance", "expected"), [("none", 0.8), ("loss", 0.5), ("sampler", 0.5), ("both", 0.2)])
def test_both_balancings_turn_the_imbalance_round(imbalance: str, expected: float) -> None:
    """What is printed as effective prior is what sampler and weights together do."""
    plan = recipe(imbalance=imbalance)
    assert plan.effective_prior(0.8) == pytest.approx(expected)
    truth = torch.arange(200) < 160
    weights = loss_weights(truth, plan)
    drawn = torch.cat([torch.cat(order(truth, plan, 1, epoch)) for epoch in range(100)])
    mass = weights[drawn]
    assert float(mass[truth[drawn]].sum() / mass.sum()) == pytest.approx(expected, abs=0.01)


def test_seeds_of_batches_do_not_meet() -> None:
    seeds = {seed_of(seed, epoch, batch) for seed in range(4) for epoch in range(40) for batch in range(40)}
    assert len(seeds) == 4 * 40 * 40
    assert all(0 <= one < 2**63 for one in seeds)


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch", 0), ("learning_rate", -1.0), ("factor", 0.0), ("every", 0), ("positive_weight", 0.0)],
)
def test_impossible_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(UsageError) as caught:
        recipe(**{field: value})
    assert caught.value.where == f"training.{field}"
    assert math.isfinite(float(caught.value.found))
