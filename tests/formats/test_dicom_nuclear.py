"""Nuclear medicine: geometry by the words of PS3.3 C.8.4, and everything that is no volume refused by name."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope import geometry
from dopascope.errors import (
    GeometryError,
    HostileError,
    InputError,
    UnreadableError,
    UnsuitableError,
    UnsupportedError,
    UsageError,
)
from dopascope.formats import Limits, load
from dopascope.formats.dicom_write import write_nm
from dopascope.volume import Acquisition, Grid, Volume

pydicom = pytest.importorskip("pydicom")


def counts(seed: int = 1) -> Volume:
    affine = geometry.rotation([11, -7, 5]) @ np.diag([-2.1, 3.2, 4.3, 1.0])
    affine[:3, 3] = [8, 12, -20]
    return Volume(np.random.default_rng(seed).poisson(50, (7, 8, 9)), Grid((7, 8, 9), affine))


def in_world(volume: Volume) -> dict[tuple[float, ...], float]:
    """Every voxel by its place in millimetres: what an image is, whatever the order of its axes."""
    places = np.round(volume.grid.centres_mm().reshape(-1, 3), 4) + 0.0
    return dict(zip(map(tuple, places), volume.data.ravel().tolist(), strict=True))


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """An NM file of `counts()` changed by `edit(data set)`; its frames are in the order of `counts()` (sign -1)."""

    def make(edit: Callable[[Any], object], sign: int = -1) -> Path:
        path = write_nm(counts(), tmp_path / "scan.dcm", spacing_sign=sign)
        made = pydicom.dcmread(path)
        edit(made)
        made.save_as(path)
        return path

    return make


@pytest.mark.parametrize("sign", [1, -1])
def test_both_signs_of_the_spacing_give_the_volume_they_were_written_from(tmp_path: Path, sign: int) -> None:
    volume = counts()
    path = write_nm(volume, tmp_path / "scan.dcm", spacing_sign=sign)
    assert np.sign(pydicom.dcmread(path).SpacingBetweenSlices) == sign
    assert in_world(load(path)) == pytest.approx(in_world(volume))


@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 9)] * 3),
    flips=st.tuples(*[st.sampled_from([1, -1])] * 3),
    sign=st.sampled_from([1, -1]),
)
@settings(max_examples=60, deadline=None)
def test_any_perpendicular_grid_survives(
    tmp_path_factory: pytest.TempPathFactory,
    degrees: tuple[float, ...],
    spacing: tuple[float, ...],
    flips: tuple[int, ...],
    sign: int,
) -> None:
    affine = geometry.rotation(degrees) @ np.diag([*np.array(spacing) * flips, 1.0])
    affine[:3, 3] = [31, -17, 5]
    volume = Volume(np.arange(2 * 3 * 4).reshape(2, 3, 4), Grid((2, 3, 4), affine))
    found = load(write_nm(volume, tmp_path_factory.mktemp("nm") / "a.dcm", spacing_sign=sign))
    same = found if np.allclose(found.grid.affine, affine, atol=1e-4) else None
    if same is None:  # stacked the other way round
        last = volume.grid.to_world([0, 0, 3])
        np.testing.assert_allclose(found.grid.affine[:3, 3], last, atol=1e-4)
        np.testing.assert_allclose(found.grid.affine[:3, 2], -affine[:3, 2], atol=1e-4)
        np.testing.assert_array_equal(found.data[:, :, ::-1], volume.data)
    else:
        np.testing.assert_array_equal(found.data, volume.data)


def test_one_frame_per_file_is_a_series_like_any_other(tmp_path: Path) -> None:
    """Old cameras: each slice a file of its own, its place still in the Detector Information Sequence."""
    whole = pydicom.dcmread(write_nm(counts(), tmp_path / "whole.dcm"))
    frames, spacing = whole.pixel_array, float(whole.SpacingBetweenSlices)
    detector = whole.DetectorInformationSequence[0]
    first = np.array(detector.ImagePositionPatient, float)
    row, column = np.array(detector.ImageOrientationPatient, float).reshape(2, 3)
    (tmp_path / "frames").mkdir()
    for k, frame in enumerate(frames):
        position = first + k * spacing * np.cross(row, column)
        detector.ImagePositionPatient = [f"{x:.10g}" for x in position]
        whole.NumberOfFrames, whole.SliceVector, whole.NumberOfSlices = 1, 1, 1
        whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = f"2.25.{k + 1}"
        whole.PixelData = frame.tobytes()
        whole.save_as(tmp_path / "frames" / f"{8 - k}.dcm")
    found = load(tmp_path / "frames")
    assert in_world(found) == pytest.approx(in_world(counts()))
    assert found.source.format == "dicom-series"
    with pytest.raises(UnsupportedError, match="one slice") as caught:
        load(tmp_path / "frames" / "0.dcm")
    assert str(tmp_path / "frames") in caught.value.fix


def test_values_that_are_not_counts_are_scaled_and_the_scale_is_recorded(tmp_path: Path) -> None:
    volume = counts()
    real = replace(volume, data=np.random.default_rng(2).normal(3, 40, volume.data.shape))
    path = write_nm(real, tmp_path / "scan.dcm", spacing_sign=-1)
    found = load(path)
    span = float(real.data.max() - real.data.min())
    assert np.abs(found.data - real.data).max() <= span / 65535
    made = pydicom.dcmread(path)
    assert made.RealWorldValueMappingSequence[0].RealWorldValueSlope == pytest.approx(float(made.RescaleSlope))
    assert found.acquisition.units == "{counts}"


def test_the_same_volume_gives_the_same_file(tmp_path: Path) -> None:
    first, second = (write_nm(counts(), tmp_path / name).read_bytes() for name in ("a.dcm", "b.dcm"))
    assert first == second
    assert write_nm(counts(2), tmp_path / "c.dcm").read_bytes() != first


def test_frames_in_any_order_are_put_in_their_slices(edited: Callable[..., Path]) -> None:
    shuffled = np.random.default_rng(3).permutation(9)

    def shuffle(made: Any) -> None:
        frames = made.pixel_array[shuffled]
        made.SliceVector = [int(k) + 1 for k in shuffled]
        detector = made.DetectorInformationSequence[0]
        # The position belongs to the first frame transmitted (C.8.4.11), which is another slice now.
        row, column = np.split(np.array(detector.ImageOrientationPatient, float), 2)
        step = np.cross(row, column) * float(made.SpacingBetweenSlices)
        moved = np.array(detector.ImagePositionPatient, float) + int(shuffled[0]) * step
        detector.ImagePositionPatient = [f"{x:.10g}" for x in moved]
        made.PixelData = frames.tobytes()

    for sign in (1, -1):
        found = load(edited(shuffle, sign))
        assert in_world(found) == pytest.approx(in_world(counts()))
        assert "first frame" in found.source.assumed[0]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("STATIC", "planar"),
        ("WHOLE BODY", "whole-body"),
        ("DYNAMIC", "dynamic"),
        ("GATED", "gated"),
        ("TOMO", "not reconstructed"),
        ("GATED TOMO", "not reconstructed"),
        ("RECON GATED TOMO", "heart phase"),
        ("SOMETHING", "does not name"),
    ],
)
def test_other_kinds_are_refused_by_name_with_what_to_do(edited: Callable[..., Path], kind: str, word: str) -> None:
    def rename(made: Any) -> None:
        made.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
        made.FrameIncrementPointer = 0x00540020

    with pytest.raises(UnsupportedError, match=word) as caught:
        load(edited(rename))
    assert caught.value.found == kind
    assert caught.value.fix


def test_the_slice_vector_alone_says_recon_tomo(edited: Callable[..., Path]) -> None:
    found = load(edited(lambda made: setattr(made, "ImageType", ["DERIVED", "PRIMARY"])))
    assert "Slice Vector says RECON TOMO" in found.source.assumed[0]


def test_without_spacing_the_slice_thickness_stands_in_and_is_recorded(edited: Callable[..., Path]) -> None:
    found = load(edited(lambda made: made.__delattr__("SpacingBetweenSlices"), sign=1))
    assert in_world(found) == pytest.approx(in_world(counts()))
    assert "Slice Thickness 4.3 mm" in found.source.assumed[0]


def without(*keywords: str) -> Callable[[Any], None]:
    def edit(made: Any) -> None:
        for keyword in keywords:
            for holder in (made, made.DetectorInformationSequence[0]):
                if keyword in holder:
                    delattr(holder, keyword)

    return edit


def put(**values: Any) -> Callable[[Any], None]:
    def edit(made: Any) -> None:
        for keyword, value in values.items():
            holder = made.DetectorInformationSequence[0] if keyword.startswith("Image") else made
            setattr(holder, keyword, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "kind", "where"),
    [
        (without("SpacingBetweenSlices", "SliceThickness"), GeometryError, "SpacingBetweenSlices"),
        (put(SpacingBetweenSlices="0"), GeometryError, "SpacingBetweenSlices"),
        (without("ImagePositionPatient"), GeometryError, "ImagePositionPatient"),
        (without("ImageOrientationPatient"), GeometryError, "Patient"),
        (without("PixelSpacing"), GeometryError, "PixelSpacing"),
        (put(PixelSpacing=["0", "2"]), GeometryError, "PixelSpacing"),
        (put(ImageOrientationPatient=[1, 0, 0, 0.2, 0.98, 0]), GeometryError, "ImageOrientationPatient"),
        (put(ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), GeometryError, "ImageOrientationPatient"),
        (put(SliceVector=[1, 2, 3, 4, 5, 6, 7, 8, 10]), GeometryError, "SliceVector"),
        (put(SliceVector=[1, 2, 3]), UnreadableError, "SliceVector"),
        (put(SliceVector=[1, 2, 3, 1, 2, 3, 1, 2, 3], NumberOfEnergyWindows=3), UnsupportedError, "SliceVector"),
        (put(NumberOfFrames="99999"), HostileError, "NumberOfFrames"),
        (put(NumberOfFrames="10"), UnreadableError, ""),
        (put(Rows=65535, Columns=65535), HostileError, ""),
        (put(BitsAllocated=12), UnsupportedError, "BitsAllocated"),
        (put(BitsStored=17), UnreadableError, "BitsStored"),
        (put(PhotometricInterpretation="RGB", SamplesPerPixel=3), UnsupportedError, ""),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_missing_or_contradictory_is_named(
    edited: Callable[..., Path], edit: Callable[[Any], None], kind: type[InputError], where: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(edited(edit))
    assert type(caught.value) is kind
    assert where in caught.value.where
    assert caught.value.fix


def test_several_energy_windows_are_named(edited: Callable[..., Path]) -> None:
    with pytest.raises(UnsupportedError) as caught:
        load(edited(put(SliceVector=[1, 2, 3, 1, 2, 3, 1, 2, 3], NumberOfEnergyWindows=3)))
    assert "3 energy windows" in caught.value.found


def test_two_detectors_must_say_the_same(edited: Callable[..., Path]) -> None:
    def twin(made: Any, shift: float) -> None:
        from copy import deepcopy

        other = deepcopy(made.DetectorInformationSequence[0])
        other.ImagePositionPatient[0] += shift
        made.DetectorInformationSequence.append(other)

    assert in_world(load(edited(lambda made: twin(made, 0)))) == pytest.approx(in_world(counts()))
    with pytest.raises(GeometryError, match="different places"):
        load(edited(lambda made: twin(made, 5)))


def test_geometry_outside_the_detector_sequence_is_found_and_named(edited: Callable[..., Path]) -> None:
    def move_out(made: Any) -> None:
        detector = made.DetectorInformationSequence[0]
        made.ImagePositionPatient, made.ImageOrientationPatient = (
            detector.ImagePositionPatient,
            detector.ImageOrientationPatient,
        )
        del detector.ImagePositionPatient, detector.ImageOrientationPatient

    found = load(edited(move_out))
    assert in_world(found) == pytest.approx(in_world(counts()))
    assert found.source.orientation_from == "Image Orientation (Patient)"


def test_real_world_map_goes_before_rescale_and_several_are_recorded(edited: Callable[..., Path]) -> None:
    def two_maps(made: Any) -> None:
        from pydicom import Dataset

        made.RescaleSlope, made.RescaleIntercept = "7", "0"
        maps = []
        for slope, unit in ((2.0, "Bq/ml"), (3.0, "g/ml")):
            one, code = Dataset(), Dataset()
            one.RealWorldValueSlope, one.RealWorldValueIntercept = slope, 1.0
            code.CodeValue = unit
            one.MeasurementUnitsCodeSequence = [code]
            maps.append(one)
        made.RealWorldValueMappingSequence = maps

    found = load(edited(two_maps))
    np.testing.assert_allclose(found.data, counts().data * 2 + 1)
    assert found.acquisition.units == "Bq/ml"
    assert "first of 2" in found.source.assumed[0]


def test_rescale_alone_is_applied(edited: Callable[..., Path]) -> None:
    found = load(edited(put(RescaleSlope="0.5", RescaleIntercept="-3")))
    np.testing.assert_allclose(found.data, counts().data * 0.5 - 3)
    with pytest.raises(UnreadableError, match="scale"):
        load(edited(put(RescaleSlope="0")))


def test_a_look_up_table_as_real_world_map_is_refused(edited: Callable[..., Path]) -> None:
    def table(made: Any) -> None:
        from pydicom import Dataset

        made.RealWorldValueMappingSequence = [Dataset()]
        made.RealWorldValueMappingSequence[0].LUTLabel = "TABLE"

    with pytest.raises(UnsupportedError, match="look-up table"):
        load(edited(table))


def test_bits_above_bits_stored_are_not_pixels(edited: Callable[..., Path]) -> None:
    def overlay(made: Any) -> None:
        stored = made.pixel_array.astype("<u2") | 0x8000  # an old overlay plane in the top bit
        made.BitsStored, made.HighBit, made.PixelData = 12, 11, stored.tobytes()

    np.testing.assert_array_equal(load(edited(overlay)).data, counts().data)

    def negative(made: Any) -> None:
        stored = (made.pixel_array.astype(int) - 60) & 0x0FFF  # 12-bit two's complement in 16 bits
        made.BitsStored, made.HighBit, made.PixelRepresentation = 12, 11, 1
        made.PixelData = stored.astype("<u2").tobytes()

    np.testing.assert_array_equal(load(edited(negative)).data, counts().data - 60)


def test_float_pixel_data_is_read(edited: Callable[..., Path]) -> None:
    def real(made: Any) -> None:
        made.FloatPixelData = (made.pixel_array / 8).astype("<f4").tobytes()
        made.BitsAllocated = 32
        del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation

    np.testing.assert_allclose(load(edited(real)).data, counts().data / 8)


def test_what_the_header_says_of_the_acquisition(tmp_path: Path) -> None:
    said = Acquisition(
        sex="F",
        age_years=63,
        activity_mbq=185,
        hours_after_injection=3.5,
        filter="Butterworth",
        corrections=("ATTN", "UNIF"),
        collimator="LEHR",
        frame_duration_s=30.0,
        radiopharmaceutical="Ioflupane",
        manufacturer="ACME",
        model="TWIN",
    )
    found = load(write_nm(replace(counts(), acquisition=said), tmp_path / "scan.dcm")).acquisition
    for name in said.__dataclass_fields__:
        if getattr(said, name) not in (None, ()):
            assert getattr(found, name) == pytest.approx(getattr(said, name)), name
    assert found.modality == "NM"
    assert found.image_type[2] == "RECON TOMO"
    assert found.attenuation_corrected is True
    assert found.scatter_corrected is False
    assert found.radionuclide == "^123^Iodine"


def test_volumes_that_dicom_cannot_hold_are_refused(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(GeometryError, match="not perpendicular"):
        write_nm(Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4), sheared)), tmp_path / "a.dcm")
    with pytest.raises(UnsuitableError, match="not finite"):
        write_nm(Volume(np.full((2, 3, 4), np.nan), Grid((2, 3, 4), np.eye(4))), tmp_path / "a.dcm")
    with pytest.raises(UsageError):
        write_nm(counts(), tmp_path / "a.dcm", spacing_sign=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_dciodvfy_finds_no_error(tmp_path: Path, sign: int, scale: float) -> None:
    volume = counts()
    facts = Acquisition(sex="M", age_years=70, activity_mbq=180, hours_after_injection=3, corrections=("ATTN",))
    path = write_nm(
        Volume(volume.data * scale, volume.grid, facts), tmp_path / "a.dcm", spacing_sign=sign, patient_name="DOPA^ONE"
    )
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "NMImage" in said.stderr + said.stdout
    assert "Error" not in said.stderr + said.stdout


@pytest.mark.data
def test_the_mediso_reconstruction_lies_where_the_standard_puts_it(data_dir: Path) -> None:
    """Worked out by hand from the words of PS3.3, with the numbers of the file's header.

    C.8.4.11: Image Position (Patient) 0 \\ -264.319977 \\ -165.199986 is the centre of the first voxel transmitted;
    Image Orientation 1\\0\\0\\0\\1\\0: columns grow to the patient's left (+x of LPS), rows to the back (+y).
    C.8.4.15: the normal is row x column = (0, 0, 1), towards the head; Spacing Between Slices is -4.12999964, and "a
    negative spacing indicates slices are stacked in front of the first slice", against the normal: slice k lies
    4.12999964 k mm further down. World is RAS: x and y change sign.
    """
    found = load(data_dir / "nm_pet_dicom" / "glpoli_nmqc" / "Jaszack.dcm")
    step = 4.12999964
    assert found.grid.shape == (128, 128, 45)
    for i, j, k in [(0, 0, 0), (127, 0, 0), (0, 127, 0), (0, 0, 44), (100, 30, 7)]:
        expected = (-step * i, 264.319977 - step * j, -165.199986 - step * k)
        np.testing.assert_allclose(found.grid.to_world([i, j, k]), expected, atol=1e-6)
    assert found.grid.axis_codes == "LPI"
    stored = pydicom.dcmread(data_dir / "nm_pet_dicom" / "glpoli_nmqc" / "Jaszack.dcm").pixel_array
    np.testing.assert_array_equal(found.data, stored.transpose(2, 1, 0))
    assert found.source.assumed == ()
    assert found.acquisition.manufacturer == "MEDISO"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("glpoli_nmqc/FourBar.dcm", UnsupportedError, "planar views"),
        ("glpoli_nmqc/Spatial_Resol_X.dcm", UnsupportedError, "planar views"),
        ("glpoli_nmqc/UNIFORMIDAD_1.dcm", UnsupportedError, "planar views"),
        ("linaqa/MaxCountRate.dcm", UnsupportedError, "dynamic"),
        ("dcm4che/NM-MONO2-16-13x-heart", GeometryError, "does not say where"),
        ("dcm4che/NM1_JPLY", InputError, "does not say where|planar"),
    ],
)
def test_the_other_nuclear_files_are_refused_by_name(
    data_dir: Path, name: str, kind: type[InputError], word: str
) -> None:
    with pytest.raises(kind, match=word):
        load(data_dir / "nm_pet_dicom" / name, limits=Limits())
