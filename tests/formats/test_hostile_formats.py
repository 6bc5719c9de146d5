"""Files made to hurt: refused at once, in little memory, with one clear error and exit code 4."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dopascope import formats
from dopascope.errors import HostileError, InputError

pytestmark = [
    pytest.mark.promise(
        "No read allocates more than its named limits allow, whatever the header claims ([limits](docs/formats.md))",
        asvs="5.2.3, 5.2.6",
        threats="T2, T3, T7",
    ),
    pytest.mark.promise(
        "A hostile or damaged file ends in one typed error and exit code 4, in under a second, "
        "with nothing left behind",
        threats="T2, T3, T7",
    ),
]

MAX_SECONDS = 1.0
MAX_MB = 300.0


def nifti_header(shape: tuple[int, ...], kind: object = np.int16) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(kind)
    block = bytearray(header.binaryblock)
    struct.pack_into("<8h", block, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<8f", block, 76, *[1.0] * 8)
    struct.pack_into("<f", block, 108, 352)
    struct.pack_into("<2h", block, 252, 0, 1)
    struct.pack_into("<12f", block, 280, *np.eye(4)[:3].ravel())
    block[344:348] = b"n+1\0"
    return bytes(block) + b"\0" * 4


def gzip_of_zeros(head: bytes, megabytes: int) -> bytes:
    """A gzip stream of `head` and then zeros, made without ever holding them: one packed megabyte, many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = bytes(1 << 20)
    packed = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(megabytes):
        check = zlib.crc32(zeros, check)
    length = (len(head) + (megabytes << 20)) % (1 << 32)
    end = packer.flush(zlib.Z_FINISH) + struct.pack("<II", check, length)
    return b"\x1f\x8b\x08" + bytes(7) + start + packed * megabytes + end


def mgh_header(shape: tuple[int, int, int]) -> bytes:
    head = bytearray(284)
    struct.pack_into(">7ih", head, 0, 1, *shape, 1, 3, 0, 1)
    struct.pack_into(">3f", head, 30, 1, 1, 1)
    struct.pack_into(">9f", head, 42, *np.eye(3).ravel())
    return bytes(head)


def png_flood(side: int) -> bytes:
    """A PNG of `side` squared white pixels: half a megabyte that claims gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (3 * side)
    body = b"".join(packer.compress(row) for _ in range(min(side, 2000))) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


HOSTILE: dict[str, Callable[[], bytes]] = {
    # T2: a gzip bomb behind a header that admits it, and behind one that hides it
    "t2-bomb.nii.gz": lambda: gzip_of_zeros(nifti_header((1000, 1000, 1000), np.uint8), 1000),
    "t2-hidden-bomb.nii.gz": lambda: gzip_of_zeros(nifti_header((30, 30, 30), np.complex64), 1000),
    "t2-bomb.mgz": lambda: gzip_of_zeros(mgh_header((1000, 1000, 1000)), 1000),
    "t2-bomb-of-nothing.nii.gz": lambda: gzip_of_zeros(b"", 1000),
    # T3: headers that claim far more than is there
    "t3-lying.nii": lambda: nifti_header((32767, 32767, 32), np.float64),
    "t3-lying-a-little.nii": lambda: nifti_header((500, 500, 500)) + bytes(1000),
    "t3-lying.nii.gz": lambda: gzip.compress(nifti_header((32767, 32767, 32))),
    "t3-lying-a-little.nii.gz": lambda: gzip.compress(nifti_header((500, 500, 500)) + bytes(1000)),
    "t3-lying.mgh": lambda: mgh_header((2**31 - 1, 2**31 - 1, 2**31 - 1)),
    "t3-lying-a-little.mgz": lambda: gzip.compress(mgh_header((300, 300, 300)) + bytes(1000)),
    # T7: pixel floods, below and above the size where Pillow itself objects
    "t7-flood.png": lambda: png_flood(13_000),
    "t7-flood-above-pillow.png": lambda: png_flood(60_000),
}


@pytest.fixture(params=sorted(HOSTILE))
def hostile_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each hostile file, alone in a folder."""
    path = tmp_path / str(request.param)
    path.write_bytes(HOSTILE[str(request.param)]())
    assert path.stat().st_size < 8 << 20
    return path


def test_refused_fast_in_little_memory_with_exit_code_4(
    hostile_file: Path, refusal: Callable[..., object], version_cost: object
) -> None:
    ended = refusal("inspect", hostile_file)
    assert ended.exit_code == 4, ended.stderr
    # The best of three: on a busy machine the worst measures the neighbours.
    times = [ended.seconds, *(refusal("inspect", hostile_file).seconds for _ in range(2))]
    assert min(times) - version_cost.seconds < MAX_SECONDS
    assert ended.peak_mb - version_cost.peak_mb < MAX_MB
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("Error") == 1
    assert hostile_file.name in ended.stderr
    assert [p.name for p in hostile_file.parent.iterdir()] == [hostile_file.name]


def test_refused_by_the_function_alike(hostile_file: Path) -> None:
    with pytest.raises(InputError) as caught:
        formats.load(hostile_file)
    assert {"where", "found", "expected", "fix"} <= caught.value.fields().keys()


def test_a_bomb_behind_a_small_claim_is_inflated_no_further_than_the_claim(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "small.nii.gz"
    path.write_bytes(gzip_of_zeros(nifti_header((30, 31, 32)), 500))
    tracemalloc.start()
    assert formats.load(path).data.shape == (30, 31, 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_the_limits_are_named_so_that_they_can_be_raised(tmp_path: Path) -> None:
    path = tmp_path / "big.nii"
    path.write_bytes(nifti_header((1000, 1000, 1000)))
    with pytest.raises(HostileError) as caught:
        formats.load(path)
    assert "max_volume_bytes" in caught.value.fix
