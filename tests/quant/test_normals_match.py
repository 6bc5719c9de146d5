"""Which normals fit which scan: those that ship fit simulated scans of their site only."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope import formats, phantom, space
from dopascope.quant import Conditions, find_normals, load_normals, method_id, quantify
from dopascope.quant.conditions import FACTS, SIMULATED
from dopascope.quant.shipped import shipped_normals
from dopascope.quant.voi import MEASURED, REFERENCES
from dopascope.volume import Acquisition

SHIPPED = shipped_normals()
SITE = phantom.SITES["siemens-lehr-osem"]
FACTS_OF = {name: getattr(SITE.acquisition(), name) for name in FACTS}

texts = st.none() | st.text(max_size=12) | st.sampled_from([v for v in FACTS_OF.values() if isinstance(v, str)])
flags = st.none() | st.booleans()
conditions = st.builds(
    Conditions,
    **dict.fromkeys(("manufacturer", "model", "collimator", "reconstruction", "filter"), texts),
    **dict.fromkeys(("attenuation_corrected", "scatter_corrected"), flags),
)


def test_every_file_that_ships_is_of_simulated_people_and_complete():
    assert SHIPPED
    for one in SHIPPED:
        assert one.simulated
        assert "simulated" in one.name
        assert one.n >= 40
        assert one.sex is None
        assert set(one.regions) == set(MEASURED)
        assert one.provenance.seeds
        assert all(region.unscaled_covariance for region in one.regions.values())
        assert all(region.age_slope < 0 < region.intercept for region in one.regions.values())


def test_every_site_has_normals_of_its_present_inputs():
    """Fails when a site, its calibration or its people changed: run tests/quant/fit_shipped_normals.py again."""
    spec = importlib.util.spec_from_file_location("fit", Path(__file__).with_name("fit_shipped_normals.py"))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = {(one.acquisition.model, one.method_id): one for one in SHIPPED}
    assert set(made) == {(site, method_id(reference)) for site in phantom.SITES for reference in REFERENCES}
    stale = sorted({site for (site, _), one in made.items() if script.inputs(site) not in one.provenance.how})
    assert stale == []


def test_normals_of_a_site_are_found_for_its_scans_and_both_references():
    for reference in REFERENCES:
        found = find_normals(method_id(reference), SITE.acquisition())
        assert not isinstance(found, str)
        assert found.acquisition == Conditions.of(SITE.acquisition())
        assert found.method_id == method_id(reference)


def test_the_manufacturers_of_simulated_scans_are_known():
    volume, _ = phantom.example(seed=1, group="healthy")
    assert volume.acquisition.manufacturer in SIMULATED
    assert all(site.acquisition().manufacturer in SIMULATED for site in phantom.SITES.values())


@given(conditions)
def test_no_scan_that_states_another_or_no_camera_gets_simulated_normals(scan):
    found = find_normals(method_id(), Acquisition(**scan.model_dump()))
    if isinstance(found, str):
        assert found
    else:
        assert scan.simulated
        assert scan.model == found.acquisition.model


@given(conditions, st.sampled_from(FACTS))
def test_a_scan_differs_in_the_fact_that_was_changed_and_in_none_that_was_not(one, name):
    mine = getattr(one, name)
    assert one.difference(one) is None
    if mine is None:
        return
    other = not mine if isinstance(mine, bool) else f"{mine} other"
    assert one.difference(one.model_copy(update={name: other})).startswith(f"{name.replace('_', ' ')}: ")
    if isinstance(mine, str) and mine.isascii():
        assert one.difference(one.model_copy(update={name: f" {mine.upper()}  "})) is None
    silent = one.model_copy(update={name: None})
    refused = one.simulated and name in ("manufacturer", "model")
    assert (one.difference(silent) is not None) == refused
    assert name.replace("_", " ") in [fact for fact, _ in one.doubts(silent)]


@pytest.mark.parametrize("change", [{"attenuation_corrected": True}, {"filter": "none"}, {"reconstruction": "FBP"}])
def test_another_correction_filter_or_reconstruction_is_refused_with_both_values(change):
    reason = find_normals(method_id(), replace(SITE.acquisition(), **change))
    assert isinstance(reason, str)
    field = next(iter(change))
    assert f"{field.replace('_', ' ')}: " in reason
    assert "there" in reason
    assert "in this scan" in reason


@pytest.mark.parametrize(
    "facts", [Acquisition(), Acquisition(manufacturer="SIEMENS NM", model="E.CAM"), Acquisition(model=SITE.name)]
)
def test_a_real_scan_is_told_that_only_simulated_normals_ship(facts):
    reason = find_normals(method_id(), facts)
    assert isinstance(reason, str)
    assert "simulated cameras only" in reason
    assert "--fit-normals" in reason


def test_an_unknown_method_has_no_normals():
    assert "no normals ship for method x" in find_normals("x", SITE.acquisition())


@pytest.fixture(scope="module")
def site_scan(tmp_path_factory):
    person = phantom.draw_person(61_000, "healthy")
    volume, _ = phantom.scan(person, SITE.camera, phantom.draw_pose(61_000), 61_000)
    facts = SITE.acquisition(age_years=person.age, sex=person.sex)
    volume = replace(volume, acquisition=replace(facts, corrections=("UNIF",)))
    return volume, space.register(volume)


def test_shipped_normals_are_used_and_named_without_being_asked_for(site_scan):
    volume, registration = site_scan
    facts = volume.acquisition
    found = quantify(volume, registration, age=facts.age_years, sex=facts.sex)
    assert "simulated healthy people" in found.normals
    assert any("not against real ones" in warning for warning in found.warnings)
    normals = find_normals(found.method_id, facts)
    for name, region in found.regions.items():
        line = normals.regions[name]
        assert region.z == pytest.approx((region.sbr - region.expected) / line.spread(facts.age_years, facts.sex))
        assert region.expected == pytest.approx(line.expected(facts.age_years, facts.sex))
    nobody = quantify(volume, registration)
    assert "age and sex" in nobody.normals_reason
    assert nobody.regions["putamen_left"].z is None


@pytest.mark.slow
def test_z_of_simulated_people_that_were_not_fitted_is_standard():
    """40 healthy people of other seeds at one site: mean z within 3.5 of its SD (theirs and the fit's), SD near 1."""
    name = SHIPPED[0].acquisition.model
    z = []
    for seed in range(62_000, 62_040):
        person, site = phantom.draw_person(seed, "healthy"), phantom.SITES[name]
        volume, _ = phantom.scan(person, site.camera, phantom.draw_pose(seed), seed)
        volume = replace(volume, acquisition=site.acquisition())
        found = quantify(volume, space.register(volume), age=person.age, sex=person.sex)
        z.append([found.regions[region].z for region in MEASURED])
    z = np.array(z)
    sd_of_mean = np.sqrt(1 / len(z) + 3 / SHIPPED[0].n)
    assert (np.abs(z.mean(0)) < 3.5 * sd_of_mean).all(), z.mean(0).round(2)
    assert ((z.std(0) > 0.65) & (z.std(0) < 1.4)).all(), z.std(0).round(2)


def test_a_scan_keeps_its_normals_through_a_file(site_scan, tmp_path):
    volume, _ = site_scan
    path = tmp_path / "scan.dcm"
    formats.write_nm(volume, path)
    kept = formats.load(path).acquisition
    found = find_normals(method_id(), kept)
    assert not isinstance(found, str), found
    assert list(found.acquisition.doubts(Conditions.of(kept))) == []


def test_simulated_normals_given_as_a_file_are_refused_to_a_silent_scan(scan, healthy_head, tmp_path):
    path = tmp_path / "normals.json"
    path.write_text(SHIPPED[0].model_dump_json())
    made = scan(healthy_head, spacing=(4.0, 4.0, 4.0))
    found = quantify(made.volume, made.pose, reference="occipital", normals=load_normals(path), age=60, sex="F")
    assert "manufacturer" in found.normals_reason or "method" in found.normals_reason
    assert found.regions["putamen_left"].z is None


def test_a_file_of_simulated_people_must_say_which_camera(tmp_path):
    known = json.loads(SHIPPED[0].model_dump_json())
    known["acquisition"]["manufacturer"] = "SIEMENS NM"
    path = tmp_path / "normals.json"
    path.write_text(json.dumps(known))
    from dopascope.errors import UnreadableError

    with pytest.raises(UnreadableError, match="not a normals file") as caught:
        load_normals(path)
    assert "simulated manufacturer" in caught.value.found


def test_what_is_valid_for_nothing_in_particular_says_so():
    silent, scan = Conditions(), Conditions(manufacturer="ACME", model="One", attenuation_corrected=True)
    assert silent.silence("factors 'x'", scan) == [
        "factors 'x' do not say: manufacturer, model, attenuation corrected; nobody can tell whether they fit this scan"
    ]
    assert scan.silence("factors 'x'", silent) == []
    assert scan.silence("factors 'x'", scan) == []
