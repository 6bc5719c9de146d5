"""Heads around brains: the brain is left alone, everything else is a tissue, the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.atlas.brain import BRAIN, Tissue, template_brain
from dopascope.phantom.mr import Habitus, draw_head, dress, head_grid
from dopascope.space import resample
from dopascope.volume import Grid, LabelMap

MM = 5.0


@pytest.fixture(scope="module")
def brain() -> tuple[np.ndarray, Grid]:
    grid = head_grid(MM)
    assert len(set(grid.shape)) == 3
    return resample(template_brain(), grid).data, grid


@pytest.fixture(scope="module")
def heads(brain: tuple[np.ndarray, Grid]) -> list[LabelMap]:
    return [dress(*brain, np.random.default_rng(seed)) for seed in range(6)]


def test_the_brain_is_left_as_it_was(brain: tuple[np.ndarray, Grid], heads: list[LabelMap]) -> None:
    inside = np.isin(brain[0], BRAIN)
    for head in heads:
        assert np.array_equal(np.isin(head.data, BRAIN), inside)
        assert np.array_equal(head.data[inside], brain[0][inside])


def test_everything_is_a_tissue_with_a_name(heads: list[LabelMap]) -> None:
    for head in heads:
        assert set(np.unique(head.data)) <= {int(one) for one in Tissue}
        assert head.names == {int(one): one.name.lower() for one in Tissue}


def test_a_head_has_its_parts_and_air_around(heads: list[LabelMap]) -> None:
    for head in heads:
        there = {Tissue(value) for value in np.unique(head.data)}
        assert {Tissue.AIR, Tissue.BONE, Tissue.SKIN, Tissue.EYE, Tissue.CORD, Tissue.OUTER_FLUID} <= there
        assert (head.data[:, :, -1] == Tissue.AIR).mean() > 0.8
        assert (head.data[[0, -1], :, head.grid.shape[2] // 2] == Tissue.AIR).mean() > 0.8, "wide heads reach the box"


def test_no_brain_touches_air(heads: list[LabelMap]) -> None:
    from scipy import ndimage

    for head in heads:
        brain = np.isin(head.data, BRAIN)
        beside = (ndimage.distance_transform_edt(~brain, sampling=head.grid.spacing_mm) <= 2.5) & ~brain
        assert not np.isin(head.data[beside], (Tissue.AIR, Tissue.SINUS)).any()


def test_a_seed_decides(brain: tuple[np.ndarray, Grid], heads: list[LabelMap]) -> None:
    again = dress(*brain, np.random.default_rng(0))
    assert np.array_equal(again.data, heads[0].data)
    assert not np.array_equal(heads[1].data, heads[0].data)


def test_a_thick_skull_is_thicker(brain: tuple[np.ndarray, Grid]) -> None:
    body = Habitus(2.0, 1.0, 4.0, 0.0, 5.0, 0.5, 0.9, 1.0, 0.1)
    thin, thick = (
        dress(*brain, np.random.default_rng(3), Habitus(*(body.__dict__ | {"bone": bone}).values())).data
        for bone in (4.0, 11.0)
    )
    assert (thick == Tissue.BONE).sum() > 1.3 * (thin == Tissue.BONE).sum()


def test_a_drawn_head_is_of_the_template_where_no_other_brain_is_given() -> None:
    one, same = (draw_head([], np.random.default_rng(4), MM) for _ in range(2))
    assert np.array_equal(one.data, same.data)
    litres = np.isin(one.data, BRAIN).sum() * one.grid.voxel_ml / 1000
    own = np.isin(template_brain().data, BRAIN).sum() / 1e6
    assert litres == pytest.approx(own, rel=0.02)
