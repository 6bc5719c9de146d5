"""Which image is meant: listed with ids and reasons, picked only where one is clear."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope.errors import AmbiguousError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import load, save_nifti, write_nm
from dopascope.formats.choose import choose, survey
from dopascope.volume import Volume

Edit = Callable[[Any, int], None]


def numbered(number: int, then: Edit = lambda made, k: None) -> Edit:
    """A series of its own: number and UIDs."""

    def edit(made: Any, k: int) -> None:
        made.SeriesNumber = number
        made.SeriesInstanceUID = f"2.25.{number}00"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}{k:03d}"
        then(made, k)

    return edit


@pytest.fixture
def two_series(tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]) -> Path:
    write_series(whole_volume, tmp_path / "study" / "a", edit=numbered(7))
    write_series(whole_volume, tmp_path / "study" / "b", edit=numbered(5))
    return tmp_path / "study"


def test_several_series_are_listed_with_their_ids(two_series: Path) -> None:
    with pytest.raises(AmbiguousError) as caught:
        choose(two_series)
    assert "5: MR made by code M" in caught.value.found
    assert "7: MR made by code M" in caught.value.found
    assert caught.value.fix == "Name one: --series 5"
    assert [one.id for one in survey(two_series)] == ["5", "7"]
    assert choose(two_series, "7").id == "7"
    assert load(two_series, series="7").data.shape == (7, 8, 9)


def test_an_unknown_id_lists_what_is_there(two_series: Path) -> None:
    with pytest.raises(UsageError) as caught:
        choose(two_series, "9")
    assert "5: MR" in caught.value.expected


def test_a_summary_says_what_a_listing_needs(two_series: Path) -> None:
    summary = survey(two_series)[0].summary()
    assert summary["shape"] == (7, 8, 9)
    assert summary["spacing_mm"] == pytest.approx((2, 3, 4))
    assert summary["files"] == 9
    assert summary["modality"] == "MR"
    assert summary["loadable"] is True


def test_the_one_readable_series_is_clearly_meant(
    two_series: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def mosaic(made: Any, k: int) -> None:
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]

    write_series(whole_volume, two_series / "b", edit=numbered(5, mosaic))
    assert choose(two_series).id == "7"
    listed = {one.id: one for one in survey(two_series)}
    assert not listed["5"].loadable
    assert "mosaic" in listed["5"].reason


def test_a_ct_beside_nuclear_medicine_is_its_attenuation_map(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "hybrid", modality="CT", edit=numbered(2))
    write_nm(whole_volume, folder / "spect.dcm")
    assert choose(folder).reader == "dicom-nm"
    assert choose(folder, "2").modality == "CT"


def test_two_reconstructions_are_ambiguous(tmp_path: Path, whole_volume: Volume) -> None:
    for k, name in enumerate(("AC", "NAC")):
        write_nm(Volume(whole_volume.data + k, whole_volume.grid), tmp_path / f"{name}.dcm", series_description=name)
    with pytest.raises(AmbiguousError) as caught:
        choose(tmp_path)
    assert "1.1: NM AC RECON TOMO, 7 x 8 x 9" in caught.value.found
    assert "1.2: NM NAC RECON TOMO" in caught.value.found


def test_echoes_and_time_points_of_one_series_are_images_of_their_own(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def echo(number: int) -> Edit:
        def edit(made: Any, k: int) -> None:
            made.EchoTime = f"{number * 10}"
            made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}{k:03d}"

        return edit

    doubled = Volume(whole_volume.data * 2, whole_volume.grid)
    write_series(whole_volume, tmp_path / "s" / "1", edit=echo(1))
    write_series(doubled, tmp_path / "s" / "2", edit=echo(2))
    listed = survey(tmp_path / "s")
    assert [one.id for one in listed] == ["3.1", "3.2"]
    assert "echo 20 ms" in listed[1].description
    np.testing.assert_array_equal(load(tmp_path / "s", series="3.2").data, doubled.data)


def test_images_that_nothing_tells_apart_are_refused(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def again(made: Any, k: int) -> None:
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"2.25.5{k:03d}"

    write_series(whole_volume, tmp_path / "s" / "1")
    write_series(whole_volume, tmp_path / "s" / "2", edit=again)
    with pytest.raises(AmbiguousError, match="at one position"):
        load(tmp_path / "s")


def test_copies_of_the_same_file_count_once(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    write_series(whole_volume, tmp_path / "s" / "1")
    write_series(whole_volume, tmp_path / "s" / "copy")
    assert load(tmp_path / "s").source.files == 9


def test_pictures_and_text_beside_a_scan_do_not_matter(tmp_path: Path, whole_volume: Volume) -> None:
    from PIL import Image

    save_nifti(whole_volume, tmp_path / "scan.nii.gz")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "thumb.png")
    (tmp_path / "notes.txt").write_text("hello")
    assert choose(tmp_path).id == "scan.nii.gz"
    assert load(tmp_path).source.path == str(tmp_path)


def test_nothing_to_read_says_what_was_passed_over(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no image here") as caught:
        choose(tmp_path)
    assert caught.value.found == "no files"
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(UnsupportedError) as caught:
        choose(tmp_path)
    assert "2 files of no kind" in caught.value.found
    with pytest.raises(UnreadableError, match="no such file"):
        choose(tmp_path / "nowhere")


def test_a_damaged_file_beside_a_series_is_named_and_may_be_passed_by_choice(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    folder = write_series(whole_volume, tmp_path / "s")
    (folder / "broken.dcm").write_bytes(b"not DICOM at all, whatever the name says" * 9)
    with pytest.raises(UnreadableError, match="beside the series") as caught:
        load(folder)
    assert "broken.dcm" in caught.value.where
    assert "--series 3" in caught.value.fix
    assert load(folder, series="3").data.shape == (7, 8, 9)
    with pytest.raises(UnreadableError):
        load(folder, series="broken.dcm")


def test_when_nothing_can_be_read_each_reason_is_given(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def mosaic(made: Any, k: int) -> None:
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]

    for number in (4, 6):
        write_series(whole_volume, tmp_path / "s" / str(number), edit=numbered(number, mosaic))
    with pytest.raises(UnsupportedError, match="Nothing here can be read") as caught:
        choose(tmp_path / "s")
    assert caught.value.found.count("mosaic") == 2


def test_a_long_list_is_cut(tmp_path: Path, whole_volume: Volume) -> None:
    for k in range(25):
        write_nm(Volume(whole_volume.data + k, whole_volume.grid), tmp_path / f"{k:02d}.dcm")
    with pytest.raises(AmbiguousError) as caught:
        choose(tmp_path)
    assert "and 5 more" in caught.value.found


@pytest.mark.data
def test_a_single_slice_offers_its_folder(data_dir: Path) -> None:
    path = data_dir / "mr_dicom" / "divest" / "01.dcm"
    with pytest.raises(UnsupportedError, match="one slice") as caught:
        choose(path)
    assert str(path.parent) in caught.value.fix


@pytest.mark.data
def test_every_file_and_folder_of_the_data_folder_gives_an_image_or_a_typed_error(data_dir: Path) -> None:
    from dopascope.errors import DopascopeError

    for path in sorted(data_dir.rglob("*")):
        if path.suffix in (".gz", ".nii", ".mgz") or "models" in path.parts:
            continue
        with contextlib.suppress(DopascopeError):
            listed = survey(path)
            assert len({one.id for one in listed}) == len(listed), "ids must tell apart"
            assert all(one.loadable or one.reason for one in listed)
