"""Generated images as pictures: the subject's right on the left, said so, and SYNTHETIC in the pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from dopascope.report.generated_pictures import DISPLAY_TOP, HEAD, SIDE, grid, picture


def levels(image: Image.Image) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(image)


def test_the_subjects_right_is_on_the_left_and_the_front_is_up() -> None:
    plane = np.zeros((48, 60))
    plane[40:44, 40:44] = DISPLAY_TOP  # to the subject's right and front
    shown = levels(picture(plane, synthetic=False)).astype(float)
    shown[:16] = 0  # the letters
    rows, columns = np.nonzero(shown > 128)
    assert shown.shape == (SIDE, round(SIDE * 48 / 60))
    assert columns.mean() < shown.shape[1] / 3
    assert rows.mean() < SIDE / 2


def test_the_word_and_the_sides_are_in_the_pixels() -> None:
    plane = np.zeros((64, 64))
    real, synthetic = levels(picture(plane, synthetic=False)), levels(picture(plane))
    assert (real[:16, :16] > 0).any()  # R
    assert (real[:16, -16:] > 0).any()  # L
    assert not real[16:].any()
    assert (synthetic[-16:] > 0).sum() > 60
    assert np.array_equal(synthetic[:-16], real[:-16])


def test_mri_is_in_grey() -> None:
    plane = np.tile(np.linspace(0, DISPLAY_TOP, 64), (64, 1))
    hot, grey = (
        np.asarray(picture(plane, synthetic=False, grey=one).convert("RGB")).astype(int) for one in (False, True)
    )
    assert np.ptp(grey, axis=2).max() == 0
    assert np.ptp(hot, axis=2).max() > 200


def test_a_grid_has_a_row_for_each_class_and_says_what_it_is() -> None:
    rng = np.random.default_rng(1)
    rows = {"PD": [rng.uniform(0, 6, (64, 64)) for _ in range(4)], "control": [rng.uniform(0, 6, (64, 64))]}
    with Image.open(io.BytesIO(grid(rows, "cvae, epoch 10"))) as page:
        assert page.height == HEAD + 2 * (HEAD + SIDE + 4)
        drawn = np.asarray(page.convert("L")).astype(float)
    assert drawn[:HEAD, : drawn.shape[1] // 2].max() > 200  # the title
    assert drawn[:HEAD, drawn.shape[1] // 2 :].max() > 200  # SYNTHETIC
    second = drawn[HEAD + HEAD + SIDE + 4 + HEAD :]
    assert second[:, :SIDE].mean() > 10 > second[:, 2 * SIDE :].mean()
