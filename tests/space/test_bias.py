"""N4: shading that was put in is taken out, whatever the axes and the scale; what cannot be corrected is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dopascope.atlas.brain import Tissue
from dopascope.errors import UnsuitableError
from dopascope.phantom.mr import HeadScan
from dopascope.space import canonical
from dopascope.space.bias import correct_bias
from dopascope.volume import LabelMap, Volume
from simulated_brain import mask_of, simulated


@pytest.fixture(scope="module")
def scan() -> HeadScan:
    return simulated()


@pytest.fixture(scope="module")
def corrected(scan: HeadScan) -> Volume:
    return correct_bias(scan.volume, mask_of(scan))[0]


def unevenness(volume: Volume, scan: HeadScan) -> float:
    """Standard deviation of the log ratio to the same head without shading, in white matter."""
    even = simulated(shading=0.0)
    white = scan.brain.data == Tissue.WHITE
    return float(np.log(volume.data[white] / even.volume.data[white]).std())


def test_most_of_the_shading_is_taken_out(scan: HeadScan, corrected: Volume) -> None:
    assert unevenness(scan.volume, scan) > 0.15
    assert unevenness(corrected, scan) < 0.4 * unevenness(scan.volume, scan)


def test_the_field_that_is_divided_out_is_smooth_and_one_on_average(scan: HeadScan, corrected: Volume) -> None:
    inside = (scan.brain.data > 0) & (scan.volume.data > 0)
    field = np.log(scan.volume.data[inside] / corrected.data[inside])
    assert abs(field.mean()) < 0.02
    whole = np.where(scan.volume.data > 0, scan.volume.data / np.maximum(corrected.data, 1e-6), np.nan)
    steps = np.abs(np.diff(np.log(whole), axis=0))
    assert np.nanmax(steps) < 0.1


def test_axes_do_not_matter_and_bytes_are_the_same_again(scan: HeadScan, corrected: Volume) -> None:
    again, _ = correct_bias(scan.volume, mask_of(scan))
    assert again.data.tobytes() == corrected.data.tobytes()
    turned, _ = correct_bias(canonical(scan.volume), canonical(mask_of(scan)))
    inside = canonical(mask_of(scan)).data > 0
    ratio = turned.data[inside] / np.maximum(canonical(corrected).data[inside], 1e-6)
    assert np.std(np.log(ratio[ratio > 0])) < 0.02  # blocks that are averaged start at another end


def test_a_factor_changes_nothing_but_the_factor(scan: HeadScan, corrected: Volume) -> None:
    larger, _ = correct_bias(scan.volume.with_data(scan.volume.data * 7, scan.volume.history[-1]), mask_of(scan))
    inside = scan.brain.data > 0
    assert larger.data[inside] == pytest.approx(7 * corrected.data[inside], rel=1e-3)


def test_too_little_brain_and_a_dark_one_are_refused(scan: HeadScan) -> None:
    empty = LabelMap(np.zeros(scan.brain.data.shape, np.uint8), scan.brain.grid)
    dark = replace(scan.volume, data=np.zeros(scan.volume.data.shape, np.float32))
    for volume, mask in ((scan.volume, empty), (dark, mask_of(scan))):
        with pytest.raises(UnsuitableError, match="too little brain"):
            correct_bias(volume, mask)
