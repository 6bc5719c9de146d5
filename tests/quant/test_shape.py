"""The shape of uptake against boxes whose extent is known."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope import phantom, space
from dopascope.quant import uptake_shape
from dopascope.volume import MNI_2MM, Volume


def boxes(right_mm: tuple[float, float, float], left_mm: tuple[float, float, float]) -> Volume:
    """Uptake of 5 in a box at each putamen, over a background of 1."""
    data = np.ones(MNI_2MM.shape, np.float32)
    world = MNI_2MM.to_world(np.argwhere(data > 0)).reshape(*MNI_2MM.shape, 3)
    for side, size in ((1, right_mm), (-1, left_mm)):
        centre = np.array([26.0 * side, 4.0, 0.0])
        data[(np.abs(world - centre) <= np.array(size) / 2).all(-1)] = 5.0
    return Volume(data, MNI_2MM)


def test_a_box_has_its_own_volume_and_length() -> None:
    found = uptake_shape(boxes((9, 29, 13), (9, 9, 9)))
    # Voxels whose centres lie within: 5 x 15 x 7 and 5 x 5 x 5.
    assert found["volume_ml_right"] == pytest.approx(5 * 15 * 7 * 0.008, rel=0.02)
    assert found["volume_ml_left"] == pytest.approx(5**3 * 0.008, rel=0.02)
    # Four standard deviations of n places 2 mm apart.
    assert found["length_mm_right"] == pytest.approx(4 * np.sqrt((15**2 - 1) / 12) * 2, rel=0.02)
    assert found["width_mm_right"] == pytest.approx(4 * np.sqrt((7**2 - 1) / 12) * 2, rel=0.02)
    assert found["centre_y_mm_right"] == pytest.approx(4.0, abs=0.2)


def test_a_factor_on_the_scan_changes_nothing_and_a_mirror_exchanges_the_sides() -> None:
    volume = boxes((9, 29, 13), (9, 9, 9))
    found = uptake_shape(volume)
    assert uptake_shape(Volume(volume.data * 7, MNI_2MM)) == pytest.approx(found)
    turned = uptake_shape(Volume(volume.data[::-1].copy(), MNI_2MM))
    for name in ("volume_ml", "length_mm", "width_mm"):
        assert turned[f"{name}_left"] == pytest.approx(found[f"{name}_right"], rel=1e-6)


def test_parkinsons_shortens_it() -> None:
    lengths = {}
    for group in ("healthy", "pd"):
        found = []
        for seed in range(2):
            person = phantom.draw_person(seed, group)
            site = phantom.SITES["siemens-lehr-osem"]
            volume, _ = phantom.scan(person, site.camera, phantom.draw_pose(seed), seed)
            shape = uptake_shape(space.normalise(volume, space.register(volume)))
            found.append(min(shape["length_mm_left"], shape["length_mm_right"]))
        lengths[group] = np.mean(found)
    assert lengths["pd"] < 0.9 * lengths["healthy"]


def test_a_flat_scan_has_no_shape_and_no_error() -> None:
    flat = uptake_shape(Volume(np.ones(MNI_2MM.shape, np.float32), MNI_2MM))
    assert all(np.isfinite(value) for value in flat.values())
