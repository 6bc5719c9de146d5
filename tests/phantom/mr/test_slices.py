"""Slices of painted heads: the mask is where the labels say brain, whatever is done to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.atlas.brain import BRAIN
from dopascope.phantom.mr import draw_head, draw_slice
from dopascope.phantom.mr.slices import PIXEL_MM, _layers
from dopascope.volume import LabelMap

SIZE = 48
SEEDS = range(40)


@pytest.fixture(scope="module")
def heads() -> list[LabelMap]:
    return [draw_head([], np.random.default_rng(seed), 5.0) for seed in (1, 2)]


def labelled(heads: list[LabelMap], seed: int) -> np.ndarray:
    """Where the slice of a seed shows brain, before anything is cut away: the draws that come first."""
    rng = np.random.default_rng(seed)
    head = heads[int(rng.integers(len(heads)))]
    pixel = float(np.exp(rng.uniform(*np.log(PIXEL_MM))))
    return np.isin(_layers(head, rng, SIZE, pixel), BRAIN).mean(0) >= 0.5


def test_masks_agree_with_labels(heads: list[LabelMap]) -> None:
    same = 0
    for seed in SEEDS:
        drawn, wanted = draw_slice(heads, np.random.default_rng(seed), SIZE), labelled(heads, seed)
        assert not (drawn.mask & ~wanted).any()
        same += np.array_equal(drawn.mask, wanted)
    assert same > 0.7 * len(SEEDS)  # the others lost rows, or are no head at all


def test_slices_are_square_finite_and_not_negative(heads: list[LabelMap]) -> None:
    for seed in SEEDS:
        drawn = draw_slice(heads, np.random.default_rng(seed), SIZE)
        assert drawn.image.shape == drawn.mask.shape == (SIZE, SIZE)
        assert drawn.image.dtype == np.float32
        assert np.isfinite(drawn.image).all()
        assert drawn.image.min() >= 0
        assert PIXEL_MM[0] <= drawn.pixel_mm <= PIXEL_MM[1]


def test_a_seed_decides(heads: list[LabelMap]) -> None:
    one, same, other = (draw_slice(heads, np.random.default_rng(seed), SIZE) for seed in (5, 5, 6))
    assert np.array_equal(one.image, same.image)
    assert np.array_equal(one.mask, same.mask)
    assert not np.array_equal(one.image, other.image)
