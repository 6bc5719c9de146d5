"""The editor that ships: nothing asked changes nothing, ratios move as asked, and what is asked has a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dopascope import phantom, space
from dopascope.bundle import Bundle, store
from dopascope.bundle.editor import PUTAMEN, check_asked, difference_to, edit, editor, normal_at, rule_of, wanted_ratios
from dopascope.errors import UsageError
from dopascope.space.intensity import reference_value
from dopascope.space.slab_ratios import slab_ratios
from dopascope.space.views import slab_12mm

LOW = np.array([1.2, 1.6, 0.4, 0.8])
"""Ratios of somebody whose left putamen is the lower one."""
NORMAL = np.array([3.0, 3.0, 2.4, 2.4])


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return editor()


@pytest.fixture(scope="module")
def slab(shipped: Bundle) -> NDArray[np.float32]:
    scan, _ = phantom.example(seed=2, group="pd")
    placed = space.normalise(scan, space.register(scan))
    return np.asarray(slab_12mm(placed) / reference_value(placed, shipped.spec.input.intensity), np.float32)


def test_nothing_asked_is_nothing_changed(shipped: Bundle, slab: NDArray[np.float32]) -> None:
    present = slab_ratios(slab[None])
    assert not shipped.differences(slab[None], present, present).any()
    same = edit(shipped, slab, present[0], None)
    assert not same.difference.any()
    assert same.held == ()


def test_the_lower_putamen_moves_with_what_is_asked(shipped: Bundle, slab: NDArray[np.float32]) -> None:
    rule = rule_of(shipped)
    place = min(PUTAMEN, key=lambda one: slab_ratios(slab[None])[0][one])
    asked = np.linspace(max(rule.values[one].low for one in PUTAMEN), min(rule.values[one].high for one in PUTAMEN), 7)
    found = np.array([edit(shipped, slab, normal_at(rule, 70), float(one)).found[place] for one in asked])
    assert (np.diff(found) > 0).all()
    assert np.polyfit(asked, found, 1)[0] == pytest.approx(1.0, abs=0.1)


def test_to_the_normal_and_back_is_close_to_the_start(shipped: Bundle, slab: NDArray[np.float32]) -> None:
    there = edit(shipped, slab, normal_at(rule_of(shipped), 70), None)
    changed = slab + there.difference
    back = changed + difference_to(shipped, changed, there.present)
    assert np.abs(back - slab).mean() < 0.35 * np.abs(there.difference).mean()


def test_only_the_seen_part_changes_and_what_is_read_off_is_true(shipped: Bundle, slab: NDArray[np.float32]) -> None:
    made = edit(shipped, slab, normal_at(rule_of(shipped), 70), None)
    outside = np.ones(slab.shape, bool)
    outside[tuple(slice(*ends) for ends in shipped.spec.input.crop)] = False
    assert not made.difference[outside].any()
    np.testing.assert_allclose(made.found, slab_ratios((slab + made.difference)[None])[0])


@pytest.mark.parametrize("asked", [0.2, 0.4, 1.0, 2.4, 3.0])
def test_the_lower_putamen_is_asked_to_have_the_ratio(asked: float) -> None:
    assert wanted_ratios(LOW, NORMAL, asked)[2] == pytest.approx(asked)


def test_the_others_go_along() -> None:
    assert wanted_ratios(LOW, NORMAL, None) is NORMAL
    np.testing.assert_allclose(wanted_ratios(LOW, NORMAL, 2.4), NORMAL)
    np.testing.assert_allclose(wanted_ratios(LOW, NORMAL, 1.4), (LOW + NORMAL) / 2)  # half of the way there
    np.testing.assert_allclose(wanted_ratios(LOW, NORMAL, 0.2), LOW / 2)  # the pattern stays
    np.testing.assert_allclose(wanted_ratios(LOW, NORMAL, 4.8), 2 * NORMAL)
    above = NORMAL + 1
    np.testing.assert_allclose(wanted_ratios(above, NORMAL, 1.7), above / 2)
    np.testing.assert_allclose(wanted_ratios(above, NORMAL, 6.8), 2 * above)
    assert wanted_ratios(np.array([1.0, 1, -0.2, 0.5]), NORMAL, 0.5)[2] == pytest.approx(0.5)


def test_what_was_not_learned_is_refused_or_held(shipped: Bundle, slab: NDArray[np.float32]) -> None:
    for ratio in (-1.0, 40.0, float("nan")):
        with pytest.raises(UsageError, match="has not learned") as caught:
            check_asked(shipped, ratio)
        assert "normal, or" in str(caught.value.expected)
    far = edit(shipped, slab, np.full(4, 40.0), None)
    assert len(far.held) == 4
    np.testing.assert_allclose(far.wanted, [one.high for one in rule_of(shipped).values])


def test_another_kind_of_bundle_is_refused(slab: NDArray[np.float32]) -> None:
    with pytest.raises(UsageError, match="does not change ratios") as caught:
        editor(store.SHIPPED_READER)
    assert caught.value.found == "classifier"
    with pytest.raises(UsageError, match="does not change pictures"):
        store.load(store.SHIPPED_READER).differences(slab[None], LOW[None], LOW[None])
    with pytest.raises(UsageError, match="does not classify"):
        editor().require_classifier()
