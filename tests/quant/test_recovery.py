"""Recovery factors: closed forms of the fit, and phantoms of known ratio through the whole chain."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import striatal_maps as maps
from dopascope import geometry, phantom, space
from dopascope.errors import UnreadableError, UnsuitableError, UsageError
from dopascope.quant import PhantomScan, Provenance, Quantification, Region, fit_recovery, load_recovery, quantify
from dopascope.quant.recovery import complete_truth
from dopascope.quant.voi import MEASURED, PARTS, ml
from dopascope.volume import Acquisition

CAMERA = Acquisition(manufacturer="Nobody", model="Eye")
HOW = Provenance(how="by a test")


def seen(sbr, half=0.1, acquisition=CAMERA, truth=None, name="one", method="voi/brain/1"):
    """A phantom scan whose regions were measured as `sbr` says, each with an interval of +- `half`."""
    regions = {region: Region(None, None, reason="not there") for region in MEASURED}
    regions |= {region: Region(value, (value - half, value + half)) for region, value in sbr.items()}
    numbers = Quantification(method, "brain", 1.0, regions, {})
    return PhantomScan(name, acquisition, numbers, truth or dict.fromkeys(sbr, 5.0))


def fitted(*scans):
    return fit_recovery(scans, name="phantom", provenance=HOW)


def test_one_scan_gives_measured_over_true_with_its_interval():
    found = fitted(seen({"putamen_left": 3.0})).regions["putamen_left"]
    assert found.factor == pytest.approx(0.6)
    assert found.interval == pytest.approx((0.58, 0.62))
    assert found.n == 1


@given(st.floats(0.2, 0.95), st.lists(st.floats(0.5, 10), min_size=2, max_size=6, unique=True))
def test_ratios_on_a_line_through_0_give_its_slope(slope, true):
    scans = [seen({"caudate_right": slope * t}, truth={"caudate_right": t}, half=0.05, name=str(t)) for t in true]
    found = fitted(*scans).regions["caudate_right"]
    assert found.factor == pytest.approx(slope)
    assert found.interval[1] - found.factor == pytest.approx(0.05 / np.sqrt(np.square(true).sum()))


def test_scans_that_disagree_widen_the_interval():
    agree = fitted(*(seen({"putamen_left": 3.0}, name=str(n)) for n in range(4))).regions["putamen_left"]
    scatter = fitted(*(seen({"putamen_left": 3.0 + d}, name=str(d)) for d in (-0.4, -0.4, 0.4, 0.4)))
    assert scatter.regions["putamen_left"].factor == pytest.approx(agree.factor)
    # chi-square of +-0.4 with sd 0.1/1.96: 4 * 7.84^2 / 3
    ratio = scatter.regions["putamen_left"].sd / agree.sd
    assert ratio == pytest.approx(0.4 / (0.1 / 1.96) * np.sqrt(4 / 3), rel=1e-3)


def test_parts_of_a_chamber_have_its_ratio_and_wholes_the_mean_by_volume():
    found = complete_truth({"putamen_left": 4.0, "caudate_left": 8.0, "anterior_putamen_right": 5.0})
    caudate, putamen = ml("caudate_left"), sum(ml(part) for part in PARTS["putamen_left"])
    assert found["anterior_putamen_left"] == found["posterior_putamen_left"] == 4.0
    assert found["striatum_left"] == pytest.approx((8 * caudate + 4 * putamen) / (caudate + putamen))
    assert [name for name in found if name.endswith("right")] == ["anterior_putamen_right"]


@pytest.mark.parametrize(
    ("stated", "where"),
    [
        ({"pallidum_left": 3.0}, "pallidum_left"),
        ({"caudate_left": 0.0}, "caudate_left"),
        ({"caudate_left": -2.0}, "caudate_left"),
        ({"caudate_left": float("nan")}, "caudate_left"),
        ({"putamen_left": 4.0, "anterior_putamen_left": 6.0, "posterior_putamen_left": 7.0}, "putamen_left"),
    ],
)
def test_true_ratios_that_cannot_be_meant_are_refused(stated, where):
    with pytest.raises(UsageError) as caught:
        complete_truth(stated)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("scans", "what"),
    [
        ([], "no scan"),
        ([seen({"putamen_left": 3.0}), seen({"putamen_left": 3.0}, acquisition=Acquisition())], "not made alike"),
        ([seen({"putamen_left": 3.0}), seen({"putamen_left": 3.0}, method="other")], "one method"),
        ([seen({"putamen_left": 3.0}, method="voi/brain/1+recovery:00000000")], "not corrected already"),
        ([seen({}, truth={"putamen_left": 3.0})], "No region"),
        ([seen({"putamen_left": 0.05}, half=0.1)], "cannot be told from 0"),
        ([seen({"putamen_left": -1.0})], "cannot be told from 0"),
    ],
)
def test_scans_that_give_no_factor_are_refused(scans, what):
    with pytest.raises(UnsuitableError, match=what):
        fitted(*scans)


def test_the_id_follows_the_factors_and_nothing_else():
    one = fitted(seen({"putamen_left": 3.0}))
    assert one.id == fitted(seen({"putamen_left": 3.0}, name="another name")).id
    assert len(one.id) == 8
    others = [seen({"putamen_left": 3.1}), seen({"putamen_left": 3.0}, acquisition=Acquisition(model="Ear"))]
    assert len({one.id, *(fitted(other).id for other in others)}) == 3


@pytest.fixture(scope="module")
def filled():
    """A simulated head whose striata all have one true ratio, nothing else binding, acquired long."""

    def make(ratio, seed):
        person = phantom.draw_person(seed, "healthy")
        person = replace(person, warp_mm=0.0, thalamus=0.0, sbr=dict.fromkeys(person.sbr, ratio))
        pose = phantom.draw_pose(seed, tilt_deg=6.0)
        camera = replace(phantom.CAMERAS["lehr-osem"], counts=2e7)
        volume, _ = phantom.scan(person, camera, pose, seed)
        return volume, space.register(volume), phantom.ideal_sbr(person, camera, pose)

    return make


def test_a_simulated_phantoms_factors_are_the_ideal_recovery_and_bring_another_fill_back(filled, tmp_path):
    volume, registration, ideal = filled(6.0, 71_000)
    measured = quantify(volume, registration)
    truth = dict.fromkeys(("striatum_left", "striatum_right"), 6.0)
    found = fitted(PhantomScan("six", volume.acquisition, measured, truth))
    for region, one in found.regions.items():
        assert one.factor == pytest.approx(ideal[region] / 6, rel=0.08), region
    path = tmp_path / "recovery.json"
    path.write_text(found.model_dump_json())
    found = load_recovery(path)

    other, where, _ = filled(3.0, 71_001)
    plain, corrected = quantify(other, where), quantify(other, where, recovery=found)
    assert corrected.method_id == f"{plain.method_id}+recovery:{found.id}"
    for region, one in corrected.regions.items():
        assert one.sbr == pytest.approx(plain.regions[region].sbr / found.regions[region].factor)
        assert one.sbr == pytest.approx(3.0, rel=0.12), region
        widths = [i[1] - i[0] for i in (one.interval, plain.regions[region].interval)]
        assert widths[0] > widths[1] / found.regions[region].factor
    assert corrected.indices["caudate_putamen_ratio_left"].value == pytest.approx(1.0, abs=0.12)
    assert corrected.indices["sbr_large_left"].value == plain.indices["sbr_large_left"].value
    assert "not divided" in corrected.indices["sbr_large_left"].definition
    assert "recovery factor" in corrected.interval_means
    assert "+recovery:" in corrected.normals_reason


def test_a_region_without_a_factor_has_no_ratio(scan, healthy_head):
    made = scan(healthy_head, spacing=(4.0, 4.0, 4.0))
    factors = fit_recovery(
        [PhantomScan("x", made.volume.acquisition, quantify(made.volume, made.pose), {"putamen_left": 5.0})],
        name="half a phantom",
        provenance=HOW,
    )
    found = quantify(made.volume, made.pose, recovery=factors)
    assert found.regions["putamen_left"].sbr == pytest.approx(5.0)
    assert found.regions["caudate_left"].sbr is None
    assert "half a phantom" in found.regions["caudate_left"].reason
    assert found.indices["asymmetry_putamen"].value is None


def test_factors_of_another_camera_or_method_are_refused(scan, healthy_head):
    made = scan(healthy_head, spacing=(4.0, 4.0, 4.0))
    factors = fitted(seen({"putamen_left": 3.0}, method=quantify(made.volume, made.pose).method_id))
    doubtful = quantify(made.volume, made.pose, recovery=factors)
    assert any("model" in warning for warning in doubtful.warnings)
    stated = replace(made.volume, acquisition=replace(CAMERA, model="Ear"))
    with pytest.raises(UnsuitableError, match="not for this scan") as caught:
        quantify(stated, made.pose, recovery=factors)
    assert "'Eye' there, 'Ear' in this scan" in caught.value.found
    with pytest.raises(UnsuitableError) as caught:
        quantify(made.volume, made.pose, reference="occipital", recovery=factors)
    assert "occipital" in caught.value.found


@pytest.mark.parametrize("change", [{"form": "x"}, {"regions": {"putamen_left": {"factor": -1}}}, {"more": 1}])
def test_a_faulty_file_of_factors_is_refused(tmp_path, change):
    path = tmp_path / "recovery.json"
    path.write_text(json.dumps(json.loads(fitted(seen({"putamen_left": 3.0})).model_dump_json()) | change))
    with pytest.raises(UnreadableError, match="recovery factors") as caught:
        load_recovery(path)
    assert next(iter(change)) in caught.value.found


@pytest.mark.data
def test_the_benauer_phantom_recovers_as_published(data_dir):
    """Three fills of a digital phantom of another make, 11 mm: 0.44 to 0.60, as published for such phantoms."""
    scans = []
    for ratio in (7.0, 5.0, 3.0):
        pose = geometry.translation([6, -7, 5]) @ geometry.rotation([4, -6, 9])
        volume, _ = maps.benauer_scan(data_dir, pose, binding_ratio=ratio, seed=int(ratio))
        registration = space.register(volume)
        assert registration.accepted
        truth = {"striatum_left": ratio, "striatum_right": ratio}
        scans.append(PhantomScan(f"fill {ratio:g}", volume.acquisition, quantify(volume, registration), truth))
    found = fitted(*scans)
    for side in ("left", "right"):
        assert 0.43 < found.regions[f"striatum_{side}"].factor < 0.60
        single = [
            one.quantification.regions[f"striatum_{side}"].sbr / ratio
            for one, ratio in zip(scans, (7, 5, 3), strict=True)
        ]
        assert max(single) / min(single) < 1.08
