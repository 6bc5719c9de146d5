"""Sites: collimators as published, impossible ones refused, and their images against the ideal measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope import phantom
from dopascope.errors import UsageError
from dopascope.phantom.shading import ELLIPSOID, left_by_attenuation
from dopascope.phantom.sites import CALIBRATED, CALIBRATION_FORM, calibration
from dopascope.quant import quantify
from dopascope.quant.voi import MEASURED, REFERENCES

SITE = phantom.SITES["siemens-lehr-osem"]


class Known:
    """The true pose, without doubt."""

    def __init__(self, truth):
        self.mni_to_scan = truth.mni_to_scan
        self.pose_covariance = np.zeros((6, 6))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("siemens-lehr", (3.7, 5.0, 6.9, 8.2, 9.1, 11.3)),
        ("siemens-leuhr", (3.7, 4.6, 5.7, 6.6, 7.1, 8.6)),
        ("ge-lehr", (3.9, 5.1, 6.9, 8.1, 8.9, 10.9)),
        ("philips-lehr", (3.8, 5.0, 6.9, 8.1, 9.0, 11.2)),
        ("mediso-leuhr", (3.8, 4.7, 6.0, 6.9, 7.6, 9.2)),
        ("siemens-me", (4.6, 7.5, 11.0, 13.1, 14.5, 18.1)),
        ("ge-elegp", (4.4, 6.7, 9.6, 11.4, 12.6, 15.7)),
    ],
)
def test_resolution_is_that_of_the_published_collimators(name: str, published: tuple[float, ...]) -> None:
    """Computed apart, from the holes in SIMIND and PyTomography tables, and rounded to 0.1 mm."""
    found = [phantom.COLLIMATORS[name].fwhm_at(distance) for distance in (0, 50, 100, 130, 150, 200)]
    assert found == pytest.approx(published, abs=0.051)


def test_the_presets_span_the_published_ranges() -> None:
    sites = list(phantom.SITES.values())
    assert len(sites) >= 9
    assert len({site.collimator for site in sites}) >= 7
    assert {site.reconstruction for site in sites} == {"fbp", "osem"}
    assert {site.attenuation for site in sites} == {"none", "chang", "map"}
    assert {site.scatter for site in sites} == {"none", "tew"}
    assert {site.resolution_model for site in sites} == {False, True}
    assert {site.matrix for site in sites} == {(128, 128), (64, 64)}
    assert all(110 <= site.radius_mm <= 170 and 2 <= site.pixel_mm <= 4.5 for site in sites)
    assert all(60 <= site.angles <= 120 and 0.8e6 <= site.counts <= 4e6 for site in sites)
    assert all(0.02 <= phantom.COLLIMATORS[site.collimator].penetration <= 0.30 for site in sites)
    extent = np.array([np.multiply(site.shape, site.spacing_mm) for site in sites])
    assert extent[:, :2].min() > 210
    assert extent[:, 2].min() > 150


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("collimator", "lehr"),
        ("radius_mm", 90.0),
        ("radius_mm", float("nan")),
        ("pixel_mm", -3.3),
        ("slice_mm", 0.0),
        ("matrix", (128, 4)),
        ("slices", 2),
        ("angles", 0),
        ("counts", 0.0),
        ("counts", -1e6),
        ("reconstruction", "art"),
        ("iterations", 0),
        ("subsets", 7),
        ("subsets", 240),
        ("attenuation", "ct"),
        ("scatter", "dew"),
        ("scale", 0.0),
    ],
)
def test_an_impossible_site_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        replace(SITE, **{field: value})
    assert caught.value.where == field
    assert caught.value.expected


def test_fbp_cannot_model_resolution() -> None:
    with pytest.raises(UsageError) as caught:
        replace(phantom.SITES["siemens-lehr-fbp-chang"], resolution_model=True)
    assert caught.value.where == "resolution_model"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"kind": "hann"}, "filter"),
        ({"kind": "butterworth", "order": 5}, "filter.cutoff_per_cm"),
        ({"kind": "butterworth", "cutoff_per_cm": 0.5}, "filter.order"),
        ({"kind": "gaussian", "fwhm_mm": -8.0}, "filter.fwhm_mm"),
    ],
)
def test_an_impossible_filter_is_refused_by_the_name_of_its_field(arguments, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        phantom.PostFilter(**arguments)
    assert caught.value.where == field


def test_every_preset_is_calibrated_and_others_are_refused() -> None:
    assert calibration()["form"] == CALIBRATION_FORM
    for site in phantom.SITES.values():
        camera = site.camera
        assert (camera.name, camera.shape, camera.spacing_mm) == (site.name, site.shape, site.spacing_mm)
        assert (camera.counts, camera.scale, camera.clipped) == (site.counts, site.scale, site.clipped)
        assert 6 <= camera.fwhm_mm <= 25
        assert set(CALIBRATED) <= set(calibration()["sites"][site.name])
    with pytest.raises(UsageError, match="calibration"):
        _ = replace(SITE, name="elsewhere").camera


def test_a_scan_says_how_its_site_made_it() -> None:
    person = phantom.draw_person(5, "et")
    volume, truth = phantom.scan(person, phantom.SITES["siemens-leuhr-osem-rr-map-tew"])
    told = volume.acquisition
    assert (told.manufacturer, told.model) == ("dopascope simulated", "siemens-leuhr-osem-rr-map-tew")
    assert (told.collimator, told.filter) == ("siemens-leuhr", "Gaussian 6 mm")
    assert told.reconstruction == "OSEM 10i8s resolution model"
    assert told.attenuation_corrected is True
    assert told.scatter_corrected is True
    assert (told.age_years, told.sex) == (person.age, person.sex)
    assert truth.camera == phantom.SITES["siemens-leuhr-osem-rr-map-tew"].camera
    plain = phantom.SITES["siemens-lehr-osem"].acquisition()
    assert (plain.reconstruction, plain.filter) == ("OSEM 8i8s", "Gaussian 8 mm")
    assert plain.attenuation_corrected is False
    assert phantom.PostFilter().text == "none"


def test_attenuation_in_a_ball_has_its_closed_form(monkeypatch) -> None:
    """At the middle every way is the radius; on the surface the mean over directions is known too."""
    radius = 90.0
    monkeypatch.setattr("dopascope.phantom.shading.ELLIPSOID", ((0.0, 0.0, 0.0), (radius,) * 3))
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 54.0], [0.0, 0.0, 91.0], [45.0, 0.0, 0.0]])
    found = left_by_attenuation(points, np.eye(4), 0.11)
    angles = (np.arange(4000) + 0.5) * 2 * np.pi / 4000
    ways = -45 * np.cos(angles) + np.sqrt(radius**2 - (45 * np.sin(angles)) ** 2)
    expected = [np.exp(-0.99), np.exp(-0.011 * 72), 1.0, np.exp(-0.011 * ways).mean()]
    assert found == pytest.approx(expected, rel=2e-4)


def test_attenuation_goes_with_the_head(monkeypatch) -> None:
    """March along each ray of a turned, shifted, scaled head instead of solving for its border."""
    matrix = phantom.Pose(tilt_deg=(9, -12, 14), shift_mm=(6, -8, 7), scale=0.93).matrix()
    centre, semi = (np.array(one) for one in ELLIPSOID)
    points = (matrix @ np.array([[0, -20, 5, 1], [40, 30, -10, 1], [-20, -80, 20, 1.0]]).T).T[:, :3]
    steps = np.arange(0.05, 260, 0.1)
    expected = []
    for point in points:
        left = []
        for angle in 2 * np.pi * (np.arange(16) + 0.5) / 16:
            ray = point + steps[:, None] * [np.cos(angle), np.sin(angle), 0]
            aligned = (np.linalg.inv(matrix) @ np.c_[ray, np.ones(len(ray))].T).T[:, :3]
            left.append(np.exp(-0.012 * 0.1 * ((((aligned - centre) / semi) ** 2).sum(1) < 1).sum()))
        expected.append(np.mean(left))
    assert left_by_attenuation(points, matrix, 0.12) == pytest.approx(expected, rel=2e-3)


def test_haze_adds_its_share_of_the_activity_and_reaches_beyond_the_head() -> None:
    camera = replace(SITE.camera, counts=None, clipped=False, haze=0.0, attenuation_per_cm=0.0, scale=1.0)
    wide = replace(camera, shape=(160, 160, 120))
    person = replace(phantom.draw_person(3, "healthy"), warp_mm=0.0)
    clear = phantom.scan(person, wide)[0].data.astype(float)
    hazy = phantom.scan(person, replace(wide, haze=0.3, haze_fwhm_mm=50.0))[0].data.astype(float)
    added = hazy - clear
    assert added.min() >= 0
    assert added.sum() == pytest.approx(0.3 * clear.sum(), rel=0.03)
    corner = (40, 80, 60)
    assert clear[corner] == 0
    assert added[corner] > 1e-3
    middle = np.unravel_index(added.argmax(), added.shape)
    assert added.max() > 0.2
    assert np.linalg.norm(np.array(middle) - 80 * np.array([1, 1, 0.75])) < 20


def test_shading_darkens_the_middle_more_than_the_rim() -> None:
    camera = replace(SITE.camera, counts=None, haze=0.0, attenuation_per_cm=0.0, scale=1.0)
    person = replace(phantom.draw_person(3, "healthy"), warp_mm=0.0)
    clear = phantom.scan(person, camera)[0].data
    shaded = phantom.scan(person, replace(camera, attenuation_per_cm=0.12))[0].data
    share = shaded / np.where(clear > 0.2, clear, np.nan)
    middle, row = 30, share[64, :, 30]
    assert np.nanmin(row) == pytest.approx(row[64], abs=0.03)
    assert np.nanmax(row) > row[64] + 0.05
    assert 0.2 < share[64, 64, middle] < 0.45


@pytest.mark.parametrize("name", ["siemens-lehr-osem", "siemens-leuhr-osem-rr-map-tew"])
def test_ratios_at_the_known_pose_are_the_ideal_ones(name: str) -> None:
    """With haze and shading, within two percent, at both references."""
    camera = replace(phantom.SITES[name].camera, counts=None, haze=0.3, attenuation_per_cm=0.09)
    person, pose = phantom.draw_person(8201, "pd"), phantom.draw_pose(8201, axes="LPS")
    volume, truth = phantom.scan(person, camera, pose)
    means = phantom.ideal_means(person, camera, pose, (*MEASURED, *REFERENCES))
    for reference in REFERENCES:
        found = quantify(volume, Known(truth), reference=reference).regions
        errors = [found[region].sbr / (means[region] / means[reference] - 1) - 1 for region in MEASURED]
        assert np.abs(errors).max() < 0.02, dict(zip(MEASURED, np.round(errors, 4), strict=True))


def test_a_cut_scan_has_the_haze_of_the_whole_head() -> None:
    person, camera = phantom.draw_person(4, "healthy"), replace(SITE.camera, counts=None)
    whole = phantom.scan(person, camera)[0].data
    cut = phantom.scan(person, camera, phantom.Pose(cut=(12, 9)))[0].data
    assert np.abs(cut - whole[:, :, 12:-9]).max() < 1e-3 * camera.scale


def test_the_documentation_names_every_group_collimator_and_site() -> None:
    text = (Path(__file__).parents[2] / "docs" / "phantom.md").read_text(encoding="utf-8")
    sites = [
        f"| {one.name} | {one.radius_mm:g} | {one.pixel_mm:g}, {one.slice_mm:g} | {one.matrix[0]}, {one.slices} |"
        for one in phantom.SITES.values()
    ]
    collimators = [f"| {one.name} | {one.hole_cm:g} /" for one in phantom.COLLIMATORS.values()]
    groups = [f"| `{group}` | {label} |" for group, label in phantom.LABELS.items()]
    assert [row for row in (*sites, *collimators, *groups) if row not in text] == []
