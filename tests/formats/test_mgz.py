"""MGH and MGZ: nibabel is the oracle."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dopascope import formats, geometry
from dopascope.errors import GeometryError, HostileError, UnreadableError, UnsupportedError
from dopascope.formats import Limits, Strictness

AFFINE = geometry.rotation([20, -7, 5]) @ np.diag([1.0, 1.5, 2.0, 1.0])
AFFINE[:3, 3] = [-10, 20, 30]


def written(path: Path, kind: str = "f4", shape: tuple[int, ...] = (7, 8, 9)) -> Path:
    data = (np.arange(np.prod(shape)) % 120).reshape(shape).astype(kind)
    nibabel.save(nibabel.MGHImage(data, AFFINE), path)
    return path


def patched(path: Path, at: int, form: str, *values: object) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, at, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4"])
def test_values_and_affine_agree_with_nibabel(tmp_path: Path, name: str, kind: str) -> None:
    truth = nibabel.load(written(tmp_path / name, kind))
    found = formats.load(tmp_path / name)
    np.testing.assert_array_equal(found.data, truth.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(found.grid.affine, truth.affine, atol=1e-4)
    assert found.source.orientation_from == "MGH direction cosines"


def test_unsigned_short_is_read(tmp_path: Path) -> None:
    path = patched(written(tmp_path / "a.mgh", "i2"), 20, ">i", 10)
    patched(path, 284, ">H", 40_000)
    assert formats.load(path).data[0, 0, 0] == 40_000


def test_frames_need_a_choice(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mgz", shape=(3, 4, 5, 2))
    with pytest.raises(UnsupportedError, match="several volumes"):
        formats.load(path)
    truth = nibabel.load(path).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(formats.load(path, frame=1).data, truth[..., 1])


def test_without_orientation_nothing_is_guessed_unless_asked(tmp_path: Path) -> None:
    path = patched(written(tmp_path / "a.mgh"), 28, ">h", 0)
    with pytest.raises(GeometryError, match="which way the head lies"):
        formats.load(path)
    found = formats.load(path, strictness=Strictness.WARN)
    # FreeSurfer allocates x = left, y = inferior, z = anterior; nibabel fills in the transpose of that.
    assert found.grid.axis_codes == "LIA"
    np.testing.assert_allclose(found.grid.to_world([3.5, 4, 4.5]), 0, atol=1e-6)
    assert "goodRASFlag" in found.source.assumed[0]


@pytest.mark.parametrize(("kind", "word"), [(2, "long"), (5, "bitmap"), (6, "tensor"), (11, "RGB")])
def test_types_that_are_not_intensities_are_refused_by_name(tmp_path: Path, kind: int, word: str) -> None:
    with pytest.raises(UnsupportedError, match=word):
        formats.load(patched(written(tmp_path / "a.mgh"), 20, ">i", kind))


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan")])
def test_an_impossible_voxel_size_is_a_geometry_error(tmp_path: Path, spacing: float) -> None:
    with pytest.raises(GeometryError, match="voxel size"):
        formats.load(patched(written(tmp_path / "a.mgh"), 30, ">f", spacing))


def test_a_lying_or_damaged_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="more voxels than the file can hold"):
        formats.load(patched(written(tmp_path / "a.mgh"), 4, ">3i", 70, 80, 90))
    with pytest.raises(HostileError, match="larger volume"):
        formats.load(patched(written(tmp_path / "b.mgh"), 4, ">3i", 30_000, 30_000, 30_000))
    with pytest.raises(UnreadableError, match="name says MGH"):
        formats.load(patched(written(tmp_path / "c.mgh"), 4, ">3i", -1, 8, 9))
    path = written(tmp_path / "d.mgz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:1000]))
    with pytest.raises(UnreadableError, match="ends before"):
        formats.load(path)


def test_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(HostileError, match="larger volume"):
        formats.load(written(tmp_path / "a.mgz"), limits=Limits(max_volume_bytes=1000))
