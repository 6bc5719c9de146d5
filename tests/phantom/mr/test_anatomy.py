"""What groups take from volumes: what is stated is what many people show, and nothing where nothing is stated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dopascope.errors import UsageError
from dopascope.phantom import GROUPS, Person, draw_person
from dopascope.phantom.mr.anatomy import (
    EFFECTS,
    MIDBRAIN_LEFT_IN_PSP,
    PARTS,
    PUTAMEN_IN_PD,
    SPREAD,
    draw_anatomy,
    priors,
)
from dopascope.phantom.mr.brain import template

PEOPLE = 4000


def volumes(group: str, part: str, effect: float = 1.0, first: int = 0) -> np.ndarray:
    """(N, 4): ml, age, sex, log of brain size of many people of a group."""
    brain = template()
    rows = []
    for seed in range(first, first + PEOPLE):
        person = draw_person(seed, group)  # type: ignore[arg-type]
        anatomy = draw_anatomy(person, effect)
        size = float(np.prod(anatomy.axes))
        names = [name for name in anatomy.parts if name.startswith(part)]
        ml = sum(brain.counts[name] * size * anatomy.parts[name] for name in names) / 1000
        rows.append((ml, person.age, person.sex == "M", np.log(size)))
    return np.array(rows, float)


def standardised_difference(patients: np.ndarray, controls: np.ndarray) -> tuple[float, float]:
    """Cohen's d of volume adjusted for age, sex and brain size, as ENIGMA computes it, and half its 95 % interval."""
    both = np.concatenate([patients, controls])
    group = np.r_[np.ones(len(patients)), np.zeros(len(controls))]
    design = np.column_stack([group, np.ones(len(both)), both[:, 1:]])
    fitted, *_ = np.linalg.lstsq(design, both[:, 0], rcond=None)
    spread = np.sqrt(((both[:, 0] - design @ fitted) ** 2).sum() / (len(both) - design.shape[1]))
    n, m = len(patients), len(controls)
    d = fitted[0] / spread
    return d, stats.norm.ppf(0.975) * np.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m)))


@pytest.fixture(scope="module")
def controls() -> dict[str, np.ndarray]:
    return {part: volumes("healthy", part, first=50_000) for part in ("putamen", "midbrain", "pons")}


@pytest.mark.parametrize("group", ["pd", "advanced_pd"])
def test_putamen_in_parkinsons_disease_is_smaller_by_what_is_stated(
    controls: dict[str, np.ndarray], group: str
) -> None:
    d, half = standardised_difference(volumes(group, "putamen"), controls["putamen"])
    assert abs(d - PUTAMEN_IN_PD) < half
    assert abs(d) > half  # so many people tell it from none


@pytest.mark.parametrize("group", ["pd", "atypical"])
@pytest.mark.parametrize("part", ["putamen", "midbrain"])
def test_with_effect_zero_nothing_is_taken(controls: dict[str, np.ndarray], group: str, part: str) -> None:
    d, half = standardised_difference(volumes(group, part, effect=0.0), controls[part])
    assert abs(d) < half


@pytest.mark.parametrize("part", ["putamen", "midbrain", "pons"])
def test_essential_tremor_takes_nothing(controls: dict[str, np.ndarray], part: str) -> None:
    d, half = standardised_difference(volumes("et", part), controls[part])
    assert abs(d) < half


def test_midbrain_and_pons_of_psp_are_smaller_by_the_stated_shares(controls: dict[str, np.ndarray]) -> None:
    for part in ("midbrain", "pons"):
        left = np.exp(EFFECTS["atypical"][part] * SPREAD[part])
        patients = volumes("atypical", part)
        logs = np.log(patients[:, 0]) - patients[:, 3], np.log(controls[part][:, 0]) - controls[part][:, 3]
        apart = logs[0].mean() - logs[1].mean()
        error = np.sqrt(sum(one.var() / len(one) for one in logs))
        assert abs(apart - np.log(left)) < 4 * error
    assert np.exp(EFFECTS["atypical"]["midbrain"] * SPREAD["midbrain"]) == pytest.approx(MIDBRAIN_LEFT_IN_PSP, abs=0.01)


def test_twice_the_effect_is_twice_the_shift_of_the_same_people() -> None:
    person = draw_person(7, "pd")
    none, once, twice = (np.log(draw_anatomy(person, effect).parts["putamen_left"]) for effect in (0.0, 1.0, 2.0))
    assert once - none == pytest.approx(PUTAMEN_IN_PD * SPREAD["putamen"])
    assert twice - once == pytest.approx(once - none)
    assert draw_anatomy(person, 0.0).axes == draw_anatomy(person, 2.0).axes


def test_groups_differ_in_stated_parts_alone() -> None:
    assert set(EFFECTS) <= set(GROUPS)
    assert {part for parts in EFFECTS.values() for part in parts} <= set(PARTS)
    assert all(d < 0 for parts in EFFECTS.values() for d in parts.values())
    for group in GROUPS:
        person = draw_person(11, group)
        none, once = draw_anatomy(person, 0.0), draw_anatomy(person, 1.0)
        changed = {name.rsplit("_", 1)[0] for name in once.parts if once.parts[name] != none.parts[name]}
        assert changed == set(EFFECTS.get(group, {}))
        assert (once.ventricles, once.cortex_lost, once.seed) == (none.ventricles, none.cortex_lost, none.seed)


def test_ventricles_grow_and_cortex_thins_with_age() -> None:
    people = [draw_person(seed, "healthy") for seed in range(600)]
    drawn = [draw_anatomy(one) for one in people]
    ages = np.array([one.age for one in people])
    for values, sign in (
        (np.log([one.ventricles for one in drawn]), 1),
        ([one.cortex_lost for one in drawn], 1),
        (np.log([one.parts["putamen_left"] for one in drawn]), -1),
    ):
        found = stats.linregress(ages, values)
        assert found.slope * sign > 4 * found.stderr


def test_men_have_larger_brains() -> None:
    sizes: dict[str, list[float]] = {"F": [], "M": []}
    for seed in range(400):
        person = draw_person(seed, "healthy")
        sizes[person.sex].append(float(np.prod(draw_anatomy(person).axes)))
    assert np.mean(sizes["M"]) > np.mean(sizes["F"]) * 1.05


@pytest.mark.parametrize("effect", [-0.1, 3.1, float("nan"), True])
def test_impossible_effects_are_refused(effect: float) -> None:
    with pytest.raises(UsageError) as refused:
        draw_anatomy(draw_person(1, "pd"), effect)
    assert refused.value.where == "effect"


def test_priors_name_every_effect() -> None:
    assert priors()["effects_d"] == {group: dict(parts) for group, parts in EFFECTS.items()}


def test_a_person_decides() -> None:
    person: Person = draw_person(5, "healthy")
    assert draw_anatomy(person) == draw_anatomy(person)
    assert draw_anatomy(person) != draw_anatomy(draw_person(6, "healthy"))
