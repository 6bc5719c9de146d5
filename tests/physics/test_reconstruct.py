"""Reconstructions against known images and the laws they must keep."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.physics import (
    Geometry,
    PointSpread,
    Projector,
    butterworth,
    chang,
    circle,
    cutoff_per_cm,
    fbp,
    gaussian,
    log_likelihood,
    mlem,
    osem,
)
from dopascope.physics.reconstruct import subset_order

LEHR = PointSpread.from_holes(1.11, 23.0, 3.6)
GEOMETRY = Geometry((40, 40, 12), (5.0, 5.0, 5.0), circle(32), 95.0)


def head(geometry: Geometry, striatum: float = 5.0) -> tuple[Tensor, Tensor]:
    """Activity and mu (1, nx, ny, nz): an ellipse with two hot spots."""
    x, y = (torch.from_numpy(axis)[..., None] for axis in geometry.centres_mm())
    z = torch.arange(geometry.shape[2]) * geometry.voxel_mm[2]
    z = z - z.mean()
    inside = ((x / 65) ** 2 + (y / 80) ** 2 + (z / 200) ** 2 <= 1).float()
    hot = sum((((x - s * 25) ** 2 + (y - 10) ** 2 + z**2) <= 14**2).float() for s in (-1, 1))
    return (inside + (striatum - 1) * hot)[None], 0.0147 * inside[None]


@pytest.fixture(scope="module")
def scan() -> tuple[Projector, Tensor, Tensor]:
    """A projector with everything, Poisson counts with scatter, and the scatter."""
    activity, mu = head(GEOMETRY)
    projector = Projector(GEOMETRY, mu, LEHR)
    clean = projector.forward(activity)
    scale = 2e6 / float(clean.sum())
    scatter = torch.full_like(clean, 0.2 * float(clean.mean()) * scale)
    counts = torch.poisson(clean * scale + scatter, generator=torch.Generator().manual_seed(1))
    return projector, counts, scatter


# --- filtered back projection and Chang


@pytest.mark.parametrize("arc", [180.0, 360.0])
def test_fbp_gives_back_the_activity(arc: float) -> None:
    geometry = Geometry((100, 90, 2), (2.5, 2.8, 3.0), circle(120, arc_deg=arc, start_deg=-90), 120.0, bins=96)
    x, y = geometry.centres_mm()
    rings = [((x - 8) / 80) ** 2 + (y / 95) ** 2, ((x - 30) / 25) ** 2 + ((y + 20) / 30) ** 2]
    image = np.repeat(((rings[0] <= 1) + 2.0 * (rings[1] <= 1))[None, ..., None], 2, 3).astype(np.float32)
    found = fbp(Projector(geometry).forward(image), geometry)[0, ..., 0].numpy()
    assert found[rings[1] <= 0.6].mean() == pytest.approx(3.0, rel=0.01)
    assert found[(rings[0] <= 0.9) & (rings[1] > 1.7)].mean() == pytest.approx(1.0, rel=0.01)
    assert abs(found[(rings[0] > 1.2) & geometry.support].mean()) < 0.02


@pytest.mark.parametrize("angles", [(0.0, 10.0, 25.0), circle(8, arc_deg=200.0), (0.0,)])
def test_fbp_refuses_views_that_are_not_even(angles: tuple[float, ...]) -> None:
    geometry = Geometry((8, 8, 2), (3.0, 3.0, 3.0), angles, 90.0)
    with pytest.raises(UsageError, match="evenly"):
        fbp(np.ones((1, len(angles), 8, 2)), geometry)


@pytest.mark.parametrize("mu", [0.005, 0.0147])
def test_chang_on_a_uniform_disc(mu: float) -> None:
    """In the middle of an attenuated disc of radius R, FBP gives I0(2 mu R) - L0(2 mu R) and Chang's factor is
    exp(mu R): closed forms. The first order leaves some per cent, and a disc that is flat within 12 %."""
    from scipy.special import iv, modstruve

    geometry = Geometry((96, 96, 1), (2.5, 2.5, 2.5), circle(120), 115.0)
    radius = 80.0
    r = np.hypot(*geometry.centres_mm())
    disc = np.clip((radius - r) / 2.5 + 0.5, 0, 1).astype(np.float32)[None, ..., None]
    uncorrected = fbp(Projector(geometry, mu * disc[0]).forward(disc), geometry)
    middle = float(uncorrected[0, 47:49, 47:49].mean())
    assert middle == pytest.approx(iv(0, 2 * mu * radius) - modstruve(0, 2 * mu * radius), rel=0.02)
    corrected = chang(uncorrected, mu * disc[0], geometry)
    factor = (corrected / uncorrected)[0, 47:49, 47:49].mean()
    assert float(factor) == pytest.approx(math.exp(mu * radius), rel=0.01)
    image = corrected[0, ..., 0].numpy()
    rings = [image[(r >= a) & (r < a + 10)].mean() for a in range(0, 70, 10)]
    assert max(rings) / min(rings) < 1.12


# --- iterative


def test_likelihood_never_falls(scan: tuple[Projector, Tensor, Tensor]) -> None:
    projector, counts, scatter = scan
    seen: list[float] = []

    def watch(number: int, image: Tensor) -> None:
        assert number == len(seen) + 1
        seen.append(log_likelihood(counts, projector.forward(image) + scatter))

    mlem(counts, projector, 40, scatter, callback=watch)
    steps = np.diff(seen)
    assert len(seen) == 40
    # Sums of float32 products: one part in 1e7 of the counts may be lost in rounding.
    assert steps.min() > -1e-7 * float(counts.sum())
    assert steps[0] > 0
    assert seen[-1] > seen[0]


def test_mlem_keeps_the_counts(scan: tuple[Projector, Tensor, Tensor]) -> None:
    projector, counts, _ = scan
    totals: list[float] = []
    mlem(counts, projector, 5, callback=lambda _, image: totals.append(float(projector.forward(image).sum())))
    np.testing.assert_allclose(totals, float(counts.sum()), rtol=1e-4)


def test_osem_is_close_to_mlem_at_equal_updates(scan: tuple[Projector, Tensor, Tensor]) -> None:
    projector, counts, scatter = scan
    slow = mlem(counts, projector, 32, scatter)
    fast = osem(counts, projector, 4, 8, scatter)
    inside = head(GEOMETRY)[0] > 0
    assert float((fast - slow)[inside].norm() / slow[inside].norm()) <= 0.02


def test_osem_finds_the_truth_of_clean_data() -> None:
    activity, mu = head(GEOMETRY, striatum=3.0)
    projector = Projector(GEOMETRY, mu, LEHR)
    scatter = torch.full((1, 32, 40, 12), 12.0)
    found = osem(projector.forward(activity) + scatter, projector, 60, 8, scatter)
    assert float((found - activity).norm() / activity.norm()) < 0.12
    ignored = osem(projector.forward(activity) + scatter, projector, 60, 8)
    assert float((ignored - activity).norm()) > 1.3 * float((found - activity).norm())


def test_a_batch_is_reconstructed_as_its_members(scan: tuple[Projector, Tensor, Tensor]) -> None:
    projector, counts, _ = scan
    both = osem(torch.cat([counts, 0.5 * counts.flip(3)]), projector, 2, 4)
    torch.testing.assert_close(both[:1], osem(counts, projector, 2, 4), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(both[1:], osem(0.5 * counts.flip(3), projector, 2, 4), rtol=1e-3, atol=1e-3)


def test_a_reconstruction_goes_on_where_it_stopped(scan: tuple[Projector, Tensor, Tensor]) -> None:
    projector, counts, scatter = scan
    whole = osem(counts, projector, 4, 8, scatter)
    half = osem(counts, projector, 2, 8, scatter, order=subset_order(8))
    torch.testing.assert_close(osem(counts, projector, 2, 8, scatter, start=half), whole, rtol=1e-3, atol=1e-3)


def test_views_without_counts_give_an_empty_image() -> None:
    found = osem(torch.zeros(1, 32, 40, 12), Projector(GEOMETRY, spread=LEHR), 2, 4)
    assert found.shape == (1, 40, 40, 12)
    assert not found.any()


@pytest.mark.parametrize("subsets", [1, 2, 3, 8, 15, 30])
def test_every_subset_comes_once_and_not_after_its_neighbour(subsets: int) -> None:
    order = subset_order(subsets)
    assert sorted(order) == list(range(subsets))
    steps = [abs(a - b) for a, b in itertools.pairwise(order)]
    if subsets >= 8:
        assert np.mean([min(s, subsets - s) for s in steps]) > subsets / 6


def test_wrong_input_is_refused_by_field() -> None:
    projector = Projector(GEOMETRY)
    good = torch.ones(1, 32, 40, 12)
    for call, where in (
        (lambda: osem(good, projector, 0, 1), "iterations"),
        (lambda: osem(good, projector, 1, 33), "subsets"),
        (lambda: osem(-good, projector, 1, 1), "projections"),
        (lambda: osem(good * math.nan, projector, 1, 1), "projections"),
        (lambda: osem(good, projector, 1, 1, -good), "additive"),
        (lambda: osem(good, projector, 1, 2, order=[0, 0]), "order"),
        (lambda: osem(good[:, :5], projector, 1, 1), "projections"),
        (lambda: osem(good, projector, 1, 1, start=-torch.ones(1, 40, 40, 12)), "start"),
        (lambda: chang(good, np.zeros((40, 40, 12)), GEOMETRY), "image"),
        (lambda: chang(np.ones((1, 40, 40, 12)), np.zeros((40, 40)), GEOMETRY), "mu"),
        (lambda: butterworth(good, (3.0, 3.0, 3.0), 0.0, 4), "cutoff_per_cm"),
        (lambda: butterworth(good, (3.0, 3.0, 3.0), 0.5, math.inf), "order"),
        (lambda: gaussian(good, (3.0, 3.0, 3.0), -1.0), "fwhm_mm"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.where == where


# --- filters


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("share", [0.3, 1.0, 1.6])
def test_butterworth_amplitude(axis: int, share: float) -> None:
    """A wave well inside the image keeps 1 / (1 + (f / cutoff)^(2 order)) of its height."""
    voxel, cutoff, order = (2.0, 2.5, 3.0), 0.6, 4
    at = (torch.arange(120) - 59.5) * voxel[axis]
    wave = torch.cos(2 * math.pi * share * cutoff / 10 * at)
    shape = [1, 1, 1, 1]
    shape[axis + 1] = 120
    found = butterworth(
        wave.view(shape).expand([1, *(120 if a == axis else 5 for a in range(3))]), voxel, cutoff, order
    )
    middle = found.flatten()[...].view(found.shape[1:]).movedim(axis, 0)[40:80, 2, 2]
    amplitude = float((middle * wave[40:80]).sum() / (wave[40:80] ** 2).sum())
    assert amplitude == pytest.approx(1 / (1 + share ** (2 * order)), abs=0.02)


def test_gaussian_widens_by_its_variance() -> None:
    voxel = (2.0, 2.5, 3.0)
    image = torch.zeros(2, 61, 51, 41)
    image[:, 30, 25, 20] = torch.tensor([1.0, 3.0])
    found = gaussian(image, voxel, 11.0)
    np.testing.assert_allclose(found.sum((1, 2, 3)), [1, 3], rtol=1e-4)
    for axis in range(3):
        profile = found[1].sum([a for a in range(3) if a != axis]).double() / 3
        at = (torch.arange(len(profile)) - len(profile) // 2) * voxel[axis]
        assert float((profile * at**2).sum()) == pytest.approx((11.0 / 2.3548) ** 2, rel=0.01)


def test_filters_leave_an_even_image_alone() -> None:
    even = torch.full((1, 20, 22, 9), 7.0)
    for found in (butterworth(even, (3.0, 3.0, 4.0), 0.5, 6), gaussian(even, (3.0, 3.0, 4.0), 9.0)):
        torch.testing.assert_close(found, even, rtol=1e-5, atol=1e-4)


def test_cutoffs_per_pixel() -> None:
    assert cutoff_per_cm(0.35, 3.5) == pytest.approx(1.0)
