"""The fit of image space to projections: it finds what is there, and what is shipped holds for other heads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dopascope import phantom
from dopascope.phantom import Camera, Pose
from dopascope.phantom.anatomy import Head
from dopascope.phantom.sites import CALIBRATED, SITES, Site, calibration
from dopascope.physics import expect, reconstruct
from dopascope.physics.calibrate import (
    CALIBRATION_FORM,
    Seen,
    agreement,
    calibrate,
    fit,
    main,
    region_means,
    region_points,
    settings_of,
    tried,
)
from dopascope.physics.grain import grain_of, uniform_brain

QUIET = Camera("quiet", (52, 54, 34), (4.6, 4.6, 4.6), 12.5, None, scale=1.0, clipped=False)


@pytest.mark.parametrize(
    "wanted",
    [
        {"fwhm_mm": 12.5, "haze": 0.6, "haze_fwhm_mm": 80.0, "attenuation_per_cm": 0.09},
        pytest.param(
            {"fwhm_mm": 9.2, "haze": 0.1, "haze_fwhm_mm": 55.0, "attenuation_per_cm": 0.02}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_camera_is_found_again_from_its_own_means(small_site: Site, wanted: dict[str, float]) -> None:
    camera = replace(QUIET, **wanted)
    seen = []
    for seed, group in ((11, "healthy"), (12, "pd")):
        person = phantom.draw_person(seed, group)
        volume, truth = phantom.scan(person, camera)
        physics = 7.3 * region_means(volume.data, volume.grid, truth.mni_to_scan)  # the scale is free
        seen.append(Seen(person, None, physics, *tried(person, small_site)))  # type: ignore[arg-type]
    found = fit(seen)
    assert found["fwhm_mm"] == pytest.approx(wanted["fwhm_mm"], abs=0.15)
    assert found["attenuation_per_cm"] == pytest.approx(wanted["attenuation_per_cm"], abs=0.01)
    checks = agreement(seen, replace(QUIET, **found))
    assert checks["rms_log"] < 0.003
    for check in checks["sbr"].values():
        assert check["largest_difference"] < 0.01 + 0.015 * check["physics"]


@pytest.mark.parametrize("fwhm", [8.0, 13.0])
def test_grain_is_the_blur_and_the_spread_of_the_noise(fwhm: float) -> None:
    person = phantom.draw_person(11, "healthy")
    rng = np.random.default_rng(3)
    images = []
    for _ in range(6):
        noise = gaussian_filter(rng.normal(size=QUIET.shape), fwhm / 2.3548 / 4.6)
        images.append((10 + noise / noise.std()).astype(np.float32))
    grain = grain_of(images, person, QUIET)
    assert grain.fwhm_mm == pytest.approx(fwhm, rel=0.06)
    assert grain.relative_sd == pytest.approx(0.1, rel=0.05)


def test_the_uniform_brain_is_a_litre_that_follows_the_head() -> None:
    person = phantom.draw_person(11, "healthy")
    inside = uniform_brain(person, QUIET.grid())
    assert 500 < inside.sum() * QUIET.grid().voxel_ml < 1300
    at = phantom.scan(person, QUIET)[0].data[inside]
    assert at.min() > 0.3
    assert at.max() < 2.0


def test_a_site_s_entry_holds_what_its_camera_needs(small_site: Site) -> None:
    entry = calibrate(small_site, heads=(("healthy", 901),), repeats=3)
    assert set(entry) == {*CALIBRATED, "checks"}
    # Fully corrected by map and scatter estimate: little is left over.
    assert entry["attenuation_per_cm"] < 0.04
    assert entry["haze"] < 0.15
    noise = entry["checks"]["noise"]
    assert 0.03 < noise["voxel_sd"] < 0.5
    assert 1 / 3 < noise["region_sd_image"] / noise["region_sd_physics"] < 3
    assert entry["checks"]["rms_log"] < 0.03


def test_a_finished_file_is_left_as_it_is_and_a_foreign_one_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tmp_path / "done.json"
    checks = {"settings": settings_of(SITES["siemens-leap-fbp"])}
    done.write_text(json.dumps({"form": CALIBRATION_FORM, "sites": {"siemens-leap-fbp": {"checks": checks}}}))
    before = done.read_bytes()
    assert main(["--site", "siemens-leap-fbp", "--resume", "--out", str(done)]) == 0
    assert done.read_bytes() == before
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"form": "something else"}')
    assert main(["--out", str(foreign)]) == 2
    assert "something else" in capsys.readouterr().err
    assert foreign.read_text() == '{"form": "something else"}'


@pytest.mark.slow
def test_the_program_writes_the_file_the_sites_read(tmp_path: Path) -> None:
    out = tmp_path / "sites.json"
    assert main(["--site", "siemens-leap-fbp", "--out", str(out)]) == 0
    found = json.loads(out.read_bytes())
    assert found["form"] == CALIBRATION_FORM
    again, shipped = (content["sites"]["siemens-leap-fbp"] for content in (found, calibration()))
    assert again["fwhm_mm"] == pytest.approx(shipped["fwhm_mm"], rel=0.05)
    assert again["amplification"] == pytest.approx(shipped["amplification"], rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siemens-lehr-fbp-chang", "siemens-leuhr-osem-rr-map-tew"])
def test_image_space_agrees_with_projections_for_heads_and_poses_it_was_not_fitted_to(name: str) -> None:
    site = SITES[name]
    still = replace(site.camera, counts=None)
    pose = Pose(tilt_deg=(12, -6, 8), shift_mm=(7, -6, 8), scale=0.95)
    reference = list(region_points()).index("whole_brain")
    for seed, group in ((951, "healthy"), (952, "pd")):
        person = phantom.draw_person(seed, group)
        expected = expect(person, site, pose)
        matrix = pose.matrix() @ Head(person).matrix
        physics = region_means(reconstruct(expected.noise_free(), site), expected.grid, matrix)
        image = region_means(phantom.scan(person, still, pose)[0].data, expected.grid, matrix)
        ratios = [means[:6] / means[reference] - 1 for means in (physics, image)]
        np.testing.assert_allclose(ratios[1], ratios[0], rtol=0.06, atol=0.06)


@pytest.mark.parametrize("name", SITES)
def test_every_site_is_calibrated_as_it_is_now(name: str) -> None:
    """Fails where a site was changed: run python -m dopascope.physics.calibrate --resume on the shipped file."""
    checks = calibration()["sites"][name]["checks"]
    assert checks["settings"] == settings_of(SITES[name])
    assert checks["rms_log"] < 0.05
