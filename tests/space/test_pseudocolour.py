"""Equal intervals of a brain's grey range, and the canvas they are drawn on: exact, monotone, not stretched."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import axcodes2ornt, ornt_transform
from scipy.ndimage import map_coordinates

from dopascope.errors import DopascopeError, GeometryError, UnsuitableError, UsageError
from dopascope.geometry import translation
from dopascope.phantom import ORIENTATIONS
from dopascope.space.pseudocolour import (
    FEWEST,
    INTERVALS,
    MOST,
    SIDE,
    GreyRange,
    brain_of,
    clusters,
    grey_range,
    on_canvas,
)
from dopascope.volume import Grid, LabelMap, SliceImage, Volume

COUNTS = st.integers(FEWEST, MOST)
FINITE = st.floats(-1e6, 1e6, width=32)


@st.composite
def brains(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Grey values with two of them at least inside the brain."""
    shape = draw(array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=7))
    grey = draw(arrays(np.float32, shape, elements=FINITE))
    brain = draw(arrays(bool, shape))
    brain.flat[:2] = True
    if len(np.unique(grey[brain])) < 2:
        grey.flat[0] = grey.flat[1] + np.float32(1 + abs(grey.flat[1]))
    return grey, brain


def test_the_numbers_are_the_papers() -> None:
    assert (SIDE, INTERVALS) == (512, 49)
    assert FEWEST <= 7 < 14 < 56 <= MOST


@given(st.data(), COUNTS)
def test_an_interval_is_where_exact_arithmetic_puts_it(data: st.DataObject, intervals: int) -> None:
    low = data.draw(st.integers(0, 60000))
    high = data.draw(st.integers(low + 1, 65535))
    greys = data.draw(st.lists(st.integers(low, high), max_size=40))
    # Where edges meet grey values is where rounding could go wrong.
    width = Fraction(high - low, intervals)
    greys += [low + int(width * k) for k in range(intervals + 1) if (width * k).denominator == 1]
    expected = [min(intervals - 1, int(Fraction(grey - low) / width)) + 1 for grey in greys]
    inside = np.ones(len(greys), bool)
    assert clusters(greys, inside, GreyRange(low, high, 2), intervals).tolist() == expected


@given(brains(), COUNTS)
def test_brighter_never_gets_a_lower_number_and_both_ends_are_used(case: Any, intervals: int) -> None:
    grey, brain = case
    found = clusters(grey, brain, grey_range(grey, brain), intervals)
    inside = found[brain]
    order = np.argsort(grey[brain], kind="stable")
    assert (np.diff(inside[order].astype(int)) >= 0).all()
    assert (inside.min(), inside.max()) == (1, intervals)
    assert (found[~brain] == 0).all()


@given(brains(), COUNTS, st.sampled_from([np.nan, np.inf, 3e38, -3e38]))
def test_what_lies_outside_the_brain_does_not_matter(case: Any, intervals: int, other: float) -> None:
    grey, brain = case
    changed = np.where(brain, grey, np.float32(other))
    span = grey_range(grey, brain)
    assert grey_range(changed, brain) == span
    assert np.array_equal(clusters(changed, brain, span, intervals), clusters(grey, brain, span, intervals))


@given(brains(), COUNTS, st.integers(-20, 20))
def test_the_unit_of_the_scan_does_not_matter(case: Any, intervals: int, power: int) -> None:
    grey, brain = case
    # Values that a power of two carries out of float32 would be rounded.
    grey = np.where(np.abs(grey) < 1e-3, np.float32(0), grey)
    if len(np.unique(grey[brain])) < 2:
        return
    scaled = np.ldexp(grey, power)
    plain, other = (clusters(one, brain, grey_range(one, brain), intervals) for one in (grey, scaled))
    assert np.array_equal(plain, other)


def test_values_beyond_the_range_go_to_its_ends() -> None:
    found = clusters([-5.0, 0, 100, 900], np.ones(4, bool), GreyRange(0, 100, 9))
    assert found.tolist() == [1, 1, INTERVALS, INTERVALS]


@pytest.mark.parametrize("intervals", [FEWEST - 1, MOST + 1, 0, -7, 48.5, float("nan"), True, "49", None])
def test_other_numbers_of_intervals_are_refused(intervals: Any) -> None:
    with pytest.raises(UsageError, match="intervals") as caught:
        clusters([0.0, 1.0], np.ones(2, bool), GreyRange(0, 1, 2), intervals)
    assert f"{FEWEST} to {MOST}" in caught.value.expected


SLICE = np.arange(42, dtype=np.float32).reshape(6, 7)
INSIDE = SLICE > 10


@pytest.mark.parametrize(
    ("grey", "brain", "kind", "word"),
    [
        (np.full((6, 7), 3.0), INSIDE, UnsuitableError, "one grey value"),
        (SLICE, np.zeros((6, 7), bool), UnsuitableError, "holds no brain"),
        (np.where(SLICE == 20, np.nan, SLICE), INSIDE, UnsuitableError, "1 of 31 voxels"),
        (np.where(SLICE == 20, np.inf, SLICE), INSIDE, UnsuitableError, "1 of 31 voxels"),
        (np.dstack([SLICE] * 3), INSIDE, UnsuitableError, "colour"),
        (SLICE, INSIDE[:, :6], GeometryError, "6 x 6"),
        (SLICE, INSIDE[None], GeometryError, "1 x 6 x 7"),
    ],
)
def test_what_has_no_grey_range_is_refused(grey: Any, brain: Any, kind: type[DopascopeError], word: str) -> None:
    with pytest.raises(kind) as caught:
        grey_range(grey, brain, where="scan.nii")
    assert word in str(caught.value)
    assert "scan.nii" in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("spacing", [(1.0, 0.0), (-1.0, 1.0), (np.nan, 1.0), (1.0,), (1.0, 1.0, 1.0)])
def test_a_slice_without_a_size_is_not_drawn(spacing: Any) -> None:
    with pytest.raises(GeometryError, match="cannot be drawn"):
        on_canvas(SLICE, INSIDE, spacing)


def test_a_slice_of_the_papers_size_comes_through_unchanged() -> None:
    rng = np.random.default_rng(1)
    # Beside 1e9, a share of 1e-13 of a neighbour would show.
    grey = (10 ** rng.uniform(-6, 9, (SIDE, SIDE))).astype(np.float32)
    brain = rng.random((SIDE, SIDE)) > 0.4
    for spacing in ((1.0, 1.0), (0.4883, 0.4883), (0.7, 0.7), (1.1, 1.1)):
        shown, inside = on_canvas(grey, brain, spacing)
        assert np.array_equal(inside, brain)
        assert np.array_equal(shown, np.where(brain, grey, 0))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 700), st.integers(1, 700), st.floats(0.2, 5), st.floats(0.2, 5))
def test_nothing_is_stretched_and_the_longest_side_fills_the_picture(
    rows: int, columns: int, row_mm: float, column_mm: float
) -> None:
    height, width = rows * row_mm, columns * column_mm
    if min(height, width) * SIDE < 2 * max(height, width):
        return
    grey = np.ones((rows, columns), np.float32)
    shown, inside = on_canvas(grey, grey > 0, (row_mm, column_mm))
    assert (shown[inside] == 1).all()
    assert (shown[~inside] == 0).all()
    pixel = max(height, width) / SIDE
    for axis, size in ((0, height), (1, width)):
        line = np.flatnonzero(inside.any(axis=1 - axis))
        assert abs(len(line) - size / pixel) <= 1
        assert abs(line[0] - (SIDE - 1 - line[-1])) <= 1
    assert max(np.ptp(np.argwhere(inside), axis=0)) == SIDE - 1


@given(brains().filter(lambda case: case[0].ndim == 2), st.floats(0.5, 3), st.sampled_from([np.nan, 1e9, -1e9]))
@settings(deadline=None, max_examples=40)
def test_the_canvas_has_no_grey_that_the_brain_has_not(case: Any, row_mm: float, skull: float) -> None:
    grey, brain = case
    shown, inside = on_canvas(grey, brain, (row_mm, 1.0))
    if inside.any():
        slack = np.spacing(np.abs(grey[brain]).max())
        assert shown[inside].min() >= grey[brain].min() - slack
        assert shown[inside].max() <= grey[brain].max() + slack
    other, same = on_canvas(np.where(brain, grey, np.float32(skull)), brain, (row_mm, 1.0))
    assert np.array_equal(same, inside)
    assert np.array_equal(other, shown)


def test_inside_the_brain_the_grey_is_scipys_linear_interpolation() -> None:
    rng = np.random.default_rng(2)
    grey = rng.normal(100, 30, (60, 45)).astype(np.float32)
    shown, inside = on_canvas(grey, np.ones(grey.shape, bool), (1.2, 0.9))
    pixel = 60 * 1.2 / SIDE
    rows = (np.arange(SIDE) + 0.5) * pixel / 1.2 - 0.5
    columns = ((np.arange(SIDE) + 0.5) * pixel - (SIDE * pixel - 45 * 0.9) / 2) / 0.9 - 0.5
    oracle = map_coordinates(grey.astype(float), np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    assert np.allclose(shown[inside], oracle[inside], atol=1e-3)
    assert inside.mean() == pytest.approx(45 * 0.9 / (60 * 1.2), abs=2 / SIDE)


def test_a_larger_slice_is_averaged_and_not_picked_from() -> None:
    stripes = np.tile(np.float32([0, 100]), (1200, 600))
    shown, _ = on_canvas(stripes, np.ones(stripes.shape, bool), (1, 1))
    assert np.abs(shown[5:-5, 5:-5] - 50).max() < 20


def test_flat_areas_stay_in_one_interval_at_every_edge() -> None:
    """Each area has the grey value where an interval begins: the least rounding would tear it."""
    tiles = np.kron(np.arange(50).reshape(5, 10), np.ones((9, 9))).astype(np.float32)
    brain = np.ones(tiles.shape, bool)
    grey, inside = on_canvas(tiles, brain, (1.0, 1.0))
    found = clusters(grey, inside, grey_range(tiles, brain), 49)
    pixel = 90 / SIDE
    for value in range(50):
        row, column = divmod(value, 10)
        first = (SIDE * pixel - 45) / 2
        part = found[
            int((first + row * 9 + 1) / pixel) : int((first + row * 9 + 8) / pixel),
            int((column * 9 + 1) / pixel) : int((column * 9 + 8) / pixel),
        ]
        assert np.unique(part).tolist() == [min(value + 1, 49)]


@pytest.fixture
def labels(oblique_volume: Volume) -> Volume:
    return Volume((oblique_volume.data > 100) * 3, oblique_volume.grid)


def stored(volume: Volume, axes: str) -> Volume:
    """A volume in the order R, A, S in another one, by nibabel."""
    image = Nifti1Image(volume.data, volume.grid.affine)
    turned = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes)))
    return Volume(np.asarray(turned.dataobj), Grid(turned.shape, turned.affine))


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_a_mask_may_be_stored_in_any_axis_order(axes: str, oblique_volume: Volume, labels: Volume) -> None:
    plain = brain_of(labels, oblique_volume)
    assert np.array_equal(plain, oblique_volume.data > 100)
    assert np.array_equal(brain_of(stored(labels, axes), oblique_volume), plain)
    assert np.array_equal(brain_of(labels, stored(oblique_volume, axes)), plain)


def test_labels_and_intensities_are_masks_alike(oblique_volume: Volume, labels: Volume) -> None:
    as_labels = LabelMap(labels.data.astype(np.int16), labels.grid)
    assert np.array_equal(brain_of(as_labels, oblique_volume), brain_of(labels, oblique_volume))


def moved(volume: Volume, mm: float) -> Volume:
    return Volume(volume.data, Grid(volume.grid.shape, translation([mm, 0, 0]) @ volume.grid.affine))


def test_rounding_of_an_affine_is_let_through_and_a_shift_is_not(oblique_volume: Volume, labels: Volume) -> None:
    assert brain_of(moved(labels, 1e-4), oblique_volume).any()
    with pytest.raises(GeometryError, match="grid") as caught:
        brain_of(moved(labels, 2.0), oblique_volume, where="mask.nii")
    assert "2 mm off" in caught.value.found
    with pytest.raises(GeometryError, match="grid"):
        brain_of(Volume(labels.data[:-1], Grid((6, 8, 9), labels.grid.affine)), oblique_volume)


@pytest.mark.parametrize(
    ("values", "word"), [(0.5, "whole"), (-1, "whole"), (np.nan, "whole"), (np.inf, "whole"), (None, "no brain")]
)
def test_what_is_no_mask_is_refused(values: float | None, word: str, oblique_volume: Volume) -> None:
    data = np.zeros(oblique_volume.data.shape) if values is None else np.full(oblique_volume.data.shape, values)
    with pytest.raises(UnsuitableError) as caught:
        brain_of(Volume(data, oblique_volume.grid), oblique_volume)
    assert word in str(caught.value)


def test_a_picture_goes_with_a_picture_and_colours_with_nothing(oblique_volume: Volume, labels: Volume) -> None:
    grey, mask = SliceImage(SLICE), SliceImage(INSIDE.astype(np.float32) * 255)
    coloured = SliceImage(np.dstack([SLICE] * 3))
    assert np.array_equal(brain_of(mask, grey), INSIDE)
    for one, other in ((labels, grey), (mask, oblique_volume)):
        with pytest.raises(UsageError, match="one kind"):
            brain_of(one, other)  # type: ignore[arg-type]
    for one, other in ((mask, coloured), (coloured, grey), (coloured, coloured)):
        with pytest.raises(UnsuitableError, match="colour"):
            brain_of(one, other)
    with pytest.raises(GeometryError, match="shape"):
        brain_of(SliceImage(mask.data[:-1]), grey)
