"""What we write as DICOM, in the eyes of others: dciodvfy, pydicom, SimpleITK and dcm2niix, and of our own reader."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope.formats import load
from dopascope.formats.dicom_write import Tomography, write_nm
from dopascope.phantom import SITES
from dopascope.simulate import Plan
from dopascope.volume import Acquisition, Grid, Volume

pydicom = pytest.importorskip("pydicom")

AXIAL = np.array([[-2.1, 0, 0, 8], [0, -3.2, 0, 12], [0, 0, 4.3, -20], [0, 0, 0, 1.0]])
"""Patient axes of DICOM (LPS), as cameras write them."""
signs = pytest.mark.parametrize("sign", [1, -1])
sites = pytest.mark.parametrize("name", sorted(SITES))


def counts(facts: Acquisition | None = None) -> Volume:
    data = np.random.default_rng(1).poisson(50, (12, 14, 9))
    return Volume(data, Grid((12, 14, 9), AXIAL), facts or Acquisition())


def facts_of(name: str) -> tuple[Acquisition, Tomography]:
    """What `dopascope simulate` writes into the header of a scan at this site."""
    one = Plan(1, 4, sites=(name,)).participant(1)
    site = SITES[name]
    return one.acquisition(one.person()), Tomography(site.angles, site.radius_mm, round(site.counts))


def in_world(data: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], float]:
    """Every voxel by its place in RAS mm, whatever the order of the axes."""
    places = np.round(Grid(data.shape, affine).centres_mm().reshape(-1, 3), 3) + 0.0
    return dict(zip(map(tuple, places), data.ravel().tolist(), strict=True))


def complaints(path: Path) -> tuple[list[str], list[str]]:
    """Errors and warnings of dciodvfy (Debian's dicom3tools)."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dicom3tools is not installed")
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "NMImage" in lines
    return [one for one in lines if "Error" in one], [one for one in lines if "Warning" in one]


@signs
@sites
def test_dciodvfy_finds_no_error_at_any_site(tmp_path: Path, name: str, sign: int) -> None:
    facts, tomography = facts_of(name)
    volume = Volume(counts().data * 0.37, counts().grid, facts)
    path = write_nm(
        volume, tmp_path / "a.dcm", spacing_sign=sign, patient_name="SIMULATED^SUB-00001", tomography=tomography
    )
    errors, warnings = complaints(path)
    assert errors == []
    # Rescale is not part of the NM image; it repeats the real-world value map for readers that know only rescale.
    assert len(warnings) == 2
    assert all("Rescale" in one and "not present in standard DICOM IOD" in one for one in warnings)


def test_dciodvfy_finds_nothing_at_all_in_counts_with_the_defaults(tmp_path: Path) -> None:
    assert complaints(write_nm(counts(), tmp_path / "a.dcm")) == ([], [])


@sites
def test_our_reader_gives_back_what_the_site_said(tmp_path: Path, name: str) -> None:
    facts, tomography = facts_of(name)
    found = load(write_nm(counts(facts), tmp_path / "a.dcm", tomography=tomography)).acquisition  # type: ignore[union-attr]
    assert found.age_years == pytest.approx(facts.age_years, abs=0.5)  # VR AS has whole years
    assert replace(found, age_years=facts.age_years) == facts


@pytest.mark.parametrize(
    ("attenuation", "scatter", "terms"),
    [(True, False, ["ATTN"]), (False, True, ["SCAT"]), (True, True, ["ATTN", "SCAT"])],
)
def test_corrections_that_are_known_stand_in_corrected_image(
    tmp_path: Path, attenuation: bool, scatter: bool, terms: list[str]
) -> None:
    facts = Acquisition(attenuation_corrected=attenuation, scatter_corrected=scatter)
    path = write_nm(counts(facts), tmp_path / "a.dcm")
    made = pydicom.dcmread(path)
    assert [made.CorrectedImage] if isinstance(made.CorrectedImage, str) else list(made.CorrectedImage) == terms
    found = load(path).acquisition  # type: ignore[union-attr]
    assert (found.attenuation_corrected, found.scatter_corrected) == (attenuation, scatter)


def test_the_header_has_the_orbit_the_window_and_the_codes(tmp_path: Path) -> None:
    path = write_nm(
        counts(Acquisition(filter="Butterworth 0.46/cm order 5", reconstruction="OSEM 8i8s")),
        tmp_path / "a.dcm",
        tomography=Tomography(64, 123.5, 2_500_000),
    )
    made = pydicom.dcmread(path)
    (rotation,) = made.RotationInformationSequence
    assert (rotation.NumberOfFramesInRotation, float(rotation.AngularStep)) == (64, 5.625)
    assert float(rotation.RadialPosition) == 123.5
    assert made.CountsAccumulated == 2_500_000
    limits = made.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
    assert float(limits.EnergyWindowLowerLimit) < 159 < float(limits.EnergyWindowUpperLimit)
    (drug,) = made.RadiopharmaceuticalInformationSequence
    from pydicom.sr.codedict import codes

    for found, code in (
        (drug.RadionuclideCodeSequence, codes.cid18._123Iodine),
        (drug.RadiopharmaceuticalCodeSequence, codes.SCT.IoflupaneI123),
        (made.PatientOrientationCodeSequence, codes.cid19.Recumbent),
        (made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence, codes.cid20.Supine),
        (made.PatientGantryRelationshipCodeSequence, codes.cid21.Headfirst),
    ):
        assert (found[0].CodeValue, found[0].CodingSchemeDesignator) == (code.value, "SCT")
    assert list(made.ConvolutionKernel) == ["Butterworth", "0.46/cm order 5"]
    assert made.ProcessingFunction == "OSEM 8i8s"
    assert list(made.ImageType) == ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]


@signs
def test_pydicom_reads_the_same_voxels(tmp_path: Path, sign: int) -> None:
    volume = Volume(counts().data * 0.37 - 4, counts().grid)
    path = write_nm(volume, tmp_path / "a.dcm", spacing_sign=sign)
    made = pydicom.dcmread(path)
    values = made.pixel_array * float(made.RescaleSlope) + float(made.RescaleIntercept)
    step = float(volume.data.max() - min(volume.data.min(), 0)) / 65535
    np.testing.assert_allclose(values.transpose(2, 1, 0)[:, :, ::sign], volume.data, atol=0.51 * step + 1e-5)
    np.testing.assert_allclose(load(path).data, values.transpose(2, 1, 0), atol=1e-4)


@signs
def test_simpleitk_sees_the_same_voxels_in_the_same_place(tmp_path: Path, sign: int) -> None:
    import SimpleITK

    path = write_nm(counts(), tmp_path / "a.dcm", spacing_sign=sign)
    image = SimpleITK.ReadImage(str(path))
    theirs = in_world(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), itk_affine(image))
    assert theirs == in_world(counts().data, AXIAL)


def test_simpleitk_does_not_take_slice_thickness_for_a_spacing_that_is_missing(tmp_path: Path) -> None:
    """Shown, not hidden: without Spacing Between Slices it stacks slices 1 mm apart; we take Slice Thickness."""
    import SimpleITK

    path = write_nm(counts(), tmp_path / "a.dcm")
    made = pydicom.dcmread(path)
    del made.SpacingBetweenSlices
    made.save_as(path)
    assert SimpleITK.ReadImage(str(path)).GetSpacing() == pytest.approx((2.1, 3.2, 1.0))
    found = load(path)
    assert found.grid.spacing_mm == pytest.approx((2.1, 3.2, 4.3))  # type: ignore[union-attr]
    assert any("Slice Thickness" in one for one in found.source.assumed)  # type: ignore[union-attr]


@signs
def test_dcm2niix_is_right_with_positive_spacing_and_upside_down_with_negative(tmp_path: Path, sign: int) -> None:
    """Shown, not hidden: dcm2niix does not use the sign (rordenlab/dcm2niix issue 885)."""
    import nibabel

    dcm2niix = pytest.importorskip("dcm2niix")
    path = write_nm(counts(), tmp_path / "a.dcm", spacing_sign=sign)
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-s", "y", "-o", str(tmp_path), "-f", "out", str(path)]
    subprocess.run(command, capture_output=True, check=True)
    image = nibabel.load(tmp_path / "out.nii")
    theirs = in_world(np.asarray(image.dataobj, np.float32), image.affine)
    ours = in_world(counts().data, AXIAL)
    if sign == 1:
        assert theirs == ours
    else:
        first = AXIAL[2, 3] + 8 * AXIAL[2, 2]  # the first frame is the highest slice
        assert theirs == {(x, y, round(2 * first - z, 3)): value for (x, y, z), value in ours.items()}
        assert theirs != ours
    assert in_world(load(path).data, load(path).grid.affine) == ours  # type: ignore[union-attr]


def itk_affine(image: object) -> np.ndarray:
    """Index to RAS mm of a SimpleITK image, whose world is LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()  # type: ignore[attr-defined]
    affine[:3, 3] = image.GetOrigin()  # type: ignore[attr-defined]
    return np.diag([-1.0, -1, 1, 1]) @ affine
