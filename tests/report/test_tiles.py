"""Pictures: sides, scale, letters, outlines."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dopascope.report import colour, tiles


def test_the_subjects_right_is_on_the_left_and_front_is_up() -> None:
    plane = np.zeros((7, 9), np.float32)  # x grows to the right, y forward
    plane[6, 8] = 1.0
    shown = tiles.radiological(plane)
    assert shown.shape == (9, 7)
    assert shown[0, 0] == 1.0
    assert shown.sum() == 1.0


def test_values_that_are_not_finite_are_shown_as_zero() -> None:
    plane = np.array([[np.nan, 1], [np.inf, -np.inf]], np.float32)
    assert tiles.radiological(plane).tolist() == [[0, 1], [0, 0]]


def test_enlarging_keeps_the_proportions_in_millimetres_and_a_constant() -> None:
    shown = tiles.scaled(np.full((10, 20), 2.5, np.float32), (4.0, 2.0))
    assert shown.shape == (60, 60)
    assert np.allclose(shown, 2.5, atol=1e-5)


def test_intensity_is_proportional_to_the_level_and_clipped() -> None:
    values = np.array([[-1.0, 0.0, 1.0, 2.0, 4.0, 9.0]], np.float32)
    assert tiles.levels(values, 4.0, 249).tolist() == [[0, 0, 62, 124, 248, 248]]


def test_side_letters_are_burnt_into_their_corners() -> None:
    dark = np.zeros((120, 90), np.float32)
    shown = np.asarray(tiles.hot(dark, 4.0, ("R", "")).convert("L"))
    assert shown[:30, :30].max() > 200
    assert shown[:, 45:].max() == 0
    assert shown[40:].max() == 0
    other = np.asarray(tiles.hot(dark, 4.0, ("", "L")).convert("L"))
    assert other[:, :45].max() == 0
    assert other[:30, 60:].max() > 200


def test_letters_differ_and_do_not_touch_the_rest() -> None:
    bright = np.full((120, 90), 2.0, np.float32)
    right, left = (tiles.hot(bright, 4.0, sides) for sides in (("R", "L"), ("L", "R")))
    assert right.tobytes() != left.tobytes()
    assert np.unique(np.asarray(right)[40:]).tolist() == [124]


def test_an_outline_is_the_inner_border_of_its_mask() -> None:
    mask = np.zeros((30, 40), np.float32)
    mask[10:20, 5:25] = 1.0
    image = tiles.grey(np.zeros((30, 40), np.float32), 1.0, ("", ""))
    tiles.outline(image, mask, "caudate")
    drawn = np.asarray(image.convert("RGB")) == colour.OUTLINES["caudate"]
    assert drawn.all(axis=2).sum() == 2 * 20 + 2 * 8
    assert not drawn.all(axis=2)[11:19, 6:24].any()


def test_evidence_is_orange_where_positive_and_blue_where_negative() -> None:
    signed = np.array([[1.0, 0.0, -1.0]], np.float32)
    base = tiles.grey(np.full((1, 3), 0.2, np.float32), 1.0, ("", ""))
    red, none, blue = np.asarray(tiles.tint(base, signed)).astype(int)[0]
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert np.ptp(none) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_any_size_can_be_drawn_and_read_back(size: tuple[int, int]) -> None:
    image = tiles.hot(np.ones(size, np.float32), 2.0, ("R", "L"))
    tile = tiles.Tile("a", "b", image, 1, 1)
    kind, _, data = tile.data_uri().partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as back:
        assert np.array_equal(np.asarray(back.convert("RGB")), np.asarray(image.convert("RGB")))
    assert tile.png() == tile.png()


def test_the_colour_bar_is_the_whole_scale() -> None:
    bar = np.asarray(tiles.colour_bar().image.convert("RGB"))
    assert np.array_equal(bar[0], colour.hot_iron())
