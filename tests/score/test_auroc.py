"""AUROC against its definition, and an interval that counts people and not scans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dopascope.errors import UsageError
from dopascope.score import auroc, auroc_of_people

LABELLED = st.lists(
    st.tuples(st.integers(-5, 5).map(lambda n: n + 0.5), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: len({truth for _, truth in rows}) == 2)


def by_pairs(scores: np.ndarray, truth: np.ndarray) -> float:
    difference = scores[truth][:, None] - scores[~truth][None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


@given(LABELLED)
def test_it_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    assert auroc(scores, truth) == pytest.approx(by_pairs(scores, truth))
    assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    assert auroc(-scores, truth) == pytest.approx(1 - by_pairs(scores, truth))
    assert auroc(np.exp(scores), truth) == auroc(scores, truth)


@pytest.mark.parametrize(
    ("scores", "truth", "found"),
    [([1, 2], [True, True], "2 positive, 0 negative"), ([1, np.nan], [True, False], "1 not finite")],
)
def test_what_cannot_be_ranked_is_refused(scores: list[float], truth: list[bool], found: str) -> None:
    with pytest.raises(UsageError) as caught:
        auroc(scores, truth)
    assert found in caught.value.found


def test_four_scans_a_person_do_not_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(60) < 30
    scores = rng.normal(size=60) + truth
    people = [f"p{k}" for k in range(60)]
    single = auroc_of_people(scores, truth, people)
    again = auroc_of_people(np.repeat(scores, 4), np.repeat(truth, 4), [p for p in people for _ in range(4)])
    assert again.value == pytest.approx(single.value)
    assert again.high - again.low == pytest.approx(single.high - single.low, rel=0.05)
    as_if_independent = auroc_of_people(np.repeat(scores, 4), np.repeat(truth, 4), [f"s{k}" for k in range(240)])
    assert as_if_independent.high - as_if_independent.low < 0.6 * (again.high - again.low)
    assert (single.n, single.people, again.n, again.people) == (60, 60, 240, 60)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Two normals one apart: AUROC = Phi(1 / sqrt 2) = .760. Of 100 intervals of 95 %, 88 to 100 are expected."""
    rng = np.random.default_rng(4)
    truth = np.arange(80) < 40
    held = 0
    for _ in range(100):
        found = auroc_of_people(rng.normal(size=80) + truth, truth, [str(k) for k in range(80)], draws=300)
        held += found.low <= 0.7602 <= found.high
    assert 88 <= held <= 100


def test_an_area_of_hard_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="balanced accuracy"):
        auroc([0, 1, 1, 0], [False, True, False, True])
    with pytest.raises(UsageError, match="balanced accuracy"):
        auroc_of_people([0, 1, 1, 0], [False, True, False, True], "abcd")


def test_neither_the_order_of_rows_nor_more_scans_of_somebody_change_the_interval() -> None:
    rng = np.random.default_rng(5)
    truth = np.arange(60) % 2 == 0
    scores, people = rng.normal(size=60) + truth, [f"p{n}" for n in range(60)]
    order = rng.permutation(60)
    one = auroc_of_people(scores, truth, people, draws=200)
    other = auroc_of_people(scores[order], truth[order], [people[n] for n in order], draws=200)
    assert (one.low, one.high, one.value) == pytest.approx((other.low, other.high, other.value))
    twice = auroc_of_people(np.tile(scores, 2), np.tile(truth, 2), people * 2, draws=200)
    assert (twice.low, twice.high) == pytest.approx((one.low, one.high))
    assert (twice.n, twice.people) == (120, 60)
