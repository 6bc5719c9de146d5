"""Binding ratios against closed forms, and what must not change them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from dopascope import geometry
from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant import method_id, quantify
from dopascope.quant.sampling import sampler
from dopascope.quant.voi import MEASURED
from dopascope.reading.schema import QuantificationPart
from dopascope.volume import Grid, Volume


def sbrs(quantification):
    return {name: region.sbr for name, region in quantification.regions.items()}


def test_mean_over_a_blurred_ball_is_the_radial_integral(scan, healthy_head, tilted):
    """Recovery of a ball by a volume of interest of its own size, by one integral over the radius."""
    radius, centre = 9.0, np.array([20.0, 3.0, 4.0])
    head = replace(healthy_head, balls=((tuple(centre), radius, 500.0),), background=0.0)
    axis = np.arange(-radius, radius, 0.5) + 0.25
    ball = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    ball = ball[np.linalg.norm(ball, axis=1) < radius]
    shell = quad(lambda r: 4 * np.pi * r**2 * float(head(centre + np.array([r, 0, 0]))), 0, radius)[0]
    exact = shell / (4 / 3 * np.pi * radius**3)
    # The image is drawn in scan space without scale, so that the ball stays a ball.
    rigid = geometry.translation([6, -9, 12]) @ geometry.rotation([7, -5, 9])
    for spacing in ((2.0, 2.0, 2.0), (2.9, 3.1, 3.4), (4.4, 4.4, 4.4)):
        made = scan(head, matrix=rigid, spacing=spacing)
        box = np.stack([centre - radius, centre + radius])
        found = sampler(made.volume, rigid, box).values(ball + centre).mean()
        assert found == pytest.approx(exact, rel=0.004), spacing


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.9, 3.9, 3.9), (4.4, 4.0, 3.3)])
def test_ratios_at_a_known_pose_are_the_supersampled_truth(scan, healthy_head, tilted, spacing):
    made = scan(healthy_head, matrix=tilted, spacing=spacing)
    found = quantify(made.volume, made.pose)
    for region in MEASURED:
        truth = healthy_head.mean(region) / healthy_head.background - 1
        assert found.regions[region].sbr == pytest.approx(truth, rel=0.01), region
    # A flat brain: only the far tails of the blurred balls reach the reference.
    assert found.reference_mean == pytest.approx(100, rel=1e-3)


def test_scaling_the_intensities_changes_no_ratio(scan, healthy_head, tilted):
    made = scan(healthy_head, matrix=tilted, noise=0.05)
    plain = quantify(made.volume, made.pose)
    scaled = quantify(Volume(made.volume.data * 1024, made.volume.grid), made.pose)
    assert scaled.regions == plain.regions
    assert scaled.indices == plain.indices
    assert scaled.reference_mean == plain.reference_mean * 1024


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (0, 1, 2)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_axis_order_changes_no_ratio(scan, healthy_head, tilted, order, flips):
    made = scan(healthy_head, matrix=tilted, noise=0.05)
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(order):
        to_old[old, new] = 1
    data = made.volume.data.transpose(order)
    for axis in flips:
        data = np.flip(data, axis)
        to_old = to_old @ geometry.translation(np.eye(3)[axis] * (data.shape[axis] - 1)) @ _flip(axis)
    turned = Volume(data, Grid(data.shape, made.volume.grid.affine @ to_old))
    expected, found = quantify(made.volume, made.pose), quantify(turned, made.pose)
    for region in MEASURED:
        assert found.regions[region].sbr == pytest.approx(expected.regions[region].sbr, abs=1e-9)
        assert found.regions[region].interval == pytest.approx(expected.regions[region].interval, abs=1e-9)


def _flip(axis):
    matrix = np.eye(4)
    matrix[axis, axis] = -1
    return matrix


def test_a_mirrored_scan_swaps_left_and_right(scan, healthy_head, tilted):
    made = scan(healthy_head, matrix=tilted, noise=0.05)
    mirror = np.diag([-1.0, 1, 1, 1])
    turns = np.diag([1.0, -1, -1])  # under a mirror in x, tilts about y and z change sign
    change = np.block([[mirror[:3, :3], np.zeros((3, 3))], [np.zeros((3, 3)), turns]])
    covariance = np.diag([0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) + 0.05
    pose = type(made.pose)(made.pose.mni_to_scan, covariance)
    mirrored = Volume(made.volume.data, Grid(made.volume.grid.shape, mirror @ made.volume.grid.affine))
    swapped = type(pose)(mirror @ pose.mni_to_scan @ mirror, change @ covariance @ change.T)
    plain, found = quantify(made.volume, pose), quantify(mirrored, swapped)
    other = {"left": "right", "right": "left"}
    for region in MEASURED:
        stem, side = region.rsplit("_", 1)
        twin = plain.regions[f"{stem}_{other[side]}"]
        assert found.regions[region].sbr == pytest.approx(twin.sbr, abs=1e-10)
        assert found.regions[region].interval == pytest.approx(twin.interval, abs=1e-10)
    for structure in ("caudate", "putamen"):
        name = f"asymmetry_{structure}"
        assert found.indices[name].value == pytest.approx(-plain.indices[name].value, abs=1e-8)


def test_asymmetry_is_negative_where_the_left_is_lower(scan, healthy_head):
    made = scan(healthy_head)  # its left side is 0.9 of its right
    found = quantify(made.volume, made.pose)
    left, right = found.regions["putamen_left"].sbr, found.regions["putamen_right"].sbr
    assert left < right
    expected = 100 * (left - right) / ((left + right) / 2)
    assert found.indices["asymmetry_putamen"].value == pytest.approx(expected)
    assert found.indices["asymmetry_putamen"].value == pytest.approx(100 * (0.9 - 1) / 0.95, rel=1e-3)
    ratio = found.indices["caudate_putamen_ratio_right"].value
    assert ratio == pytest.approx(found.regions["caudate_right"].sbr / right)


def test_unions_are_the_volume_weighted_means_of_their_parts(scan, healthy_head):
    from dopascope.quant import voi

    made = scan(healthy_head)
    found = sbrs(quantify(made.volume, made.pose))
    parts = ("caudate_left", "anterior_putamen_left", "posterior_putamen_left")
    total = sum(voi.ml(part) for part in parts)
    assert found["striatum_left"] == pytest.approx(sum(voi.ml(p) * found[p] for p in parts) / total)


def test_both_references_agree_on_a_flat_brain_and_name_themselves(scan, healthy_head):
    made = scan(healthy_head)
    whole, occipital = quantify(made.volume, made.pose), quantify(made.volume, made.pose, reference="occipital")
    assert (whole.method_id, occipital.method_id) == (method_id("whole_brain"), method_id("occipital"))
    assert occipital.method_id == "dopascope-voi1/occipital/cubic/1"
    assert sbrs(whole)["putamen_left"] == pytest.approx(sbrs(occipital)["putamen_left"], rel=2e-3)


def test_a_truncated_scan_loses_only_what_it_does_not_hold(scan, healthy_head):
    made = scan(healthy_head, noise=0.05)
    # Cut away everything below z = 5 mm: the putamen reaches lower, the caudate's lower rim as well.
    k = int(np.ceil(made.volume.grid.to_index([0, 0, 5])[2]))
    grid = made.volume.grid
    cut = Volume(made.volume.data[:, :, k:], Grid((*grid.shape[:2], grid.shape[2] - k), grid.affine @ _shift_k(k)))
    found = quantify(cut, made.pose)
    gone = found.regions["putamen_left"]
    assert gone.sbr is None
    assert gone.interval is None
    assert "outside the field of view" in gone.reason
    assert found.indices["asymmetry_putamen"].value is None
    assert any("whole_brain" in warning and "%" in warning for warning in found.warnings)
    low = quantify(made.volume, made.pose)
    # The reference keeps its value within noise although a part of it is missing.
    assert found.reference_mean == pytest.approx(low.reference_mean, rel=0.02)


def _shift_k(k):
    return geometry.translation([0, 0, k])


def test_the_top_of_the_head_may_be_missing(scan, healthy_head):
    made = scan(healthy_head, noise=0.05)
    k = int(made.volume.grid.to_index([0, 0, 45])[2])
    grid = made.volume.grid
    cut = Volume(made.volume.data[:, :, :k], Grid((*grid.shape[:2], k), grid.affine))
    whole, found = quantify(made.volume, made.pose), quantify(cut, made.pose)
    for region in MEASURED:
        assert found.regions[region].sbr == pytest.approx(whole.regions[region].sbr, rel=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data * 0, "not positive"),
        (lambda data: -data, "not positive"),
        (lambda data: np.where(data == data.max(), np.nan, data), "not numbers"),
    ],
)
def test_scans_without_a_ratio_are_refused(scan, healthy_head, change, message):
    made = scan(healthy_head)
    with pytest.raises(UnsuitableError, match=message):
        quantify(Volume(change(made.volume.data), made.volume.grid), made.pose)


def test_a_registration_that_misses_the_scan_is_refused(scan, healthy_head):
    made = scan(healthy_head)
    with pytest.raises(UnsuitableError, match="outside the scan"):
        quantify(made.volume, type(made.pose)(geometry.translation([0, 0, 900])))
    with pytest.raises(UnsuitableError, match="reference region lies outside"):
        quantify(made.volume, type(made.pose)(geometry.translation([0, 0, 110])))


def test_unknown_words_are_refused_with_the_known_ones(scan, healthy_head):
    made = scan(healthy_head)
    for arguments in ({"method": "brass"}, {"reference": "cerebellum"}, {"sex": "x"}):
        with pytest.raises(UsageError) as caught:
            quantify(made.volume, made.pose, **arguments)
        assert caught.value.expected


def test_a_quantification_is_json(scan, healthy_head):
    made = scan(healthy_head)
    found = quantify(made.volume, made.pose).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["regions"]["caudate_left"]["sbr"] == found["regions"]["caudate_left"]["sbr"]
    assert set(again["regions"]) == set(MEASURED)
    # It is the quantification of `reading.json` as it stands.
    assert QuantificationPart.model_validate(again).reference_mean == found["reference_mean"]


def test_no_striatal_binding_gives_zero_and_no_index_that_divides_by_it(scan, healthy_head):
    made = scan(replace(healthy_head, balls=()), noise=0.05)
    found = quantify(made.volume, made.pose)
    assert abs(found.regions["putamen_left"].sbr) < 0.05
    assert found.indices["asymmetry_putamen"].value is None
    assert "0" in found.indices["asymmetry_putamen"].reason
