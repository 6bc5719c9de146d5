"""What a site counts: totals, shares, Poisson statistics, windows, motion and truncation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dopascope import phantom
from dopascope.errors import UsageError
from dopascope.phantom.collimators import COLLIMATORS
from dopascope.phantom.sites import Site
from dopascope.physics.acquire import (
    SCATTER_SHARE,
    SIDE_WINDOW,
    Expected,
    Move,
    acquire,
    expect,
)
from dopascope.physics.correct import scatter_estimate

PERSON = phantom.draw_person(5, "healthy")


@pytest.fixture(scope="module")
def expected(small_site: Site) -> Expected:
    return expect(PERSON, small_site)


def test_counts_of_the_window_and_their_origins_are_the_sites(small_site: Site, expected: Expected) -> None:
    parts = [float(part.double().sum()) for part in (expected.primary, expected.scatter, expected.penetration)]
    assert sum(parts) == pytest.approx(small_site.counts, rel=1e-4)
    assert parts[2] / sum(parts) == pytest.approx(COLLIMATORS["siemens-lehr"].penetration, rel=1e-4)
    assert parts[1] / (parts[0] + parts[1]) == pytest.approx(SCATTER_SHARE, rel=1e-4)
    for part in (expected.primary, expected.scatter, expected.penetration):
        assert part.shape == (small_site.angles, small_site.matrix[0], small_site.slices)
        assert float(part.min()) >= 0


def test_a_medium_energy_collimator_lets_less_through(small_site: Site, expected: Expected) -> None:
    shares = [
        float(made.penetration.sum() / made.noise_free().window.sum())
        for made in (expected, expect(PERSON, replace(small_site, collimator="siemens-me")))
    ]
    assert shares[0] > 5 * shares[1] > 0


def test_scatter_and_penetration_are_broader_than_what_comes_straight(expected: Expected) -> None:
    def spread(part: torch.Tensor) -> float:
        """Share of the counts in the half of the pixels that has the fewest."""
        flat = part.flatten().sort().values
        return float(flat[: flat.numel() // 2].sum() / flat.sum())

    straight, scattered, through = (spread(p) for p in (expected.primary, expected.scatter, expected.penetration))
    assert straight < scattered < through


def test_counts_scatter_as_poisson_says(expected: Expected) -> None:
    mean = expected.noise_free().window
    repeats = 20
    drawn = torch.stack([expected.drawn(seed).window for seed in range(repeats)])
    used = mean > 2
    assert int(used.sum()) > 1000
    dispersion = ((drawn - mean) ** 2 / mean)[:, used].double()
    # Variance over mean is 1; its mean over n values has an SD of about sqrt(2 / n), a little more at low counts.
    assert float(dispersion.mean()) == pytest.approx(1, abs=5 * np.sqrt(2.5 / dispersion.numel()))
    assert torch.equal(drawn, drawn.round())


def test_same_seed_same_counts_and_another_seed_others(small_site: Site, expected: Expected) -> None:
    one, again, other = (expected.drawn(seed) for seed in (4, 4, 5))
    assert torch.equal(one.window, again.window)
    assert torch.equal(one.lower, again.lower)
    assert not torch.equal(one.window, other.window)
    assert torch.equal(acquire(PERSON, small_site, seed=4).window, one.window)


def test_triple_energy_window_finds_on_average_what_is_not_primary(expected: Expected) -> None:
    stray = float((expected.scatter + expected.penetration).sum())
    found = [float(scatter_estimate(expected.drawn(seed)).sum()) for seed in range(8)]
    # The side windows' counts are few: their Poisson SD, over 8 draws.
    side = stray * 2 * SIDE_WINDOW
    assert np.mean(found) == pytest.approx(stray, abs=4 * np.sqrt(side / 8) / (2 * SIDE_WINDOW) + 0.01 * stray)
    clean = expected.noise_free()
    left = clean.window - scatter_estimate(clean)
    assert float((left - expected.primary).norm() / expected.primary.norm()) < 0.08


def test_a_head_that_moves_is_seen_moved_from_that_view_on(small_site: Site, expected: Expected) -> None:
    move = Move(0.5, shift_mm=(0.0, 0.0, 9.2))
    moved = expect(PERSON, small_site, motion=[move])
    half = small_site.angles // 2
    rate = float(moved.primary[:half].sum() / expected.primary[:half].sum())
    torch.testing.assert_close(moved.primary[:half], expected.primary[:half] * rate, rtol=1e-4, atol=1e-4)
    whole = expect(PERSON, small_site, phantom.Pose(shift_mm=(0.0, 0.0, 9.2)))
    later = whole.primary[half:] * float(moved.primary[half:].sum() / whole.primary[half:].sum())
    torch.testing.assert_close(moved.primary[half:], later, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("starts", [(0.0,), (1.0,), (0.6, 0.3), (0.5, 0.5)])
def test_moves_that_cannot_follow_one_another_are_refused(small_site: Site, starts: tuple[float, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        expect(PERSON, small_site, motion=[Move(start) for start in starts])
    assert refused.value.where == "motion"


def test_a_shorter_field_sees_the_same_slices_of_the_same_head(small_site: Site, expected: Expected) -> None:
    short = expect(PERSON, replace(small_site, slices=small_site.slices - 8))
    a, b = short.primary / short.per_unit, expected.primary[:, :, 4:-4] / expected.per_unit
    assert float((a - b).norm() / b.norm()) < 0.01
