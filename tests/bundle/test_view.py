from __future__ import annotations

import numpy as np
import pytest

from dopascope.bundle import view
from dopascope.bundle.spec import InputSpec
from dopascope.errors import BundleError, UnsuitableError, UsageError
from dopascope.volume import Grid, Volume


def spec(**changes: object) -> InputSpec:
    fields = {
        "name": "image",
        "view": "slab_12mm",
        "intensity": "p75_nonstriatal",
        "flip_x": True,
        "crop": [(9, 81), (29, 101)],
        "clip": None,
        "mean": 0.0,
        "sd": 1.0,
        "axes": "x right to left, y back to front",
        "shape": [1, 72, 72],
    }
    return InputSpec(**(fields | changes))


def test_the_flip_comes_before_the_crop() -> None:
    # Each pixel holds its own place: 1000 i + j, with i from the subject's left to right.
    i, j = np.indices((91, 109))
    picture = (1000.0 * i + j).astype(np.float32)
    turned = view.prepare(picture[None], spec())
    assert turned.shape == (1, 1, 72, 72)
    # First pixel: index 9 counted from the right end, 90 - 9 = 81; last: 90 - 80 = 10.
    assert turned[0, 0, 0, 0] == 81_029
    assert turned[0, 0, -1, -1] == 10_100
    straight = view.prepare(picture[None], spec(flip_x=False))
    assert straight[0, 0, 0, 0] == 9_029
    assert straight[0, 0, -1, -1] == 80_100


def test_clip_then_scale() -> None:
    picture = np.linspace(-2, 10, 91 * 109, dtype=np.float32).reshape(1, 91, 109)
    scaled = view.prepare(picture, spec(clip=(0.0, 6.5), mean=0.6, sd=0.5))
    assert scaled.min() == pytest.approx((0 - 0.6) / 0.5)
    assert scaled.max() == pytest.approx((6.5 - 0.6) / 0.5)


def test_the_right_half_of_the_subject_comes_first_in_the_models_input(scan: Volume) -> None:
    picture = view.take(scan, spec())
    left, right = picture[:45].mean(), picture[46:].mean()
    assert left > right
    turned = view.prepare(picture[None], spec())[0, 0]
    assert turned[:36].mean() < turned[36:].mean()


@pytest.mark.parametrize("gain", [1e-3, 7.0, 4e4])
def test_the_intensity_scale_of_the_scan_does_not_matter(scan: Volume, gain: float) -> None:
    louder = Volume(scan.data * gain, scan.grid)
    np.testing.assert_allclose(view.take(louder, spec()), view.take(scan, spec()), rtol=1e-5)


def test_another_grid_and_broken_values_are_refused(scan: Volume) -> None:
    with pytest.raises(UsageError):
        view.take(Volume(scan.data[1:], Grid((90, 109, 91), scan.grid.affine)), spec())
    broken = scan.data.copy()
    broken[40, 50, 37] = np.nan
    with pytest.raises(UnsuitableError):
        view.take(Volume(broken, scan.grid), spec())
    with pytest.raises(UnsuitableError, match="picture"):
        view.checked(np.zeros((109, 91)), spec())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"view": "hologram"}, "input.view"),
        ({"intensity": "magic"}, "input.intensity"),
        ({"crop": [(20, 92), (29, 101)]}, "input.crop"),
        ({"crop": [(0, 72)], "shape": [1, 72]}, "input.crop"),
    ],
)
def test_inputs_that_cannot_be_made_are_refused(changes: dict, field: str) -> None:
    with pytest.raises(BundleError) as caught:
        view.check_known(spec(**changes), where="bundle.json")
    assert field in caught.value.where
