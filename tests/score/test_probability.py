"""Probabilities, their calibration and its maps, against scikit-learn, statsmodels and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score import (
    adaptive_ece,
    auroc,
    average_precision,
    brier,
    calibration_slope,
    chance_ece,
    fit_calibration,
    fit_conformal,
    log_loss,
    net_benefit,
    precision_recall_curve,
    roc_curve,
)

FORECASTS = st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({truth for _, truth in rows}) == 2
)
METHODS = ("temperature", "platt", "beta")


def forecasts(n: int, seed: int, sharpness: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts whose logit is `sharpness` times the right one plus `shift`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=n)
    truth = rng.random(n) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-(sharpness * logits + shift))), truth


@given(FORECASTS)
def test_losses_and_curves_are_those_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    p, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assert log_loss(p, truth) == pytest.approx(metrics.log_loss(truth, p))
    assert brier(p, truth) == pytest.approx(metrics.brier_score_loss(truth, p))
    assert average_precision(p, truth) == pytest.approx(metrics.average_precision_score(truth, p))
    fpr, tpr, threshold = metrics.roc_curve(truth, p, drop_intermediate=False)
    curve = roc_curve(p, truth)
    assert np.allclose([curve.x, curve.y], [fpr, tpr])
    assert np.array_equal(curve.threshold, threshold)
    assert float(np.trapezoid(curve.y, curve.x)) == pytest.approx(auroc(p, truth))
    precision, recall, _ = metrics.precision_recall_curve(truth, p)
    found = precision_recall_curve(p, truth)
    assert np.allclose([found.x[::-1], found.y[::-1]], [recall[:-1], precision[:-1]])


def test_net_benefit_is_its_definition_and_of_treating_all_what_vickers_says() -> None:
    p, truth = forecasts(300, 1)
    at = np.array([0.05, 0.2, 0.5])
    for t, found in zip(at, net_benefit(p, truth, at), strict=True):
        acted = p >= t
        assert found == pytest.approx(((acted & truth).sum() - (acted & ~truth).sum() * t / (1 - t)) / 300)
    everybody = net_benefit(np.ones(300), truth, at)
    assert everybody == pytest.approx(truth.mean() - (1 - truth.mean()) * at / (1 - at))


def test_slope_and_intercept_are_those_of_statsmodels() -> None:
    p, truth = forecasts(400, 2, sharpness=1.7, shift=0.4)
    logits = np.log(p / (1 - p))
    oracle = sm.Logit(truth.astype(float), sm.add_constant(logits)).fit(disp=0)
    found = calibration_slope(p, truth)
    assert found.slope == pytest.approx(oracle.params[1], rel=1e-5)
    assert found.slope_interval == pytest.approx(oracle.conf_int()[1], rel=1e-4)
    alone = sm.GLM(truth.astype(float), np.ones(400), family=sm.families.Binomial(), offset=logits).fit()
    assert found.intercept == pytest.approx(alone.params[0], rel=1e-5)
    assert found.intercept_interval == pytest.approx(alone.conf_int()[0], rel=1e-4)


def test_right_forecasts_have_slope_one_and_no_more_ece_than_chance() -> None:
    p, truth = forecasts(4000, 3)
    found = calibration_slope(p, truth)
    assert found.slope_interval[0] <= 1 <= found.slope_interval[1]
    assert found.intercept_interval[0] <= 0 <= found.intercept_interval[1]
    assert adaptive_ece(p, truth) <= 2 * chance_ece(p)
    assert adaptive_ece(*forecasts(4000, 3, sharpness=3.0)) > 4 * chance_ece(p)


def test_the_chance_value_of_certain_forecasts_is_their_distance_from_a_single_class() -> None:
    assert chance_ece([1e-7] * 40) == pytest.approx(1e-7)  # nearly every draw holds one class alone


def test_adaptive_ece_by_hand_and_whatever_the_order_of_rows() -> None:
    p, truth = np.array([0.1, 0.3, 0.6, 1.0]), np.array([False, True, True, True])
    assert adaptive_ece(p, truth, bins=2) == pytest.approx((2 * abs(0.2 - 0.5) + 2 * abs(0.8 - 1)) / 4)
    tied = np.full(6, 0.5)
    found = {adaptive_ece(tied, np.roll([True, True, True, False, False, False], k), bins=3) for k in range(6)}
    assert len(found) == 1


@pytest.mark.parametrize("rows", [([0.1, 0.2], [False, True]), ([0.5] * 6, [True, False] * 3)])
def test_no_slope_is_made_up_where_none_exists(rows: tuple[list[float], list[bool]]) -> None:
    with pytest.raises(UnsuitableError, match="No logistic line"):
        calibration_slope(*rows)


@pytest.mark.parametrize("method", METHODS)
def test_calibration_mends_forecasts_that_are_too_sharp(method: str) -> None:
    fitted = fit_calibration(method, *forecasts(3000, 4, sharpness=2.5))
    p, truth = forecasts(3000, 5, sharpness=2.5)
    slope = calibration_slope(fitted(p), truth)
    assert slope.slope == pytest.approx(1, abs=0.15)
    assert calibration_slope(p, truth).slope < 0.6
    assert log_loss(fitted(p), truth) < log_loss(p, truth)
    assert auroc(fitted(p), truth) == pytest.approx(auroc(p, truth))
    ends = fitted([0.0, 1.0])
    assert 0 <= ends[0] < ends[1] <= 1


def test_platt_and_beta_mend_a_shift_that_temperature_cannot() -> None:
    fits = {method: fit_calibration(method, *forecasts(3000, 6, shift=1.5)) for method in METHODS}
    p, truth = forecasts(3000, 7, shift=1.5)
    loss = {method: log_loss(fitted(p), truth) for method, fitted in fits.items()}
    assert loss["platt"] < loss["temperature"] - 0.02
    assert loss["beta"] == pytest.approx(loss["platt"], abs=0.005)


def test_platt_is_a_logistic_regression_on_his_targets() -> None:
    p, truth = forecasts(200, 8, sharpness=0.5)
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    oracle = sm.GLM(target, sm.add_constant(np.log(p / (1 - p))), family=sm.families.Binomial()).fit()
    found = fit_calibration("platt", p, truth)
    assert (found.c, found.a) == pytest.approx(tuple(oracle.params), abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_calibration_of_separated_classes_is_finite_and_of_upside_down_ones_refused(method: str) -> None:
    p, truth = np.array([0.2, 0.3, 0.7, 0.8]), np.array([False, False, True, True])
    assert np.isfinite(fit_calibration(method, p, truth)(p)).all()
    with pytest.raises(UnsuitableError, match="do not rise"):
        fit_calibration(method, 1 - p, truth)


def test_conformal_limits_rule_out_the_truth_as_rarely_as_promised() -> None:
    missed = {True: 0.0, False: 0.0}
    for seed in range(60):
        fitted = fit_conformal(*forecasts(200, 100 + seed), alpha=0.1)
        p, truth = forecasts(500, 900 + seed)
        no, yes = fitted.possible(p).T
        missed[True] += float((~yes[truth]).mean()) / 60
        missed[False] += float((~no[~truth]).mean()) / 60
    assert missed[True] == pytest.approx(0.1, abs=0.02)
    assert missed[False] == pytest.approx(0.1, abs=0.02)


def test_conformal_limits_by_hand_and_verdicts_in_three_ways() -> None:
    p = np.arange(1, 20) / 20
    truth = np.arange(19) >= 10  # nine positives .55 to .95, ten negatives .05 to .5
    fitted = fit_conformal(np.concatenate([p, [0.9]]), np.concatenate([truth, [False]]), alpha=0.2)
    assert fitted.positive_from == pytest.approx(0.6)
    assert fitted.negative_to == pytest.approx(0.5)
    assert fitted.verdicts([0.1, 0.55, 0.7]) == ["negative", "uncertain", "positive"]
    with pytest.raises(UnsuitableError, match="19 at least"):
        fit_conformal(p, truth, alpha=0.05)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(UsageError, match="no probabilities"):
        log_loss([0.5, 1.2], [True, False])
    with pytest.raises(UsageError, match="no such calibration"):
        fit_calibration("isotonic", [0.5, 0.2], [True, False])
