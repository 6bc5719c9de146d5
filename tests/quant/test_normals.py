"""Normal values: used where they fit, refused with a reason where they do not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.errors import UnreadableError
from dopascope.quant import load_normals, method_id, quantify
from dopascope.volume import Acquisition

REGRESSION = {"intercept": 3.0, "age_slope": -0.01, "female": 0.2, "residual_sd": 0.4}
CAMERA = {"manufacturer": "Nobody", "model": "Eye", "filter": "Butterworth 0.5", "attenuation_corrected": True}


@pytest.fixture
def stored():
    return {
        "form": "dopascope.normals/2",
        "name": "test people",
        "method_id": method_id(),
        "population": "made for this test",
        "simulated": False,
        "n": 40,
        "age_range": [40, 80],
        "acquisition": CAMERA,
        "provenance": {"how": "numbers chosen by hand"},
        "regions": {"putamen_left": REGRESSION, "caudate_left": REGRESSION},
    }


@pytest.fixture
def first_form(stored):
    kept = {name: stored[name] for name in ("name", "method_id", "population", "n", "age_range", "regions")}
    facts = {"attenuation_corrected": True, "scatter_corrected": None, "provenance": "numbers chosen by hand"}
    return {"form": "dopascope.normals/1", **kept, **facts}


@pytest.fixture
def normals(stored, tmp_path):
    def load(**changes):
        path = tmp_path / "normals.json"
        path.write_text(json.dumps(stored | changes))
        return load_normals(path)

    return load


@pytest.fixture
def corrected(scan, healthy_head):
    made = scan(healthy_head, spacing=(4.0, 4.0, 4.0))
    return replace(made, volume=replace(made.volume, acquisition=Acquisition(**CAMERA)))


def test_z_and_percent_follow_the_regression(corrected, normals):
    found = quantify(corrected.volume, corrected.pose, normals=normals(), age=60, sex="F")
    region = found.regions["putamen_left"]
    assert region.expected == pytest.approx(3.0 - 0.6 + 0.2)
    assert region.z == pytest.approx((region.sbr - 2.6) / 0.4)
    assert region.percent_expected == pytest.approx(100 * region.sbr / 2.6)
    assert region.reason is None
    assert (found.normals, found.normals_reason) == ("test people", None)
    man = quantify(corrected.volume, corrected.pose, normals=normals(), age=60, sex="M").regions["putamen_left"]
    assert man.expected == pytest.approx(2.4)


def test_a_region_without_normals_says_so(corrected, normals):
    found = quantify(corrected.volume, corrected.pose, normals=normals(), age=60, sex="F")
    region = found.regions["striatum_right"]
    assert region.z is None
    assert region.sbr is not None
    assert "striatum_right" in region.reason


@pytest.mark.parametrize(
    ("changes", "who", "word"),
    [
        ({"method_id": "other/method/1"}, {"age": 60, "sex": "M"}, "other/method/1"),
        (
            {"acquisition": CAMERA | {"attenuation_corrected": False}},
            {"age": 60, "sex": "M"},
            "attenuation corrected: no there, yes in this scan",
        ),
        ({"acquisition": CAMERA | {"model": "Ear"}}, {"age": 60, "sex": "M"}, "model: 'Ear' there, 'Eye' in this"),
        ({"acquisition": CAMERA | {"filter": "none"}}, {"age": 60, "sex": "M"}, "filter: 'none' there"),
        ({"sex": "F"}, {"age": 60, "sex": "M"}, "women only"),
        ({}, {"age": 60}, "sex"),
        ({}, {"sex": "F"}, "age"),
        ({}, {}, "age and sex"),
    ],
)
def test_normals_that_do_not_fit_give_null_and_a_reason(corrected, normals, changes, who, word):
    found = quantify(corrected.volume, corrected.pose, normals=normals(**changes), **who)
    region = found.regions["putamen_left"]
    assert (region.z, region.expected, region.percent_expected) == (None, None, None)
    assert region.sbr is not None
    assert word in found.normals_reason
    assert word in region.reason
    assert found.normals is None


def test_without_normals_the_reason_names_the_method(corrected):
    found = quantify(corrected.volume, corrected.pose, age=60, sex="M")
    assert method_id() in found.normals_reason
    assert found.regions["putamen_left"].z is None


def test_doubts_about_a_comparison_are_warnings(corrected, normals):
    unknown = replace(corrected.volume, acquisition=Acquisition())
    found = quantify(unknown, corrected.pose, normals=normals(), age=85, sex="M")
    assert found.regions["putamen_left"].z is not None
    assert any("attenuation" in warning for warning in found.warnings)
    assert any("85" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "change",
    [
        {"n": "many"},
        {"regions": {"putamen_left": {}}},
        {"form": "dopascope.normals/3"},
        {"simulated": True},
        {"regions": {"putamen_left": REGRESSION | {"unscaled_covariance": [[1, 0], [0, 1]]}}},
        {"regions": {"putamen_left": REGRESSION | {"unscaled_covariance": [[1, 0, 0], [0, -1, 0], [0, 0, 1]]}}},
        {"extra": 1},
        {"age_range": [1]},
    ],
)
def test_a_faulty_file_is_refused_with_the_field(stored, tmp_path, change):
    path = tmp_path / "normals.json"
    path.write_text(json.dumps(stored | change))
    with pytest.raises(UnreadableError) as caught:
        load_normals(path)
    assert next(iter(change)) in caught.value.found or "simulated normals must state" in caught.value.found
    assert caught.value.fix


def test_the_older_form_is_read_with_what_it_states(first_form, corrected, tmp_path):
    path = tmp_path / "normals.json"
    path.write_text(json.dumps(first_form))
    found = load_normals(path)
    assert found.acquisition.attenuation_corrected is True
    assert found.acquisition.model is None
    assert found.provenance.how == "numbers chosen by hand"
    region = quantify(corrected.volume, corrected.pose, normals=found, age=60, sex="F").regions["putamen_left"]
    assert region.z == pytest.approx((region.sbr - 2.6) / 0.4)
    path.write_text(json.dumps(first_form | {"attenuation_corrected": False}))
    refused = quantify(corrected.volume, corrected.pose, normals=load_normals(path), age=60, sex="F")
    assert "attenuation" in refused.normals_reason


def test_the_lines_own_uncertainty_lowers_z(corrected, normals):
    """s sqrt(1 + x' C x) with C diagonal: 1 + 0.04 + 60^2 * 1e-5 + 0.06 at 60 years for a woman."""
    covariance = [[0.04, 0, 0], [0, 1e-5, 0], [0, 0, 0.06]]
    regions = {"putamen_left": REGRESSION | {"unscaled_covariance": covariance}}
    region = quantify(corrected.volume, corrected.pose, normals=normals(regions=regions), age=60, sex="F").regions[
        "putamen_left"
    ]
    assert region.z == pytest.approx((region.sbr - 2.6) / (0.4 * 1.136**0.5))


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(UnreadableError):
        load_normals(tmp_path / "none.json")
    big = tmp_path / "big.json"
    big.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(UnreadableError, match="not a normals file"):
        load_normals(big)


@given(st.binary(max_size=300))
def test_any_bytes_give_normals_or_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("n") / "normals.json"
    path.write_bytes(data)
    with pytest.raises(UnreadableError):
        load_normals(path)
