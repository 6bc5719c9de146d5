"""The template is held by the brain's outline: where grey and white matter look alike it neither shrinks nor grows."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.space.brain_registration import register_brain
from dopascope.volume import Volume
from t1_head import simulated, true_mask


@pytest.mark.parametrize("contrast", [0.0, 0.1])
def test_a_brain_of_little_contrast_is_placed_by_its_outline(contrast: float) -> None:
    mask, scan = true_mask(), simulated().volume
    inside = mask.data > 0
    grain = np.random.default_rng(4).normal(0, 3, inside.shape)
    seen = scan.data / scan.data[inside].mean() - 1
    even = Volume(np.where(inside, 100 * (1 + contrast * seen) + grain, 0), mask.grid)
    found = register_brain(even, mask)
    assert found.overlap > 0.9
    true_scale = np.linalg.norm(simulated().mni_to_scan[:3, :3], axis=0)
    assert np.allclose(np.log(found.scale), np.log(true_scale), atol=0.12)
