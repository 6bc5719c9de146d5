"""The binding-ratio rule: verdicts by interval, probability by distance, thresholds that can be set again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant import Quantification, Region, method_id
from dopascope.quant.rule import Provenance, Rule, Threshold, classify, fit_rule, shipped_rule
from dopascope.quant.voi import REFERENCES
from dopascope.reading.schema import ReaderResult

PROVENANCE = Provenance(population="made by hand", healthy=1, disease=1, seeds="none", cameras="none", how="by hand")


@pytest.fixture(scope="module")
def rule_text():
    return made_rule().model_dump_json()


@pytest.fixture
def rule():
    return made_rule()


def made_rule():
    curves = {
        "putamen": Threshold(threshold=1.2, width=0.1, healthy_below=0.0, disease_above=0.0),
        "caudate": Threshold(threshold=1.5, width=0.2, healthy_below=0.0, disease_above=0.0),
    }
    return Rule(method_id=method_id(), provenance=PROVENANCE, **curves)


def measured(putamen, caudate, half=0.1, other=0.5, method=None):
    """A quantification whose lower (right) sides have these ratios, the left ones `other` more."""
    regions = {}
    for name, low in (("putamen", putamen), ("caudate", caudate)):
        for side, value in (("right", low), ("left", None if low is None else low + other)):
            interval = None if value is None else (value - half, value + half)
            regions[f"{name}_{side}"] = Region(value, interval)
    return Quantification(method or method_id(), "whole_brain", 1.0, regions, {})


def among_normals(quantification, expected, sd):
    """The same with normals that fit: expected ratios and their standard deviation, by structure."""
    regions = {}
    for name, region in quantification.regions.items():
        structure = name.rpartition("_")[0]
        z = (region.sbr - expected[structure]) / sd[structure]
        regions[name] = replace(region, expected=expected[structure], z=z)
    return replace(quantification, regions=regions)


@given(scale=st.floats(0.2, 5.0), putamen=st.floats(0.1, 3.0), caudate=st.floats(0.1, 4.0))
def test_with_normals_a_camera_that_scales_all_ratios_changes_no_verdict(rule_text, scale, putamen, caudate):
    rule = Rule.model_validate_json(rule_text)
    expected, sd = {"putamen": 2.0, "caudate": 2.6}, {"putamen": 0.25, "caudate": 0.3}
    here = among_normals(measured(putamen, caudate), expected, sd)
    there = among_normals(
        measured(putamen * scale, caudate * scale, 0.1 * scale, 0.5 * scale),
        {name: value * scale for name, value in expected.items()},
        {name: value * scale for name, value in sd.items()},
    )
    one, other = classify(here, rule), classify(there, rule)
    assert one.p_abnormal == pytest.approx(other.p_abnormal, abs=1e-6)
    assume(all(abs(edge - at) > 1e-6 for edge, at in _edges(putamen, caudate)))
    assert one.verdict == other.verdict


def _edges(putamen, caudate):
    """Ends of the intervals, and the thresholds they are held against."""
    pairs = ((putamen, 0.65 * 2.0), (caudate, 2.6 - 2.33 * 0.3))
    return [(low + half, at) for low, at in pairs for half in (-0.1, 0.1)]


def test_with_normals_the_thresholds_are_the_published_share_and_one_percent(rule):
    seen = among_normals(measured(1.5, 2.5), {"putamen": 2.0, "caudate": 2.6}, {"putamen": 0.25, "caudate": 0.3})
    found = classify(seen, rule)
    votes = found.votes
    assert "follow the normal values" in found.calibration
    assert "healthy people can fall below it" in classify(measured(1.5, 2.5), rule).calibration
    assert votes["putamen"] == "1.50 (1.40 to 1.60), threshold 1.30 for an expected 2.00: normal"
    assert votes["caudate"] == "2.50 (2.40 to 2.60), threshold 1.90 for an expected 2.60: normal"


@pytest.mark.parametrize(
    ("putamen", "caudate", "verdict"),
    [
        (2.0, 2.5, "normal"),
        (0.8, 2.5, "reduced"),
        (1.25, 2.5, "uncertain"),
        (1.15, 2.5, "uncertain"),
        (2.0, 1.0, "reduced"),
        (2.0, 1.45, "uncertain"),
        (0.8, 1.45, "reduced"),
    ],
)
def test_the_verdict_depends_on_where_the_interval_lies(rule, putamen, caudate, verdict):
    assert classify(measured(putamen, caudate), rule).verdict == verdict


def test_probability_is_a_half_at_the_threshold_and_logistic_around_it(rule):
    assert classify(measured(1.2, 9.0), rule).p_abnormal == pytest.approx(0.5)
    found = classify(measured(1.3, 9.0), rule)
    assert found.p_abnormal == pytest.approx(1 / (1 + np.e))
    low, high = found.interval
    assert (low, high) == pytest.approx((1 / (1 + np.e**2), 0.5))
    assert "not calibrated on clinical scans" in found.calibration


def test_a_result_is_a_reader_of_the_reading(rule):
    found = classify(measured(0.8, 2.5), rule).as_dict()
    assert ReaderResult.model_validate(found).verdict == "reduced"
    assert found["votes"]["putamen"] == "0.80 (0.70 to 0.90), threshold 1.20: reduced"


def test_the_shipped_rules_cover_both_references_and_say_where_they_come_from():
    for reference in REFERENCES:
        shipped = shipped_rule(method_id(reference))
        # Fifteen cameras under one threshold: more cannot be had without normals of the camera.
        assert shipped.putamen.healthy_below <= 0.08
        assert shipped.putamen.disease_above <= 0.08
        assert shipped.caudate.healthy_below <= 0.02
        assert "simulated" in shipped.provenance.population
        found = classify(measured(9.0, 9.0, method=method_id(reference)))
        assert (found.verdict, len(found.model_sha256)) == ("normal", 64)


def test_probability_never_rises_with_binding(rule):
    p = [classify(measured(x, 9.0), rule).p_abnormal for x in np.linspace(-50, 150, 60)]
    assert all(np.diff(p) <= 0)
    assert 0 <= min(p) <= max(p) <= 1


def test_a_missing_region_cannot_be_normal(rule):
    found = classify(measured(2.0, None), rule)
    assert found.verdict == "uncertain"
    assert "caudate" in found.reason
    assert classify(measured(0.5, None), rule).verdict == "reduced"
    nothing = classify(measured(None, None), rule)
    assert (nothing.verdict, nothing.p_abnormal, nothing.interval) == ("uncertain", None, None)


def test_a_rule_of_another_method_is_refused(rule):
    with pytest.raises(UnsuitableError, match="another method"):
        classify(measured(2.0, 2.5, method="other/1"), rule)
    with pytest.raises(UnsuitableError, match="no binding-ratio rule"):
        classify(measured(2.0, 2.5, method="other/1"))


def test_fitted_thresholds_are_those_of_two_normal_groups():
    """For N(m1, s) and N(m0, s): equal errors at the middle, logistic width s^2 / (m1 - m0)."""
    rng = np.random.default_rng(5)
    well = {"putamen": rng.normal(2.0, 0.3, 20_000), "caudate": rng.normal(2.5, 0.4, 20_000)}
    ill = {"putamen": rng.normal(1.0, 0.3, 30_000), "caudate": rng.normal(1.9, 0.4, 30_000)}
    rule = fit_rule("m/1", well, ill, PROVENANCE)
    assert rule.putamen.threshold == pytest.approx(1.5, abs=0.01)
    assert rule.putamen.width == pytest.approx(0.09, rel=0.03)
    assert rule.putamen.healthy_below == pytest.approx(rule.putamen.disease_above, abs=0.002)
    assert rule.putamen.healthy_below == pytest.approx(0.0478, abs=0.005)  # Phi(-0.5 / 0.3)
    assert rule.caudate.threshold == pytest.approx(2.5 - 2.326 * 0.4, abs=0.02)
    assert rule.caudate.healthy_below == pytest.approx(0.01, abs=0.002)


def test_separate_groups_are_parted_in_the_middle_of_the_gap():
    well, ill = (
        {"putamen": [2.0, 2.2, 2.4], "caudate": [3.0, 3.1, 3.2]},
        {"putamen": [0.6, 0.9, 1.0], "caudate": [1, 1, 2]},
    )
    assert fit_rule("m/1", well, ill, PROVENANCE).putamen.threshold == pytest.approx(1.5)


def test_groups_the_wrong_way_round_are_refused():
    groups = {"putamen": [2.0, 2.2], "caudate": [3.0, 3.1]}, {"putamen": [0.6, 0.9], "caudate": [1.0, 1.5]}
    with pytest.raises(UsageError, match="No threshold separates"):
        fit_rule("m/1", groups[1], groups[0], PROVENANCE)
