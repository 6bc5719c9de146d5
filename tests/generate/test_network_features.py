"""Features of InceptionV3, with weights of a file, since the published ones are not part of the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.errors import BundleError, UsageError
from dopascope.generate.frames import frame
from dopascope.generate.network_features import NETWORK, inception
from dopascope.nets import create
from made_material import image


@pytest.mark.slow  # three images of 299 pixels through a large network, twice
def test_an_image_has_2048_features_of_its_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = create(NETWORK, channels=3).state_dict()
    np.savez(tmp_path / "weights.npz", **{f"net.{name}": value.numpy() for name, value in state.items()})
    features = inception(frame("slab-64"), str(tmp_path / "weights.npz"))
    assert "weights.npz, sha256" in features.name
    images = np.stack([image("slab-64", {"putamen_left": ratio}) for ratio in (0.5, 2.0, 4.0)])
    found = features.of(images)
    assert found.shape == (3, 2048)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(features.of(images[1:2]), found[1:2], rtol=1e-4, atol=1e-5)
    assert np.linalg.norm(found[2] - found[0]) > np.linalg.norm(found[1] - found[0]) > 0


def test_weights_that_are_none_or_not_there_or_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learned nothing"):
        inception(frame("slab-64"), "none")
    with pytest.raises(UsageError, match="no such weights file"):
        inception(frame("slab-64"), str(tmp_path / "nothing.pth"))
    np.savez(tmp_path / "other.npz", **{"net.layer": np.zeros(3, np.float32)})
    with pytest.raises(BundleError, match="not of this network"):
        inception(frame("slab-64"), str(tmp_path / "other.npz"))
