"""Counts and their figures against scikit-learn, exact intervals against statsmodels and their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from dopascope.errors import UsageError
from dopascope.score import Confusion, class_report, exact_interval

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(ANSWERS)
def test_figures_are_those_of_scikit_learn(rows: list[tuple[bool, bool]]) -> None:
    said, truth = np.array(rows).T
    found = Confusion.of(said, truth)
    assert (found.tn, found.fp, found.fn, found.tp) == tuple(
        metrics.confusion_matrix(truth, said, labels=[False, True]).ravel()
    )
    oracle = {
        "accuracy": metrics.accuracy_score(truth, said),
        "sensitivity": metrics.recall_score(truth, said, zero_division=np.nan),
        "specificity": metrics.recall_score(~truth, ~said, zero_division=np.nan),
        "precision": metrics.precision_score(truth, said, zero_division=np.nan),
        "negative_precision": metrics.precision_score(~truth, ~said, zero_division=np.nan),
        "f1": metrics.f1_score(truth, said, zero_division=np.nan),
        "jaccard": metrics.jaccard_score(truth, said) if (truth | said).any() else np.nan,
    }
    figures = found.figures()
    for name, value in oracle.items():
        assert figures[name] == pytest.approx(value) if np.isfinite(value) else figures[name] is None, name
    if figures["mcc"] is not None:
        assert figures["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, said))
    if len(set(truth.tolist())) == 2:
        assert figures["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, said))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_exact_intervals_are_those_of_statsmodels(share: tuple[int, int]) -> None:
    k, n = share
    assert exact_interval(k, n) == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-9)


def test_an_exact_interval_holds_its_level_for_every_true_share() -> None:
    n = 25
    ends = np.array([exact_interval(k, n) for k in range(n + 1)])
    for share in np.linspace(0.01, 0.99, 50):
        holds = (ends[:, 0] <= share) & (share <= ends[:, 1])
        assert binom.pmf(np.arange(n + 1)[holds], n, share).sum() >= 0.95


def test_a_share_that_cannot_be_is_refused() -> None:
    for k, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(UsageError):
            exact_interval(k, n)


def test_the_report_of_three_classes_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth, said = (rng.choice(["ET", "PD", "control"], 90) for _ in range(2))
    oracle = metrics.classification_report(truth, said, output_dict=True)
    for one in class_report(list(said), list(truth)):
        expected = oracle[one.label]
        assert (one.counts.precision, one.counts.sensitivity, one.counts.f1, one.n) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"], expected["support"])
        )
    with pytest.raises(UsageError):
        class_report(["PD"], ["PD", "ET"])
