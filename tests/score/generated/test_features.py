"""Features without a network: principal components and random projections."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated import principal_components, random_projection
from dopascope.score.generated.distances import distances

SHAPE = (7, 8, 9)


def images(n: int, rank: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(0).normal(size=(rank, 504)) * np.arange(rank, 0, -1)[:, None]
    return (100 + rng.normal(size=(n, rank)) @ basis).reshape(n, *SHAPE)


def test_components_hold_what_the_images_vary_by_and_have_a_mean_square_of_one() -> None:
    real = images(30, 4)
    features = principal_components(real, components=4)
    found = features(real)
    assert (found**2).mean() * 30 / 29 == pytest.approx(1)
    assert "(100 % of their variance)" in features.name
    flat = real.reshape(30, -1)
    ratio = distances(found, found) / np.where(np.eye(30) > 0, 1, distances(flat, flat))
    assert ratio[np.triu_indices(30, 1)] == pytest.approx(np.full(435, ratio[0, 1]))  # nothing of the images is lost
    assert np.all(np.diff(found.var(0)) < 0)


def test_other_images_are_seen_along_the_same_axes() -> None:
    real, others = images(30, 4), images(10, 4, seed=2)
    features = principal_components(real, components=3)
    assert features(others).shape == (10, 3)
    assert features(np.concatenate([real, others]))[30:] == pytest.approx(features(others))


def test_random_projections_keep_distances_as_far_as_they_say() -> None:
    real = images(25, 20)
    flat = real.reshape(25, -1)
    pairs = np.triu_indices(25, 1)
    exact = distances(flat, flat)[pairs] ** 2
    errors = []
    for seed in range(40):
        projected = random_projection(SHAPE, components=64, seed=seed)(real)
        errors.append(distances(projected, projected)[pairs] ** 2 / exact - 1)
    assert np.mean(errors) == pytest.approx(0, abs=0.02)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt(2 / 64), rel=0.1)


def test_a_projection_follows_from_its_seed() -> None:
    real = images(5, 4)
    assert np.array_equal(random_projection(SHAPE, seed=3)(real), random_projection(SHAPE, seed=3)(real))
    assert not np.allclose(random_projection(SHAPE, seed=4)(real), random_projection(SHAPE, seed=3)(real))


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match="another shape"):
        random_projection(SHAPE)(np.zeros((3, 7, 9, 8)))


def test_components_are_not_made_of_nothing() -> None:
    with pytest.raises(UnsuitableError, match="do not vary enough") as caught:
        principal_components(images(30, 4), components=5)
    assert caught.value.found == "4 axes with variance"
    with pytest.raises(UnsuitableError, match="do not vary enough"):
        principal_components(np.ones((9, *SHAPE)), components=2)
    with pytest.raises(UsageError, match="components"):
        principal_components(images(10, 4), components=10)
    broken = images(10, 4)
    broken[6, 0, 0, 0] = np.nan
    with pytest.raises(UnsuitableError, match="not finite") as caught:
        principal_components(broken, components=2)
    assert "image 6" in caught.value.found
