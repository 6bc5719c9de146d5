from __future__ import annotations

import numpy as np
import pytest

from dopascope import atlas, space
from dopascope.errors import UnsuitableError, UsageError
from dopascope.space import intensity
from dopascope.volume import MNI_2MM, Grid, Volume


def test_every_method_is_documented_and_scales_with_the_scan() -> None:
    scan = space.dat_template()
    for name, method in intensity.METHODS.items():
        assert method.description
        assert method.source
        once = intensity.reference_value(scan, name)
        assert intensity.reference_value(Volume(scan.data * 40, MNI_2MM), name) == pytest.approx(40 * once, rel=1e-5)


@pytest.mark.parametrize("name", ["p75_nonstriatal", "occipital", "whole_brain"])
def test_the_striatum_does_not_change_a_reference_value(name: str) -> None:
    scan = space.dat_template()
    striatum = np.sum(list(atlas.striatum_weights().values()), axis=0) > 0
    hotter = np.where(striatum, 50 * scan.data, scan.data)
    assert intensity.reference_value(Volume(hotter, MNI_2MM), name) == intensity.reference_value(scan, name)


def test_references_are_the_means_they_claim_to_be() -> None:
    data = np.random.default_rng(1).normal(10, 1, MNI_2MM.shape)
    scan = Volume(data, MNI_2MM)
    for name in ("occipital", "whole_brain"):
        assert intensity.reference_value(scan, name) == pytest.approx(
            scan.data[atlas.reference_mask(name)].mean(), rel=1e-6
        )
    assert intensity.reference_value(scan, "p99") == pytest.approx(10 + 2.326, abs=0.01)


def test_the_expert_scale_is_the_percentile_of_brain_away_from_the_striatum() -> None:
    mask = intensity.nonstriatal_brain()
    assert 1500 < mask.sum() * MNI_2MM.voxel_ml < 1883  # ml: most of the brain, and not all of it
    data = np.random.default_rng(2).permutation(mask.size).reshape(mask.shape).astype(float)
    expected = np.sort(data[mask])[round(0.75 * (mask.sum() - 1))]
    assert intensity.reference_value(Volume(data, MNI_2MM), "p75_nonstriatal") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan, np.inf])
def test_a_value_that_cannot_scale_is_refused(value: float) -> None:
    with pytest.raises(UnsuitableError, match="no signal"):
        intensity.reference_value(Volume(np.full(MNI_2MM.shape, value), MNI_2MM), "occipital")


def test_unknown_names_and_other_grids_are_refused() -> None:
    with pytest.raises(UsageError, match="no intensity method"):
        intensity.reference_value(space.dat_template(), "cerebellum")
    with pytest.raises(UsageError, match="MNI grid"):
        intensity.reference_value(Volume(np.ones((4, 5, 6)), Grid((4, 5, 6), np.eye(4))), "occipital")
