"""Otsu's threshold against its definition, and the largest piece."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.space.threshold import BINS, bright_piece, largest_piece, otsu


def two_classes(seed: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dark, bright = rng.normal(20, 6, int(4000 * (1 - share))), rng.normal(90, 12, int(4000 * share))
    return np.concatenate([dark, bright])


def between(values: np.ndarray, threshold: float) -> float:
    """Variance between the two sides, as the paper defines it, from the values themselves."""
    low, high = values[values <= threshold], values[values > threshold]
    if not len(low) or not len(high):
        return 0.0
    return float(len(low) * len(high) * (low.mean() - high.mean()) ** 2) / len(values) ** 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_no_other_threshold_separates_better(seed: int, share: float) -> None:
    values = two_classes(seed, share)
    edges = np.linspace(values.min(), values.max(), BINS + 1)[1:-1]
    best = max(between(values, edge) for edge in edges)
    assert between(values, otsu(values)) >= best * 0.999  # of the values; the histogram knows bins


def test_the_unit_of_the_picture_does_not_matter() -> None:
    values = two_classes(1, 0.3)
    assert otsu(values * 7 - 300) == pytest.approx(otsu(values) * 7 - 300, abs=1e-6)


def test_two_greys_are_parted_between_them() -> None:
    assert 3.0 < otsu(np.array([3.0] * 50 + [8.0])) < 8.0


def test_the_largest_bright_piece_is_found_and_corners_touch() -> None:
    image = np.zeros((20, 31), np.float32)
    image[2:5, 2:5] = 9
    image[10:18, 10:20] = 8
    image[18, 20] = 8  # by its corner
    found = bright_piece(image)
    assert found.sum() == 81
    assert found[18, 20]
    assert not found[3, 3]


def test_a_picture_of_one_grey_has_no_piece() -> None:
    assert not bright_piece(np.full((6, 7), 4.0)).any()
    empty = np.zeros((6, 7), bool)
    np.testing.assert_array_equal(largest_piece(empty), empty)
