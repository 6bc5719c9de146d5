"""People: the same seed is the same person, and the groups are what the priors say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope import phantom
from dopascope.errors import UsageError
from dopascope.phantom.disease import FLOOR, LOSS_PER_YEAR, REMAINING, YEARS
from dopascope.phantom.people import BINDING_REGIONS, HEALTHY_SBR, READER_THRESHOLD

SEEDS = range(2000, 2300)


def putamen(person: phantom.Person, side: str) -> float:
    return (person.sbr[f"anterior_putamen_{side}"] + person.sbr[f"posterior_putamen_{side}"]) / 2


def test_the_same_seed_is_the_same_person_and_another_is_not() -> None:
    assert phantom.draw_person(5, "pd") == phantom.draw_person(5, "pd")
    assert phantom.draw_person(5, "pd").age != phantom.draw_person(6, "pd").age
    assert phantom.draw_person(5, "pd").age != phantom.draw_person(5, "healthy").age


def test_a_person_survives_json() -> None:
    person = phantom.draw_person(8, "pd")
    stored = json.loads(json.dumps(person.as_dict()))
    assert phantom.Person(**{**stored, "axes": tuple(stored["axes"])}) == person


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        phantom.draw_person(1, "dlb")  # type: ignore[arg-type]
    assert "healthy" in caught.value.expected


def test_healthy_people_are_as_the_priors_say() -> None:
    people = [phantom.draw_person(seed, "healthy") for seed in SEEDS]
    left, right = (np.array([putamen(person, side) for person in people]) for side in ("left", "right"))
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(0.95, abs=0.04)
    ages = np.array([person.age for person in people])
    assert ages.min() >= 40
    assert ages.max() <= 85
    women = np.array([person.sex == "F" for person in people])
    design = np.stack([np.ones_like(ages), (ages - 60) / 10, women], 1)
    start, decade, female = np.linalg.lstsq(design, left, rcond=None)[0]
    assert decade / start == pytest.approx(-0.05, abs=0.015)
    assert female / start == pytest.approx(0.08, abs=0.04)
    assert start == pytest.approx((HEALTHY_SBR["anterior_putamen"] + HEALTHY_SBR["posterior_putamen"]) / 2, rel=0.04)
    assert all(person.worse_side is None and set(person.sbr) == set(BINDING_REGIONS) for person in people)


def test_disease_takes_more_from_the_worse_side_and_from_behind() -> None:
    people = [phantom.draw_person(seed, "pd", years=0) for seed in SEEDS]
    sides = [person.worse_side for person in people]
    assert 0.4 < sides.count("left") / len(sides) < 0.6
    for person in people:
        other = "left" if person.worse_side == "right" else "right"
        assert putamen(person, person.worse_side) < putamen(person, other)
    ratio = [person.sbr[f"posterior_putamen_{person.worse_side}"] for person in people]
    assert np.mean(ratio) / HEALTHY_SBR["posterior_putamen"] == pytest.approx(
        REMAINING["posterior_putamen"][0], abs=0.04
    )
    caudate = np.mean([person.sbr["caudate_left"] for person in people]) / HEALTHY_SBR["caudate"]
    assert caudate > 1.4 * np.mean([putamen(person, "left") for person in people]) / putamen_of_the_healthy()


def putamen_of_the_healthy() -> float:
    return (HEALTHY_SBR["anterior_putamen"] + HEALTHY_SBR["posterior_putamen"]) / 2


def asymmetry(person: phantom.Person) -> float:
    """|right - left| over their mean, whole putamen."""
    left, right = putamen(person, "left"), putamen(person, "right")
    return abs(right - left) / ((left + right) / 2)


def everybody(group: str) -> list[phantom.Person]:
    return [phantom.draw_person(seed, group) for seed in SEEDS]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), group=st.sampled_from(phantom.GROUPS))
def test_every_seed_is_somebody_possible(seed: int, group: str) -> None:
    person = phantom.draw_person(seed, group)
    assert person == phantom.draw_person(seed, group)
    assert 40 <= person.age <= 85
    assert person.sex in ("F", "M")
    assert set(person.sbr) == set(BINDING_REGIONS)
    assert all(0.1 < ratio < 14 for ratio in person.sbr.values())
    assert all(0.85 < axis < 1.08 for axis in person.axes)
    assert 1.0 <= person.warp_mm <= 2.5
    assert 0.6 < person.white < 1.1
    assert 0.2 < person.fluid < 0.5
    assert 0.2 < person.scalp < 0.65
    assert 0 <= person.glands <= 1.2
    assert 0 <= person.ventricles <= 1
    assert (person.years is not None) == (group in YEARS)
    if person.years is not None:
        assert YEARS[group][0] <= person.years <= YEARS[group][1]
    assert (person.abnormal is None) == (group == "borderline")
    assert person.lowest_putamen == pytest.approx(
        min(
            (3.30 * person.sbr[f"anterior_putamen_{s}"] + 3.88 * person.sbr[f"posterior_putamen_{s}"]) / 7.18
            for s in ("left", "right")
        )
    )
    json.dumps(person.as_dict())
    phantom.read_visually(person, seed)


def test_groups_stand_in_the_order_of_their_loss() -> None:
    mean = {group: np.mean([one.lowest_putamen for one in everybody(group)]) for group in phantom.GROUPS}
    assert mean["advanced_pd"] < 0.8 * mean["pd"]
    assert mean["pd"] < 0.5 * mean["borderline"]
    assert mean["borderline"] < 0.82 * mean["healthy"]
    assert mean["borderline"] < mean["swedd"] < mean["healthy"]
    assert mean["et"] == pytest.approx(mean["healthy"], rel=0.03)
    assert set(phantom.LABELS) == set(phantom.GROUPS)


def test_each_group_knows_what_is_abnormal() -> None:
    truth = {group: {one.abnormal for one in everybody(group)} for group in phantom.GROUPS}
    assert truth == {
        "healthy": {False},
        "pd": {True},
        "advanced_pd": {True},
        "et": {False},
        "swedd": {False, True},
        "atypical": {True},
        "borderline": {None},
    }
    mild = [one for one in everybody("swedd") if one.abnormal]
    assert len(mild) / len(SEEDS) == pytest.approx(0.26, abs=0.07)
    assert all(one.pattern == "mild" and one.worse_side is not None for one in mild)
    assert np.mean([one.lowest_putamen for one in mild]) < 0.75 * np.mean([p.lowest_putamen for p in everybody("et")])


def test_atypical_loss_is_more_symmetric_and_takes_the_caudate() -> None:
    atypical, disease = everybody("atypical"), everybody("pd")
    burst = [one for one in atypical if one.pattern == "burst"]
    others = [one for one in atypical if one.pattern is None]
    assert len(burst) / len(atypical) == pytest.approx(0.25, abs=0.07)
    assert np.mean([asymmetry(one) for one in others]) == pytest.approx(
        0.5 * np.mean([asymmetry(phantom.draw_person(seed, "pd", years=0)) for seed in SEEDS]), rel=0.15
    )
    caudate = [one.sbr["caudate_left"] for one in others]
    assert 0.5 < np.mean(caudate) / np.mean([one.sbr["caudate_left"] for one in everybody("healthy")]) < 0.6
    assert np.mean(caudate) < 0.9 * np.mean([one.sbr["caudate_left"] for one in disease])
    assert max(max(one.sbr.values()) for one in burst) < 2.6
    assert np.mean([one.white for one in burst]) > 1.1 * np.mean([one.white for one in others])


def test_a_borderline_case_lies_between_normal_and_disease_on_one_side() -> None:
    people = everybody("borderline")
    assert all(putamen(one, one.worse_side) < 0.98 * putamen(one, other(one.worse_side)) for one in people[:50])
    lowest = np.array([one.lowest_putamen for one in people])
    healthy = np.array([one.lowest_putamen for one in everybody("healthy")])
    disease = np.array([one.lowest_putamen for one in everybody("pd")])
    assert np.percentile(disease, 95) < np.median(lowest) < np.percentile(healthy, 15)


def other(side: str) -> str:
    return "left" if side == "right" else "right"


def test_disease_goes_on_with_the_years_at_the_published_rate_down_to_a_floor() -> None:
    drawn = {years: [phantom.draw_person(seed, "pd", years=years) for seed in SEEDS] for years in (0, 1, 5, 15, 40)}
    for region in BINDING_REGIONS:
        course = np.array([[one.sbr[region] for one in people] for people in drawn.values()])
        assert (np.diff(course, axis=0) <= 1e-12).all(), region
    for structure, rate in (("caudate", 0.025), ("posterior_putamen", 0.05)):
        first = [
            now.sbr[f"{structure}_left"] / then.sbr[f"{structure}_left"]
            for then, now in zip(drawn[0], drawn[1], strict=True)
        ]
        assert 1 - np.mean(first) == pytest.approx(rate, rel=0.15)
        assert LOSS_PER_YEAR[structure][0] == rate
    healthy = [phantom.draw_person(seed, "healthy") for seed in SEEDS]
    typical = np.mean([putamen(one, "left") for one in healthy])
    late = np.array([putamen(one, side) for one in drawn[40] for side in ("left", "right")])
    assert late.mean() / typical == pytest.approx(FLOOR, abs=0.05)
    shrinking = [np.mean([asymmetry(one) for one in drawn[years]]) for years in (0, 5, 15, 40)]
    assert shrinking == sorted(shrinking, reverse=True)
    assert shrinking[2] < 0.85 * shrinking[0]


def test_the_years_change_nothing_else() -> None:
    one, later = (phantom.draw_person(77, "pd", years=years).as_dict() for years in (1, 9))
    assert {name for name, value in one.items() if later[name] != value} == {"sbr", "years"}


@pytest.mark.parametrize(
    ("group", "years"), [("healthy", 3.0), ("et", 0.0), ("pd", -1.0), ("advanced_pd", 41.0), ("pd", float("nan"))]
)
def test_impossible_years_are_refused(group: str, years: float) -> None:
    with pytest.raises(UsageError) as caught:
        phantom.draw_person(1, group, years=years)
    assert caught.value.where == "years"


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True, None])
def test_an_impossible_seed_is_refused(seed: object) -> None:
    for draw in (lambda: phantom.draw_person(seed, "pd"), lambda: phantom.draw_group(seed)):
        with pytest.raises(UsageError) as caught:
            draw()
        assert caught.value.where == "seed"


def test_groups_are_drawn_in_their_shares() -> None:
    drawn = [phantom.draw_group(seed) for seed in range(3000)]
    for group, share in phantom.MIX.items():
        assert drawn.count(group) / len(drawn) == pytest.approx(share, abs=0.03)
    assert sum(phantom.MIX.values()) == pytest.approx(1)
    assert {phantom.draw_group(seed, {"pd": 0.5, "et": 0.5}) for seed in range(50)} == {"pd", "et"}
    assert phantom.draw_group(3) == phantom.draw_group(3)


@pytest.mark.parametrize(
    ("mix", "field"),
    [
        ({"pd": 0.5}, "mix"),
        ({"pd": 0.5, "dlb": 0.5}, "mix"),
        ({"pd": 1.5, "et": -0.5}, "mix.pd"),
        ({"et": -0.5, "pd": 1.5}, "mix.et"),
        ({"pd": float("nan"), "et": 1.0}, "mix.pd"),
        ({}, "mix"),
    ],
)
def test_an_impossible_mix_is_refused_by_the_name_of_its_field(mix, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        phantom.draw_group(1, mix)
    assert caught.value.where == field


def test_the_visual_reader_errs_most_at_its_limit() -> None:
    people = [phantom.draw_person(seed, phantom.draw_group(seed)) for seed in range(4000, 5200)]
    known = [one for one in people if one.abnormal is not None]
    wrong = [phantom.read_visually(one, 3) != one.abnormal for one in known]
    assert 0.01 <= np.mean(wrong) <= 0.05
    borderline = [phantom.read_visually(one, 3) for one in people if one.abnormal is None]
    assert 0.15 < np.mean(borderline) < 0.85
    near = next(one for one in people if abs(one.lowest_putamen - READER_THRESHOLD) < 0.05)
    calls = [phantom.read_visually(near, seed) for seed in range(400)]
    assert np.mean(calls) == pytest.approx(0.5, abs=0.15)
    assert calls == [phantom.read_visually(near, seed) for seed in range(400)]


def test_a_reader_without_noise_goes_by_the_limit_and_an_impossible_one_is_refused() -> None:
    for one in everybody("borderline"):
        assert phantom.read_visually(one, 1, noise=0) == (one.lowest_putamen < READER_THRESHOLD)
    for noise in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError) as caught:
            phantom.read_visually(phantom.draw_person(1, "pd"), 1, noise=noise)
        assert caught.value.where == "noise"
