"""What "brain" means: a closing whose outcome is known for simple shapes, on any voxels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope import geometry
from dopascope.atlas.hull import CLOSING_MM, DEFINITION, brain_hull
from dopascope.volume import Grid

spacings = st.tuples(*[st.sampled_from([0.8, 1.0, 1.5, 2.0, 3.0])] * 3)


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (1, 1, 1)) -> Grid:
    return Grid(shape, geometry.from_parts(np.eye(3), spacing, (-11, 4, 7)))


def slabs(axis: int, gap: int, thickness: int = 8, across: tuple[int, int] = (22, 25)) -> np.ndarray:
    """Two slabs with `gap` voxels between them along `axis`."""
    inside = np.zeros((2 * thickness + gap + 4, *across), bool)
    inside[2 : 2 + thickness, 1:-1, 1:-1] = True
    inside[2 + thickness + gap : -2, 1:-1, 1:-1] = True
    return np.moveaxis(inside, 0, axis)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2), st.integers(1, 14), spacings)
def test_a_cleft_is_closed_where_every_place_in_it_is_near_tissue(
    axis: int, gap: int, spacing: tuple[float, float, float]
) -> None:
    inside = slabs(axis, gap)
    space = grid(inside.shape, spacing)
    hull = brain_hull(inside, space)
    middle = tuple(n // 2 for n in inside.shape)
    farthest = np.ceil(gap / 2) * space.spacing_mm[axis]
    assert hull[middle] == (farthest <= CLOSING_MM)
    assert hull[inside].all()


def test_a_ball_stays_a_ball_and_a_hollow_one_is_filled() -> None:
    space = grid((41, 37, 45))
    apart = np.linalg.norm(space.centres_mm() - space.centre_mm, axis=-1)
    ball = apart <= 15
    hull = brain_hull(ball, space)
    assert hull[ball].all()
    assert hull.sum() <= ball.sum() * 1.02
    # The cavity's middle is farther from tissue than the closing reaches: it is filled as a hole, not closed.
    hollow = ball & (apart > 10)
    assert np.array_equal(brain_hull(hollow, space), hull)


def test_a_cavity_that_opens_wide_stays_open() -> None:
    inside = np.zeros((40, 44, 48), bool)
    inside[4:36, 4:40, 4:44] = True
    inside[10:30, 10:34, 20:] = False  # 20 x 24 voxels wide, open above
    hull = brain_hull(inside, grid(inside.shape))
    assert not hull[20, 22, 40]
    assert not hull[20, 22, 46]


def test_the_same_shape_has_the_same_hull_in_other_voxels_of_equal_size() -> None:
    inside = slabs(0, 6)
    hull = brain_hull(inside, grid(inside.shape))
    turned = brain_hull(np.moveaxis(inside, 0, 2), grid(np.moveaxis(inside, 0, 2).shape))
    assert np.array_equal(np.moveaxis(hull, 0, 2), turned)


def test_what_touches_the_edge_of_the_field_is_not_closed_against_it() -> None:
    inside = np.zeros((20, 30, 24), bool)
    inside[:, 10:20, :] = True
    assert np.array_equal(brain_hull(inside, grid(inside.shape)), inside)


def test_nothing_has_no_hull_and_input_is_left_alone() -> None:
    nothing = np.zeros((9, 8, 7), bool)
    assert not brain_hull(nothing, grid(nothing.shape)).any()
    inside = slabs(1, 4)
    before = inside.copy()
    brain_hull(inside, grid(inside.shape))
    assert np.array_equal(inside, before)


def test_the_definition_names_the_number_in_use() -> None:
    assert f"{CLOSING_MM:g} mm" in DEFINITION
