"""Every series of the data folder that has a NIfTI truth: same voxels in canonical order, same place."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from dopascope.formats import Strictness, load
from dopascope.formats.choose import survey
from dopascope.volume import Grid, Volume

pytestmark = pytest.mark.data
nibabel = pytest.importorskip("nibabel")

SERIES_WITH_TRUTH = [
    *(f"{maker}/anatomical/001" for maker in ("ge", "hitachi", "hyperfine", "philips", "philips_enhanced", "siemens")),
    "generic/anatomical/002_non_isotropic",
    *(f"generic/{kind}/001" for kind in ("compressed", "compressed_j2k", "compressed_jpeg", "compressed_jpegls")),
    "generic/compressed_rle/001",
    "failing/slicecount/001",
]
"""Folders of mr_dicom/dicom2nifti with `<folder>_ground_truth.nii.gz` beside them."""


def canonical(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(data, np.float32), affine))
    return np.asarray(image.dataobj), image.affine


def test_no_truth_is_left_out(data_dir: Path) -> None:
    root = data_dir / "mr_dicom" / "dicom2nifti"
    ending = "_ground_truth.nii.gz"
    there = {str(p.relative_to(root)).removesuffix(ending) for p in root.rglob(f"*{ending}")}
    assert there == set(SERIES_WITH_TRUTH)


@pytest.mark.parametrize("name", SERIES_WITH_TRUTH)
def test_voxels_and_affine_agree_with_the_published_nifti(data_dir: Path, name: str) -> None:
    root = data_dir / "mr_dicom" / "dicom2nifti"
    found = load(root / name)
    truth = nibabel.load(root / f"{name}_ground_truth.nii.gz")
    assert isinstance(found, Volume)
    ours, our_affine = canonical(found.data, found.grid.affine)
    theirs, their_affine = canonical(np.squeeze(truth.get_fdata()), truth.affine)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(our_affine, their_affine, atol=1e-3)
    assert Grid(ours.shape, our_affine).distance_mm(Grid(theirs.shape, their_affine)) <= 1e-3
    assert found.source.assumed == ()


@pytest.mark.parametrize("name", ["orientation", "sphere"])
def test_the_ibsi_phantoms_have_the_voxels_of_their_nifti_and_the_place_their_headers_say(
    data_dir: Path, name: str
) -> None:
    """The published pair contradicts itself: voxel for voxel the DICOM stack is the NIfTI one upside down.

    DICOM: Image Position (Patient) z runs from -126 to 0 mm in steps of 2; the NIfTI (qform) says 0 to 126 mm, and
    holds at its lowest slice what the DICOM files hold at their highest. The headers are followed, as dcm2niix does.
    """
    folder = data_dir / "mr_dicom" / "ibsi2_digital"
    found = load(folder / f"{name}_dicom.zip")
    theirs = nibabel.load(folder / f"{name}.nii.gz").get_fdata()
    np.testing.assert_array_equal(found.data[:, :, ::-1], theirs)
    expected = np.diag([-2.0, -2.0, 2.0, 1.0])
    expected[2, 3] = -126
    np.testing.assert_allclose(found.grid.affine, expected, atol=1e-9)


def test_the_pet_series_has_its_267_slopes(data_dir: Path) -> None:
    import pydicom

    path = data_dir / "nm_pet_dicom" / "mirp_sts001_fdg_pet" / "STS_001_FDG_PET.zip"
    found = load(path)
    assert found.data.shape == (128, 128, 267)
    with zipfile.ZipFile(path) as opened:
        slices = [pydicom.dcmread(opened.open(one)) for one in opened.infolist() if not one.is_dir()]
    assert len({float(one.RescaleSlope) for one in slices}) == 267
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    for k in range(0, 267, 13):
        expected = slices[k].pixel_array * float(slices[k].RescaleSlope) + float(slices[k].RescaleIntercept)
        np.testing.assert_allclose(found.data[:, :, k].T, expected, rtol=1e-6)
    assert found.grid.spacing_mm == pytest.approx((4.6875, 4.6875, 3.27), abs=1e-4)
    assert found.acquisition.units == "BQML"
    assert found.acquisition.modality == "PT"
    assert found.source.path == str(path)


@pytest.mark.parametrize(
    ("name", "degrees"), [("dicom2nifti/failing/gantrytilting", 14.0), ("dcm_qa_ct_gantry_tilt", 18.5)]
)
def test_gantry_tilt_is_measured(data_dir: Path, name: str, degrees: float) -> None:
    folder = data_dir / "mr_dicom" / name
    (candidate,) = survey(folder)
    assert not candidate.loadable
    assert f"{degrees:.2f} degrees" in candidate.error.found
    found = load(folder, strictness=Strictness.WARN)
    assert "gantry tilt" in found.source.assumed[0]


def test_a_missing_slice_is_measured(data_dir: Path) -> None:
    (candidate,) = survey(data_dir / "mr_dicom" / "dicom2nifti" / "failing" / "sliceincrement")
    assert "Slices are missing" in candidate.reason
    assert "5.000 to 10.000 mm" in candidate.error.found


def test_two_orientations_in_one_series_are_measured(data_dir: Path) -> None:
    (candidate,) = survey(data_dir / "mr_dicom" / "dicom2nifti" / "failing" / "sliceorientation")
    assert "parallel planes" in candidate.reason
    assert "97.52 degrees" in candidate.error.found


@pytest.mark.parametrize("name", ["HFS", "HFP"])
def test_prone_and_supine_lie_where_their_headers_say(data_dir: Path, name: str) -> None:
    """Patient Position is not used: Image Orientation (Patient) is in patient axes already (C.7.6.2.1.1)."""
    found = load(data_dir / "mr_dicom" / "dcm_qa_decubitus" / f"{name}_t1_fl2d_sag.zip")
    assert found.grid.axis_codes == "PIR" or found.grid.axis_codes == "PIL"
    assert found.grid.spacing_mm == pytest.approx((1.015625, 1.015625, 4.8), abs=1e-4)


@pytest.mark.parametrize("series", ["5001", "6001"])
def test_code_streams_in_several_fragments(data_dir: Path, series: str) -> None:
    """JPEG lossless (5001) and JPEG 2000 (6001) in pieces of 3000 bytes; the yardstick reads the files as they are."""
    import SimpleITK

    folder = data_dir / "mr_dicom" / "dcm_qa_frag"
    found = load(folder, series=series)
    assert found.data.shape == (128, 128, 3)
    for k, path in enumerate(sorted(folder.glob(f"{series}*.dcm"))):
        image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
        # Slices are ordered along row x column, which points to the right here: against the file names.
        np.testing.assert_array_equal(found.data[:, :, 2 - k].T, SimpleITK.GetArrayFromImage(image)[0])


def test_a_whole_head_of_384_slices(data_dir: Path) -> None:
    found = load(data_dir / "mr_dicom" / "datalad_t1w" / "T1w_dicoms.zip")
    assert found.data.shape == (274, 384, 384)
    assert found.grid.spacing_mm == pytest.approx((0.69998783, 0.66666669, 0.66666669), abs=1e-6)
    assert found.acquisition.age_years == 47.54  # Patient's Age is written as 42 without a unit: from the dates
