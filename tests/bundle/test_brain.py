"""The brain in a scan by a stand-in for the network: axes, grids, cleaning, and what is refused."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from dopascope import formats, geometry
from dopascope.bundle.brain import SIDE, find_brain
from dopascope.bundle.segmenter import brain_of
from dopascope.errors import UnsuitableError, UnsupportedError
from dopascope.volume import Grid, SliceImage, Volume
from grey_head import GRID, SCALP_MM, SHAPE, centred_grid, head, radius

EYE = np.array([20.0, 100.0, 0.0])
"""Of brain's grey, joined to the brain by a thread."""


def with_eye() -> tuple[Volume, np.ndarray]:
    """A head with an eye far in front of it."""
    scan, brain = head()
    data, world = scan.data.copy(), GRID.centres_mm()
    data[((world - EYE) ** 2).sum(axis=-1) < 14.0**2] = 0.5
    thread = np.hypot(world[..., 0] - EYE[0], world[..., 2] - EYE[2]) < 3.0
    data[thread & (world[..., 1] > 0) & (world[..., 1] < EYE[1])] = 0.5
    return Volume(data, GRID), brain


def by_grey(slices: np.ndarray) -> np.ndarray:
    """What a network would know, from the grey value alone: brain, the scalp's borders too, nothing else."""
    assert slices.shape[1:] == (SIDE, SIDE)
    return np.where(np.abs(slices - 0.5) < 0.2, 8.0, -8.0).astype(np.float32)


def nowhere(slices: np.ndarray) -> np.ndarray:
    return np.full(slices.shape, -8.0, np.float32)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@lru_cache(maxsize=1)
def plain() -> np.ndarray:
    return find_brain(head()[0], by_grey).mask.data > 0


def test_the_brain_is_found_and_the_scalps_borders_are_not() -> None:
    scan, brain = head()
    told: list[str] = []
    found = find_brain(scan, by_grey, progress=told.append)
    assert found.mask.grid == scan.grid
    assert dice(found.mask.data > 0, brain) > 0.97
    assert not (found.mask.data > 0)[radius(GRID, SCALP_MM[0]) > 1].any()
    assert found.volume_ml == pytest.approx(brain.sum() * 8e-3, rel=0.03)
    assert found.whole
    assert tuple(told) == found.planes == ("sagittal", "coronal", "axial")
    assert all(one.passed for one in found.checks)
    assert found.as_dict()["definition"]


@pytest.mark.parametrize("axes", ["LPS", "SAR", "PIL"])
def test_the_order_in_which_a_scan_is_stored_does_not_change_its_brain(axes: str) -> None:
    scan, _ = head()
    image = nibabel.Nifti1Image(scan.data, scan.grid.affine)
    stored = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes)))
    data = np.asarray(stored.dataobj)
    found = find_brain(Volume(data, Grid(data.shape, stored.affine)), by_grey)
    back = nibabel.Nifti1Image(found.mask.data, stored.affine)
    upright = back.as_reoriented(ornt_transform(axcodes2ornt(axes), axcodes2ornt("RAS")))
    assert dice(np.asarray(upright.dataobj) > 0, plain()) > 0.999


@pytest.mark.parametrize(
    ("spacing", "shape", "turn"),
    [((1.5, 2.2, 2.0), (124, 98, 100), [14, -9, 21]), ((1.6, 1.6, 5.0), (116, 134, 40), [0, 0, 0])],
    ids=["oblique", "5 mm slices"],
)
def test_oblique_and_uneven_grids(
    spacing: tuple[float, float, float], shape: tuple[int, int, int], turn: list[float]
) -> None:
    scan, brain = head(centred_grid(spacing, shape, geometry.rotation(turn)))
    found = find_brain(scan, by_grey)
    assert found.mask.grid == scan.grid
    assert dice(found.mask.data > 0, brain) > 0.94


def test_a_blob_that_hangs_on_a_thread_is_cut_off() -> None:
    scan, brain = with_eye()
    eye = ((GRID.centres_mm() - EYE) ** 2).sum(axis=-1) < 14.0**2
    assert (np.abs(scan.data[eye] - 0.5) < 0.2).all(), "the stand-in says that it is brain"
    mask = find_brain(scan, by_grey).mask.data > 0
    assert not mask[eye].any()
    assert dice(mask, brain) > 0.96


def refused(scan: Volume, ask: object = by_grey) -> UnsuitableError:
    with pytest.raises(UnsuitableError, match="No brain was found") as caught:
        find_brain(scan, ask)  # type: ignore[arg-type]
    assert caught.value.expected
    assert caught.value.fix
    return caught.value


def test_an_empty_answer_is_a_refusal() -> None:
    assert refused(head()[0], nowhere).where == "brain voxels"


def test_a_scan_of_one_grey_is_refused_before_anybody_is_asked() -> None:
    def never(slices: np.ndarray) -> np.ndarray:
        raise AssertionError("asked")

    error = refused(Volume(np.full(SHAPE, 7.0), GRID), never)
    assert (error.where, error.found) == ("grey values", "7 to 7")


def test_a_brain_of_half_a_litre_is_refused_with_its_volume() -> None:
    error = refused(head(scale=0.75)[0])
    assert error.where == "volume of a whole brain"
    assert float(error.found) == pytest.approx(1130 * 0.75**3, rel=0.1)


def test_a_slab_in_which_no_plane_shows_a_head_is_refused() -> None:
    thin = centred_grid((2.0, 2.0, 2.0), (92, 30, 30))
    assert refused(head(thin)[0]).where == "the field of view"


def test_planes_that_contradict_each_other_are_refused() -> None:
    asked = []

    def at_odds(slices: np.ndarray) -> np.ndarray:
        asked.append(len(slices))
        return by_grey(slices) if len(asked) != 2 else nowhere(slices)

    error = refused(head()[0], at_odds)
    assert error.where in ("Dice of each plane with the mask", "mean probability of brain within the mask")


def test_pictures_and_files_of_several_volumes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsuitableError, match="picture of one slice"):
        brain_of(SliceImage(np.zeros((20, 30), np.float32)))
    rng = np.random.default_rng(1)
    nibabel.save(nibabel.Nifti1Image(rng.random((7, 8, 9, 3), np.float32), np.eye(4)), tmp_path / "series.nii")
    colours = np.zeros((7, 8, 9), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "rgb.nii")
    for name in ("series.nii", "rgb.nii"):
        with pytest.raises(UnsupportedError):
            formats.load(tmp_path / name)
