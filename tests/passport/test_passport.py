"""The passport whole: DaT scans pass, whatever else is refused or unusual, never for its array order or scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats, passport, phantom, space
from dopascope.errors import InputError
from dopascope.volume import Acquisition, Grid, SliceImage, Source, Volume

CAMERAS = sorted(phantom.CAMERAS)


def dat_scan(number: int, camera: str = "lehr-osem", **pose: object) -> Volume:
    person = phantom.draw_person(number, phantom.GROUPS[number % 2])
    return phantom.scan(person, phantom.CAMERAS[camera], phantom.draw_pose(number, **pose), seed=number)[0]


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("camera", CAMERAS)
def test_dat_scans_are_in_distribution(camera: str, number: int) -> None:
    found = passport.inspect(dat_scan(number + 2 * CAMERAS.index(camera), camera))
    assert found.verdict == "in-distribution", found.reasons
    assert found.reasons == ()


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("corrected", [True, False])
def test_nearly_lost_striata_are_no_reason_against_a_scan(camera: str, corrected: bool) -> None:
    """Down to a tenth of the binding, also where no attenuation correction leaves the middle of the head dark."""
    person = phantom.draw_person(2 + CAMERAS.index(camera), phantom.GROUPS[CAMERAS.index(camera) % 2])
    person = replace(person, sbr={part: 0.1 * value for part, value in person.sbr.items()})
    scan, truth = phantom.scan(person, phantom.CAMERAS[camera], seed=3)
    if not corrected:
        middle = truth.mni_to_scan @ [0, -18, 8, 1]
        out = (((scan.grid.centres_mm() - middle[:3]) / (75, 92, 80)) ** 2).sum(-1) ** 0.5
        depth_mm = 75 * (1 - out.clip(0, 1))
        scan = replace(scan, data=scan.data * np.exp(-0.0095 * depth_mm))  # mu of water with scatter
    found = passport.inspect(scan)
    assert found.verdict == "in-distribution", found.reasons


def test_the_template_and_a_normalised_scan_pass() -> None:
    scan = dat_scan(4)
    registration = space.register(scan)
    assert passport.inspect(scan, registration).verdict == "in-distribution"
    assert passport.inspect(space.normalise(scan, registration)).verdict == "in-distribution"
    assert passport.inspect(space.dat_template()).verdict == "in-distribution"


@pytest.mark.promise(
    "What is no DaT scan is never read in silence: it is refused, or called unusual, or nothing is said for certain",
    threats="T30",
)
def test_what_is_no_dat_scan_never_passes(wrong_scan: Volume) -> None:
    found = passport.inspect(wrong_scan)
    assert found.verdict in ("unusual", "refused")
    assert found.reasons


@pytest.mark.parametrize("axes", ["LPS", "SRA", "IPL", "ARS"])
def test_array_order_changes_nothing(axes: str) -> None:
    upright = passport.inspect(dat_scan(5, axes="RAS"))
    turned = passport.inspect(dat_scan(5, axes=axes))
    assert [one.name for one in turned.checks] == [one.name for one in upright.checks]
    for one, other in zip(upright.checks, turned.checks, strict=True):
        assert one.verdict == other.verdict
        if isinstance(one.value, float):
            assert other.value == pytest.approx(one.value, rel=0.05, abs=0.3), one.name


@pytest.mark.parametrize("factor", [1e-4, 1e5])
def test_the_intensity_scale_changes_nothing(factor: float) -> None:
    scan = dat_scan(6)
    scaled = Volume(scan.data * factor, scan.grid, scan.acquisition)
    one, other = passport.inspect(scan), passport.inspect(scaled)
    assert one.verdict == other.verdict == "in-distribution"
    for name in ("resolution", "central_uptake", "hot_volume", "noise", "head_width"):
        assert other.check(name).value == pytest.approx(one.check(name).value, rel=1e-3)


def test_one_nan_voxel_refuses_the_scan_and_an_empty_frame_too() -> None:
    scan = dat_scan(1, "coarse")
    for bad in (np.nan, np.inf, -np.inf):
        data = scan.data.copy()
        data[3, 4, 5] = bad
        found = passport.inspect(Volume(data, scan.grid))
        assert found.verdict == "refused"
        assert found.check("not_finite").value == 1
    for data in (np.zeros(scan.data.shape), np.full(scan.data.shape, 7.0), -scan.data):
        assert passport.inspect(Volume(data, scan.grid)).verdict == "refused"


def test_a_clipped_scan_has_lost_its_peaks() -> None:
    scan = dat_scan(2)
    found = passport.inspect(Volume(np.minimum(scan.data, 0.3 * scan.data.max()), scan.grid))
    assert found.check("saturated_share").verdict != "in-distribution"


def test_negative_values_are_measured() -> None:
    scan = dat_scan(2)
    found = passport.inspect(Volume(scan.data - 0.2 * scan.data.mean(), scan.grid))
    assert found.check("negative_share").verdict != "in-distribution"
    assert found.check("negative_share").value == pytest.approx(
        -np.minimum(scan.data - 0.2 * scan.data.mean(), 0).sum() / np.abs(scan.data - 0.2 * scan.data.mean()).sum(),
        rel=1e-3,
    )


def test_a_cut_head_is_unusual_and_the_face_is_named() -> None:
    scan = dat_scan(7, tilt_deg=0.0, shift_mm=0.0)
    for part, face in ((np.s_[:, :, :42], "top"), (np.s_[52:, :, :], "left"), (np.s_[:, :78, :], "front")):
        data = scan.data[part]
        first = [one.start or 0 for one in part]
        affine = scan.grid.affine.copy()
        affine[:3, 3] = scan.grid.to_world(first)
        found = passport.inspect(Volume(data, Grid(data.shape, affine)))
        assert found.verdict != "in-distribution"
        assert face in found.check("truncation").explanation, found.check("truncation")
    padded = np.zeros_like(scan.data)
    padded[:, :, :42] = scan.data[:, :, :42]
    assert passport.inspect(Volume(padded, scan.grid)).check("truncation").verdict == "unusual"


def test_few_counts_show_as_noise() -> None:
    person = phantom.draw_person(1, "healthy")
    noise = [
        passport.inspect(phantom.scan(person, replace(phantom.CAMERAS["brain"], counts=counts), seed=1)[0]).check(
            "noise"
        )
        for counts in (4e6, 4e5, 4e4)
    ]
    assert noise[0].value < noise[1].value < noise[2].value
    assert noise[0].verdict == "in-distribution"
    assert noise[2].verdict != "in-distribution"


def test_where_there_is_no_head_nothing_further_is_measured() -> None:
    grid = Grid((50, 52, 40), np.diag([5.0, 5.0, 5.0, 1.0]))
    everywhere = np.random.default_rng(0).uniform(50, 90, grid.shape)
    found = passport.inspect(Volume(everywhere, grid))
    assert found.verdict == "refused"
    assert found.check("head").value == "not found"
    assert found.checks[-1].name == "head"
    assert "No head is found" in found.check("head").explanation


def test_a_small_hot_object_is_refused() -> None:
    grid = Grid((50, 52, 40), np.diag([4.0, 4.0, 4.0, 1.0]))
    small = np.linalg.norm(grid.centres_mm() - grid.centre_mm, axis=-1) < 30
    assert (
        passport.inspect(Volume(small * np.linspace(50, 90, small.size).reshape(small.shape), grid)).verdict
        == "refused"
    )


def test_wrong_spacing_shows_in_the_size_of_the_head() -> None:
    scan = dat_scan(2)
    for factor in (0.5, 2.0):
        wrong = Grid(scan.grid.shape, scan.grid.affine @ np.diag([factor, factor, factor, 1]))
        assert passport.inspect(Volume(scan.data, wrong)).verdict == "refused"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"modality": "NM"}, "in-distribution"),
        ({"modality": None}, "in-distribution"),
        ({"modality": "PT"}, "unusual"),
        ({"modality": "MR"}, "refused"),
        ({"modality": "CT"}, "refused"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "STATIC", "EMISSION")}, "refused"),
        ({"radiopharmaceutical": "I-123 Ioflupane"}, "in-distribution"),
        ({"radiopharmaceutical": "FDG -- fluorodeoxyglucose"}, "refused"),
        ({"radiopharmaceutical": "Tc-99m HMPAO"}, "refused"),
        ({"radiopharmaceutical": "something else"}, "unusual"),
    ],
)
def test_what_the_header_says_counts(facts: dict[str, object], verdict: str) -> None:
    scan = dat_scan(2, "coarse")
    said = replace(Acquisition(modality="NM", image_type=("DERIVED", "PRIMARY", "RECON TOMO", "EMISSION")), **facts)
    assert passport.inspect(replace(scan, acquisition=said)).verdict == verdict


def test_what_the_header_does_not_say_is_not_stated_and_no_reason() -> None:
    scan = replace(dat_scan(2, "coarse"), acquisition=Acquisition())
    found = passport.inspect(scan)
    for name in ("modality", "tracer", "attenuation_correction", "scatter_correction", "filter", "reconstruction"):
        assert found.check(name).verdict == "not stated"
        assert found.check(name).value is None
    said = Acquisition(attenuation_corrected=False, scatter_corrected=True, filter="Butterworth 0.5/10")
    found = passport.inspect(replace(scan, acquisition=said))
    values = [found.check(name).value for name in ("attenuation_correction", "scatter_correction", "filter")]
    assert values == ["no", "yes", "Butterworth 0.5/10"]


def test_an_assumed_orientation_is_unusual() -> None:
    scan = dat_scan(2, "coarse")
    for known, verdict in (("sform (code 1)", "in-distribution"), ("assumed", "unusual")):
        source = Source("x.nii", "nifti", "0" * 64, orientation_from=known)
        assert passport.inspect(replace(scan, source=source)).verdict == verdict


def test_counts_are_summed_only_where_values_are_counts() -> None:
    scan = dat_scan(2, "coarse")
    whole = Volume(np.rint(scan.data), scan.grid)
    assert passport.inspect(whole).check("total_counts").value == pytest.approx(float(whole.data.sum()) / 1e6, rel=1e-5)
    assert passport.inspect(scan).check("total_counts").value is None


def test_a_registration_that_was_not_accepted_speaks_against_the_scan() -> None:
    scan = dat_scan(8)
    sound = space.register(scan)
    for quality, verdict in ((0.3, "unusual"), (0.0, "refused")):
        bad = replace(sound, quality=quality, accepted=False, reasons=("the striata are not where they should be",))
        found = passport.inspect(scan, bad)
        assert found.verdict == verdict
        assert "striata are not where" in found.reasons[0]
    assert passport.inspect(scan, replace(sound, tilt_deg=(0.0, -30.0, 1.0))).check("tilt").value == 30
    assert passport.inspect(scan, replace(sound, tilt_deg=(0.0, -30.0, 1.0))).verdict == "unusual"
    assert passport.inspect(scan, replace(sound, scale=(1.0, 1.0, 0.5))).verdict == "refused"


def test_a_hand_is_no_slice_of_a_head(photo_of_a_hand: Callable[..., SliceImage]) -> None:
    for dark in (True, False):
        assert passport.inspect(photo_of_a_hand(dark=dark)).verdict == "refused"


def test_a_picture_of_a_slice_is_unusual_for_want_of_geometry_alone() -> None:
    scan = space.canonical(dat_scan(3, "fan-beam"))
    slice_ = np.rot90(scan.data[:, :, scan.data.shape[2] // 2 + 4])
    grey = 255 * np.clip(slice_ / slice_.max(), 0, 1)
    hot = np.stack([np.clip(grey * gain - offset, 0, 255) for gain, offset in ((3, 0), (3, 255), (3, 510))], -1)
    for picture in (grey, 255 - grey, hot, np.kron(grey, np.ones((4, 4)))):
        found = passport.inspect(SliceImage(picture.astype(np.float32)))
        assert found.verdict == "unusual"
        assert [one.name for one in found.checks if one.verdict != "in-distribution"] == ["geometry"], found.reasons


def test_empty_broken_and_tiny_pictures_are_refused() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (100, 120)).astype(np.float32)
    for data in (np.zeros((90, 100)), np.full((90, 100), np.nan), np.full((90, 100), 9.0), noise, noise[:20, :20]):
        assert passport.inspect(SliceImage(data.astype(np.float32))).verdict == "refused"


@pytest.mark.promise(
    "What is no DaT scan is never read in silence: it is refused, or called unusual, or nothing is said for certain",
    threats="T30",
)
@pytest.mark.data
@pytest.mark.parametrize(("folder", "least"), [("t1_mri", 40), ("nm_pet_dicom", 2), ("edge_cases", 60)])
def test_no_real_scan_of_anything_else_passes(data_dir: Path, folder: str, least: int) -> None:
    tried = 0
    for path in sorted(p for p in (data_dir / folder).rglob("*") if p.is_file()):
        try:
            image = formats.load(path)
        except InputError:
            continue
        tried += 1
        assert passport.inspect(image).verdict != "in-distribution", path
    assert tried >= least


@pytest.mark.data
def test_the_benauer_phantom_seen_by_a_camera_passes(data_dir: Path) -> None:
    from scipy.ndimage import gaussian_filter

    source = formats.load(data_dir / "spect_dat/benauer_dat_phantom/DaT_Source_120x120x120.nii.gz")
    assert passport.inspect(source).verdict == "refused", "an activity map of four values is no scan"
    for fwhm in (8, 14):
        seen = Volume(gaussian_filter(source.data, fwhm / 2.3548 / 2.0), source.grid)
        assert passport.inspect(seen).verdict == "in-distribution", passport.inspect(seen).reasons
