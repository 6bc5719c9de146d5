"""Tissue maps, references and large volumes: symmetric, of the right size, and rebuilt from their source."""

from __future__ import annotations

import importlib.util
from importlib.resources import files

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dopascope import atlas, geometry
from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM, Grid


@pytest.mark.parametrize("name", atlas.TISSUES)
def test_maps_are_exactly_symmetric_fractions_on_the_mni_grid(name: str) -> None:
    volume = atlas.tissue(name)
    assert volume.grid == MNI_2MM
    assert np.array_equal(volume.data, volume.data[::-1])
    assert volume.data.min() == 0
    assert volume.data.max() == 1


def test_sizes_are_those_of_the_icbm_template() -> None:
    litres = {name: atlas.tissue(name).data.sum() * MNI_2MM.voxel_ml / 1000 for name in atlas.TISSUES}
    assert litres["brain"] == pytest.approx(1.883, rel=0.01)
    assert litres["grey"] == pytest.approx(0.996, rel=0.02)
    assert litres["white"] == pytest.approx(0.670, rel=0.02)
    assert 0.015 < litres["ventricles"] < 0.04
    points = MNI_2MM.centres_mm()[atlas.tissue("brain").data >= 0.5]
    assert np.abs(points.mean(0) - [0, -22, 9.5]).max() < 1


def test_grey_white_and_fluid_make_up_the_brain_inside_the_head() -> None:
    grey, white, fluid, ventricles, brain, head = (atlas.tissue(name).data for name in atlas.TISSUES)
    assert np.abs(grey + white + fluid - brain).max() < 3 / 63
    assert (ventricles <= fluid + 1e-6).all()
    assert (head[brain > 0.5] > 0.9).all()
    assert not atlas.tissue("ventricles").data[MNI_2MM.centres_mm()[..., 2] > 40].any()


def test_an_unknown_map_or_region_is_refused_by_name() -> None:
    for call in (atlas.tissue, atlas.reference_mask, atlas.sample_points):
        with pytest.raises(UsageError) as caught:
            call("pons")
        assert caught.value.found == "pons"


def test_the_shipped_maps_carry_their_notice_and_stay_small() -> None:
    folder = files("dopascope.atlas") / "data"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 450_000
    notice = (folder / "ICBM152_NOTICE.txt").read_text(encoding="utf-8")
    assert "McGill University" in notice
    assert "without fee" in notice


@pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="nilearn is a developer's dependency")
@pytest.mark.slow
def test_the_shipped_maps_are_what_the_code_builds() -> None:
    from dopascope.atlas.build_tissue import build

    for name, half in build().items():
        assert np.abs(atlas.tissue(name).data[45:] * 63 - half).max() < 1e-3, name


def test_occipital_reference_is_the_published_one() -> None:
    points = atlas.sample_points("occipital")
    assert len(points) * MNI_2MM.voxel_ml == pytest.approx(45, rel=0.05)
    assert np.abs(points.mean(0) - [0, -85, 6]).max() < 1
    assert np.abs(points[:, 0]).max() <= 36


def test_whole_brain_reference_is_out_of_reach_of_striatal_spill() -> None:
    striatum = sum(atlas.striatum_weights().values()).astype(float)
    far = atlas.reference_mask("whole_brain")
    spill = gaussian_filter(striatum, 14 / 2.3548 / 2, truncate=6)[far].sum() / striatum.sum()
    assert spill < 1e-3
    assert far.sum() * MNI_2MM.voxel_ml > 900
    labels = atlas.reference_labels()
    assert np.array_equal(labels.mask("occipital"), atlas.reference_mask("occipital"))


def test_references_follow_an_oblique_grid() -> None:
    affine = geometry.rotation([5, -8, 11]) @ np.diag([3.0, 2.5, -3.5, 1.0])
    affine[:3, 3] -= affine[:3, :3] @ np.array([33, 44, 27.0]) + [0, 20, -8]
    grid = Grid((67, 89, 55), affine)
    mask = atlas.reference_labels(grid).mask("occipital")
    assert mask.sum() * grid.voxel_ml == pytest.approx(44.1, rel=0.05)
    assert np.linalg.norm(grid.centres_mm()[mask].mean(0) - atlas.sample_points("occipital").mean(0)) < 0.7


def test_large_volumes_hold_the_counts_that_the_facts_state() -> None:
    large = atlas.large_volumes()
    weights = atlas.striatum_weights()
    assert np.array_equal(large["large_left"], large["large_right"][::-1])
    assert (large["large_left"] + large["large_right"]).max() <= 1
    assert large["large_left"].sum() * MNI_2MM.voxel_ml == pytest.approx(59, rel=0.05)
    striatum = sum(weights[part] for part in atlas.PARTS["striatum_left"]).astype(float)
    for fwhm, stated in ((8, 0.99), (10, 0.98), (12, 0.95), (14, 0.91), (16, 0.87), (18, 0.82)):
        blurred = gaussian_filter(striatum, fwhm / 2.3548 / 2, truncate=6)
        assert (blurred * large["large_left"]).sum() / striatum.sum() == pytest.approx(stated, abs=0.012), fwhm


def test_large_sample_points_fill_the_large_volume() -> None:
    points = atlas.sample_points("large_left", 2.0)
    assert len(points) * 8 == pytest.approx(atlas.large_volumes()["large_left"].sum() * 8, rel=0.02)
    assert (points[:, 0] < 0).all()
    inside = atlas.sample_points("striatum_left", 2.0)
    assert {tuple(p) for p in inside} <= {tuple(p) for p in points}
