"""Folders and zips: what counts as a file, and archives that no honest sender makes."""

from __future__ import annotations

import io
import os
import stat
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dopascope.errors import HostileError, UnreadableError, UnsupportedError
from dopascope.formats import Limits, load
from dopascope.formats.archive import blobs_of
from dopascope.volume import Volume

pytestmark = pytest.mark.promise(
    "Names inside a zip are never used as paths; links are refused", asvs="5.2.5, 5.3.2, 5.3.3", threats="T5, T6"
)


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def refused(path: Path, limits: Limits | None = None) -> HostileError:
    start = time.perf_counter()
    with pytest.raises(HostileError) as caught:
        blobs_of(path, limits or Limits())
    assert time.perf_counter() - start < 1.0
    assert caught.value.fix
    return caught.value


def test_a_folder_gives_its_files_in_order_and_counts_the_rest(tmp_path: Path) -> None:
    root, outside = tmp_path / "scan", tmp_path / "secret.dcm"
    (root / "b").mkdir(parents=True)
    for name in ("b/2.dcm", "1.dcm", ".DS_Store"):
        (root / name).write_bytes(b"x")
    outside.write_bytes(b"secret")
    (root / "inside.dcm").symlink_to(root / "1.dcm")
    (root / "outside.dcm").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    listing = blobs_of(root, Limits())
    names = [Path(blob.name).relative_to(root).as_posix() for blob in listing.blobs]
    assert names == ["1.dcm", "b/2.dcm", "inside.dcm"]
    assert b"secret" not in [blob.read() for blob in listing.blobs]
    assert listing.skipped["links that lead outside"] == 1
    assert listing.skipped["hidden files"] == 1
    assert listing.skipped["links to folders, devices and pipes"] == 2


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path) -> None:
    for k in range(12):
        (tmp_path / f"{k}").write_bytes(b"x")
    error = refused(tmp_path, Limits(max_files=10))
    assert "max_files" in error.expected
    assert len(blobs_of(tmp_path, Limits(max_files=12)).blobs) == 12


def test_a_zip_gives_what_the_folder_gives(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "a")
    members = {f"study/{p.name}": p.read_bytes() for p in folder.iterdir()}
    path = zipped(tmp_path / "a.zip", members | {"__MACOSX/._1": b"junk", "README.txt": b"hello", "empty": b""})
    from_zip, from_folder = load(path), load(folder)
    np.testing.assert_array_equal(from_zip.data, from_folder.data)
    assert from_zip.grid == from_folder.grid
    assert from_zip.source.sha256 == from_folder.source.sha256
    assert from_zip.source.path == str(path)


def test_a_pair_of_files_in_a_zip_finds_its_partner(tmp_path: Path) -> None:
    import nibabel

    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([2, 3, 4, 1])), tmp_path / "a.img")
    members = {f"deep/{name}": (tmp_path / name).read_bytes() for name in ("a.hdr", "a.img")}
    np.testing.assert_array_equal(load(zipped(tmp_path / "a.zip", members), series="a.hdr").data, data)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/cron.d/x.dcm",
        "/etc/passwd",
        "C:/windows/x",
        "..\\..\\x.dcm",
        "a/../../b",
        "/".join("d" * 300),
        "n" * 2000,
    ],
)
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "a.zip", {name: b"x", "b.dcm": b"y"})
    before = set(tmp_path.parent.rglob("*"))
    assert "no honest archive" in refused(path).what
    assert set(tmp_path.parent.rglob("*")) == before


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"aXb.dcm": b"x"})
    path.write_bytes(path.read_bytes().replace(b"aXb.dcm", b"a\0b.dcm"))
    assert "NUL" in refused(path).found


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("link.dcm")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(entry, "/etc/passwd")
    assert "link or device" in refused(tmp_path / "a.zip").found


def test_names_that_differ_by_case_or_are_the_same_harm_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
            for name in ("A.dcm", "a.dcm", "a.dcm"):
                made.writestr(name, b"x")
    assert {blob.name for blob in blobs_of(tmp_path / "a.zip", Limits()).blobs} == {"A.dcm", "a.dcm"}


def test_a_flat_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.dcm": bytes(400 << 20)})
    assert path.stat().st_size < 500_000
    assert "max_inflation_ratio" in refused(path).expected


def test_many_dense_members_are_refused_by_their_sum(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(1 << 19) * 3
    path = zipped(tmp_path / "a.zip", {f"{k}.dcm": noise for k in range(8)})
    assert "max_inflated_bytes" in refused(path, Limits(max_inflated_bytes=10 << 20)).expected


def test_a_member_never_gives_more_than_it_claims(tmp_path: Path) -> None:
    """A directory that lies about the size: the bytes that come are cut at the claim, and the check sum tells."""
    path = zipped(tmp_path / "a.zip", {"a.dcm": bytes(50 << 20)})
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"PK\x01\x02")
    struct.pack_into("<I", whole, at + 24, 1000)
    path.write_bytes(whole)
    with pytest.raises(UnreadableError, match="zip is damaged"):
        blobs_of(path, Limits())


def test_archives_inside_are_not_opened(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"x.dcm": b"x" * 200})
    path = zipped(tmp_path / "a.zip", {f"{k}.zip": inner.read_bytes() for k in range(16)})
    listing = blobs_of(path, Limits())
    assert listing.blobs == ()
    assert listing.skipped["archives inside the archive"] == 16
    with pytest.raises(UnsupportedError, match="no image here") as caught:
        load(path)
    assert "16 archives inside" in caught.value.found


def many_entries(count: int) -> bytes:
    """A zip of `count` empty members, made by hand since the standard library takes a minute for a million."""
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) * count, len(local), 0)
    return local + entry * count + end


@pytest.mark.parametrize("count", [30_000, 1_000_000])
def test_a_million_entries_are_refused_before_any_is_built(tmp_path: Path, count: int) -> None:
    (tmp_path / "a.zip").write_bytes(many_entries(count))
    assert "max_files" in refused(tmp_path / "a.zip").expected


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Two directory entries for one kernel of bytes (Fifield 2019)."""
    path = zipped(tmp_path / "a.zip", {"a.dcm": b"A" * 900, "b.dcm": b"B" * 900}, zipfile.ZIP_STORED)
    whole = bytearray(path.read_bytes())
    struct.pack_into("<I", whole, whole.rindex(b"PK\x01\x02") + 42, 10)  # the second begins inside the first
    path.write_bytes(whole)
    assert "overlap" in refused(path).what


def test_encryption_and_other_compressions_are_refused_by_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.dcm": b"x" * 99})
    whole = bytearray(path.read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(whole)
    with pytest.raises(UnsupportedError, match="encrypted") as caught:
        blobs_of(tmp_path / "locked.zip", Limits())
    assert "folder" in caught.value.fix
    with pytest.raises(UnsupportedError, match="compressed in a way"):
        blobs_of(zipped(tmp_path / "b.zip", {"a": b"x" * 99}, zipfile.ZIP_LZMA), Limits())


@pytest.mark.parametrize("seed", range(40))
def test_damaged_zips_give_a_typed_error_or_their_members(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = bytearray(zipped(tmp_path / "a.zip", {f"{k}.dcm": bytes([k]) * 300 for k in range(4)}).read_bytes())
    for _ in range(3):
        whole[int(rng.integers(0, len(whole)))] = int(rng.integers(0, 256))
    (tmp_path / "a.zip").write_bytes(whole[: int(rng.integers(len(whole) // 2, len(whole) + 1))])
    try:
        blobs = blobs_of(tmp_path / "a.zip", Limits()).blobs
    except (HostileError, UnreadableError, UnsupportedError):
        return
    assert all(blob.read() in [bytes([k]) * 300 for k in range(4)] for blob in blobs)


def test_zip64_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made, made.open("a.dcm", "w", force_zip64=True) as member:
        member.write(b"x" * 500)
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    (blob,) = blobs_of(tmp_path / "a.zip", Limits()).blobs
    assert zlib.crc32(blob.read()) == zlib.crc32(b"x" * 500)
