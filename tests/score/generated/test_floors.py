"""Floors: real against real, and what a share of a known distance is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated import FEATURE_FIGURES, against_floor, frechet_squared, mmd_squared, wasserstein_distance


def shift_of_means(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one.mean() - other.mean()))


def test_generated_images_half_way_to_the_reference_have_a_share_of_a_half() -> None:
    rng = np.random.default_rng(1)
    camera_a, camera_b = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 1)) + 10
    found = against_floor(shift_of_means, camera_a, rng.normal(size=(2000, 1)) + 5, reference=(camera_a, camera_b))
    assert found.share is not None
    assert found.share.value == pytest.approx(0.5, abs=0.01)
    assert found.share.low <= found.share.value <= found.share.high
    assert found.value.value == pytest.approx(5, abs=0.1)
    assert found.size == 2000
    assert found.why_not == ""


@pytest.mark.parametrize("name", sorted(FEATURE_FIGURES))
def test_fresh_draws_are_at_the_floor_and_others_above_it_by_every_figure(name: str) -> None:
    rng = np.random.default_rng(2)
    figure = FEATURE_FIGURES[name]
    if name == "mmd":
        figure = partial(mmd_squared, bandwidths=[3.0])
    real, fresh, other = rng.normal(size=(120, 4)), rng.normal(size=(80, 4)), 3 + rng.normal(size=(90, 4))
    honest = against_floor(figure, real, fresh, reference=(real, other))
    assert honest.size == 60
    assert honest.share is not None
    assert abs(honest.share.value) < 0.15
    assert honest.floor.low <= honest.value.value <= honest.floor.high + 0.5 * (honest.floor.high - honest.floor.low)
    wrong = against_floor(figure, real, other, reference=(real, other))
    assert wrong.share is not None
    assert wrong.share.value == pytest.approx(1, abs=0.15)
    assert wrong.value.low > wrong.floor.high


def test_sides_have_one_size_so_a_figure_with_bias_is_judged_fairly() -> None:
    """The Frechet distance of 30 against 30 images is far above that of 300 against 300 of one distribution."""
    rng = np.random.default_rng(3)
    sizes = set()

    def watched(one: np.ndarray, other: np.ndarray) -> float:
        sizes.update({len(one), len(other)})
        return frechet_squared(one, other)

    found = against_floor(watched, rng.normal(size=(600, 8)), rng.normal(size=(30, 8)))
    assert sizes == {30} == {found.size}
    assert found.value.value == pytest.approx(found.floor.value, rel=0.25)
    assert (found.share, found.why_not) == (None, "no reference was given")


def test_a_reference_at_the_floor_gives_no_share() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(80, 3))
    found = against_floor(mmd_squared, real, rng.normal(size=(40, 3)) + 1, reference=(real, rng.normal(size=(60, 3))))
    assert found.share is None
    assert found.why_not == "the reference is not above the floor"


def test_a_person_stays_in_one_half() -> None:
    """Two scans of each of 20 people, as good as equal: split scan by scan, the halves are far too alike."""
    scans = np.repeat(np.arange(20.0), 2)
    people = [f"p{k:.0f}" for k in scans]
    in_both: list[int] = []

    def figure(one: np.ndarray, other: np.ndarray) -> float:
        in_both.append(len(set(one) & set(other)))
        return wasserstein_distance(one, other)

    by_person = against_floor(figure, scans, scans + 100, people=people)
    assert set(in_both) == {0}
    by_scan = against_floor(figure, scans, scans + 100)
    assert max(in_both) > 0
    assert by_scan.floor.value < by_person.floor.value
    with pytest.raises(UsageError, match="do not pair"):
        against_floor(figure, scans, scans, people=people[1:])


def test_numbers_and_images_have_floors_too_and_seeds_repeat_them() -> None:
    rng = np.random.default_rng(6)
    real, generated = rng.normal(size=50), rng.normal(size=40) + 1
    found = against_floor(wasserstein_distance, real, generated, seed=9)
    assert found == against_floor(wasserstein_distance, real, generated, seed=9)
    assert found != against_floor(wasserstein_distance, real, generated, seed=10)
    assert found.as_dict()["floor"]["value"] < found.as_dict()["value"]["value"]


def test_too_few_images_have_no_floor() -> None:
    with pytest.raises(UnsuitableError, match="too few") as caught:
        against_floor(mmd_squared, np.eye(7), np.eye(7))
    assert caught.value.found == "3 on a side"
