"""The segmenter that ships, on scans nobody trained it on: overlap, contrast, axis order, positions, and refusals."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform
from scipy import ndimage
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from brain_masks import CASES, Case, dice, reference
from dopascope import formats, geometry
from dopascope.atlas.hull import brain_hull
from dopascope.bundle.segmenter import SHIPPED_SEGMENTER, brain_of
from dopascope.cli.app import app
from dopascope.errors import InputError, UnsuitableError
from dopascope.space import resample
from dopascope.volume import Grid, LabelMap, Volume

QUICK = CASES[5]
"""The smallest whole head: its case is in the short tests."""


@lru_cache(maxsize=2)
def found(path: Path) -> np.ndarray:
    """Brain, on the scan's own grid."""
    return brain_of(formats.load(path)).mask.data > 0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda one: one.scan.split(".")[0].replace("/", "-"))
def test_masks_overlap_with_those_of_others(data_dir: Path, case: Case) -> None:
    mask, truth = found(data_dir / "t1_mri" / case.scan), reference(data_dir, case)
    assert dice(mask, truth) >= 0.90
    assert ndimage.label(mask)[1] == 1
    spacing = formats.load(data_dir / "t1_mri" / case.marked).grid.spacing_mm
    assert ndimage.distance_transform_edt(~truth, sampling=spacing)[mask].max() < 20, (
        "no sinus, eye or neck"
    )  # FreeSurfer cuts the stem earlier


@pytest.mark.slow
def test_other_contrasts_give_the_same_brain(data_dir: Path) -> None:
    masks = [found(data_dir / "t1_mri" / "cstar_stroke" / f"{name}.nii.gz") for name in ("T1", "T2", "FLAIR")]
    assert dice(masks[0], masks[1]) >= 0.90
    assert dice(masks[0], masks[2]) >= 0.90


@pytest.mark.slow
def test_a_flair_of_thick_slices_agrees_with_the_t1(data_dir: Path) -> None:
    folder = data_dir / "t1_mri" / "openms_longitudinal"
    flair = brain_of(formats.load(folder / "patient01_study1_FLAIR.nii.gz")).mask
    t1 = formats.load(folder / "patient01_study1_T1W.nii.gz")
    moved = resample(flair, t1.grid).data > 0
    assert dice(moved, reference(data_dir, CASES[1])) >= 0.85


@pytest.mark.slow
def test_the_order_of_the_axes_makes_no_difference(data_dir: Path) -> None:
    path = data_dir / "t1_mri" / QUICK.scan
    image = nibabel.load(path)
    turned = image.as_reoriented(ornt_transform(nibabel.io_orientation(image.affine), axcodes2ornt("SLP")))
    own = formats.load(path)
    other = Volume(np.asarray(turned.dataobj, np.float32), Grid(turned.shape, turned.affine))
    mask = brain_of(other).mask
    assert dice(resample(mask, own.grid).data > 0, found(path)) >= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [(12, -8, 15), (-20, 10, 0)])
def test_a_tilted_head_is_found_too(data_dir: Path, degrees: tuple[float, float, float]) -> None:
    path = data_dir / "t1_mri" / QUICK.scan
    own = formats.load(path)
    centre = own.grid.to_world((np.array(own.grid.shape) - 1) / 2)
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = centre, -centre
    tilted = Grid(own.grid.shape, there @ geometry.rotation(list(degrees)) @ back @ own.grid.affine)
    scan = resample(own, tilted)
    mask = brain_of(Volume(scan.data, own.grid)).mask
    expected = resample(LabelMap(found(path).astype(np.uint8), own.grid), tilted).data > 0
    assert dice(mask.data > 0, expected) >= 0.94


@pytest.mark.slow
def test_one_person_supine_and_prone(data_dir: Path) -> None:
    """Patient coordinates turn with the person: the two heads differ by a small movement of a real neck."""
    folder = data_dir / "mr_dicom" / "dcm_qa_decubitus"
    masks = [brain_of(formats.load(folder / f"{way}_t1_fl2d_sag.zip")).mask for way in ("HFS", "HFP")]
    assert _aligned_dice(*masks) >= 0.95


def _aligned_dice(one: LabelMap, other: LabelMap) -> float:
    """Dice after the rigid movement that brings the second mask onto the first: of blurred masks, then of sharper."""
    points = one.grid.to_world(np.argwhere(np.ones(one.grid.shape, bool))[::7])
    inside = one.data.reshape(-1)[::7] > 0
    centre = points[inside].mean(0)

    def overlap(moved: np.ndarray, mask: np.ndarray) -> float:
        at = Rotation.from_rotvec(moved[3:] / 50).apply(points - centre) + centre + moved[:3]
        there = ndimage.map_coordinates(mask, other.grid.to_index(at).T, order=1)
        return -2 * float(there[inside].sum() / (there.sum() + inside.sum()))

    sharp = (other.data > 0).astype(np.float32)
    best = np.r_[other.grid.to_world(np.argwhere(sharp)).mean(0) - centre, np.zeros(3)]
    for sigma in (1.5, 0.5):
        blurred = ndimage.gaussian_filter(sharp, sigma)
        best = minimize(overlap, best, (blurred,), "Powell", options={"maxiter": 12, "xtol": 0.02, "ftol": 1e-5}).x
    at = Rotation.from_rotvec(best[3:] / 50).apply(points - centre) + centre + best[:3]
    moved = ndimage.map_coordinates(sharp, other.grid.to_index(at).T, order=1) > 0.5
    return dice(inside, moved)


@pytest.mark.slow
def test_a_real_dicom_series_gives_a_mask(data_dir: Path) -> None:
    made = brain_of(formats.load(data_dir / "mr_dicom" / "datalad_t1w" / "T1w_dicoms.zip"))
    assert 900 < made.volume_ml < 1900


@pytest.mark.slow
def test_a_skull_stripped_brain_is_kept(data_dir: Path) -> None:
    path = data_dir / "t1_mri" / "fs_subject1" / "brain.mgz"
    stripped = formats.load(path)
    assert dice(found(path), brain_hull(stripped.data > 0, stripped.grid)) >= 0.90


NOT_HEADS = {
    "balls of water": "edge_cases/nitest_balls/T1.nii.gz",
    "GE, values replaced": "mr_dicom/dicom2nifti/ge/anatomical/001",
    "Siemens, values replaced": "mr_dicom/dicom2nifti/siemens/anatomical/001",
    "Philips, values replaced": "mr_dicom/dicom2nifti/philips/anatomical/001",
}


@pytest.mark.parametrize("name", NOT_HEADS)
def test_what_is_no_head_is_refused(data_dir: Path, name: str) -> None:
    with pytest.raises(InputError):
        brain_of(formats.load(data_dir / NOT_HEADS[name]))


def fruit() -> Volume:
    """An orange as MRI shows it: a bright rind, segments between dark walls, dark seeds, 90 mm."""
    grid = Grid((96, 100, 104), np.diag([1.5, 1.5, 1.5, 1.0]))
    x, y, z = np.moveaxis(grid.centres_mm() - grid.to_world((np.array(grid.shape) - 1) / 2), -1, 0)
    radius = np.sqrt(x**2 + y**2 + (1.1 * z) ** 2)
    walls = np.abs(np.sin(5 * np.arctan2(y, x))) < 0.12
    data = np.where(radius < 45, np.where(walls, 0.35, 0.9), 0.0)
    data[(radius >= 40) & (radius < 45)] = 0.5
    data[np.hypot(x - 8, y) < 2.5] = 0.1
    data += np.random.default_rng(1).normal(0, 0.02, grid.shape)
    return Volume(np.abs(data).astype(np.float32), grid)


def test_an_orange_is_no_brain() -> None:
    with pytest.raises(UnsuitableError) as refused:
        brain_of(fruit())
    assert refused.value.found


@pytest.mark.slow
def test_pseudocolour_and_normalise_find_the_brain_themselves(data_dir: Path, tmp_path: Path) -> None:
    scan = data_dir / "t1_mri" / QUICK.scan
    told = CliRunner().invoke(app, ["pseudocolour", str(scan), "--out", str(tmp_path / "coloured")])
    assert told.exit_code == 0, told.output
    assert f"brain is what {SHIPPED_SEGMENTER} finds" in told.stderr
    record = json.loads((tmp_path / "coloured" / "pseudocolour.json").read_text())
    assert record["mask_sha256"] is None
    assert 20 < record["pictures"][0]["colours"] <= 49
    (tmp_path / "cohort.tsv").write_text(
        f"participant_id\tsession_id\tscan_id\tpath\tmodality\nsub-1\tses-1\tone\t{scan}\tt1\n"
    )
    told = CliRunner().invoke(app, ["normalise", str(tmp_path / "cohort.tsv"), "--out", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    (side,) = (tmp_path / "out" / "sub-1").rglob("*_T1w.json")
    assert json.loads(side.read_text())["BrainMask"]["source"].startswith(SHIPPED_SEGMENTER)
