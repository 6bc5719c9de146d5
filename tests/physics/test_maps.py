"""Activity and attenuation maps: right tissue at right places, on the grid asked for, moved as the head moves."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope import phantom
from dopascope.phantom.anatomy import Head
from dopascope.physics.maps import (
    MU_PER_CM,
    attenuation_on,
    centred_grid,
    fine_grid,
    head_maps,
    head_reach,
)


@pytest.fixture(scope="module")
def head() -> Head:
    return Head(phantom.draw_person(3, "healthy"))


def test_a_line_from_the_middle_meets_brain_then_skull_then_scalp_then_air(head: Head) -> None:
    grid = centred_grid((221, 3, 3), (1.0, 1.0, 1.0))
    across = 10 * attenuation_on(head, phantom.Pose().matrix() @ head.matrix, grid)[:, 1, 1]
    right = across[110:]
    assert right[:40] == pytest.approx(MU_PER_CM["brain"], rel=0.01)
    assert MU_PER_CM["skull"] * 0.9 < right.max() <= MU_PER_CM["skull"] * 1.001
    skull = int(right.argmax())
    scalp = right[skull + 6 : skull + 40]
    assert np.abs(scalp[:4] - MU_PER_CM["soft"]).min() < 0.01
    assert right[-5:].tolist() == [0] * 5
    assert across == pytest.approx(across[::-1], abs=0.09)  # a head is nearly symmetric


def test_maps_are_means_over_voxels_so_that_sums_do_not_depend_on_the_grid(head: Head) -> None:
    matrix = phantom.Pose().matrix() @ head.matrix
    coarse, fine = (
        head_maps(head, matrix, centred_grid(shape, (step, step, 6.0)))
        for shape, step in (((36, 42, 20), 6.0), ((72, 84, 20), 3.0))
    )
    for a, b in ((coarse.activity, fine.activity), (coarse.mu, fine.mu)):
        folded = b.reshape(36, 2, 42, 2, 20).mean((1, 3))
        assert a.sum() == pytest.approx(folded.sum(), rel=0.01)
        assert np.linalg.norm(a - folded) < 0.15 * np.linalg.norm(folded)


def test_activity_lies_where_matter_is(head: Head) -> None:
    maps = head_maps(head, phantom.Pose().matrix() @ head.matrix, centred_grid((60, 66, 40), (4.0, 4.0, 5.0)))
    assert (maps.mu[maps.activity > 0] > 0).all()
    assert maps.activity.max() > 2


def test_a_shifted_head_has_shifted_maps(head: Head) -> None:
    grid = centred_grid((60, 66, 30), (4.0, 4.0, 5.0))
    still, moved = (
        head_maps(head, phantom.Pose(shift_mm=shift).matrix() @ head.matrix, grid) for shift in ((0, 0, 0), (8, -12, 5))
    )
    np.testing.assert_allclose(moved.mu[2:, :-3, 1:], still.mu[:-2, 3:, :-1], atol=1e-5)


def test_the_reach_holds_the_head_and_little_more(head: Head) -> None:
    matrix = phantom.Pose(shift_mm=(10, 0, 0)).matrix() @ head.matrix
    reach = head_reach(head, matrix, 60.0)
    grid = centred_grid((150, 150, 12), (2.0, 2.0, 10.0))
    places = grid.centres_mm()
    furthest = np.hypot(places[..., 0], places[..., 1])[attenuation_on(head, matrix, grid) > 0.001].max()
    assert furthest <= reach <= furthest + 20


@pytest.mark.parametrize(("pixel", "voxel"), [(4.4, 2.2), (3.0, 1.9), (2.1, 1.9)])
def test_heads_are_projected_from_a_finer_grid_that_is_longer_than_the_field(pixel: float, voxel: float) -> None:
    field = centred_grid((64, 60, 20), (pixel, pixel, 3.0))
    fine = fine_grid(field, 95.0)
    assert fine.spacing_mm == pytest.approx((voxel, voxel, 3.0))
    assert fine.shape[0] == fine.shape[1]
    assert fine.extent_mm[0] >= 190
    assert fine.shape[2] == 20 + 2 * 6
    assert fine.affine[2, 3] == pytest.approx(field.affine[2, 3] - 18)
    assert fine.centre_mm == pytest.approx([0, 0, 0])
