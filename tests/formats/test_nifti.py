"""NIfTI: nibabel is the oracle for values and affines; what nibabel lets pass is refused by name."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope import formats, geometry
from dopascope.errors import DopascopeError, GeometryError, HostileError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import Limits, Strictness
from dopascope.formats.nifti_header import affine_of, parse
from dopascope.formats.save import nifti_gz
from dopascope.volume import Grid, LabelMap, Volume

AFFINE = geometry.rotation([11, -7, 5]) @ np.diag([2.0, 3.0, 4.0, 1.0])


def written(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE, **fields: object) -> Path:
    """A NIfTI-1 file by nibabel with header `fields` forced in afterwards, where nibabel would object."""
    image = nibabel.Nifti1Image(data, affine)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return patched(path, **fields) if fields else path


OFFSETS = {
    "dim": (40, "<8h"),
    "datatype": (70, "<h"),
    "bitpix": (72, "<h"),
    "pixdim": (76, "<8f"),
    "vox_offset": (108, "<f"),
    "scl": (112, "<2f"),
    "xyzt_units": (123, "<B"),
    "qform_code": (252, "<h"),
    "sform_code": (254, "<h"),
    "quatern": (256, "<3f"),
    "srow": (280, "<12f"),
}


def patched(path: Path, **fields: object) -> Path:
    """Overwrite raw header fields of a NIfTI-1 file."""
    zipped = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if zipped else path.read_bytes())
    for name, value in fields.items():
        at, form = OFFSETS[name]
        values = value if isinstance(value, list | tuple) else [value]
        struct.pack_into(form, content, at, *values)
    path.write_bytes(gzip.compress(bytes(content)) if zipped else bytes(content))
    return path


def values(shape: tuple[int, ...] = (7, 8, 9), dtype: object = np.int16) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 120).reshape(shape).astype(dtype)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("slope_inter", [(1.0, 0.0), (0.37, -12.5)])
def test_every_type_order_and_scaling_agrees_with_nibabel(
    tmp_path: Path, kind: str, order: str, slope_inter: tuple[float, float]
) -> None:
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind))
    image = nibabel.Nifti1Image(values(dtype=kind), AFFINE, header)
    image.header.set_slope_inter(*slope_inter)
    nibabel.save(image, tmp_path / "a.nii")
    truth = nibabel.load(tmp_path / "a.nii")
    assert truth.header.endianness == order
    found = formats.load(tmp_path / "a.nii")
    np.testing.assert_allclose(found.data, truth.get_fdata(), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(found.grid.affine, truth.affine, atol=1e-6)
    assert found.data.dtype == np.float32


SINGLE = [(name, make) for name in ("a.nii", "a.nii.gz") for make in (nibabel.Nifti1Image, nibabel.Nifti2Image)]
PAIRS = [(name, make) for name in ("a.hdr", "a.img", "a.img.gz") for make in (nibabel.Nifti1Pair, nibabel.Nifti2Pair)]


@pytest.mark.parametrize(("name", "make"), SINGLE + PAIRS)
def test_files_and_pairs_of_both_versions(tmp_path: Path, name: str, make: type) -> None:
    pair = (name, make) in PAIRS
    nibabel.save(make(values(), AFFINE), tmp_path / name)
    found = formats.load(tmp_path / name)
    np.testing.assert_array_equal(found.data, values())
    assert found.source.files == (2 if pair else 1)
    for one in tmp_path.iterdir():  # either file of a pair leads to the other
        np.testing.assert_array_equal(formats.load(one).data, values())


def test_a_pair_in_a_folder_or_zip_is_one_image(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Pair(values(), AFFINE), folder / "a.hdr")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for one in folder.iterdir():
            archive.write(one, f"inside/{one.name}")
    for source in (folder, tmp_path / "scan.zip", folder / "a.img"):
        assert [one.id for one in formats.survey(source)] == ["a.hdr"]
        np.testing.assert_array_equal(formats.load(source).data, values())


def test_a_pair_without_its_other_file_says_so(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(values(), AFFINE), tmp_path / "a.hdr")
    (tmp_path / "a.img").unlink()
    with pytest.raises(UnreadableError, match="another file"):
        formats.load(tmp_path / "a.hdr")


def test_several_gzip_members_are_one_content(tmp_path: Path) -> None:
    plain = written(tmp_path / "a.nii", values()).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(b"".join(gzip.compress(plain[i : i + 100]) for i in range(0, len(plain), 100)))
    np.testing.assert_array_equal(formats.load(tmp_path / "b.nii.gz").data, values())


def test_zeros_after_the_gzip_stream_are_ignored(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii.gz", values())
    path.write_bytes(path.read_bytes() + b"\0" * 512)
    np.testing.assert_array_equal(formats.load(path).data, values())


def test_sform_first_then_qform_and_both_are_named(tmp_path: Path) -> None:
    other = geometry.translation([50, 0, 0]) @ AFFINE
    image = nibabel.Nifti1Image(values(), AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(other, 1)
    nibabel.save(image, tmp_path / "both.nii")
    found = formats.load(tmp_path / "both.nii")
    np.testing.assert_allclose(found.grid.affine, AFFINE, atol=1e-5)
    assert found.source.orientation_from == "sform (code 4)"
    assert "differ by 50.0 mm" in " ".join(found.source.assumed)
    found = formats.load(patched(tmp_path / "both.nii", sform_code=0))
    np.testing.assert_allclose(found.grid.affine, other, atol=1e-4)
    assert found.source.orientation_from == "qform (code 1)"


def test_without_orientation_nothing_is_guessed_unless_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", values(), sform_code=0, qform_code=0)
    with pytest.raises(GeometryError) as caught:
        formats.load(path)
    assert {"where", "found", "expected", "fix"} <= caught.value.fields().keys()
    for strictness in (Strictness.WARN, Strictness.IGNORE):
        found = formats.load(path, strictness=strictness)
        assert found.grid.axis_codes == "RAS"
        np.testing.assert_allclose(found.grid.spacing_mm, [2, 3, 4], rtol=1e-6)
        np.testing.assert_allclose(found.grid.centre_mm, 0, atol=1e-5)
        assert found.source.orientation_from == "assumed"
        assert "left and right are not known" in " ".join(found.source.assumed)


def test_a_mirrored_qform_is_a_contradiction(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", values())
    mirrored = (AFFINE @ np.diag([-1, 1, 1, 1]))[:3].ravel().tolist()
    patched(path, srow=mirrored, sform_code=1)
    with pytest.raises(GeometryError, match="left and right"):
        formats.load(path)
    assert "opposite handedness" in " ".join(formats.load(path, strictness=Strictness.WARN).source.assumed)


def test_analyze_is_refused_for_want_of_orientation(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(values(), np.eye(4)), tmp_path / "a.img")
    for name in ("a.img", "a.hdr"):
        for strictness in Strictness:
            with pytest.raises(GeometryError, match=r"Analyze 7\.5"):
                formats.load(tmp_path / name, strictness=strictness)


@pytest.mark.parametrize(
    ("code", "word"),
    [(32, "complex64"), (1792, "complex128"), (128, "RGB24"), (2304, "RGBA32"), (1, "binary"), (99, "unknown")],
)
def test_types_that_are_not_intensities_are_refused_by_name(tmp_path: Path, code: int, word: str) -> None:
    with pytest.raises(UnsupportedError, match=word):
        formats.load(written(tmp_path / "a.nii", values(), datatype=code))


def test_trailing_single_axes_go_and_real_ones_need_a_frame(tmp_path: Path) -> None:
    four = values((3, 4, 5, 6))
    for shape in [(3, 4, 5, 1), (3, 4, 5, 1, 1, 1)]:
        assert formats.load(written(tmp_path / "s.nii", values(shape))).data.shape == (3, 4, 5)
    path = written(tmp_path / "f.nii.gz", four)
    with pytest.raises(UnsupportedError, match="several volumes"):
        formats.load(path)
    np.testing.assert_array_equal(formats.load(path, frame=4).data, four[..., 4])
    with pytest.raises(UsageError, match="no such frame"):
        formats.load(path, frame=6)
    with pytest.raises(UnsupportedError, match="five or more"):
        formats.load(written(tmp_path / "five.nii", values((3, 4, 5, 1, 3))), frame=0)


def test_two_dimensions_become_three(tmp_path: Path) -> None:
    assert formats.load(written(tmp_path / "two.nii", values((5, 6)))).data.shape == (5, 6, 1)


def test_nan_voxels_are_kept(tmp_path: Path) -> None:
    data = values(dtype=np.float32)
    data[1, 2, 3] = np.nan
    assert np.argwhere(np.isnan(formats.load(written(tmp_path / "a.nii", data)).data)).tolist() == [[1, 2, 3]]


def test_lengths_in_metres_and_micrometres_become_mm(tmp_path: Path) -> None:
    for unit, factor in ((1, 1000.0), (2, 1.0), (3, 0.001), (0, 1.0)):
        path = written(tmp_path / f"{unit}.nii", values(), AFFINE / [1, 1, 1, 1], xyzt_units=unit)
        np.testing.assert_allclose(formats.load(path).grid.spacing_mm, np.array([2, 3, 4]) * factor, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": [0, 7, 8, 9, 1, 1, 1, 1]},
        {"dim": [8, 7, 8, 9, 1, 1, 1, 1]},
        {"dim": [3, -7, 8, 9, 1, 1, 1, 1]},
        {"dim": [3, 0, 8, 9, 1, 1, 1, 1]},
        {"vox_offset": float("nan")},
        {"vox_offset": -352.0},
        {"vox_offset": 10.0},
        {"vox_offset": 1e30},
        {"scl": [2.0, float("inf")]},
        {"dim": [3, 7, 8, 10, 1, 1, 1, 1]},
    ],
)
def test_impossible_headers_are_unreadable(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableError) as caught:
        formats.load(written(tmp_path / "a.nii", values(), **fields))
    assert caught.value.where.endswith("a.nii")


@pytest.mark.parametrize(
    "fields",
    [
        {"srow": [0.0] * 12},
        {"srow": [float("nan")] * 12},
        {"sform_code": 0, "pixdim": [1.0, 0.0, 3.0, 4.0, 0, 0, 0, 0]},
        {"sform_code": 0, "pixdim": [1.0, -2.0, 3.0, 4.0, 0, 0, 0, 0]},
        {"sform_code": 0, "quatern": [0.9, 0.9, 0.9]},
        {"sform_code": 0, "quatern": [float("nan"), 0.0, 0.0]},
    ],
)
def test_impossible_orientations_name_the_file(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(GeometryError) as caught:
        formats.load(written(tmp_path / "a.nii", values(), **fields))
    assert caught.value.where.endswith("a.nii")


def test_a_wrong_bitpix_is_recorded_and_the_datatype_believed(tmp_path: Path) -> None:
    found = formats.load(written(tmp_path / "a.nii", values(), bitpix=8))
    np.testing.assert_array_equal(found.data, values())
    assert "bitpix" in found.source.assumed[0]


def test_claims_are_held_to_the_limits_before_any_voxel_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii.gz", values((40, 40, 40)))
    with pytest.raises(HostileError, match="larger volume"):
        formats.load(path, limits=Limits(max_volume_bytes=127_999))
    with pytest.raises(HostileError, match="grows past"):
        formats.load(path, limits=Limits(max_inflated_bytes=10_000))
    with pytest.raises(HostileError, match="larger than the limit"):
        formats.load(path, limits=Limits(max_file_bytes=100))
    assert formats.load(path, limits=Limits(max_volume_bytes=128_000)).data.shape == (40, 40, 40)


def test_a_damaged_gzip_stream_is_noticed_by_its_check_sum(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii.gz", values())
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the CRC-32 of the last eight bytes
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match="gzip stream is damaged"):
        formats.load(path)


turns = st.floats(-180, 180, allow_nan=False)
sizes = st.floats(0.5, 10, allow_nan=False)


@given(turn=st.tuples(turns, turns, turns), size=st.tuples(sizes, sizes, sizes), flip=st.booleans())
def test_the_qform_is_the_rotation_it_was_written_from(
    turn: tuple[float, float, float], size: tuple[float, float, float], flip: bool
) -> None:
    affine = geometry.rotation(turn) @ np.diag([*size, 1.0]) @ np.diag([-1.0 if flip else 1.0, 1, 1, 1])
    header = nibabel.Nifti1Header()
    header.set_data_shape((7, 8, 9))
    header.set_data_dtype(np.int16)
    header.set_qform(affine, 1)
    found, orientation, assumed = affine_of(parse(header.binaryblock, "x"), Strictness.RAISE)
    np.testing.assert_allclose(found, affine, atol=1e-3 * max(size))
    assert orientation == "qform (code 1)"
    assert assumed == ()


@given(junk=st.binary(min_size=348, max_size=348), version=st.sampled_from([b"n+1\0", b"ni1\0"]))
def test_any_header_gives_a_header_or_a_typed_error(junk: bytes, version: bytes) -> None:
    for size in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        try:
            header = parse(size + junk[4:344] + version, "x")
            affine_of(header, Strictness.RAISE)
        except DopascopeError:
            continue
        assert min(header.dims) >= 1
        assert header.offset >= 0


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_saving_and_loading_is_the_identity(tmp_path: Path, oblique_volume: Volume, name: str) -> None:
    formats.save_nifti(oblique_volume, tmp_path / name)
    found = formats.load(tmp_path / name)
    np.testing.assert_array_equal(found.data, oblique_volume.data)
    assert found.grid.same_as(oblique_volume.grid, 1e-4)
    header = nibabel.load(tmp_path / name).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_sheared_grid_is_written_as_sform_alone(tmp_path: Path) -> None:
    sheared = AFFINE.copy()
    sheared[:3, 0] += 0.5 * sheared[:3, 1]
    formats.save_nifti(Volume(values(), Grid((7, 8, 9), sheared)), tmp_path / "a.nii", code=2)
    header = nibabel.load(tmp_path / "a.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (2, 0)
    np.testing.assert_allclose(formats.load(tmp_path / "a.nii").grid.affine, sheared, atol=1e-5)


@pytest.mark.parametrize(("highest", "kind"), [(255, np.uint8), (256, np.int16), (40_000, np.int32)])
def test_labels_are_written_as_the_smallest_integers(tmp_path: Path, highest: int, kind: type) -> None:
    labels = LabelMap(np.where(values((7, 8, 9), np.int64) == 3, highest, 0), Grid((7, 8, 9), AFFINE))
    formats.save_nifti(labels, tmp_path / "a.nii.gz")
    assert nibabel.load(tmp_path / "a.nii.gz").get_data_dtype() == kind
    np.testing.assert_array_equal(formats.load(tmp_path / "a.nii.gz").data, labels.data)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, oblique_volume: Volume) -> None:
    huge = LabelMap(np.full((2, 3, 4), 2**40), Grid((2, 3, 4), AFFINE))
    (tmp_path / "a.nii").write_bytes(b"old")
    for image, name, code in [(huge, "a.nii", 1), (oblique_volume, "a.nii", 9), (oblique_volume, "a.nrrd", 1)]:
        with pytest.raises(UsageError):
            formats.save_nifti(image, tmp_path / name, code=code)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.nii", b"old")]


def test_coarse_values_are_exact_to_half_a_step(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0, 300, (5, 6, 7)).astype(np.float32)
    grid = Grid(values.shape, np.diag([2.0, 3, 4, 1]))
    (tmp_path / "coarse.nii.gz").write_bytes(nifti_gz(Volume(values, grid), code=4, coarse=True))
    back = formats.load(tmp_path / "coarse.nii.gz")
    np.testing.assert_allclose(back.data, values, atol=0.501 * np.abs(values).max() / 32767)
    assert back.grid.same_as(grid)
    (tmp_path / "empty.nii.gz").write_bytes(nifti_gz(Volume(0 * values, grid), code=4, coarse=True))
    assert not formats.load(tmp_path / "empty.nii.gz").data.any()
