"""The pictures of a segmenter's page: colours on black, both borders, and nothing hidden."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dopascope.report import colour
from dopascope.report import segment_pictures as pictures
from dopascope.report.segment import estimate
from dopascope.report.segment_folder import MarkedSlice

SHAPE = (48, 64)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    i, j = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray((i - row) ** 2 + (j - column) ** 2 < radius**2)


BRAIN, SINUS = disc(24, 24, 14), disc(24, 52, 6)
IMAGE = np.random.default_rng(2).uniform(0.2, 0.8, SHAPE).astype(np.float32)
FAILED = MarkedSlice("s1", "p1", IMAGE, BRAIN, BRAIN | SINUS, SINUS, ("R", "L"), "stages", 0.9)


def test_the_networks_brain_is_coloured_in_49_intervals_on_black() -> None:
    drawn = pictures.coloured(IMAGE, FAILED.said)
    assert not drawn[~FAILED.said].any()
    assert (drawn[FAILED.said].sum(axis=1) > 0).all()
    assert len(np.unique(drawn[FAILED.said], axis=0)) <= 49
    order = np.argsort(IMAGE[FAILED.said], kind="stable")
    assert (np.diff(colour.luminance(drawn[FAILED.said])[order]) >= 0).all(), "brighter is never darker"


def test_a_mask_without_a_grey_range_is_black() -> None:
    assert not pictures.coloured(IMAGE, np.zeros(SHAPE, bool)).any()
    assert not pictures.coloured(np.full(SHAPE, 0.5, np.float32), BRAIN).any()


def test_a_sinus_is_filled_and_both_borders_are_drawn() -> None:
    tile = pictures.gallery_tile(FAILED)
    drawn = np.asarray(tile.image)
    times = drawn.shape[0] // SHAPE[0]
    assert drawn.shape == (SHAPE[0] * times, SHAPE[1] * times, 3)
    small = drawn[::times, ::times]
    inner = disc(24, 52, 4)
    assert (small[inner][:, 0] > small[inner][:, 2] + 40).all(), "orange"
    np.testing.assert_array_equal(small[24, 52 - 5], pictures.NETWORK)
    assert (small == pictures.NETWORK).all(axis=2).sum() > 60
    untouched = ~disc(24, 24, 16) & ~disc(24, 52, 8)
    assert (np.ptp(small[untouched].astype(int), axis=1) == 0).all(), "grey elsewhere"
    assert f"{int(SINUS.sum())} pixels" in tile.alt


@pytest.mark.parametrize(("rows", "page"), [(1, pictures.markup(FAILED)), (2, pictures.stages([FAILED, FAILED]))])
def test_a_page_has_three_panels_a_row(rows: int, page: bytes) -> None:
    with Image.open(BytesIO(page)) as image:
        times = pictures.LEAST // SHAPE[1]
        assert image.width >= 3 * SHAPE[1] * times
        assert image.height >= rows * SHAPE[0] * times
        drawn = np.asarray(image)
    panel = SHAPE[1] * times
    for column in range(3):
        middle = drawn[:, column * panel + panel // 4 : column * panel + panel // 2]
        assert middle[SHAPE[0] * times // 2].any(), "each panel shows the brain"


def test_figures_in_words() -> None:
    told = estimate({"value": 0.5, "low": 0.25, "high": 0.75, "n": 9, "people": 3})
    assert told == "0.500 (0.250 to 0.750; n 9 of 3)"
    assert estimate({"value": None, "reason": "nothing"}) == "nothing"
    assert pictures.dice_words(FAILED) == "Dice 0.900"
