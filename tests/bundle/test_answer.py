from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from dopascope.bundle import answer
from dopascope.bundle.spec import Calibration, Group, OutputSpec, VoteRule

NEEDED = {"acc": 3, "sens": 2, "spec": 4}
THREE = VoteRule(
    groups={name: Group(threshold=0.5, votes_needed=needed) for name, needed in NEEDED.items()},
    decides="acc",
    agree=["sens", "spec"],
    probability="acc",
    source="doi 10.1007/s00259-023-06566-w",
)


@pytest.mark.parametrize("counts", list(product(range(6), repeat=3)))
def test_the_published_rule_for_every_count_of_votes(counts: tuple[int, int, int]) -> None:
    votes = {name: answer.Vote(count, 5, NEEDED[name]) for name, count in zip(NEEDED, counts, strict=True)}
    acc, sens, spec = counts
    modules_agree = (sens >= 2) == (spec >= 4)
    assert answer.verdict_of(votes, 0.5, THREE) == (("normal", "reduced")[acc >= 3] if modules_agree else "uncertain")


def test_a_network_votes_above_the_threshold_not_at_it() -> None:
    group = Group(threshold=0.5, votes_needed=3)
    assert answer.vote(np.array([0.5, 0.5, 0.51, 0.9, 0.1]), group).reduced == 2
    said = answer.vote(np.array([0.51, 0.6, 0.7, 0.1, 0.2]), group)
    assert said.verdict == "reduced"
    assert str(said) == "3 of 5 reduced (3 needed): reduced"


@pytest.mark.parametrize("p", [0.0, 1e-12, 0.2, 0.5, 0.999999, 1.0])
def test_probabilities_and_logits_give_the_same_answer(p: float) -> None:
    output = OutputSpec(role="probability", shape=[1], meaning="x")
    logits = answer.logits_of(np.array([p]), output)
    assert np.isfinite(logits).all()
    assert answer.sigmoid(logits)[0] == pytest.approx(p, abs=1e-12)


def test_grades_are_the_mean_over_networks_of_the_softmax() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 3, (5, 4, 5))
    expected = np.mean([np.exp(one) / np.exp(one).sum(-1, keepdims=True) for one in raw], axis=0)
    np.testing.assert_allclose(answer.grade_probabilities(raw), expected, rtol=1e-12)
    # Logits beyond float range do not overflow.
    assert answer.softmax(np.array([1e4, 0.0]))[0] == pytest.approx(1.0)


def test_calibration_is_logistic_on_the_logit() -> None:
    same = Calibration(method="logistic", slope=1.0, intercept=0.0, scans=1, data="x")
    assert answer.calibrated(0.3, same) == pytest.approx(0.3)
    assert answer.calibrated(0.3, None) == 0.3
    flat = Calibration(method="logistic", slope=0.0, intercept=np.log(4.0), scans=1, data="x")
    assert answer.calibrated(0.01, flat) == pytest.approx(0.8)
    half = Calibration(method="logistic", slope=0.5, intercept=0.0, scans=1, data="x")
    assert answer.calibrated(0.8, half) == pytest.approx(2 / 3)
    assert 0 < answer.calibrated(0.0, half) < answer.calibrated(1.0, half) < 1


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.39, "normal"), (0.4, "uncertain"), (0.69, "uncertain"), (0.7, "reduced")]
)
def test_an_uncertain_range_decides_by_the_probability(p: float, verdict: str) -> None:
    rule = VoteRule(
        groups={"scan": Group(threshold=0.5, votes_needed=1)},
        decides="scan",
        probability="scan",
        uncertain_between=(0.4, 0.7),
        source="a test",
    )
    for reduced in (0, 1):
        assert answer.verdict_of({"scan": answer.Vote(reduced, 1, 1)}, p, rule) == verdict


@pytest.mark.parametrize(
    "changes", [{"uncertain_between": (0.7, 0.4)}, {"uncertain_between": (0.4, 0.7), "agree": ["acc"]}]
)
def test_an_uncertain_range_that_cannot_be_meant(changes: dict[str, object]) -> None:
    known = {"groups": {"acc": Group(threshold=0.5, votes_needed=1)}, "decides": "acc", "probability": "acc"}
    with pytest.raises(ValidationError, match="uncertain_between"):
        VoteRule(**known, source="a test", **changes)
