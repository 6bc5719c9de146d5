"""Normals fitted by least squares: planted coefficients come back, held-out people have z of mean 0 and SD 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UnsuitableError
from dopascope.quant import HealthyPerson, Provenance, fit_normals
from dopascope.quant.fit import LEAST_PEOPLE
from dopascope.volume import Acquisition

CAMERA = Acquisition(manufacturer="Nobody", model="Eye", attenuation_corrected=False)


def person(number, age, sex, ratio, **known):
    return HealthyPerson(
        **{
            "name": f"p{number}",
            "age_years": age,
            "sex": sex,
            "method_id": "voi/brain/1",
            "acquisition": CAMERA,
            "sbr": {"putamen_left": ratio, "caudate_left": 2 * ratio},
        }
        | known
    )


def fitted(people):
    return fit_normals(people, name="them", population="planted", provenance=Provenance(how="by a test"))


def drawn(rng, number, *, intercept=3.0, slope=-0.012, female=0.25, sd=0.3, sexes="FM"):
    ages, sex = rng.uniform(40, 85, number), np.array(list(sexes))[np.arange(number) % len(sexes)]
    ratios = intercept + slope * ages + female * (sex == "F") + rng.normal(0, sd, number)
    return [person(n, float(a), str(s), float(r)) for n, (a, s, r) in enumerate(zip(ages, sex, ratios, strict=True))]


@settings(deadline=None, max_examples=30)
@given(st.floats(0.5, 8), st.floats(-0.05, 0.02), st.floats(-1, 1), st.floats(0.05, 1), st.integers(LEAST_PEOPLE, 60))
def test_planted_coefficients_and_sd_come_back_exactly(intercept, slope, female, sd, number):
    """Residuals at right angles to the design: least squares must return the planted line and SD to rounding."""
    rng = np.random.default_rng(number)
    ages, women = np.linspace(40, 85, number), np.arange(number) % 2
    design = np.column_stack([np.ones(number), ages, women])
    residuals = rng.normal(size=number)
    residuals -= design @ np.linalg.lstsq(design, residuals, rcond=None)[0]
    residuals *= sd * np.sqrt((number - 3) / (residuals**2).sum())
    ratios = design @ [intercept, slope, female] + residuals
    people = [
        person(n, float(a), "MF"[w], float(r)) for n, (a, w, r) in enumerate(zip(ages, women, ratios, strict=True))
    ]
    found = fitted(people).regions["putamen_left"]
    assert [found.intercept, found.age_slope, found.female, found.residual_sd] == pytest.approx(
        [intercept, slope, female, sd], rel=1e-6, abs=1e-8
    )
    assert np.allclose(np.array(found.unscaled_covariance) @ design.T @ design, np.eye(3), atol=1e-6)


def test_z_of_people_that_were_not_fitted_is_standard():
    """Over 300 fits of 20 people: mean and variance of held-out z against Student's t of 17 degrees of freedom.

    z = t here, so its variance is 17/15; without the line's own uncertainty it would be 17/15 * 1.15 and more.
    """
    rng = np.random.default_rng(7)
    z = []
    for _ in range(300):
        found = fitted(drawn(rng, LEAST_PEOPLE)).regions["putamen_left"]
        for one in drawn(rng, 20):
            z.append(
                (one.sbr["putamen_left"] - found.expected(one.age_years, one.sex))
                / found.spread(one.age_years, one.sex)
            )
    z = np.array(z)
    by_fit = z.reshape(300, 20).mean(1)
    assert abs(z.mean()) < 4 * by_fit.std() / np.sqrt(300)
    assert z.var() == pytest.approx(17 / 15, rel=0.08)


def test_the_effect_of_sex_moves_z():
    found = fitted(drawn(np.random.default_rng(1), 200, female=0.5)).regions["putamen_left"]
    woman, man = ((3.0 - found.expected(60, sex)) / found.spread(60, sex) for sex in ("F", "M"))
    assert man - woman == pytest.approx(0.5 / 0.3, rel=0.2)


def test_people_of_one_sex_give_normals_for_that_sex():
    found = fitted(drawn(np.random.default_rng(2), 30, sexes="M"))
    assert found.sex == "M"
    assert found.women == 0
    assert found.regions["putamen_left"].female is None
    assert len(found.regions["putamen_left"].unscaled_covariance) == 2
    assert found.wrong_sex("M") is None
    assert "men only" in found.wrong_sex("F")
    both = fitted(drawn(np.random.default_rng(2), 30))
    assert both.wrong_sex("F") is both.wrong_sex("M") is None


def test_what_was_fitted_is_stated():
    people = drawn(np.random.default_rng(3), 40)
    found = fitted(people)
    ages = [one.age_years for one in people]
    assert found.n == 40
    assert found.women == sum(one.sex == "F" for one in people)
    assert found.age_range == (min(ages), max(ages))
    assert found.simulated is False
    assert found.acquisition.model == "Eye"
    assert set(found.regions) == {"putamen_left", "caudate_left"}
    assert found.regions["caudate_left"].residual_sd == pytest.approx(2 * found.regions["putamen_left"].residual_sd)


def test_a_region_that_few_have_is_left_out():
    people = drawn(np.random.default_rng(4), 30)
    people = [replace(one, sbr=one.sbr | {"caudate_left": None}) if n < 11 else one for n, one in enumerate(people)]
    assert set(fitted(people).regions) == {"putamen_left"}


def changed(**known):
    return lambda people: [replace(people[0], **known), *people[1:]]


@pytest.mark.parametrize(
    ("spoil", "where", "found"),
    [
        (lambda people: people[: LEAST_PEOPLE - 1], "people", "19"),
        (changed(age_years=None), "age", "p0"),
        (changed(age_years=float("nan")), "age", "p0"),
        (changed(sex=None), "sex", "p0"),
        (changed(sex="O"), "sex", "p0"),
        (changed(method_id="other"), "method_id", "1 x other"),
        (changed(acquisition=replace(CAMERA, model="Ear")), "acquisition", "'Ear'"),
        (changed(acquisition=Acquisition()), "acquisition", "nothing stated"),
        (lambda people: [replace(one, age_years=50 + n / 10) for n, one in enumerate(people)], "age", "50 to 53.9"),
        (lambda people: [replace(one, sex="F" if n < 4 else "M") for n, one in enumerate(people)], "sex", "4 women"),
        (lambda people: [replace(one, sbr={}) for one in people], "regions", "none"),
        (lambda people: [replace(one, sbr={"putamen_left": 2.0}) for one in people], "putamen_left", "no spread"),
        (
            lambda people: [
                replace(one, age_years=40.0 if n < 20 else 80.0, sex="F" if n < 20 else "M")
                for n, one in enumerate(people)
            ],
            "caudate_left",
            "collinear",
        ),
    ],
)
def test_people_that_cannot_be_fitted_are_refused(spoil, where, found):
    with pytest.raises(UnsuitableError) as caught:
        fitted(spoil(drawn(np.random.default_rng(5), 40)))
    assert caught.value.where == where
    assert found in caught.value.found
    assert caught.value.expected
