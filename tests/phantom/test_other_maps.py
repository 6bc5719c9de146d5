"""Phantoms whose striata come from published label maps, and the BenAuer phantom as a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import striatal_maps as maps
from dopascope import atlas, geometry, phantom


@pytest.mark.data
@pytest.mark.parametrize("name", ["cit168", "allen"])
def test_the_landmarks_are_those_of_the_map(data_dir: Path, name: str) -> None:
    parts = maps.striatal_parts(data_dir, name)
    person = replace(phantom.draw_person(2005, "healthy"), warp_mm=0.0, glands=0.0)  # so that the striatum is brightest
    pose = phantom.draw_pose(2005)
    volume, truth = phantom.scan(
        person, phantom.CAMERAS["lehr-osem"], pose, 1, striatum=phantom.StriatumMaps(parts, maps.FINE)
    )
    for region, centre in maps.centroids_mm(parts, maps.FINE).items():
        assert np.linalg.norm(truth.landmarks[region] - geometry.apply_affine(truth.mni_to_scan, centre)) < 0.2, region
        own = geometry.apply_affine(truth.mni_to_scan, atlas.sample_points(region).mean(0))
        assert np.linalg.norm(truth.landmarks[region] - own) < 5
    brightest = np.unravel_index(volume.data.argmax(), volume.data.shape)
    back = geometry.apply_affine(np.linalg.inv(truth.mni_to_scan), volume.grid.to_world(brightest))
    assert np.abs(back - [np.sign(back[0]) * 18, 8, 3]).max() < 15


@pytest.mark.data
def test_the_benauer_phantom_makes_a_scan_with_known_striata(data_dir: Path) -> None:
    pose = phantom.Pose(tilt_deg=(8, -6, 10), shift_mm=(4, -7, 3)).matrix()
    volume, truth = maps.benauer_scan(data_dir, pose, noise=0.0)
    assert truth["left"][0] < truth["right"][0]
    for centre in truth.values():
        index = np.rint(volume.grid.to_index(centre)).astype(int)
        assert volume.data[tuple(index)] > 0.4 * volume.data.max()
    sides = np.linalg.norm(truth["left"] - truth["right"])
    assert 25 < sides < 45
