"""From logits to one answer: stacks, calibration, the third answer, and that nothing sees what it answers for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from dopascope import score
from dopascope.errors import UsageError
from dopascope.study.answer import fit_answer, p_of, without_inner
from dopascope.study.plan import Answer, parse
from small_plan import SMALL

NAMES = ["good", "noise", "sharp", "soft"]


def made(count: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of a good member that is twice too sure, of noise, and of two that lean; truth; inner folds."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, count)
    positive = rng.random(count) < expit(true)
    columns = [2 * true, rng.normal(0, 2, count), true + 1.5, true - 1.5]
    return np.stack(columns, 1), positive, np.arange(count) % 4 + 1


def test_a_stack_listens_to_who_knows_and_corrects_how_sure_he_is() -> None:
    logits, positive, inner = made(4000)
    found = fit_answer(Answer(combine="stack"), NAMES[:2], logits[:, :2], positive, inner)
    assert found.weights[0] == pytest.approx(0.5, abs=0.1)
    assert abs(found.weights[1]) < 0.05
    fresh, truth, _ = made(4000, seed=2)
    slope = score.calibration_slope(found.p(fresh[:, :2]), truth)
    assert slope.slope_interval[0] < 1 < slope.slope_interval[1]


@pytest.mark.parametrize("method", ["temperature", "platt", "beta"])
def test_calibration_mends_a_mean_that_is_too_sure(method: str) -> None:
    logits, positive, inner = made(4000)
    how = Answer(combine="mean", calibration=method)  # type: ignore[arg-type]
    found = fit_answer(how, NAMES[:1], logits[:, :1], positive, inner)
    fresh, truth, _ = made(4000, seed=2)
    bare = score.log_loss(p_of(fresh[:, 0]), truth)
    assert score.log_loss(found.p(fresh[:, :1]), truth) < bare
    assert found.as_dict(NAMES[:1])["calibration"]["method"] == method


def test_the_share_that_was_asked_for_is_uncertain() -> None:
    logits, positive, inner = made(2000)
    found = fit_answer(Answer(combine="stack", uncertain=0.1), NAMES[:2], logits[:, :2], positive, inner)
    fresh, _, _ = made(4000, seed=3)
    p = found.p(fresh[:, :2])
    said = np.array(found.verdicts(p, fresh[:, :2]))
    assert (said == "uncertain").mean() == pytest.approx(0.1, abs=0.02)
    assert logit(found.low) == pytest.approx(-logit(found.high))
    assert set(said[p > found.high]) == {"reduced"}


def test_conformal_limits_hold_on_new_scans() -> None:
    logits, positive, inner = made(2000)
    found = fit_answer(Answer(combine="stack", alpha=0.1), NAMES[:2], logits[:, :2], positive, inner)
    fresh, truth, _ = made(6000, seed=4)
    assert found.conformal is not None
    possible = found.conformal.possible(found.p(fresh[:, :2]))
    for label in (0, 1):
        assert possible[truth == bool(label), label].mean() == pytest.approx(0.9, abs=0.03)


def test_too_few_scans_for_a_limit_are_a_reason_and_no_error() -> None:
    logits, positive, inner = made(24)
    found = fit_answer(Answer(combine="mean", alpha=0.01), NAMES[:1], logits[:, :1], positive, inner)
    assert found.conformal is None
    assert "Too few scans" in str(found.reason)


def test_members_that_lean_flag_what_lies_between_them_and_give_no_probability() -> None:
    how = Answer(sensitive=["sharp"], specific=["soft"])
    logits, positive, inner = made()
    for found in (fit_answer(how, NAMES, logits, positive, inner), without_inner(how, NAMES)):
        assert found.weights[2:].tolist() == [0, 0]
        said = np.array(found.verdicts(found.p(logits), logits))
        between = np.abs(logits[:, 0] / 2) < 1.5
        np.testing.assert_array_equal(said == "uncertain", between)


def test_rows_in_any_order_give_the_same_numbers() -> None:
    logits, positive, inner = made()
    how = Answer(combine="stack", calibration="platt", uncertain=0.05)
    one = fit_answer(how, NAMES, logits, positive, inner)
    turned = np.random.default_rng(1).permutation(len(positive))
    other = fit_answer(how, NAMES, logits[turned], positive[turned], inner[turned])
    np.testing.assert_allclose(other.p(logits), one.p(logits), rtol=1e-9)
    assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_one_loud_member_does_not_outshout_the_others() -> None:
    logits = np.array([[1000.0, -3.0, -3.0]])
    found = without_inner(Answer(), ["a", "b", "c"])
    assert found.p(logits)[0] == pytest.approx(expit((10 - 3 - 3) / 3))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("sensitive = ['slab']", "go together"),
        ("sensitive = ['a']\nspecific = ['a']", "cannot be both"),
        ("sensitive = ['a']\nspecific = ['b']", "no member"),
        ("sensitive = ['a']\nspecific = ['b']\nuncertain = 0.1", "either uncertain"),
    ],
)
def test_answers_that_cannot_be_meant(answer: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(SMALL + f"[answer]\n{answer}\n", where="p")
    assert expected in caught.value.expected
