"""The template's brain as labels: symmetric, whole, of a size that adults have, and what the code builds."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy import ndimage

from dopascope import atlas
from dopascope.atlas.brain import BRAIN, BRAIN_1MM, STRUCTURES, Tissue, structure, template_brain
from dopascope.atlas.hull import brain_hull
from dopascope.atlas.stem import stem_parts
from dopascope.phantom.mr.anatomy import TEMPLATE_EXCESS

STEM = (Tissue.MIDBRAIN, Tissue.PONS, Tissue.STEM)


def ml(*tissues: Tissue) -> float:
    return float(np.isin(template_brain().data, tissues).sum()) / 1000


def test_labels_are_a_symmetric_brain_and_air() -> None:
    labels = template_brain()
    assert labels.grid == BRAIN_1MM
    assert np.array_equal(labels.data, labels.data[::-1])
    assert set(np.unique(labels.data)) <= {Tissue.AIR, *BRAIN}
    assert not labels.data.flags.writeable


def test_brain_is_the_tissues_from_the_first_to_the_stem() -> None:
    assert tuple(range(1, int(Tissue.STEM) + 1)) == BRAIN
    assert [int(one) for one in Tissue] == list(range(len(Tissue)))


def test_the_brain_is_its_own_hull() -> None:
    labels = template_brain().data
    tissue = np.isin(labels, BRAIN) & ~np.isin(labels, (Tissue.FLUID, Tissue.VENTRICLE))
    assert np.array_equal(brain_hull(tissue, BRAIN_1MM), np.isin(labels, BRAIN))


def test_the_stem_is_one_piece_in_order_from_above() -> None:
    labels = template_brain()
    _, pieces = ndimage.label(np.isin(labels.data, STEM))
    assert pieces == 1
    heights = [labels.grid.to_world(np.argwhere(labels.data == part))[:, 2].mean() for part in STEM]
    assert heights == sorted(heights, reverse=True)


def test_every_voxel_of_the_stem_lies_between_the_planes_of_its_part() -> None:
    labels = template_brain()
    index = np.argwhere(np.isin(labels.data, STEM))
    assert np.array_equal(stem_parts(labels.grid.to_world(index)), labels.data[tuple(index.T)])


@pytest.mark.parametrize(("part", "low", "high"), [(Tissue.MIDBRAIN, 6, 8), (Tissue.PONS, 12, 15)])
def test_midbrain_and_pons_have_the_size_of_an_adults(part: Tissue, low: float, high: float) -> None:
    # Hand-drawn and FreeSurfer's brain stems (Iglesias et al. 2015) lie in these ranges; the template is larger.
    assert low < ml(part) / TEMPLATE_EXCESS < high


def test_caudate_and_putamen_are_those_of_the_atlas() -> None:
    weights = atlas.striatum_weights(BRAIN_1MM, supersample=2)
    for name in ("caudate_left", "putamen_right"):
        wanted = sum(float(weights[part].sum()) for part in atlas.PARTS.get(name, (name,))) / 1000
        assert structure(template_brain(), name).sum() / 1000 == pytest.approx(wanted, rel=0.05)


def test_structures_of_two_sides_are_mirror_images() -> None:
    labels = template_brain()
    assert {name.rsplit("_", 1)[0] for name, (_, side) in STRUCTURES.items() if side} == {"caudate", "putamen"}
    for part in ("caudate", "putamen"):
        left, right = (structure(labels, f"{part}_{side}") for side in ("left", "right"))
        assert np.array_equal(left, right[::-1])
        assert not (left & right).any()
        assert (labels.grid.to_world(np.argwhere(left))[:, 0] < 0).all()
    with pytest.raises(KeyError):
        structure(labels, "thalamus")


@pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="nilearn is a developer's dependency")
@pytest.mark.slow
def test_the_shipped_labels_are_what_the_code_builds() -> None:
    from dopascope.atlas.build_head import build

    half = build()
    assert half.shape[0] == BRAIN_1MM.shape[0] // 2 + 1
    assert np.array_equal(template_brain().data[BRAIN_1MM.shape[0] // 2 :], half)
