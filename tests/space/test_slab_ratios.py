"""Ratios of a slab: against sums over the atlas written out, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope import atlas
from dopascope.errors import UsageError
from dopascope.space.slab_ratios import REGIONS, slab_ratios
from dopascope.space.views import SLAB_12MM, slab_12mm
from dopascope.volume import MNI_2MM, Volume


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 3.0, (91, 109)).astype(np.float32)


def test_they_are_the_means_over_the_atlas_written_out() -> None:
    plane = noise(1).astype(np.float64)
    weights = atlas.striatum_weights()
    reference = atlas.reference_mask("whole_brain")[:, :, SLAB_12MM]
    base = (plane[:, :, None] * reference).sum() / reference.sum()
    found = dict(zip(REGIONS, slab_ratios(plane[None])[0], strict=True))
    for side in ("left", "right"):
        whole = weights[f"anterior_putamen_{side}"] + weights[f"posterior_putamen_{side}"]
        for name, weight in ((f"caudate_{side}", weights[f"caudate_{side}"]), (f"putamen_{side}", whole)):
            cut = weight[:, :, SLAB_12MM]
            assert found[name] == pytest.approx((plane[:, :, None] * cut).sum() / cut.sum() / base - 1, rel=1e-5)


def test_the_unit_does_not_matter_and_an_even_slab_has_none() -> None:
    slabs = np.stack([noise(2), np.full((91, 109), 7.0, np.float32)])
    found = slab_ratios(slabs)
    np.testing.assert_allclose(slab_ratios(1000 * slabs), found, atol=1e-6)
    np.testing.assert_allclose(found[1], 0, atol=1e-6)
    assert np.isfinite(slab_ratios(np.zeros((1, 91, 109)))).all()


def test_a_side_is_the_subjects() -> None:
    data = np.ones(MNI_2MM.shape, np.float32)
    data += 2 * np.asarray(atlas.striatum_weights()["caudate_left"], np.float32)
    found = dict(zip(REGIONS, slab_ratios(slab_12mm(Volume(data, MNI_2MM))[None])[0], strict=True))
    assert found["caudate_left"] > 1.0
    assert abs(found["caudate_right"]) < 0.1


def test_other_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="not slabs"):
        slab_ratios(np.zeros((1, 64, 64)))
