"""People: the same seed is the same person, and the groups are what the priors say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dopascope import phantom
from dopascope.errors import UsageError
from dopascope.phantom.people import BINDING_REGIONS, HEALTHY_SBR, REMAINING

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
        phantom.draw_person(1, "msa")  # type: ignore[arg-type]
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
    people = [phantom.draw_person(seed, "pd") for seed in SEEDS]
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
