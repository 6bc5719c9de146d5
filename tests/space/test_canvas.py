"""A slice on a square of any side: nothing is stretched, and what does not fit is cut at the edges alone."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.errors import GeometryError
from dopascope.space.canvas import SIDE, Canvas
from dopascope.space.pseudocolour import on_canvas

RNG = np.random.default_rng(3)
GREY = RNG.gamma(4.0, 50.0, (23, 37)).astype(np.float32)
INSIDE = RNG.random((23, 37)) > 0.3


def test_the_papers_picture_is_the_canvas_of_its_side() -> None:
    canvas = Canvas.fitting(GREY.shape, (1.3, 0.9))
    assert canvas.side == SIDE
    grey, inside = on_canvas(GREY, INSIDE, (1.3, 0.9))
    np.testing.assert_array_equal(canvas.linear(GREY, INSIDE), grey)
    np.testing.assert_array_equal(canvas.nearest(INSIDE), inside)


@pytest.mark.parametrize("side", [32, 48, 160])
def test_the_longer_side_in_mm_fills_the_square_and_areas_keep_their_proportion(side: int) -> None:
    shape, spacing = (40, 30), (1.0, 2.5)
    whole = Canvas.fitting(shape, spacing, side).nearest(np.ones(shape, bool))
    rows, columns = whole.any(axis=1).sum(), whole.any(axis=0).sum()
    assert columns == side
    assert rows == pytest.approx(side * 40 / 75, abs=1)
    assert not whole[0].any()
    assert not whole[-1].any()


def test_a_square_of_as_many_pixels_is_the_slice_itself() -> None:
    square = GREY[:, :23]
    canvas = Canvas.fitting(square.shape, (0.7, 0.7), 23)
    np.testing.assert_array_equal(canvas.linear(square, np.ones(square.shape, bool)), square)
    np.testing.assert_array_equal(canvas.nearest(INSIDE[:, :23]), INSIDE[:, :23])


def test_pixels_of_a_stated_size_cut_the_slice_about_its_middle_or_leave_a_margin() -> None:
    square = GREY[:20, :20]
    whole = np.ones(square.shape, bool)
    cut = Canvas(16, (20, 20), (2.0, 2.0), 2.0)
    np.testing.assert_array_equal(cut.linear(square, whole), square[2:18, 2:18])
    wide = Canvas(32, (20, 20), (2.0, 2.0), 2.0)
    assert not wide.nearest(whole)[:6].any()
    np.testing.assert_array_equal(wide.linear(square, whole)[6:26, 6:26], square)


def test_what_is_no_slice_has_no_canvas() -> None:
    for shape, spacing in (((4, 5, 6), (1.0, 1.0)), ((4, 5), (1.0, 0.0)), ((4, 5), (1.0, np.nan)), ((4, 5), (1.0,))):
        with pytest.raises(GeometryError, match="cannot be drawn"):
            Canvas.fitting(shape, spacing)
