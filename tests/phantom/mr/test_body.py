"""A person's brain: volumes that were drawn are volumes that are there, in numbers and in painted labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dopascope import geometry
from dopascope.atlas.brain import BRAIN, STRUCTURES, Tissue, structure
from dopascope.errors import UnsuitableError
from dopascope.phantom import draw_person
from dopascope.phantom.mr import Anatomy, Body, brain_of, draw_anatomy, template
from dopascope.phantom.mr.brain import EDGE_STEP
from dopascope.volume import Grid, LabelMap

GROUPS = ("healthy", "pd", "atypical")
PLAIN = Anatomy((1.0, 1.0, 1.0), dict.fromkeys(STRUCTURES, 1.0), 1.0, 0.0, 0.0, 30.0, 1)


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    return [Body(template(), draw_anatomy(draw_person(seed, group))) for seed, group in enumerate(GROUPS)]


def fine(spacing: float) -> Grid:
    shape = tuple(int(length / spacing) for length in (188, 228, 198))
    return Grid((shape[0], shape[1], shape[2]), geometry.from_parts(np.eye(3), [spacing] * 3, (-94, -130, -92)))


def test_volumes_are_those_that_were_drawn(bodies: list[Body]) -> None:
    for body in bodies:
        size = float(np.prod(body.anatomy.axes))
        for name in STRUCTURES:
            wanted = body.brain.counts[name] / 1000 * size * body.anatomy.parts[name]
            assert body.volumes_ml[name] == pytest.approx(wanted, rel=1e-5)
        own = float((body.brain.labels.data == Tissue.VENTRICLE).sum()) / 1000
        assert body.volumes_ml["ventricles"] == pytest.approx(own * size * body.anatomy.ventricles, rel=3e-3)


def test_painted_labels_have_the_volumes_and_places_of_the_numbers(bodies: list[Body]) -> None:
    body, grid = bodies[-1], fine(1.0)
    labels = LabelMap(body.labels_on(grid), grid)
    size = float(np.prod(body.anatomy.axes))
    for name, middle in body.centres_mm.items():
        inside = structure(labels, name)
        assert inside.sum() * grid.voxel_ml * size == pytest.approx(body.volumes_ml[name], rel=0.03)
        found = geometry.apply_affine(body.matrix, grid.to_world(np.argwhere(inside)).mean(0))
        assert np.linalg.norm(found - middle) < 0.4
    whole = float(np.isin(labels.data, BRAIN).sum()) * grid.voxel_ml * size
    assert whole == pytest.approx(body.volumes_ml["brain"], rel=5e-3)
    ventricles = float((labels.data == Tissue.VENTRICLE).sum()) * grid.voxel_ml * size
    assert ventricles == pytest.approx(body.volumes_ml["ventricles"], rel=0.02)


def test_without_any_difference_a_person_is_the_template() -> None:
    body = Body(template(), PLAIN)
    own = template().labels
    assert (body.labels_on(own.grid) != own.data).sum() < EDGE_STEP  # ventricles grow in steps of so many voxels
    assert body.volumes_ml["brain"] == pytest.approx(template().hull_ml, rel=1e-6)
    assert np.allclose(body.matrix, np.eye(4))


def test_age_takes_cortex_within_the_hull_and_widens_ventricles_into_white_matter() -> None:
    own = template().labels.data
    aged = Body(template(), replace(PLAIN, ventricles=1.5, cortex_lost=0.05)).labels_on(template().labels.grid)
    assert np.array_equal(np.isin(aged, BRAIN), np.isin(own, BRAIN))
    assert (aged == Tissue.VENTRICLE).sum() == pytest.approx(1.5 * (own == Tissue.VENTRICLE).sum(), rel=0.01)
    assert set(np.unique(own[(aged == Tissue.VENTRICLE) & (own != Tissue.VENTRICLE)])) == {Tissue.WHITE}
    lost = (own == Tissue.GREY) & (aged == Tissue.FLUID)
    assert lost.sum() == pytest.approx(0.05 * (own == Tissue.GREY).sum(), rel=1e-3)
    smaller = Body(template(), replace(PLAIN, ventricles=0.7)).labels_on(template().labels.grid)
    assert (smaller == Tissue.VENTRICLE).sum() == pytest.approx(0.7 * (own == Tissue.VENTRICLE).sum(), rel=0.01)


def test_a_warp_that_would_fold_the_brain_is_drawn_in() -> None:
    body = Body(template(), replace(PLAIN, warp_mm=30.0, warp_length_mm=20.0))
    stretch = np.linalg.det(np.eye(3) + body.brain.whole.slopes(body.warp.coefficients))
    assert stretch.min() > 0
    assert body.volumes_ml["putamen_left"] == pytest.approx(body.brain.counts["putamen_left"] / 1000, rel=1e-5)


@pytest.mark.data
@pytest.mark.slow
def test_a_label_map_becomes_a_brain_with_every_structure(data_dir: Path) -> None:
    brain = brain_of(data_dir / "t1_mri" / "fs_subject1" / "aseg.mgz")
    assert set(brain.known) == set(STRUCTURES)
    body = Body(brain, draw_anatomy(draw_person(2, "atypical")))
    size = float(np.prod(body.anatomy.axes))
    for name in STRUCTURES:
        wanted = brain.counts[name] / 1000 * size * body.anatomy.parts[name]
        assert body.volumes_ml[name] == pytest.approx(wanted, rel=1e-5)
    heights = [np.argwhere(structure(brain.labels, name))[:, 2].mean() for name in ("midbrain", "pons")]
    assert heights[0] > heights[1]


@pytest.mark.data
def test_an_image_is_no_label_map(data_dir: Path) -> None:
    with pytest.raises(UnsuitableError, match="no labels of a brain"):
        brain_of(data_dir / "t1_mri" / "ixi012_2mm" / "IXI012-HH-1211_T1.nii.gz")
