"""The striatal tubes against the measured table, against other atlases, and against geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import striatal_maps as maps
from dopascope import atlas, geometry
from dopascope.atlas.striatum import CAUDATE, Tube, index_box
from dopascope.volume import MNI_2MM, Grid

# Measured on the Melbourne Subcortex Atlas: volume of a side (mm3) and centroid of the right side (mm).
TABLE = {
    "caudate": (3480, (13.2, 10.5, 9.7)),
    "anterior_putamen": (3304, (23.6, 8.8, -2.6)),
    "posterior_putamen": (3880, (28.4, -7.0, 3.1)),
    "putamen": (7184, (26.0, 0.3, 0.2)),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("structure", TABLE)
def test_volumes_and_centroids_are_those_of_the_table(structure: str, side: str) -> None:
    volume, centroid = TABLE[structure]
    points = atlas.sample_points(f"{structure}_{side}", 0.5)
    assert len(points) * 0.5**3 == pytest.approx(volume, rel=0.05)
    mirrored = np.array(centroid) * ([-1, 1, 1] if side == "left" else [1, 1, 1])
    assert np.linalg.norm(points.mean(0) - mirrored) < 1.0


def test_a_straight_tube_has_the_volume_of_an_elliptic_cylinder() -> None:
    tube = Tube(((0, 20.0, 1.0), (10, 20.0, 1.0)), ((0, 3.0, 5.0, 25.0), (10, 3.0, 5.0, 25.0)), 0.5)
    points = np.random.default_rng(3).uniform([10, 0, -10], [30, 10, 12], (400_000, 3))
    share = (tube.level(points) < 1).mean()
    assert share * 20 * 10 * 22 == pytest.approx(np.pi * 3 * 5 * 10, rel=0.02)
    assert tube.level([[19.5, -0.1, 1.0], [19.5, 10.1, 1.0]]).tolist() == [np.inf, np.inf]


def test_the_lean_turns_the_top_of_the_major_axis_to_the_side() -> None:
    tube = Tube(((0, 0.0, 0.0), (1, 0.0, 0.0)), ((0, 1.0, 4.0, 30.0), (1, 1.0, 4.0, 30.0)), 0.0)
    top = [3.9 * np.sin(np.deg2rad(30)), 0.5, 3.9 * np.cos(np.deg2rad(30))]
    assert tube.level(top) < 1
    assert tube.level(np.array(top) * [-1, 1, 1]) > 1


def test_bounds_hold_every_point() -> None:
    low, high = CAUDATE.bounds_mm()
    points = np.random.default_rng(1).uniform(low - 15, high + 15, (300_000, 3))
    held = points[CAUDATE.level(points) < 1]
    assert len(held) > 1000
    assert (held > low).all()
    assert (held < high).all()


def test_no_point_belongs_to_two_regions() -> None:
    points = np.random.default_rng(2).uniform([-45, -30, -22], [45, 30, 28], (500_000, 3))
    counts = sum(atlas.inside(region, points).astype(int) for region in atlas.REGIONS)
    assert counts.max() == 1
    parts = [atlas.inside(region, points) for region in atlas.PARTS["striatum_left"]]
    assert np.array_equal(atlas.inside("striatum_left", points), np.any(parts, axis=0))


def test_weights_on_the_mni_grid_are_mirror_images() -> None:
    weights = atlas.striatum_weights()
    for structure in ("caudate", "anterior_putamen", "posterior_putamen"):
        left, right = weights[f"{structure}_left"], weights[f"{structure}_right"]
        assert left.shape == MNI_2MM.shape
        assert np.array_equal(left, right[::-1])
        assert not right.flags.writeable


def test_weights_keep_their_volume_on_coarse_oblique_and_flipped_grids() -> None:
    affine = geometry.about(geometry.rotation([12, -9, 14]), [0, 0, 0]) @ np.diag([-3.3, 4.1, 2.7, 1.0])
    affine[:3, 3] += np.array([3.0, 4.0, 5.0]) - affine[:3, :3] @ np.array([20, 14, 18.0])
    grid = Grid((41, 29, 37), affine)
    for region, weights in atlas.striatum_weights(grid).items():
        volume, centroid = TABLE[region.rsplit("_", 1)[0]]
        assert weights.sum() * grid.voxel_ml * 1000 == pytest.approx(volume, rel=0.05)
        found = (grid.centres_mm() * weights[..., None]).sum((0, 1, 2)) / weights.sum()
        assert np.abs(found * [np.sign(found[0]), 1, 1] - centroid).max() < 1.0
        assert (found[0] < 0) == region.endswith("left")


def test_a_fine_grid_that_cuts_the_striatum_holds_what_it_covers() -> None:
    grid = Grid((30, 20, 25), geometry.from_parts(np.eye(3), [0.5, 0.5, 0.5], [8, 5, 4]))
    weights = atlas.striatum_weights(grid, supersample=1)["caudate_right"]
    assert np.array_equal(weights == 1, atlas.inside("caudate_right", grid.centres_mm()))
    far = Grid((4, 5, 6), geometry.translation([300, 0, 0]))
    assert not any(w.any() for w in atlas.striatum_weights(far).values())
    assert index_box(far, [-1, -1, -1], [1, 1, 1])[0] == slice(0, 0)


def test_labels_are_the_regions_that_fill_half_a_voxel() -> None:
    labels, weights = atlas.striatum_labels(), atlas.striatum_weights()
    assert set(labels.names.values()) == set(atlas.REGIONS)
    total = sum(weights.values())
    assert np.array_equal(labels.data > 0, total >= 0.5)
    for region in atlas.REGIONS:
        assert (weights[region][labels.mask(region)] > 0.2).all()


def test_sample_points_give_the_mean_of_a_linear_field_and_mirror() -> None:
    left, right = (atlas.sample_points(f"putamen_{side}") for side in ("left", "right"))
    assert np.array_equal(left * [-1, 1, 1], right)
    fine = atlas.sample_points("putamen_right", 0.5)
    assert np.abs(right.mean(0) - fine.mean(0)).max() < 0.1


@pytest.mark.data
def test_overlap_with_four_published_atlases_is_as_documented(data_dir: Path) -> None:
    rows = ["| Atlas | caudate left | caudate right | putamen left | putamen right |", "|---|---|---|---|---|"]
    for name in maps.ATLASES:
        masks, grid = maps.native_masks(data_dir, name)
        ours = maps.our_masks(atlas.striatum_labels(grid, supersample=4 if name == "tian" else 1))
        found = {region: maps.dice(mask, ours[region]) for region, mask in masks.items()}
        rows.append(f"| {maps.TITLES[name]} | " + " | ".join(f"{value:.2f}" for value in found.values()) + " |")
        if name == "tian":
            assert min(found.values()) >= 0.75
        assert min(found.values()) > 0.5  # a swapped side or a shifted file would give less
    page = (Path(__file__).parents[2] / "docs" / "atlas.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in page, "docs/atlas.md should have this table:\n" + "\n".join(rows)
