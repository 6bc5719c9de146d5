"""Precision, recall, density, coverage: their definitions, and what two sets of one distribution are to give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UsageError
from dopascope.score.generated import coverage, expected_coverage, outside, uncovered


def by_definition(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Kynkaanniemi 2019, equations 1 and 2; Naeem 2020, density and coverage; image by image."""

    def reaches(points: np.ndarray) -> list[float]:
        return [sorted(float(np.linalg.norm(p - q)) for q in points)[k] for p in points]

    def inside(point: np.ndarray, centres: np.ndarray, radii: list[float]) -> int:
        return sum(float(np.linalg.norm(point - c)) < r for c, r in zip(centres, radii, strict=True))

    of_real, of_generated = reaches(real), reaches(generated)
    counts = [inside(y, real, of_real) for y in generated]
    covered = [any(np.linalg.norm(x - y) < r for y in generated) for x, r in zip(real, of_real, strict=True)]
    return (
        float(np.mean([count > 0 for count in counts])),
        float(np.mean([inside(x, generated, of_generated) > 0 for x in real])),
        float(np.mean(counts)) / k,
        float(np.mean(covered)),
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 20), st.integers(8, 20), st.integers(1, 5))
def test_they_are_their_definitions(seed: int, n: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 0.7
    found = coverage(real, generated, k=k)
    values = (found.precision.value, found.recall.value, found.density.value, found.coverage.value)
    assert values == pytest.approx(by_definition(real, generated, k))
    assert outside(real, generated, k=k) == pytest.approx(1 - values[0])
    assert uncovered(real, generated, k=k) == pytest.approx(1 - values[3])
    assert found.precision.low <= found.precision.value <= found.precision.high <= 1


def test_a_set_against_itself_gives_one_each() -> None:
    points = np.random.default_rng(1).normal(size=(40, 4))
    found = coverage(points, points)
    assert [one.value for one in (found.precision, found.recall, found.density, found.coverage)] == [1, 1, 1, 1]


def test_sets_far_apart_give_nothing() -> None:
    points = np.random.default_rng(2).normal(size=(40, 4))
    found = coverage(points, points + 100)
    assert [one.value for one in (found.precision, found.recall, found.density, found.coverage)] == [0, 0, 0, 0]


@pytest.mark.parametrize(("n", "m", "k"), [(40, 40, 5), (30, 60, 3), (60, 20, 5)])
def test_one_distribution_gives_a_density_of_one_and_the_expected_coverage(n: int, m: int, k: int) -> None:
    density, covered = [], []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        found = coverage(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k=k)
        density.append(found.density.value)
        covered.append(found.coverage.value)
    assert np.mean(density) == pytest.approx(1, abs=4 * np.std(density) / np.sqrt(80))
    assert np.mean(covered) == pytest.approx(expected_coverage(n, m, k), abs=4 * np.std(covered) / np.sqrt(80))
    assert found.expected_coverage == expected_coverage(n, m, k)


def test_a_generator_that_lost_a_mode_is_precise_and_covers_half() -> None:
    rng = np.random.default_rng(3)
    centres = np.array([[0.0] * 4, [20.0] * 4])
    real = centres[np.arange(120) % 2] + rng.normal(size=(120, 4))
    found = coverage(real, rng.normal(size=(120, 4)))
    assert found.precision.value > 0.8
    assert 0.4 < found.coverage.value <= 0.5
    assert found.recall.value <= 0.5
    assert found.coverage.high < found.expected_coverage


def test_one_image_over_and_over_is_judged_and_not_refused() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(50, 3))
    found = coverage(real, np.repeat(real[:1], 30, axis=0))
    assert found.recall.value == 0
    assert found.coverage.value < 0.5


def test_the_range_holds_the_mean_of_such_sets_as_often_as_it_says() -> None:
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        found.append(coverage(rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + 0.8, seed=seed))
    for name in ("precision", "recall", "density", "coverage"):
        ranges = [getattr(one, name) for one in found]
        mean = np.mean([one.value for one in ranges])
        assert np.mean([one.low <= mean <= one.high for one in ranges]) >= 0.88, name


@pytest.mark.parametrize("k", [0, 19, 1.5])
def test_k_is_such_that_a_group_can_be_left_out(k: int) -> None:
    rng = np.random.default_rng(5)
    real, generated = rng.normal(size=(20, 3)), rng.normal(size=(50, 3))
    with pytest.raises(UsageError, match="value of k") as caught:
        coverage(real, generated, k=k)
    assert caught.value.expected == "a whole number of at least 1 and at most 18"
    assert coverage(real, generated, k=18).k == 18
