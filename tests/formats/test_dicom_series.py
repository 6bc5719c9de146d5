"""Single-frame series and enhanced files: order, spacing, tilt, scale, compression; each flaw measured and named."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import geometry
from dopascope.errors import AmbiguousError, GeometryError, InputError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import Strictness, load
from dopascope.formats.dicom_codecs import RLE, stream_size
from dopascope.formats.dicom_plane import Plane
from dopascope.formats.dicom_stack import UNEVEN_TOLERANCE, stack_of
from dopascope.volume import Grid, Volume

pydicom = pytest.importorskip("pydicom")

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


def moved(k_of: Callable[[int], float], volume: Volume, sideways: float = 0.0) -> Callable[[Any, int], None]:
    """Put slice `k` at `k_of(k)` slice steps, and `sideways` mm along the row for each."""
    lps = geometry.LPS_TO_RAS @ volume.grid.affine
    row = lps[:3, 0] / np.linalg.norm(lps[:3, 0])

    def edit(made: Any, k: int) -> None:
        position = lps[:3, 3] + k_of(k) * lps[:3, 2] + sideways * k * row
        made.ImagePositionPatient = [f"{x:.10g}" for x in position]

    return edit


@pytest.mark.parametrize("modality", ["MR", "CT", "PT"])
def test_files_in_any_order_and_with_any_names_give_the_volume(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path], modality: str
) -> None:
    found = load(write_series(whole_volume, tmp_path / "a", modality=modality))
    np.testing.assert_array_equal(found.data, whole_volume.data)
    assert found.grid.same_as(whole_volume.grid, 1e-6)
    assert found.acquisition.modality == modality
    assert found.source.files == whole_volume.data.shape[2]


def test_instance_numbers_do_not_matter(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def scramble(made: Any, k: int) -> None:
        made.InstanceNumber = (k * 7) % 9
        made.SliceThickness = "99"

    found = load(write_series(whole_volume, tmp_path / "a", edit=scramble))
    np.testing.assert_array_equal(found.data, whole_volume.data)


def test_every_slice_has_its_own_scale(tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]) -> None:
    def scale(made: Any, k: int) -> None:
        made.RescaleSlope, made.RescaleIntercept = f"{0.5 + k}", f"{-k}"

    found = load(write_series(whole_volume, tmp_path / "a", modality="PT", edit=scale))
    k = np.arange(whole_volume.data.shape[2])
    np.testing.assert_allclose(found.data, whole_volume.data * (0.5 + k) - k, rtol=1e-6)


def test_a_missing_slice_is_refused_with_the_gap_or_filled_and_recorded(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    smooth = np.add.outer(np.arange(7), np.add.outer(np.arange(8) * 10, np.arange(9) * 100.0))
    volume = replace(whole_volume, data=smooth)
    folder = write_series(volume, tmp_path / "a")
    next(p for p in folder.iterdir() if pydicom.dcmread(p).InstanceNumber == 5).unlink()
    with pytest.raises(GeometryError, match="Slices are missing") as caught:
        load(folder)
    assert "4.000 to 8.000 mm" in caught.value.found
    assert "1 missing" in caught.value.found
    found = load(folder, strictness=Strictness.WARN)
    np.testing.assert_allclose(found.data, smooth, rtol=1e-6)  # linear along k: interpolation is exact
    assert found.grid.same_as(volume.grid, 1e-6)
    assert "Slices are missing" in found.source.assumed[0]
    assert load(folder, strictness=Strictness.IGNORE).source.assumed == ()


def test_uneven_slices_are_measured_against_the_tolerance(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    within = moved(lambda k: k + (0.9 * UNEVEN_TOLERANCE if k == 4 else 0), whole_volume)
    load(write_series(whole_volume, tmp_path / "within", edit=within))
    beyond = moved(lambda k: k + (1.5 * UNEVEN_TOLERANCE if k == 4 else 0), whole_volume)
    with pytest.raises(GeometryError, match="unevenly spaced") as caught:
        load(write_series(whole_volume, tmp_path / "beyond", edit=beyond))
    assert "0.120 mm off" in caught.value.found  # 1.5 * 0.02 * 4 mm
    assert "0.080 mm" in caught.value.expected


def test_a_gantry_tilt_is_refused_or_kept_as_the_sheared_grid_it_is(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "a", edit=moved(float, whole_volume, sideways=1.0))
    with pytest.raises(GeometryError, match="gantry tilt") as caught:
        load(folder)
    assert f"{np.rad2deg(np.arctan(1 / 4)):.2f} degrees" in caught.value.found
    found = load(folder, strictness=Strictness.WARN)
    expected = whole_volume.grid.affine.copy()
    expected[:3, 2] += expected[:3, 0] / 2.0  # one mm along the row for each slice
    np.testing.assert_allclose(found.grid.affine, expected, atol=1e-6)


def test_images_at_one_position_are_refused(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "a", edit=moved(lambda k: k // 2, whole_volume))
    with pytest.raises(AmbiguousError, match="at one position"):
        load(folder)


def test_planes_that_are_not_parallel_are_a_localiser(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def turn(made: Any, k: int) -> None:
        if k > 4:
            made.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    with pytest.raises(GeometryError, match="parallel planes") as caught:
        load(write_series(whole_volume, tmp_path / "a", edit=turn), strictness=Strictness.WARN)
    assert "degrees" in caught.value.found


def refuse(tmp_path: Path, volume: Volume, write: Callable[..., Path], edit: Callable[[Any, int], None]) -> InputError:
    with pytest.raises(InputError) as caught:
        load(write(volume, tmp_path / "a", edit=edit))
    return caught.value


def test_mosaics_are_refused_by_name(tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]) -> None:
    error = refuse(
        tmp_path,
        whole_volume,
        write_series,
        lambda made, k: setattr(made, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
    )
    assert "mosaic" in error.what


def test_pixel_spacing_must_be_one(tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]) -> None:
    error = refuse(
        tmp_path,
        whole_volume,
        write_series,
        lambda made, k: setattr(made, "PixelSpacing", ["3", "2"] if k else ["3", "2.1"]),
    )
    assert isinstance(error, GeometryError)
    assert "0.1000 mm" in error.found


def test_one_slice_alone_says_where_the_rest_is(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "a")
    with pytest.raises(UnsupportedError, match="one slice of a scan") as caught:
        load(folder / "000.dcm")
    assert str(folder) in caught.value.fix


def test_a_truncated_slice_is_not_silently_left_out(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "a")
    first = min(folder.iterdir(), key=lambda p: pydicom.dcmread(p).InstanceNumber)
    for keep in (0, 100, 600, first.stat().st_size - 10):
        first.write_bytes(first.read_bytes()[:keep])
        with pytest.raises(UnreadableError):
            load(folder)
        shutil.rmtree(folder)
        write_series(whole_volume, folder)


def test_the_stack_does_not_depend_on_the_order_it_is_given() -> None:
    rng = np.random.default_rng(4)
    turn = geometry.rotation([20, 30, 40])[:3, :3]
    planes = [Plane(turn @ [3.0, 4.0, 2.5 * k], turn[:, 0], turn[:, 1], (1.0, 1.5)) for k in range(12)]
    expected = stack_of("x", planes, Strictness.RAISE)
    for _ in range(5):
        order = rng.permutation(12)
        found = stack_of("x", [planes[k] for k in order], Strictness.RAISE)
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-9)
        np.testing.assert_array_equal(order[found.order], np.arange(12))


@pytest.mark.parametrize("strictness", list(Strictness))
def test_a_slice_far_away_is_refused_at_any_strictness(strictness: Strictness) -> None:
    """A fuzzer's find: an even grid up to a slice 16 km off would have taken 30 GB."""
    row, column = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    heights = [0.0, 4, 8, 12, 16, 1.6e10]
    planes = [Plane(np.array([0, 0, height]), row, column, (2.0, 3.0)) for height in heights]
    with pytest.raises(GeometryError):
        stack_of("a series", planes, strictness)


def test_resampling_weights_are_linear_interpolation() -> None:
    heights = np.array([0.0, 2.0, 4.0, 10.0, 12.0])
    planes = [Plane(np.array([0, 0, z]), np.eye(3)[0], np.eye(3)[1], (1.0, 1.0)) for z in heights]
    stack = stack_of("x", planes, Strictness.IGNORE)
    assert stack.weights is not None
    np.testing.assert_allclose(stack.weights @ heights, np.arange(0, 13, 2.0))
    np.testing.assert_allclose(stack.weights.sum(axis=1), 1)
    assert stack.slices == 7


# Enhanced multi-frame


def test_enhanced_frames_in_any_order_with_their_own_scale(
    tmp_path: Path, whole_volume: Volume, write_enhanced: Callable[..., Path]
) -> None:
    even = replace(whole_volume, data=2 * np.floor(whole_volume.data / 2))
    found = load(write_enhanced(even, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.data, even.data)
    assert found.grid.same_as(even.grid, 1e-6)


def test_several_volumes_in_an_enhanced_file_need_a_choice(
    tmp_path: Path, whole_volume: Volume, write_enhanced: Callable[..., Path]
) -> None:
    even = replace(whole_volume, data=2 * np.floor(whole_volume.data / 2))
    path = write_enhanced(even, tmp_path / "a.dcm", volumes=3)
    with pytest.raises(AmbiguousError) as caught:
        load(path)
    assert "frame = 0 to 2" in caught.value.fix
    for frame in range(3):
        np.testing.assert_array_equal(load(path, frame=frame).data, even.data + 100 * frame)
    with pytest.raises(UsageError, match="no such volume"):
        load(path, frame=3)


def test_functional_groups_must_match_the_frames(
    tmp_path: Path, whole_volume: Volume, write_enhanced: Callable[..., Path]
) -> None:
    path = write_enhanced(whole_volume, tmp_path / "a.dcm")
    made = pydicom.dcmread(path)
    made.PerFrameFunctionalGroupsSequence = made.PerFrameFunctionalGroupsSequence[:-1]
    made.save_as(path)
    with pytest.raises(UnreadableError, match="contradict"):
        load(path)
    made = pydicom.dcmread(write_enhanced(whole_volume, path))
    del made.SharedFunctionalGroupsSequence
    made.save_as(path)
    with pytest.raises(GeometryError, match="where the image lies"):
        load(path)


# Compression


def packed(made: Any, k: int) -> None:
    made.compress(RLE, generate_instance_uid=False)


def test_rle_is_decoded_as_pydicom_encodes_it(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(
        whole_volume, tmp_path / "a", edit=lambda made, k: made.compress(RLE, generate_instance_uid=0)
    )
    np.testing.assert_array_equal(load(folder).data, whole_volume.data)


def test_a_damaged_rle_segment_is_a_typed_error(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def damage(made: Any, k: int) -> None:
        made.compress(RLE, generate_instance_uid=False)
        if k == 3:
            made.PixelData = made.PixelData[:16] + bytes(64) + made.PixelData[80:]

    with pytest.raises(UnreadableError, match="compressed pixels"):
        load(write_series(whole_volume, tmp_path / "a", edit=damage))


def test_an_unknown_transfer_syntax_is_refused_by_name(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    htj2k = "1.2.840.10008.1.2.4.201"
    folder = write_series(
        whole_volume, tmp_path / "a", edit=lambda made, k: made.compress(RLE, generate_instance_uid=0)
    )
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(RLE.encode() + b"\0", htj2k.encode()[: len(RLE) + 1], 1))
    with pytest.raises(UnsupportedError, match="compressed in a way"):
        load(folder)


def test_code_streams_say_their_size() -> None:
    siz = b"\xff\x4f\xff\x51\0\x29\0\0" + b"".join(n.to_bytes(4, "big") for n in (70, 50, 6, 2)) + bytes(16) + b"\0\3"
    assert stream_size(siz) == (48, 64, 3)
    sof = b"\xff\xd8\xff\xe0\0\4xx\xff\xc3\0\x0b\x0c\0\x30\0\x40\1"
    assert stream_size(sof + bytes(9)) == (48, 64, 1)
    assert stream_size(b"\xff\xd8\xff\xf7\0\x0b\x0c\0\x30\0\x40\1" + bytes(9)) == (48, 64, 1)
    assert stream_size(b"neither") is None


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        f"MR_small{kind}.dcm"
        for kind in ["_RLE", "_jp2klossless", "_jpeg_ls_lossless", "_bigendian", "_implicit", "_expb", "_padded"]
    ],
)
def test_one_picture_in_many_transfer_syntaxes(data_dir: Path, name: str) -> None:
    folder = data_dir / "edge_cases" / "pydicom"
    found, plain = (load(folder / one, strictness=Strictness.WARN) for one in (name, "MR_small.dcm"))
    np.testing.assert_array_equal(found.data, plain.data)
    stored = pydicom.dcmread(folder / "MR_small.dcm").pixel_array
    np.testing.assert_array_equal(plain.data[:, :, 0].T, stored)
    assert "one slice only" in plain.source.assumed[0]


@pytest.mark.data
def test_a_code_stream_that_claims_another_size_never_reaches_the_decoder(data_dir: Path, tmp_path: Path) -> None:
    whole = (data_dir / "edge_cases" / "pydicom" / "MR_small_jp2klossless.dcm").read_bytes()
    at = whole.index(b"\xff\x4f\xff\x51") + 8
    (tmp_path / "a.dcm").write_bytes(whole[:at] + (60000).to_bytes(4, "big") + whole[at + 4 :])
    with pytest.raises(UnreadableError, match="compressed pixels") as caught:
        load(tmp_path / "a.dcm", strictness=Strictness.WARN)
    assert "60000" in caught.value.found


@pytest.mark.parametrize(("form", "syntax"), [("JPEG2000", "1.2.840.10008.1.2.4.90"), ("JPEG", JPEG_BASELINE)])
def test_code_streams_are_decoded(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path], form: str, syntax: str
) -> None:
    """Encoded by Pillow; JPEG 2000 without loss, baseline JPEG within the error that Pillow's own decoder shows."""
    from PIL import Image
    from pydicom.encaps import encapsulate

    bits = 8 if form == "JPEG" else 16
    top = 255 if form == "JPEG" else 4095
    smooth = np.add.outer(np.arange(17), np.add.outer(np.arange(18), np.arange(19))).astype(float)
    volume = Volume(np.round(smooth / smooth.max() * top), Grid((17, 18, 19), whole_volume.grid.affine))

    def encode(made: Any, k: int) -> None:
        stream = io.BytesIO()
        kind = np.uint8 if bits == 8 else np.uint16
        options = {"quality": 100} if bits == 8 else {"no_jp2": True, "irreversible": False}
        Image.fromarray(volume.data[:, :, k].T.astype(kind)).save(stream, form, **options)
        made.BitsAllocated = made.BitsStored = bits
        made.HighBit = bits - 1
        made.PixelData = encapsulate([stream.getvalue()])
        made["PixelData"].is_undefined_length = True
        made["PixelData"].VR = "OB"
        made.file_meta.TransferSyntaxUID = syntax

    found = load(write_series(volume, tmp_path / "a", edit=encode))
    assert np.abs(found.data - volume.data).max() <= (2 if form == "JPEG" else 0)


def test_a_grid_of_its_own_for_each_size(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    """Slices of two sizes in one series are two images, not one broken one."""
    small = Volume(whole_volume.data[:5], Grid((5, 8, 9), whole_volume.grid.affine))

    def other_uid(made: Any, k: int) -> None:
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"2.25.99{k}"

    write_series(whole_volume, tmp_path / "a" / "one")
    write_series(small, tmp_path / "a" / "two", edit=other_uid)
    with pytest.raises(AmbiguousError) as caught:
        load(tmp_path / "a")
    assert "5 x 8 x 9" in caught.value.found
    assert "7 x 8 x 9" in caught.value.found
