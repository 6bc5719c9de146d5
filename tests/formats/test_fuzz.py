"""Mutated files: whatever the bytes, an image or a typed error, soon."""

from __future__ import annotations

import shutil
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats
from dopascope.errors import DopascopeError
from dopascope.formats import READERS, Limits, ReadOptions, Strictness
from dopascope.volume import SliceImage, Volume

pytestmark = pytest.mark.promise("No reader raises anything but a typed error on mutated files", threats="T8, T9")

QUICK_S = 20.0
"""Seconds for each reader in `make test`."""
LONG_S = 600.0
"""Seconds for all readers together in `make test-slow`."""
MAX_READ_S = 10.0

EXTREMES = [
    *(struct.pack(form, value) for form in ("<h", ">h") for value in (0, 1, -1, 32767, -32768)),
    *(struct.pack(form, value) for form in ("<i", ">i") for value in (0, 1, -1, 2**31 - 1, -(2**31))),
    *(struct.pack(form, value) for form in ("<q", ">q") for value in (-1, 2**63 - 1, -(2**63))),
    *(struct.pack(form, v) for form in ("<f", ">f", "<d", ">d") for v in (0.0, -1.0, 1e38, float("nan"), float("inf"))),
    b"\xff\xff\xff\xff",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"\0" * 16,
]
HEAD = 600
"""Most mutations go here, where the headers are."""


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four random injuries: flipped bits, extreme values, cuts, repeats, swaps of pieces."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if len(data) < 4:
            break
        reach = min(len(data), HEAD) if rng.random() < 0.8 else len(data)
        at = int(rng.integers(0, reach))
        match int(rng.integers(0, 6)):
            case 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                data[at] = int(rng.integers(0, 256))
            case 2:
                extreme = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
                data[at : at + len(extreme)] = extreme
            case 3:
                del data[at : at + int(rng.integers(1, 64))]
            case 4:
                data[at:at] = data[at : at + int(rng.integers(1, 64))]
            case _:
                del data[int(rng.integers(at, len(data))) :]
    return bytes(data)


def mutate_file(content: bytes, rng: np.random.Generator) -> bytes:
    """Mutate the bytes, or, of a gzip file, what is inside: else the check sum guards everything behind it."""
    if content[:2] == b"\x1f\x8b" and rng.random() < 0.8:
        inside = zlib.decompress(content, zlib.MAX_WBITS | 16)
        packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        return packer.compress(mutate(inside, rng)) + packer.flush()
    return mutate(content, rng)


def fuzz(example: object, folder: Path, seconds: float, seed: int) -> tuple[int, int]:
    """Read mutated copies of an example for so long; returns reads and refusals. Fails on anything untyped or slow."""
    rng = np.random.default_rng(seed)
    work = folder / "fuzzed"
    source: Path = example.path
    if source.is_dir():
        shutil.copytree(source, work)
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    small = Limits(max_volume_bytes=64 << 20, max_inflated_bytes=64 << 20, max_pixels=1_000_000)
    reads = refusals = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        victim = files[int(rng.integers(0, len(files)))]
        content = mutate_file(victim.read_bytes(), rng)
        target = (
            work / victim.relative_to(source) if source.is_dir() else folder / ("fuzzed" + "".join(source.suffixes))
        )
        target.write_bytes(content)
        strictness = list(Strictness)[int(rng.integers(0, 3))]
        start = time.monotonic()
        try:
            found = formats.load(work if source.is_dir() else target, strictness=strictness, limits=small)
        except DopascopeError as error:
            refusals += 1
            assert error.what  # noqa: PT017
        except BaseException:
            (folder / "crash.bin").write_bytes(content)
            raise
        else:
            assert isinstance(found, Volume | SliceImage)
            assert found.data.dtype == np.float32
        took = time.monotonic() - start
        assert took < MAX_READ_S, f"a read took {took:.1f} s; see {target}"
        reads += 1
        if source.is_dir():
            shutil.copy(victim, target)
    return reads, refusals


def test_a_reader_survives_mutated_files(example: object, reader_name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reads, refusals = fuzz(example, tmp_path, QUICK_S, seed=3)
    assert reads > 100
    assert refusals > reads // 20, "hardly any mutation was noticed: is the fuzzer injuring what is read?"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_readers_survive_ten_minutes(tmp_path: Path, examples: dict[str, Callable[[Path], object]]) -> None:
    for number, name in enumerate(sorted(READERS)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "example").mkdir()
        fuzz(examples[name](folder / "example"), folder, LONG_S / len(READERS), seed=100 + number)


def test_readers_called_directly_are_as_safe_as_load(example: object, reader_name: str, tmp_path: Path) -> None:
    """A file that passed `sniff` may be anything by the time it is read."""
    blob_file = example.path if example.path.is_file() else next(p for p in example.path.rglob("*") if p.is_file())
    content = blob_file.read_bytes()
    rng = np.random.default_rng(9)
    reader = READERS[reader_name]
    for _ in range(200):
        broken = formats.Blob("x" + blob_file.suffix, content=mutate_file(content, rng))
        try:
            reader.sniff(broken)
            reader.read([broken], ReadOptions(limits=Limits(max_volume_bytes=64 << 20)))
        except DopascopeError:
            continue


@pytest.mark.data
def test_every_edge_case_gives_an_image_or_a_typed_error(data_dir: Path) -> None:
    read, refused = [], []
    for path in sorted(p for p in (data_dir / "edge_cases").rglob("*") if p.is_file()):
        try:
            read.append(formats.load(path))
        except DopascopeError as error:
            refused.append(error)
    assert len(read) > 60
    assert len(refused) > 90
    assert all(isinstance(one, Volume | SliceImage) for one in read)
    assert all(one.what and one.where for one in refused)


@pytest.mark.data
def test_the_48_axis_orders_of_one_head_are_one_head(data_dir: Path) -> None:
    space = pytest.importorskip("dopascope.space")
    heads = [formats.load(p) for p in sorted((data_dir / "edge_cases/niivue_orientations").glob("*.nii.gz"))]
    assert len(heads) == 48
    upright = [space.canonical(head) for head in heads]
    for one in upright[1:]:
        np.testing.assert_array_equal(one.data, upright[0].data)
        assert one.grid.same_as(upright[0].grid, 1e-3)
