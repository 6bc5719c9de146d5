"""Memorisation: planted copies are found, honest generators are left alone at the rate that is stated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from dopascope.errors import LeakError, UnsuitableError, UsageError
from dopascope.score.generated import copy_scores, memorisation, random_projection
from dopascope.score.generated.memorisation import ALPHA, Memorisation, _copied, nearest_of_some

Draw = Callable[[int], np.ndarray]
Generator = Callable[[np.random.Generator, Draw, np.ndarray, int], np.ndarray]


def honest(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return draw(n)


def blurred(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return 0.5 * draw(n)


def noisy(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return draw(n) + 0.5 * rng.normal(size=(n, training.shape[1]))


def one_mode(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return draw(1) + 0.05 * draw(n)


def parrot(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return training[rng.integers(0, len(training), n)] + 0.1 * draw(n)


def loose_parrot(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return training[rng.integers(0, len(training), n)] + 0.6 * draw(n)


def averages(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    return (training[rng.integers(0, len(training), n)] + training[rng.integers(0, len(training), n)]) / 2


def tenth_copied(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    made = draw(n)
    made[: n // 10] = parrot(rng, draw, training, n // 10)
    return made


def one_copied(rng: np.random.Generator, draw: Draw, training: np.ndarray, n: int) -> np.ndarray:
    made = draw(n)
    made[: n // 5] = training[3]
    return made


def even(rng: np.random.Generator, d: int) -> Draw:
    return lambda n: rng.normal(size=(n, d))


def decaying(rng: np.random.Generator, d: int) -> Draw:
    """As of images: much variance along few axes."""
    return lambda n: rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.7


def judged(
    generator: Generator, seed: int, sizes: tuple[int, int, int] = (60, 20, 60), world: Callable = even, d: int = 24
) -> Memorisation:
    rng = np.random.default_rng(seed)
    draw = world(rng, d)
    training, held_out = draw(sizes[0]), draw(sizes[1])
    return memorisation(training, held_out, generator(rng, draw, training, sizes[2]), permutations=199, seed=seed)


def most_alarms(runs: int) -> int:
    """What chance passes in one of a thousand tests, where each run gives a false alarm at the stated rate."""
    return int(binom.ppf(0.999, runs, ALPHA))


@pytest.mark.parametrize("world", [even, decaying])
@pytest.mark.parametrize("generator", [honest, blurred, noisy, one_mode])
def test_honest_generators_good_or_bad_are_rarely_accused(generator: Generator, world: Callable) -> None:
    found = [judged(generator, seed, world=world) for seed in range(100)]
    assert sum(one.verdict == "memorises" for one in found) <= most_alarms(100)


@pytest.mark.parametrize("world", [even, decaying])
def test_the_false_alarm_rate_is_the_stated_one(world: Callable) -> None:
    found = [judged(honest, seed, (40, 20, 40), world) for seed in range(1000, 1400)]
    assert sum(one.verdict == "memorises" for one in found) <= most_alarms(400)
    assert np.mean([one.p_closer <= 0.1 for one in found]) == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("world", [even, decaying])
@pytest.mark.parametrize("generator", [parrot, loose_parrot, tenth_copied, one_copied])
def test_memorising_generators_are_found(generator: Generator, world: Callable) -> None:
    found = [judged(generator, seed, (120, 40, 120), world) for seed in range(10)]
    assert sum(one.verdict == "memorises" for one in found) >= 9


def test_means_of_two_training_images_are_found_where_dimensions_are_many() -> None:
    assert all(judged(averages, seed, (120, 40, 120)).p_closer <= 0.025 for seed in range(10))


@pytest.mark.parametrize("world", [even, decaying])
def test_a_parrot_is_found_with_few_images(world: Callable) -> None:
    found = [judged(parrot, seed, (20, 5, 20), world) for seed in range(20)]
    assert sum(one.verdict == "memorises" for one in found) >= 18


def test_planted_duplicates_are_named_with_their_originals() -> None:
    rng = np.random.default_rng(1)
    training, held_out, made = rng.normal(size=(100, 64)), rng.normal(size=(40, 64)), rng.normal(size=(80, 64))
    made[[7, 30, 55]] = training[[4, 90, 4]]
    made[61] = training[17] + 0.05 * rng.normal(size=64)
    found = memorisation(training, held_out, made)
    assert set(found.copies) == {7, 30, 55, 61}
    assert found.copies[-1] == 61
    assert [found.nearest[k] for k in found.copies] == [{7: 4, 30: 90, 55: 4, 61: 17}[k] for k in found.copies]
    assert found.originals == 3
    assert found.copied.value == 4 / 80
    assert found.copied.low <= 4 / 80 <= found.copied.high
    assert [found.copy_scores[k] for k in (7, 30, 55)] == pytest.approx([1, 1, 1])
    assert found.verdict == "memorises"


def test_nothing_is_named_where_nothing_was_copied() -> None:
    found = [judged(honest, seed, (100, 40, 80), d=64) for seed in range(20)]
    assert sum(len(one.copies) for one in found) <= 0.01 * 20 * 80


def test_copies_are_found_among_images_through_random_projections() -> None:
    rng = np.random.default_rng(2)
    training, held_out, made = (rng.normal(size=(n, 9, 10, 11)) for n in (60, 30, 40))
    made[:10] = training[:10] + 0.1 * rng.normal(size=(10, 9, 10, 11))
    project = random_projection((9, 10, 11), components=128)
    assert set(memorisation(project(training), project(held_out), project(made)).copies) == set(range(10))


def test_closeness_is_one_for_fresh_draws_and_far_below_for_a_parrot() -> None:
    for seed in range(5):
        fresh, copied = judged(honest, seed).closeness, judged(parrot, seed).closeness
        assert 0.9 < fresh.value < 1.1
        assert copied.value < 0.5
        assert copied.value < copied.low < 1 < copied.high


@pytest.mark.parametrize("generator", [honest, parrot, averages, one_copied])
def test_two_tests_cost_their_number(generator: Generator) -> None:
    found = judged(generator, 2)
    assert found.p == min(1.0, 2 * min(found.p_closer, found.p_copies))
    assert (found.verdict == "memorises") == (found.p <= found.alpha)


def test_one_perfect_copy_does_not_outweigh_all_other_images() -> None:
    rng = np.random.default_rng(9)
    draw = even(rng, 24)
    training, held_out = draw(120), draw(40)
    made = averages(rng, draw, training, 120)
    made[0] = held_out[0]
    assert memorisation(training, held_out, made).p_closer <= 0.025


def test_an_average_person_whom_blurred_images_are_near_was_not_copied() -> None:
    rng = np.random.default_rng(10)
    training, held_out, made = (rng.normal(size=(n, 24)) for n in (60, 30, 60))
    training[5], held_out[7] = 0.3 * training[5], 0.3 * held_out[7]
    found = memorisation(training, held_out, 0.2 * made)
    assert set(found.nearest) == {5}
    assert found.verdict == "not shown"
    assert len(found.copies) < 5


def test_medians_of_nearest_distances_are_of_sets_of_one_size() -> None:
    found = [judged(honest, seed, (200, 20, 100)) for seed in range(10)]
    for name in ("generated_to_held_out", "held_out_to_training"):
        ratios = [getattr(one, name) / one.generated_to_training for one in found]
        assert np.mean(ratios) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("size", [1, 3, 6, 9])
def test_the_mean_nearest_of_some_is_that_over_all_subsets(size: int) -> None:
    row = np.random.default_rng(3).random((2, 6))
    chosen = min(size, 6)
    expected = np.mean([row[:, list(taken)].min(1) for taken in combinations(range(6), chosen)], axis=0)
    assert nearest_of_some(row, size) == pytest.approx(expected)


def test_copy_scores_are_what_they_say() -> None:
    row = np.array([[9.0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 50]])
    assert copy_scores(row) == pytest.approx([1 - 1 / 2])
    assert copy_scores(np.array([[3.0, 1, 5]])) == pytest.approx([1 - 1 / 4])


def test_p_of_so_many_above_the_top_is_by_counting_orders() -> None:
    """With the highest of n as the threshold, k of m above it are the k highest of all: C(m, k) / C(n + m, k)."""
    no_copies = np.linspace(0.5, 0.9, 30)
    found = _copied(np.array([0.1] * 12 + [0.95] * 3), no_copies)
    assert found.threshold == 0.9
    assert found.p == pytest.approx(hypergeom.pmf(3, 45, 15, 3))
    assert found.false_alarm == pytest.approx(1 / 31)


def test_a_copy_is_at_most_half_as_far_from_its_original_as_from_the_next() -> None:
    assert _copied(np.array([0.45, 0.3]), np.linspace(0, 0.2, 30)).rows.size == 0


def test_scans_of_a_person_are_exchanged_together() -> None:
    """A generator that copies one person of many scans has seen one person closely, not many images."""
    rng = np.random.default_rng(4)
    training, held_out = rng.normal(size=(40, 24)), rng.normal(size=(20, 24))
    training[:15] = training[0] + 0.6 * rng.normal(size=(15, 24))
    made = training[rng.integers(0, 15, 40)] + 0.6 * rng.normal(size=(40, 24))
    as_images = memorisation(training, held_out, made)
    people = ["one"] * 15 + [f"p{k}" for k in range(25)]
    as_people = memorisation(training, held_out, made, training_people=people)
    assert as_people.p_closer > as_images.p_closer


def test_further_scans_of_a_person_do_not_hide_copies() -> None:
    """Without people, pairs of scans would say that real images are copies of each other."""
    rng = np.random.default_rng(5)
    own = rng.normal(size=(40, 32))
    training = np.concatenate([own, own + 0.2 * rng.normal(size=(40, 32))])
    held_out = rng.normal(size=(30, 32))
    made = rng.normal(size=(60, 32))
    made[:8] = training[:8]
    people = list(range(40)) * 2
    assert set(memorisation(training, held_out, made, training_people=people).copies) == set(range(8))
    assert (
        memorisation(training, held_out, made).threshold
        > memorisation(training, held_out, made, training_people=people).threshold
    )


def test_people_and_images_on_both_sides_are_leaks() -> None:
    rng = np.random.default_rng(6)
    training, held_out, made = rng.normal(size=(20, 8)), rng.normal(size=(6, 8)), rng.normal(size=(9, 8))
    with pytest.raises(LeakError, match="People are in") as caught:
        memorisation(training, held_out, made, training_people=range(20), held_out_people=range(19, 25))
    assert caught.value.found == "1, the first is 19"
    held_out[4] = training[11]
    with pytest.raises(LeakError, match="are training images") as caught:
        memorisation(training, held_out, made)
    assert caught.value.found == "1 pairs, the first is row 4 and training row 11"


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"training": np.zeros((11, 8))}, UnsuitableError, "too few images"),
        ({"held_out": np.zeros((4, 8))}, UnsuitableError, "too few images"),
        ({"generated": np.full((9, 8), np.nan)}, UnsuitableError, "not finite"),
        ({"generated": np.zeros((9, 7))}, UsageError, "different kinds"),
        ({"held_out": np.zeros((9, 7))}, UsageError, "different kinds"),
        ({"alpha": 0.0}, UsageError, "false-alarm"),
        ({"permutations": 0}, UsageError, "permutations"),
        ({"training_people": [1, 2]}, UsageError, "do not pair"),
        ({"training_people": ["a"] * 10 + list("bcdefghijk")[:10]}, UnsuitableError, "other people"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: dict, kind: type, words: str) -> None:
    rng = np.random.default_rng(7)
    given = {"training": rng.normal(size=(20, 8)), "held_out": rng.normal(size=(6, 8))}
    given |= {"generated": rng.normal(size=(9, 8))} | change
    with pytest.raises(kind, match=words):
        memorisation(**given)


def test_a_training_image_that_stands_there_twice_is_refused() -> None:
    rng = np.random.default_rng(8)
    training = rng.normal(size=(20, 8))
    training[15] = training[2]
    with pytest.raises(UnsuitableError, match="twice") as caught:
        memorisation(training, rng.normal(size=(6, 8)), rng.normal(size=(9, 8)))
    assert caught.value.found == "1 pairs, the first are rows 2 and 15"


def test_the_result_is_json_and_repeats_by_its_seed() -> None:
    import json

    found = judged(honest, 3)
    assert found == judged(honest, 3)
    assert json.loads(json.dumps(found.as_dict()))["n_training"] == 60
