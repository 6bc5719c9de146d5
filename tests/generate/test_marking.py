"""SYNTHETIC in the pixels: there in every plane, legible, and cut off again without a trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UnreadableError
from dopascope.generate.marking import band, marked, unmarked


@settings(deadline=None)
@given(st.integers(24, 120), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_image_comes_back_untouched(width: int, rows: int, planes: int, seed: int) -> None:
    data = np.random.default_rng(seed).uniform(0, 10, (width, rows, planes)).astype(np.float32)
    found = marked(data, 10.0)
    assert found.shape == (width, rows + band(width).shape[1], planes)
    assert np.array_equal(unmarked(found, where="here"), data)
    letters = found[:, : band(width).shape[1]]
    assert ((letters == 10.0).sum((0, 1)) == (band(width) > 0).sum()).all()  # in every plane


@pytest.mark.parametrize(("width", "lines"), [(32, 2), (64, 1), (91, 1)])
def test_the_word_reads_in_the_radiological_convention(width: int, lines: int) -> None:
    shown = band(width).T[::-1, ::-1]  # as tiles.radiological shows it
    zoom = shown.shape[0] // (6 * lines + 1)
    top = shown[zoom : 6 * zoom : zoom, ::zoom] > 0
    first = np.flatnonzero(top.any(0))[0]
    assert [list(row) for row in top[:, first : first + 3].astype(int)] == [
        [1, 1, 1],
        [1, 0, 0],
        [1, 1, 1],
        [0, 0, 1],
        [1, 1, 1],
    ]  # an S


def test_an_image_without_the_band_is_refused() -> None:
    data = np.ones((64, 80, 1), np.float32)
    for other in (data, np.zeros_like(data), marked(data, 10.0)[::-1], marked(data, 10.0)[:, 1:]):
        with pytest.raises(UnreadableError, match="not marked") as caught:
            unmarked(other, where="image 3")
        assert caught.value.where == "image 3"
