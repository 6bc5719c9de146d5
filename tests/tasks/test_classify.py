"""Images as plans ask for them, and first weights from their seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dopascope.errors import UsageError
from dopascope.learn.fit import weights_sha256
from dopascope.space.views import VIEWS
from dopascope.tasks.classify import Sight, new_network

REFERENCES = [{"p75_nonstriatal": 2.0, "p99": 4.0}, {"p75_nonstriatal": 1.0, "p99": 10.0}]


def test_every_scan_is_divided_by_its_own_reference_and_cut() -> None:
    sight = Sight("slab_12mm", ("p75_nonstriatal", "p99"), 5.0, ((10, 82), (29, 101)))
    view = np.arange(2 * 91 * 109, dtype=np.float32).reshape(2, 1, 91, 109) % 23
    images = sight.images(view, REFERENCES)
    assert images.shape == (2, *sight.shape) == (2, 2, 72, 72)
    raw = view[1, 0, 10 + 5, 29 + 7]
    assert float(images[1, 0, 5, 7]) == pytest.approx(min(raw / 1.0 / 5.0, 1))
    assert float(images[1, 1, 5, 7]) == pytest.approx(raw / 10.0 / 5.0)
    assert float(images.max()) == 1.0


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_view_has_a_sight(name: str) -> None:
    sight = Sight(name, ("p99",), 5.0)
    assert sight.shape == VIEWS[name].shape


@pytest.mark.parametrize(
    ("view", "crop", "where"),
    [
        ("slab", (), "view"),
        ("slab_12mm", ((0, 92), (0, 10)), "crop"),
        ("slab_12mm", ((5, 9),), "crop"),
        ("volume_4mm", ((5, 9), (5, 9)), "crop"),
    ],
)
def test_images_that_cannot_be_made(view: str, crop: tuple[tuple[int, int], ...], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        Sight(view, ("p99",), 5.0, crop)
    assert caught.value.where == where


def test_first_weights_follow_the_seed_alone() -> None:
    sight = Sight("slab_12mm", ("p99",), 5.0)
    torch.manual_seed(99)
    first = weights_sha256(new_network("slab", sight, 3, None, "none"))
    torch.manual_seed(5)
    assert weights_sha256(new_network("slab", sight, 3, None, "none")) == first
    assert weights_sha256(new_network("slab", sight, 4, None, "none")) != first


def test_a_network_of_other_dimensions_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be made") as caught:
        new_network("resnet3d-10", Sight("slab_12mm", ("p99",), 5.0), 1, None, "none")
    assert "3 axes" in caught.value.expected
