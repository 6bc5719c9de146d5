"""From a table of scans and masks to slices of one shape, nothing stretched, and what does not suit refused by line."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from dopascope.bundle.brain import PIXEL_MM
from dopascope.cohort.masked import read_masked
from dopascope.errors import DopascopeError, GeometryError, HostileError, LeakError, UnsuitableError, UsageError
from dopascope.tasks import masked_slices
from dopascope.tasks.masked_slices import Gathered, gather

SHAPE = (40, 44, 30)
SPACING = (2.0, 2.5, 3.0)


def ellipsoid(shape: tuple[int, ...], share: float) -> np.ndarray:
    at = (np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2) / (np.array(shape) / 2)
    return np.asarray((at**2).sum(axis=-1) < share**2)


def scan(folder: Path, name: str, *, axes: str = "RAS", mask: np.ndarray | None = None, nan: bool = False) -> None:
    """A head with a brighter front, and its brain, stored in some axis order."""
    brain = ellipsoid(SHAPE, 0.6) if mask is None else mask
    data = np.where(ellipsoid(SHAPE, 0.9), 300.0, 10.0) + 200 * ellipsoid(SHAPE, 0.6)
    data[:, 30:] += 50.5
    if nan:
        data[:2, :2] = np.nan
    affine = np.diag([*SPACING, 1.0])
    for part, values in (("", data.astype(np.float32)), ("_mask", brain.astype(np.uint8))):
        image = nibabel.Nifti1Image(values, affine)
        to = nibabel.orientations.axcodes2ornt(axes)
        image.as_reoriented(
            nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), to)
        ).to_filename(folder / f"{name}{part}.nii")


def picture(folder: Path, name: str, seed: int = 0, side: tuple[int, int] = (40, 30)) -> None:
    grey = np.random.default_rng(seed).integers(0, 250, side).astype(np.uint8)
    Image.fromarray(grey).save(folder / f"{name}.png")
    Image.fromarray((ellipsoid(side, 0.5) * 255).astype(np.uint8)).save(folder / f"{name}_mask.png")


def table(folder: Path, *lines: str) -> Path:
    path = folder / "slices.tsv"
    path.write_text("participant_id\timage\tmask\tplane\tslices\n" + "".join(f"{one}\n" for one in lines))
    return path


def line(person: str, name: str, plane: str = "axial", slices: str = "brain", ending: str = "nii") -> str:
    return f"{person}\t{name}.{ending}\t{name}_mask.{ending}\t{plane}\t{slices}"


def gathered(folder: Path, *lines: str, size: int | None = 64) -> Gathered:
    return gather(read_masked(table(folder, *lines)), size)


def test_slices_lie_in_r_a_s_whatever_the_scans_axis_order(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    scan(tmp_path, "b", axes="PSL")
    upright = gathered(tmp_path, line("p1", "a", "all")).slices
    turned = gathered(tmp_path, line("p1", "b", "all")).slices
    assert [one.plane for one in upright] == [one.plane for one in turned]
    for one, other in zip(upright, turned, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
    assert {one.plane for one in upright} == {"sagittal", "coronal", "axial"}
    front = next(one for one in upright if one.name == "a-axial-015")
    assert front.image[:, 40:][front.mask[:, 40:]].mean() > front.image[:, :24][front.mask[:, :24]].mean()


def test_a_slice_as_it_is_shown_has_the_face_above_and_the_right_on_the_left(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    one = gathered(tmp_path, line("p1", "a", "axial", "15")).slices[0]
    shown = one.shown(one.image.astype(np.float32))
    half = shown.shape[0] // 2
    assert shown[:half].sum() > shown[half:].sum(), "the front is brighter"
    assert one.sides == ("R", "L")


@pytest.mark.parametrize("size", [64, 160, None])
def test_areas_are_true_to_the_stated_pixel_size(size: int | None, tmp_path: Path) -> None:
    scan(tmp_path, "a")
    found = gathered(tmp_path, line("p1", "a", "all", "middle"), size=size)
    for one, spacing in zip(found.slices, ((2.5, 3.0), (2.0, 3.0), (2.0, 2.5)), strict=True):
        whole = {"sagittal": (44, 30), "coronal": (40, 30), "axial": (40, 44)}[str(one.plane)]
        true = np.pi / 4 * 0.36 * whole[0] * spacing[0] * whole[1] * spacing[1]
        if size is None:
            assert one.pixel_mm is None, "pixels are not square"
            assert one.mask.sum() * spacing[0] * spacing[1] == pytest.approx(true, rel=0.06)
        else:
            assert one.pixel_mm is not None
            assert one.mask.sum() * one.pixel_mm**2 == pytest.approx(true, rel=0.06)
    assert found.shape == {64: (64, 64), 160: (160, 160), None: (48, 48)}[size]
    if size == 160:
        assert {one.pixel_mm for one in found.slices} == {PIXEL_MM}, "as bundles see slices"


def test_grey_goes_from_0_to_1_between_the_percentiles_and_is_cut_above(tmp_path: Path) -> None:
    scan(tmp_path, "a", nan=True)
    found = gathered(tmp_path, line("p1", "a", "axial", "all"))
    assert len(found.slices) == 30
    stack = np.stack([one.image.astype(np.float32) for one in found.slices])
    assert 0 <= stack.min() <= stack.max() <= 1.5
    assert stack.max() == pytest.approx(1.0, abs=0.05)
    assert any("no numbers" in one for one in found.assumed)


def test_what_the_table_does_not_say_is_assumed(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    picture(tmp_path, "b")
    found = gathered(tmp_path, line("p1", "a", "n/a", "n/a"), line("p2", "b", "n/a", "n/a", "png"))
    told = " | ".join(found.assumed)
    for word in ("plane: axial", "slices: all", "square", "no geometry"):
        assert word in told
    assert len(found.slices) == 31
    shown = found.slices[-1]
    assert (shown.plane, shown.pixel_mm, shown.sides) == (None, None, None)
    np.testing.assert_array_equal(shown.shown(shown.mask), shown.mask)


def test_stored_pixels_are_only_framed(tmp_path: Path) -> None:
    picture(tmp_path, "b", side=(50, 33))
    picture(tmp_path, "c", seed=1, side=(40, 30))
    found = gathered(tmp_path, line("p1", "b", "n/a", "n/a", "png"), line("p2", "c", "n/a", "n/a", "png"), size=None)
    assert found.shape == (64, 48)
    assert [int(one.mask.sum()) for one in found.slices] == [int(ellipsoid(s, 0.5).sum()) for s in ((50, 33), (40, 30))]


def failure(folder: Path, *lines: str, kind: type[DopascopeError], number: int = 2, size: int = 64) -> DopascopeError:
    with pytest.raises(kind) as caught:
        gathered(folder, *lines, size=size)
    assert f"line {number}" in caught.value.where
    return caught.value


def test_masks_of_another_grid_and_empty_ones_are_refused_by_their_line(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    nibabel.Nifti1Image(np.ones((5, 6, 7), np.uint8), np.eye(4)).to_filename(tmp_path / "small.nii")
    assert "grid" in str(failure(tmp_path, "p1\ta.nii\tsmall.nii\taxial\tall", kind=GeometryError))
    scan(tmp_path, "e", mask=np.zeros(SHAPE, bool))
    error = failure(tmp_path, line("p1", "a"), line("p2", "e"), kind=UnsuitableError, number=3)
    assert "no brain" in error.what
    error = failure(tmp_path, "p1\ta.nii\ta.nii\taxial\tall", kind=UnsuitableError)
    assert "no mask" in error.what
    nibabel.Nifti1Image(np.full(SHAPE, 7.0, np.float32), np.diag([*SPACING, 1.0])).to_filename(tmp_path / "flat.nii")
    error = failure(tmp_path, "p1\tflat.nii\ta_mask.nii\taxial\tall", kind=UnsuitableError)
    assert error.found == "7 to 7"


def test_slices_that_are_not_there_and_planes_of_pictures_are_refused(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    picture(tmp_path, "b")
    assert failure(tmp_path, line("p1", "a", "axial", "99"), kind=UsageError).expected == "0 to 29"
    failure(tmp_path, line("p1", "b", "axial", "n/a", "png"), kind=UsageError)


def test_one_image_of_two_people_is_a_leak(tmp_path: Path) -> None:
    scan(tmp_path, "a")
    scan(tmp_path, "b")
    failure(tmp_path, line("p1", "a"), line("p2", "b"), kind=LeakError, number=3)
    assert len(gathered(tmp_path, line("p1", "a"), line("p1", "b", "coronal")).slices) > 20


@pytest.mark.parametrize("size", [0, 8, 50, 8192])
def test_sizes_that_the_network_cannot_take_are_refused(size: int) -> None:
    with pytest.raises(UsageError) as caught:
        gather([], size)
    assert caught.value.where == "--size"


def test_more_than_fits_in_memory_is_refused_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan(tmp_path, "a")
    monkeypatch.setattr(masked_slices, "MOST_BYTES", 64 * 64 * 3 * 10)
    failure(tmp_path, line("p1", "a"), kind=HostileError)
