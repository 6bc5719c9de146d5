"""The ideal measurement against closed forms and against the scans, which are made another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from dopascope import atlas, geometry, phantom
from dopascope.volume import MNI_2MM


def test_recovery_of_the_putamen_alone_is_that_of_a_blurred_region() -> None:
    person = replace(
        phantom.draw_person(1, "healthy"),
        warp_mm=0.0,
        axes=(1.0, 1.0, 1.0),
        grey=1e-9,
        white=0,
        fluid=0,
        scalp=0,
        glands=0,
    )
    person = replace(person, sbr={region: 1e9 - 1 if "putamen_right" in region else -1.0 for region in person.sbr})
    camera = replace(phantom.CAMERAS["lehr-fbp"], fwhm_mm=12.0)
    found = phantom.ideal_means(person, camera, phantom.Pose(), ["putamen_right", "putamen_left"])
    weights = sum(atlas.striatum_weights()[part] for part in atlas.PARTS["putamen_right"]).astype(float)
    blurred = gaussian_filter(weights, 12 / 2.3548 / 2)
    assert found["putamen_right"] == pytest.approx((blurred * weights).sum() / weights.sum(), rel=0.03)
    assert found["putamen_left"] < 0.01
    assert MNI_2MM.shape == weights.shape


@pytest.mark.parametrize("name", ["fan-beam", "coarse"])
def test_noise_free_scans_agree_with_the_ideal_within_one_percent(name: str) -> None:
    person, camera = phantom.draw_person(2001, "pd"), replace(phantom.CAMERAS[name], counts=None, scale=1.0)
    pose = phantom.draw_pose(2001)
    volume, truth = phantom.scan(person, camera, pose)
    regions = ("caudate_left", "posterior_putamen_right", "putamen_left", "large_right", "whole_brain", "occipital")
    ideal = phantom.ideal_means(person, camera, pose, regions)
    for region in regions:
        points = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points(region))
        seen = map_coordinates(volume.data, volume.grid.to_index(points).T, order=3).mean()
        assert seen == pytest.approx(ideal[region], rel=0.01), region


def test_ratios_are_to_the_reference_and_regions_can_be_displaced() -> None:
    person, camera, pose = phantom.draw_person(2002, "healthy"), phantom.CAMERAS["coarse"], phantom.Pose()
    means = phantom.ideal_means(person, camera, pose, ["caudate_left", "occipital"])
    ratios = phantom.ideal_sbr(person, camera, pose, ["caudate_left"], reference="occipital")
    assert ratios["caudate_left"] == pytest.approx(means["caudate_left"] / means["occipital"] - 1)
    true = pose.matrix() @ geometry.about(np.diag([*person.axes, 1.0]), (0.0, -20.0, 5.0))
    beside = geometry.translation([-12, 0, 0]) @ true
    moved = phantom.ideal_sbr(person, camera, pose, ["caudate_left"], reference="occipital", mni_to_scan=beside)
    assert moved["caudate_left"] < 0.9 * ratios["caudate_left"]


@pytest.mark.slow
def test_a_site_of_the_12_mm_class_recovers_published_ratios_within_one_standard_deviation() -> None:
    """Occipital reference, PPMI at baseline: healthy 2.98 +- .60 and 2.14 +- .55, PD 1.99 +- .60 and .83 +- .30."""
    published = {"healthy": ((2.98, 0.60), (2.14, 0.55)), "pd": ((1.99, 0.60), (0.83, 0.30))}
    wanted = ("caudate_left", "caudate_right", "putamen_left", "putamen_right")
    camera = phantom.SITES["siemens-lehr-fbp-chang"].camera
    assert 12 <= camera.fwhm_mm <= 14
    for group, (caudate, putamen) in published.items():
        people = [phantom.draw_person(seed, group) for seed in range(3000, 3012)]
        ratios = [phantom.ideal_sbr(one, camera, phantom.Pose(), wanted, reference="occipital") for one in people]
        means = np.array([list(found.values()) for found in ratios]).mean(0)
        assert means[:2].mean() == pytest.approx(caudate[0], abs=caudate[1]), group
        assert means[2:].mean() == pytest.approx(putamen[0], abs=putamen[1]), group
