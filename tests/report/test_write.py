"""Files: complete or absent, the same each time, quick."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dopascope import report
from dopascope.errors import DopascopeError, UsageError
from dopascope.reading.images import Examination
from dopascope.reading.schema import Reading


@contextmanager
def files_no_longer_than(limit: int) -> Iterator[None]:
    """The kernel refuses to grow any file beyond `limit` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_three_files_with_their_names_and_the_maps(examination: Examination, tmp_path: Path) -> None:
    made = report.write(examination, tmp_path / "new" / "folder")
    assert report.FORMATS.items() <= {name: path.name for name, path in made.items()}.items()
    assert {one.name for one in (tmp_path / "new" / "folder").iterdir()} == {path.name for path in made.values()}
    simulated = examination.reading.counterfactual
    maps = {part.file for part in examination.reading.maps} | ({simulated.file} if simulated else set())
    assert {path.name for path in made.values()} == set(report.FORMATS.values()) | maps
    assert made["pdf"].read_bytes().startswith(b"%PDF-")
    assert made["html"].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_json_is_the_reading(examination: Examination, tmp_path: Path) -> None:
    path = report.write(examination, tmp_path, formats=("json",))["json"]
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["schema"] == "dopascope.reading/2"
    assert Reading.model_validate(data) == examination.reading


@pytest.mark.parametrize("formats", [("json",), ("html",), ("pdf", "json"), ()])
def test_only_what_was_asked_for_is_written(
    examinations: dict[str, Examination], tmp_path: Path, formats: tuple[str, ...]
) -> None:
    made = report.write(examinations["picture"], tmp_path, formats=formats)
    assert set(made) == set(formats)
    assert {one.name for one in tmp_path.iterdir()} == {report.FORMATS[one] for one in formats}


def test_an_unknown_format_is_refused_before_anything_is_written(
    examinations: dict[str, Examination], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        report.write(examinations["normal"], tmp_path / "x", formats=("json", "docx"))
    assert caught.value.found == "docx"
    assert not (tmp_path / "x").exists()


def test_the_same_examination_gives_the_same_bytes(examinations: dict[str, Examination], tmp_path: Path) -> None:
    first, second = (report.write(examinations["uncertain"], tmp_path / name) for name in ("a", "b"))
    assert {k: p.read_bytes() for k, p in first.items()} == {k: p.read_bytes() for k, p in second.items()}


def test_a_full_disk_leaves_the_old_files_and_no_half_ones(
    examinations: dict[str, Examination], tmp_path: Path
) -> None:
    report.write(examinations["normal"], tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in report.FORMATS.values()}
    with files_no_longer_than(100_000), pytest.raises(DopascopeError) as caught:
        report.write(examinations["reduced"], tmp_path)
    assert caught.value.fix
    assert caught.value.where.endswith(("report.pdf", ".nii.gz", ".png"))
    assert set(report.FORMATS.values()) <= {one.name for one in tmp_path.iterdir()}
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]
    assert {name: (tmp_path / name).read_bytes() for name in report.FORMATS.values()} == before


def test_a_file_in_the_way_is_a_typed_error(examinations: dict[str, Examination], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DopascopeError) as caught:
        report.write(examinations["picture"], tmp_path / "taken")
    assert caught.value.expected
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


def test_files_have_the_mode_of_an_ordinary_file(examinations: dict[str, Examination], tmp_path: Path) -> None:
    made = report.write(examinations["picture"], tmp_path)
    (tmp_path / "ordinary").write_text("x")
    expected = (tmp_path / "ordinary").stat().st_mode
    assert {path.stat().st_mode for path in made.values()} == {expected}
