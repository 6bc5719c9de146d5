"""What every reader owes: right type, geometry and provenance; typed errors on anything less than a whole file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats
from dopascope.errors import InputError
from dopascope.provenance import sha256_of
from dopascope.volume import SliceImage, Volume

CUTS = 20


def files_of(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def test_the_readers_are_complete_after_a_plain_import() -> None:
    script = (
        "import sys, dopascope.formats as f; print(*sorted(f.READERS)); "
        "print(*[m for m in ('nibabel', 'pydicom', 'PIL.Image', 'SimpleITK', 'scipy') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, heavy = ended.stdout.splitlines()
    assert names.split() == sorted(formats.READERS)
    assert heavy == "", "a refusal would wait for these imports"


def test_values_geometry_and_type(example, reader_name: str) -> None:
    found = formats.load(example.path)
    np.testing.assert_allclose(found.data, example.data, atol=1e-3)
    assert found.data.dtype == np.float32
    if example.affine is None:
        assert isinstance(found, SliceImage)
        return
    assert isinstance(found, Volume)
    assert np.isfinite(found.grid.affine).all()
    np.testing.assert_allclose(found.grid.affine, example.affine, atol=1e-3)
    assert len(set(found.data.shape)) == 3, "equal axes would hide a swap"


def test_the_source_says_where_it_came_from(example, reader_name: str) -> None:
    found = formats.load(example.path)
    assert found.source is not None
    assert found.source.format == reader_name
    assert found.source.orientation_from
    files = files_of(example.path)
    assert found.source.files == len(files)
    assert len(found.source.sha256) == 64
    if len(files) == 1:
        assert found.source.sha256 == sha256_of(files[0])


def test_reading_changes_nothing_on_disk(example) -> None:
    before = [(p, p.read_bytes(), p.stat().st_mtime_ns) for p in files_of(example.path)]
    formats.load(example.path)
    assert [(p, p.read_bytes(), p.stat().st_mtime_ns) for p in files_of(example.path)] == before
    assert {p for p in example.path.parent.rglob("*") if p.is_file()} == {p for p, _, _ in before}


def test_reading_twice_gives_the_same(example) -> None:
    first, second = formats.load(example.path), formats.load(example.path)
    np.testing.assert_array_equal(first.data, second.data)
    assert first.source == second.source


def damaged(example, folder: Path, content: bytes) -> Path:
    """A copy of the example whose first file has other `content`."""
    copy = folder / example.path.name
    if example.path.is_dir():
        shutil.copytree(example.path, copy, dirs_exist_ok=True)
        files_of(copy)[0].write_bytes(content)
    else:
        copy.write_bytes(content)
    return copy


def complete(error: InputError) -> bool:
    """Says what (in one line), where, and what to do."""
    return bool(error.what and error.where and error.fix and "\n" not in error.what)


def outcome(path: Path) -> Volume | SliceImage | InputError:
    """What reading gives: an image, or the typed error."""
    try:
        return formats.load(path)
    except InputError as error:
        return error


def test_a_truncated_copy_is_a_typed_error_or_the_very_same_voxels(example, tmp_path: Path) -> None:
    """A PNG without its end marker, or a DICOM file without trailing padding, has lost nothing."""
    whole = files_of(example.path)[0].read_bytes()
    found = [
        outcome(damaged(example, tmp_path, whole[:cut])) for cut in np.linspace(0, len(whole) - 1, CUTS).astype(int)
    ]
    errors = [one for one in found if isinstance(one, InputError)]
    assert all(complete(one) for one in errors), [one.as_dict() for one in errors if not complete(one)]
    assert len(errors) >= CUTS - 1
    for one in found:
        if not isinstance(one, InputError):
            np.testing.assert_array_equal(one.data, example.data)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_is_a_typed_error_that_says_what_where_and_what_to_do(example, tmp_path: Path, seed: int) -> None:
    whole = files_of(example.path)[0].read_bytes()
    noise = np.random.default_rng(seed).bytes(len(whole))
    for content in (noise, whole[:8] + noise[8:], b"\0" * len(whole), b"\xff" * len(whole)):
        copy = damaged(example, tmp_path, content)
        if example.path.is_dir():
            continue  # the other slices may make a sound series without this one
        with pytest.raises(InputError) as caught:
            formats.load(copy)
        assert complete(caught.value), repr(caught.value.fields())


def test_an_error_survives_the_way_home_from_a_worker(example, tmp_path: Path) -> None:
    import pickle

    whole = files_of(example.path)[0].read_bytes()
    copy = damaged(example, tmp_path, whole[: len(whole) // 3])
    with pytest.raises(InputError) as caught:
        formats.load(copy)
    back = pickle.loads(pickle.dumps(caught.value))
    assert back.as_dict() == caught.value.as_dict()
    assert type(back) is type(caught.value)
