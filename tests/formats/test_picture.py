"""PNG and JPEG: pixels as stored, no geometry, bounded before decoding; and files refused by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dopascope import formats
from dopascope.errors import HostileError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import Limits
from dopascope.volume import SliceImage

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (11, 13)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (11, 13, 3)).astype(np.uint8)


def test_pixels_come_as_stored_and_rows_run_down(tmp_path: Path) -> None:
    for name, pixels in (("grey", GREY), ("colour", COLOUR), ("deep", GREY.astype(np.uint16) * 257)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        found = formats.load(tmp_path / f"{name}.png")
        assert isinstance(found, SliceImage)
        assert found.data.dtype == np.float32
        np.testing.assert_array_equal(found.data, pixels)
        assert "no geometry" in found.source.assumed[0]


def test_jpeg_is_read(tmp_path: Path) -> None:
    smooth = np.outer(np.arange(40), np.ones(50)).astype(np.uint8) * 5
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(formats.load(tmp_path / "a.jpg").data - smooth).max() < 8


def test_a_turned_photo_is_shown_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter (TIFF 6.0, Orientation)
    Image.fromarray(np.zeros((8, 24), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert formats.load(tmp_path / "a.jpg").data.shape == (24, 8)


@pytest.mark.parametrize(
    ("mode", "shape"), [("LA", (11, 13)), ("RGBA", (11, 13, 3)), ("P", (11, 13, 3)), ("1", (11, 13))]
)
def test_transparency_and_palettes_are_resolved(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    found = formats.load(tmp_path / "a.png")
    assert found.data.shape == shape
    assert any("transparency" in note for note in found.source.assumed) == mode.endswith("A")


def test_cmyk_is_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(UnsupportedError) as caught:
        formats.load(tmp_path / "a.jpg")
    assert caught.value.found == "CMYK"


def test_deep_colour_says_that_it_was_reduced(tmp_path: Path) -> None:
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(range(18)) for _ in range(2))  # 3 pixels of 3 x 16 bits
    head = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert any("reduced to 8 bits" in note for note in formats.load(tmp_path / "a.png").source.assumed)


def test_of_an_animation_the_first_picture_is_read(tmp_path: Path) -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    found = formats.load(tmp_path / "a.png")
    np.testing.assert_array_equal(found.data, GREY)
    assert "the first of 2 pictures was read" in found.source.assumed


def test_pixels_are_counted_before_decoding(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(HostileError) as caught:
        formats.load(tmp_path / "a.png", limits=Limits(max_pixels=142))
    assert "13 x 11" in caught.value.found
    assert formats.load(tmp_path / "a.png", limits=Limits(max_pixels=143)).data.shape == (11, 13)


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return stream.getvalue()


def _other_picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, kind)
    return stream.getvalue()


FOREIGN = {
    "scan.PAR": (b"# === DATA DESCRIPTION FILE ====", "Philips PAR/REC"),
    "scan.REC": (b"\0" * 600, "Philips PAR/REC"),
    "anat+orig.HEAD": (b"\ntype = string-attribute\n", "AFNI"),
    "anat+orig.BRIK": (b"\0" * 600, "AFNI"),
    "anat+orig.BRIK.gz": (gzip.compress(b"\0" * 600), "AFNI"),
    "one.mnc": (b"CDF\x01" + b"\0" * 60, "MINC 1"),
    "two.mnc": (b"\x89HDF\r\n\x1a\n" + b"\0" * 60, "MINC 2"),
    "pet.v": (b"MATRIX72v" + b"\0" * 600, "ECAT 7"),
    "recon.h33": (b"!INTERFILE :=\n", "Interfile"),
    "scan.mha": (b"ObjectType = Image\nNDims = 3\n", "MetaImage"),
    "scan.nrrd": (b"NRRD0004\n", "NRRD"),
    "study.tar": (_tar(), "tar archive"),
    "study.tar.gz": (gzip.compress(_tar()), "tar archive"),
    "scan.nii.bz2": (bz2.compress(b"x" * 500), "bzip2"),
    "scan.nii.xz": (lzma.compress(b"x" * 500), "xz"),
    "study.7z": (b"7z\xbc\xaf\x27\x1c\0\4", "7-Zip"),
    "scan.dcm.gz": (gzip.compress(b"II*\0" + bytes(124) + b"DICM" + bytes(400)), "Gzipped DICOM"),
    "scan.img": (bytes(900), "without its .hdr"),
    "slice.tif": (_other_picture("TIFF"), "TIFF"),
    "slice.gif": (_other_picture("GIF"), "GIF"),
    "slice.bmp": (_other_picture("BMP"), "BMP"),
    "report.pdf": (b"%PDF-1.7\n", "PDF"),
    "array.npy": (b"\x93NUMPY\x01\0", "NumPy"),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_other_kinds_are_refused_by_name_with_a_way_out(tmp_path: Path, name: str) -> None:
    content, kind = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnsupportedError) as caught:
        formats.load(tmp_path / name)
    assert kind in caught.value.what
    assert caught.value.fix
    assert caught.value.where.endswith(name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.png", "a.jpeg"])
def test_a_name_that_the_content_belies(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x07" * 900)
    with pytest.raises(UnreadableError, match="name says"):
        formats.load(tmp_path / name)


def test_what_nobody_knows_is_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "thing.xyz").write_bytes(b"\x07" * 900)
    with pytest.raises(UnsupportedError, match="no kind that is known"):
        formats.load(tmp_path / "thing.xyz")


def test_no_file_an_empty_file_and_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        formats.load(tmp_path / "nothing.nii")
    (tmp_path / "empty.nii").touch()
    with pytest.raises(UnreadableError, match="empty"):
        formats.load(tmp_path / "empty.nii")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.nii")
        with pytest.raises(UnreadableError, match="neither a file nor a folder"):
            formats.load(tmp_path / "pipe.nii")


def test_a_series_is_asked_of_a_file_that_has_none(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no series"):
        formats.load(tmp_path / "a.png", series="1")
