"""Pictures in pseudo-colour: at most as many colours as intervals, monotone in grey, on black, with their sides."""

from __future__ import annotations

import json
from io import BytesIO
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import axcodes2ornt, ornt_transform
from PIL import Image

from dopascope.errors import DopascopeError, UnsuitableError, UsageError
from dopascope.formats import load
from dopascope.report import colour, pseudocolour, pseudocolour_pictures, tiles
from dopascope.report.pseudocolour import Choices, cut, write
from dopascope.space.pseudocolour import SIDE, brain_of, grey_range
from dopascope.volume import Grid, SliceImage, Source, Volume

SHAPE = (23, 29, 19)
SPACING = (2.0, 1.5, 3.0)


def volume(data: np.ndarray, sha256: str = "ab" * 32) -> Volume:
    grid = Grid(SHAPE, np.diag([*SPACING, 1.0]) + np.array([[0, 0, 0, -20], [0, 0, 0, -30], [0, 0, 0, -9], [0] * 4]))
    return Volume(data, grid, source=Source("scan.nii", "nifti", sha256))


@pytest.fixture
def scan() -> Volume:
    return volume(np.random.default_rng(5).gamma(4.0, 50.0, SHAPE))


@pytest.fixture
def mask() -> Volume:
    """An ellipsoid in the middle: several slices at each end have no brain."""
    places = (np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) * 0.36)
    return volume(((places**2).sum(axis=-1) < 1) * 1.0)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def lightness_of(shown: np.ndarray) -> np.ndarray:
    return colour.luminance(shown.reshape(-1, 3)).reshape(shown.shape[:-1])


@pytest.mark.parametrize("intervals", [7, 14, 49, 56, 64])
@pytest.mark.parametrize("plane", pseudocolour.PLANES)
def test_a_picture_is_monotone_in_grey_on_black_with_no_more_colours_than_intervals(
    intervals: int, plane: str, scan: Volume, mask: Volume, tmp_path: Path
) -> None:
    record = write(scan, mask, tmp_path, Choices(intervals=intervals, plane=plane))
    (made,) = record["pictures"]
    shown = pixels(tmp_path / made["files"][0])
    assert shown.shape == (SIDE, SIDE, 3)
    one = cut(scan, brain_of(mask, scan), plane, made["slice"])
    grey, inside = pseudocolour.on_canvas(one.grey, one.brain, one.spacing_mm)
    assert not shown[~inside].any()
    assert (shown[inside].sum(axis=1) > 0).all()
    colours, number = np.unique(shown[inside] @ [1 << 16, 1 << 8, 1], return_inverse=True)
    assert len(colours) == made["colours"] <= intervals
    order = np.argsort(grey[inside], kind="stable")
    assert (np.diff(lightness_of(shown[inside])[order]) >= 0).all()
    # The same colour means the same interval: values of one colour lie closer than an interval is wide.
    low, high = np.full(len(colours), np.inf), np.full(len(colours), -np.inf)
    np.minimum.at(low, number, grey[inside])
    np.maximum.at(high, number, grey[inside])
    assert (high - low).max() <= (made["high"] - made["low"]) / intervals * (1 + 1e-5)


def test_the_same_scan_gives_the_same_bytes(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(scan, mask, tmp_path / name, Choices(slices="all"))
        write(scan, mask, tmp_path / name, Choices(plane="coronal", panels=True))
    one, two = ({path.name: path.read_bytes() for path in sorted((tmp_path / n).iterdir())} for n in ("one", "two"))
    assert one == two
    assert len(one) > 4


def test_the_subjects_right_is_on_the_left_and_the_storage_order_does_not_matter(
    scan: Volume, mask: Volume, tmp_path: Path
) -> None:
    brain = brain_of(mask, scan)
    for axis, plane in enumerate(pseudocolour.PLANES):
        one = cut(scan, brain, plane, 8)
        assert np.array_equal(one.grey, tiles.radiological(np.take(scan.data, 8, axis)))
        assert np.array_equal(one.brain, tiles.radiological(np.take(mask.data, 8, axis)) > 0)
        rest = [SPACING[n] for n in range(3) if n != axis]
        assert one.spacing_mm == (rest[1], rest[0])
        assert one.position_mm == pytest.approx(scan.grid.to_world([8, 8, 8])[axis])
        assert one.sides == (("A", "P") if plane == "sagittal" else ("R", "L"))
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt("PIL"))
    other = Nifti1Image(scan.data, scan.grid.affine).as_reoriented(turn)
    turned = Volume(np.asarray(other.dataobj), Grid(other.shape, other.affine), source=scan.source)
    for name, image in (("plain", scan), ("turned", turned)):
        write(image, mask, tmp_path / name, Choices(plane="coronal", panels=True))
    for path in (tmp_path / "plain").iterdir():
        assert (tmp_path / "turned" / path.name).read_bytes() == path.read_bytes()


def test_one_range_for_the_scan_makes_slices_comparable(mask: Volume, tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(SHAPE[0])[:, None, None] + 40.0 * np.arange(SHAPE[2]), SHAPE)
    scan = volume(np.array(ramp))
    brain = mask.data > 0
    one = write(scan, mask, tmp_path / "scan", Choices(slices="all"))
    assert {(p["low"], p["high"]) for p in one["pictures"]} == {(scan.data[brain].min(), scan.data[brain].max())}
    assert one["range_of"] == "scan"
    mean = [lightness_of(pixels(tmp_path / "scan" / p["files"][0])).max() for p in one["pictures"]]
    assert (np.diff(mean) > 0).all(), "higher slices are brighter"
    own = write(scan, mask, tmp_path / "slice", Choices(slices="all", range_of="slice"))
    for made in own["pictures"]:
        inside = brain[:, :, made["slice"]]
        values = scan.data[:, :, made["slice"]][inside]
        assert (made["low"], made["high"], made["voxels"]) == (values.min(), values.max(), inside.sum())
        shown = pixels(tmp_path / "slice" / made["files"][0])
        assert (shown == colour.sequential(49)[-1]).all(axis=2).any(), "each slice has the brightest colour"


def test_slices_with_brain_are_found_and_others_refused(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    with_brain = np.flatnonzero(mask.data.any(axis=(0, 1))).tolist()
    assert 0 not in with_brain
    assert len(with_brain) > 3
    every = write(scan, mask, tmp_path, Choices(slices="all"))
    assert [one["slice"] for one in every["pictures"]] == with_brain
    middle = write(scan, mask, tmp_path, Choices())
    assert middle["pictures"][0]["slice"] == with_brain[len(with_brain) // 2]
    assert f"axial slice {middle['pictures'][0]['slice']}, the middle one of those with brain" in middle["assumed"]
    for number in (0, 19, 1000):
        with pytest.raises(UsageError, match="no brain") as caught:
            write(scan, mask, tmp_path, Choices(slices=str(number)))
        assert f"{with_brain[0]} to {with_brain[-1]}" in caught.value.expected


def test_a_slice_of_one_value_is_left_out_of_all_and_refused_alone(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    flat = scan.data.copy()
    flat[:, :, 9] = 7
    image = volume(flat)
    record = write(image, mask, tmp_path, Choices(slices="all", range_of="slice"))
    assert [one["slice"] for one in record["left_out"]] == [9]
    assert 9 not in [one["slice"] for one in record["pictures"]]
    with pytest.raises(UnsuitableError, match="one grey value"):
        write(image, mask, tmp_path, Choices(slices="9", range_of="slice"))
    levels = volume(np.array(np.broadcast_to(np.arange(SHAPE[2], dtype=float), SHAPE)))
    with pytest.raises(UnsuitableError, match="No slice"):
        write(levels, mask, tmp_path / "levels", Choices(slices="all", range_of="slice"))
    assert not (tmp_path / "levels").exists()
    assert write(levels, mask, tmp_path / "levels", Choices(slices="all"))["pictures"]


def test_a_value_that_is_no_number_is_refused_inside_the_brain_alone(
    scan: Volume, mask: Volume, tmp_path: Path
) -> None:
    for place, fits in (((0, 0, 0), True), ((11, 14, 9), False)):
        data = scan.data.copy()
        data[place] = np.nan
        if fits:
            write(volume(data), mask, tmp_path / "fits", Choices())
            continue
        with pytest.raises(UnsuitableError, match="no numbers"):
            write(volume(data), mask, tmp_path / "not", Choices(slices="3"))
        with pytest.raises(UnsuitableError, match="no numbers"):
            write(volume(data), mask, tmp_path / "not", Choices(slices="9", range_of="slice"))
        assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"intervals": 6}, "7 to 64"),
        ({"intervals": 65}, "7 to 64"),
        ({"plane": "oblique"}, "coronal"),
        ({"slices": "first"}, "middle"),
        ({"slices": "-1"}, "--slice"),
        ({"slices": "²"}, "--slice"),
        ({"range_of": "person"}, "scan or slice"),
    ],
)
def test_choices_that_cannot_be_meant_are_refused(choice: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        Choices(**choice)
    assert word in str(caught.value)


@pytest.mark.parametrize("intervals", [7, 49])
def test_every_picture_says_that_it_adds_nothing(intervals: int, scan: Volume, mask: Volume, tmp_path: Path) -> None:
    record = write(scan, mask, tmp_path, Choices(intervals=intervals, panels=True))
    assert "add no information" in record["caption"]
    assert f"about {log2(intervals):.1f} bits" in record["caption"]
    for name in record["pictures"][0]["files"]:
        with Image.open(tmp_path / name) as image:
            words = image.info["Description"]
        assert "add no information" in words
        assert f"{record['pictures'][0]['voxels']:,} voxels of the whole scan" in words
    assert json.loads((tmp_path / pseudocolour.RECORD).read_text()) == json.loads(json.dumps(record))


def test_the_panels_are_the_pictures_side_by_side(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    scan = volume(scan.data - 1000)  # zero, the value outside, is brighter than any brain
    for intervals in pseudocolour_pictures.PANELS:
        write(scan, mask, tmp_path, Choices(intervals=intervals, panels=True))
    assert pseudocolour_pictures.PANELS == (7, 14, 49, 56)
    page = pixels(next(tmp_path.glob("*-panels.png")))
    top, step = pseudocolour_pictures._HEAD, SIDE + pseudocolour_pictures._GAP
    for place, intervals in enumerate(pseudocolour_pictures.PANELS, 1):
        picture = pixels(next(tmp_path.glob(f"*-{intervals}.png")))
        assert np.array_equal(page[top : top + SIDE, place * step : place * step + SIDE], picture)
        bar = page[top + SIDE : top + SIDE + pseudocolour_pictures._BAR, place * step : place * step + SIDE]
        assert np.array_equal(
            np.unique(bar.reshape(-1, 3), axis=0), np.unique(colour.sequential(intervals).reshape(-1, 3), axis=0)
        )
    grey = page[top : top + SIDE, :SIDE]
    assert (np.ptp(grey, axis=2) == 0).all()
    coloured = page[top : top + SIDE, 3 * step : 3 * step + SIDE]
    assert not grey[~coloured.any(axis=2)].any(), "the grey picture has the same mask"


def test_sides_are_burnt_into_the_panels_where_they_are_known() -> None:
    rng = np.random.default_rng(3)
    grey, brain = rng.random((40, 30)).astype(np.float32), np.ones((40, 30), bool)
    corners = {}
    for sides in (("R", "L"), ("A", "P"), None):
        one = pseudocolour_pictures.Slice("x", 0, None, grey, brain, (1.0, 1.0), sides)
        made = pseudocolour_pictures.panels(one, grey_range(grey, brain), of_scan=True)
        page = np.asarray(Image.open(BytesIO(made)).convert("L"))
        head = page[: pseudocolour_pictures._HEAD]
        corners[sides] = (head[:, :40].tobytes(), head[:, SIDE - 40 : SIDE].tobytes())
        lit = [head[:, :40].max(), head[:, SIDE - 40 : SIDE].max()]
        assert (min(lit) > 150) if sides else (max(lit) == 0)
    assert len(set(corners.values())) == 3
    assert corners["R", "L"][0] != corners["R", "L"][1]


def test_a_picture_has_square_pixels_and_no_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    image = SliceImage(rng.integers(0, 256, (SIDE, SIDE)).astype(np.float32), Source("a.png", "picture", "cd" * 32))
    mask = SliceImage((rng.random((SIDE, SIDE)) > 0.3) * 255.0)
    record = write(image, mask, tmp_path, Choices(panels=True))
    (made,) = record["pictures"]
    assert made["left_and_right_of_the_picture"] is None
    assert record["plane"] is None
    assert record["range_of"] == "slice"
    assert "the picture's pixels are square" in record["assumed"]
    # 256 grey values in 49 intervals, by whole numbers: nothing was interpolated.
    greys = image.data[mask.data > 0].astype(int)
    expected = np.minimum((greys - greys.min()) * 49 // (greys.max() - greys.min()), 48)
    shown = pixels(tmp_path / "picture-49.png")
    assert np.array_equal(shown[mask.data > 0], colour.sequential(49)[expected])
    assert not shown[mask.data == 0].any()


def test_a_folder_never_mixes_two_scans(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    write(scan, mask, tmp_path, Choices())
    write(scan, mask, tmp_path, Choices(plane="sagittal"))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="another image"):
        write(volume(scan.data, "ef" * 32), mask, tmp_path, Choices())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / pseudocolour.RECORD).write_text("{")
    with pytest.raises(UsageError, match="another image"):
        write(scan, mask, tmp_path, Choices())


def test_a_folder_of_an_image_without_a_name_is_written_once(scan: Volume, mask: Volume, tmp_path: Path) -> None:
    nameless = Volume(scan.data, scan.grid)
    write(nameless, mask, tmp_path, Choices())
    with pytest.raises(UsageError, match="another image"):
        write(nameless, mask, tmp_path, Choices())


def test_labels_and_oblique_planes_are_told(oblique_volume: Volume, tmp_path: Path) -> None:
    labels = Volume(np.arange(504).reshape(7, 8, 9) % 4, oblique_volume.grid)
    said = write(oblique_volume, labels, tmp_path, Choices())["assumed"]
    assert any("all of its 3 labels" in one for one in said)
    directions = oblique_volume.grid.affine[:3, :3] / np.array(oblique_volume.grid.spacing_mm)
    worst = np.degrees(np.arccos(np.diag(directions).min()))
    assert f"planes are the stored ones, up to {worst:.0f} degrees off the anatomical" in said


def test_a_full_disk_leaves_nothing_half_written(
    scan: Volume, mask: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DopascopeError, match="could not be written"):
        write(scan, mask, tmp_path / "out", Choices())
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "labels"),
    [
        (
            "openms_longitudinal/patient01_study1_T1W.nii.gz",
            "openms_longitudinal/patient01_study1_T1W_brainmask.nii.gz",
        ),
        ("ixi012_2mm/IXI012-HH-1211_T1.nii.gz", "ixi012_2mm/IXI012_DLMUSE.nii.gz"),
        ("mne_ecog_subject/T1.mgz", "mne_ecog_subject/brainmask.mgz"),
    ],
)
def test_real_brains_keep_their_area_and_their_order(image: str, labels: str, data_dir: Path, tmp_path: Path) -> None:
    scan, mask = load(data_dir / "t1_mri" / image), load(data_dir / "t1_mri" / labels)
    assert isinstance(scan, Volume)
    record = write(scan, mask, tmp_path, Choices(range_of="slice"))
    (made,) = record["pictures"]
    shown = pixels(tmp_path / made["files"][0])
    assert 7 < made["colours"] <= 49
    upright = pseudocolour.canonical(scan)
    across, up = (upright.grid.extent_mm[n] for n in (0, 1))
    voxel = upright.grid.spacing_mm[0] * upright.grid.spacing_mm[1]
    pixel = (max(across, up) / SIDE) ** 2
    assert shown.any(axis=2).sum() * pixel == pytest.approx(made["voxels"] * voxel, rel=0.02)
