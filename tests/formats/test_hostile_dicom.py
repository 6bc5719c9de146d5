"""DICOM and archives made to hurt: refused at once, in little memory, exit code 4."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import formats
from dopascope.errors import HostileError, InputError
from dopascope.formats import write_nm
from dopascope.volume import Grid, Volume

pytestmark = [
    pytest.mark.promise(
        "No read allocates more than its named limits allow, whatever the header claims ([limits](docs/formats.md))",
        asvs="5.2.3",
        threats="T3, T4, T5, T6, T8",
    ),
    pytest.mark.promise(
        "A hostile or damaged file ends in one typed error and exit code 4, in under a second, "
        "with nothing left behind",
        threats="T3, T4, T5, T6, T8",
    ),
]

pydicom = pytest.importorskip("pydicom")

MAX_SECONDS = 1.0
MAX_MB = 300.0


def small_nm(folder: Path, edit: Callable[[Any], object] = lambda made: None) -> Path:
    path = write_nm(Volume(np.ones((3, 4, 5)), Grid((3, 4, 5), np.diag([2.0, 3, 4, 1]))), folder / "scan.dcm")
    made = pydicom.dcmread(path)
    edit(made)
    made.save_as(path)
    return path


def lying_length(folder: Path) -> Path:
    """T3: PixelData of 0xFFFFFFF0 bytes with two present."""
    path = small_nm(folder)
    whole = path.read_bytes()
    at = whole.rindex(b"\xe0\x7f\x10\x00")
    path.write_bytes(whole[: at + 8] + struct.pack("<I", 0xFFFFFFF0) + b"\0\0")
    return path


def lying_dimensions(folder: Path) -> Path:
    """T3: 65535 x 65535 pixels, 1000 frames, 120 bytes present."""
    return small_nm(folder, lambda made: made.update({"Rows": 65535, "Columns": 65535, "NumberOfFrames": "1000"}))


def lying_frames(folder: Path) -> Path:
    """T3: two thousand million frames of 3 x 4."""
    return small_nm(folder, lambda made: made.update({"NumberOfFrames": "2000000000"}))


def deflated_bomb(folder: Path) -> Path:
    """T4: 0.4 MB that inflate to 400 MB, before the pixels too."""
    from pydicom.uid import UID

    path = small_nm(folder, lambda made: setattr(made.file_meta, "TransferSyntaxUID", UID("1.2.840.10008.1.2.1")))
    whole = path.read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    private = struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 400 << 20)
    pieces = [packer.compress(private), *(packer.compress(bytes(1 << 20)) for _ in range(400)), packer.flush()]
    meta = whole[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    grown = bytearray(meta)
    at = grown.index(b"\x02\0\x10\0UI")
    struct.pack_into("<H", grown, at + 6, 22)
    struct.pack_into("<I", grown, 140, len(grown) - 144)
    path.write_bytes(bytes(grown) + b"".join(pieces))
    return path


def flat_zip(folder: Path) -> Path:
    """T5: one member that grows a thousandfold."""
    with zipfile.ZipFile(folder / "flat.zip", "w", zipfile.ZIP_DEFLATED) as made, made.open("a.dcm", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    return folder / "flat.zip"


def nested_zip(folder: Path) -> Path:
    """T5: archives in archives, like 42.zip."""
    content = b"x" * 1000
    for _ in range(4):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
            for k in range(8):
                made.writestr(f"{k}.zip", content)
        content = stream.getvalue()
    (folder / "nested.zip").write_bytes(content)
    return folder / "nested.zip"


def crowded_zip(folder: Path) -> Path:
    """T5: a million entries over one empty member."""
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) * 1_000_000, len(local), 0)
    (folder / "crowded.zip").write_bytes(local + entry * 1_000_000 + end)
    return folder / "crowded.zip"


def zip_slip(folder: Path) -> Path:
    """T6: names that lead out of the archive."""
    with zipfile.ZipFile(folder / "slip.zip", "w") as made:
        made.writestr("../../escaped.dcm", b"x")
    return folder / "slip.zip"


def linked_zip(folder: Path) -> Path:
    """T6: a symbolic link as a member."""
    entry = zipfile.ZipInfo("scan.dcm")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(folder / "link.zip", "w") as made:
        made.writestr(entry, "/etc/passwd")
    return folder / "link.zip"


def linked_folder(folder: Path) -> Path:
    """T6: a folder whose only image is a link to one outside of it."""
    outside = small_nm(folder)
    (folder / "scan").mkdir()
    (folder / "scan" / "a.dcm").symlink_to(outside)
    return folder / "scan"


def nested_sequences(folder: Path, undefined: bool) -> Path:
    """T8: 300 sequences, one inside the other."""
    inner = b""
    for _ in range(300):
        size = 0xFFFFFFFF if undefined else len(inner)
        item = struct.pack("<HHI", 0xFFFE, 0xE000, size) + inner
        item += struct.pack("<HHI", 0xFFFE, 0xE00D, 0) if undefined else b""
        size = 0xFFFFFFFF if undefined else len(item)
        inner = struct.pack("<HH2sHI", 0x0054, 0x0022, b"SQ", 0, size) + item
        inner += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
    path = small_nm(folder)
    whole = path.read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    path.write_bytes(whole[:start] + inner)
    return path


def crowded_header(folder: Path) -> Path:
    """T8: 400,000 empty elements."""
    path = small_nm(folder)
    whole = path.read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    path.write_bytes(whole[:start] + struct.pack("<HH2sH", 9, 0x1001, b"LO", 0) * 400_000)
    return path


def directory_of_paths(folder: Path) -> Path:
    """T11: a DICOMDIR whose record points to ../../etc/passwd, and nothing else to read."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    made, record = Dataset(), Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    made.file_meta.MediaStorageSOPInstanceUID = UID("2.25.5")
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    record.DirectoryRecordType = "IMAGE"
    record.add_new("ReferencedFileID", "LO", ["..", "..", "etc", "passwd"])
    made.DirectoryRecordSequence = [record]
    (folder / "disc").mkdir()
    made.save_as(folder / "disc" / "DICOMDIR", enforce_file_format=True)
    return folder / "disc"


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "T3 lying length": lying_length,
    "T3 lying dimensions": lying_dimensions,
    "T3 lying frames": lying_frames,
    "T4 deflated bomb": deflated_bomb,
    "T5 flat zip": flat_zip,
    "T5 nested zip": nested_zip,
    "T5 crowded zip": crowded_zip,
    "T6 zip slip": zip_slip,
    "T6 linked zip": linked_zip,
    "T6 linked folder": linked_folder,
    "T8 nested, known lengths": lambda folder: nested_sequences(folder, undefined=False),
    "T8 nested, open lengths": lambda folder: nested_sequences(folder, undefined=True),
    "T8 crowded header": crowded_header,
    "T11 DICOMDIR": directory_of_paths,
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Path = request.param(tmp_path)
    return made


def test_refused_fast_in_little_memory_with_exit_code_4(
    hostile: Path, refusal: Callable[..., Any], version_cost: Any
) -> None:
    before = set(hostile.parent.parent.rglob("*"))
    ended = refusal("inspect", hostile)
    assert ended.exit_code == 4, ended.stderr
    # The best of three: a neighbour's load is not the refusal's cost.
    times = [ended.seconds, *(refusal("inspect", hostile).seconds for _ in range(2))]
    assert min(times) - version_cost.seconds < MAX_SECONDS
    assert ended.peak_mb - version_cost.peak_mb < MAX_MB
    assert "Traceback" not in ended.stderr
    assert set(hostile.parent.parent.rglob("*")) == before


def test_refused_by_the_function_alike(hostile: Path) -> None:
    with pytest.raises(InputError) as caught:
        formats.load(hostile)
    assert caught.value.what
    assert caught.value.where


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("T3 lying dimensions", "max_volume_bytes"),
        ("T3 lying frames", "max_frames"),
        ("T4 deflated bomb", "max_inflation_ratio"),
        ("T5 flat zip", "max_inflation_ratio"),
        ("T5 crowded zip", "max_files"),
        ("T8 nested, known lengths", "max_nesting"),
        ("T8 nested, open lengths", "max_nesting"),
        ("T8 crowded header", "max_elements"),
    ],
)
def test_the_limit_that_refuses_is_named(tmp_path: Path, name: str, limit: str) -> None:
    with pytest.raises(HostileError) as caught:
        formats.load(HOSTILE[name](tmp_path))
    assert limit in caught.value.expected


@pytest.mark.promise("Paths inside a DICOMDIR are ignored", asvs="5.3.2", threats="T11")
def test_the_paths_of_a_dicomdir_are_not_followed(tmp_path: Path) -> None:
    """The scan beside it is found by looking, not by its table."""
    disc = directory_of_paths(tmp_path)
    small_nm(disc)
    assert formats.load(disc).data.shape == (3, 4, 5)
