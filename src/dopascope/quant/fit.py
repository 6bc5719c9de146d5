"""Fitting normal values to healthy people by ordinary least squares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnsuitableError
from dopascope.quant import voi
from dopascope.quant.conditions import Conditions
from dopascope.quant.normals import Normals, Regression
from dopascope.quant.stored import Provenance
from dopascope.volume import Acquisition, Sex

LEAST_PEOPLE: Final = 20
"""With 20 people the residual SD is known to 17 %, and a z of -2 may be one of -1.5 or -2.9."""
LEAST_OF_A_SEX: Final = 5
"""Fewer women or men than this do not carry an effect of sex; there must be none of them or as many."""
LEAST_AGE_SPAN: Final = 10.0
"""Years from the youngest to the oldest; a slope with age is not known from less."""


@dataclass(frozen=True)
class HealthyPerson:
    """One healthy person's ratios, how they were measured, and what the regression needs."""

    name: str
    age_years: float | None
    sex: str | None
    method_id: str
    acquisition: Acquisition
    sbr: Mapping[str, float | None]
    """Region -> ratio; None where it could not be measured."""


def fit_normals(people: Sequence[HealthyPerson], *, name: str, population: str, provenance: Provenance) -> Normals:
    """Normal values of healthy people: each region's ratio on age and sex.

    A region that fewer than `LEAST_PEOPLE` have is left out. With people of one sex there is no effect of sex, and
    the normals hold for that sex only.

    Args:
        people: all measured by one method under the same conditions.
        name: by which readings name these normals.
        population: who they are, in words.
        provenance: where they come from.

    Raises:
        UnsuitableError: too few people, an age or sex that is not known, an age span too short, too few of a sex,
            several methods or acquisitions, or no region with enough ratios.
    """
    _check_people(people)
    ages = np.array([one.age_years for one in people], float)
    women = np.array([one.sex == "F" for one in people])
    design = np.column_stack([np.ones(len(people)), ages, women.astype(float)])
    both = 0 < women.sum() < len(people)
    regions = {}
    for region in voi.MEASURED:
        ratios = np.array([np.nan if (v := one.sbr.get(region)) is None else v for one in people], float)
        known = np.isfinite(ratios)
        if known.sum() >= LEAST_PEOPLE:
            regions[region] = _regression(design[known] if both else design[known, :2], ratios[known], region)
    if not regions:
        raise _refused("Too few people have a ratio.", "regions", "none of any region", f"at least {LEAST_PEOPLE}")
    only: Sex = "F" if women.any() else "M"
    conditions = Conditions.of(people[0].acquisition)
    return Normals(
        name=name,
        method_id=people[0].method_id,
        population=population,
        simulated=conditions.simulated,
        n=len(people),
        women=int(women.sum()),
        age_range=(float(ages.min()), float(ages.max())),
        sex=None if both else only,
        acquisition=conditions,
        provenance=provenance,
        regions=regions,
    )


def _regression(design: NDArray[np.float64], ratios: NDArray[np.float64], region: str) -> Regression:
    """Ordinary least squares: b = (X'X)^-1 X'y, s^2 = |y - Xb|^2 / (n - p)."""
    n, p = design.shape
    if np.linalg.matrix_rank(design) < p:
        raise _refused(
            "Age and sex cannot be told apart.", region, "collinear ages and sexes", "both sexes at all ages"
        )
    unscaled = np.linalg.inv(design.T @ design)
    found = np.linalg.lstsq(design, ratios, rcond=None)[0]
    residual_sd = float(np.sqrt(((ratios - design @ found) ** 2).sum() / (n - p)))
    if residual_sd <= 1e-9 * float(np.abs(ratios).max()):
        raise _refused("These people do not differ.", region, "no spread about the fitted line", "measured ratios")
    return Regression(
        intercept=float(found[0]),
        age_slope=float(found[1]),
        female=float(found[2]) if p > 2 else None,
        residual_sd=residual_sd,
        unscaled_covariance=tuple(tuple(float(v) for v in row) for row in (unscaled + unscaled.T) / 2),
    )


def _check_people(people: Sequence[HealthyPerson]) -> None:
    if len(people) < LEAST_PEOPLE:
        raise _refused("There are too few healthy people.", "people", len(people), f"at least {LEAST_PEOPLE}")
    for field, known in (
        ("age", [one.age_years is not None and np.isfinite(one.age_years) for one in people]),
        ("sex", [one.sex in ("F", "M") for one in people]),
    ):
        without = [one.name for one, good in zip(people, known, strict=True) if not good]
        if without:
            some = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
            raise _refused(f"The {field} of a healthy person is not known.", field, some, f"the {field} of everybody")
    methods = Counter(one.method_id for one in people)
    if len(methods) > 1:
        raise _refused("These people were measured by several methods.", "method_id", _counted(methods), "one method")
    conditions = Counter(str(Conditions.of(one.acquisition)) for one in people)
    if len(conditions) > 1:
        raise _refused(
            "These scans were not made alike.", "acquisition", _counted(conditions), "one camera and reconstruction"
        )
    ages = [one.age_years for one in people if one.age_years is not None]
    if max(ages) - min(ages) < LEAST_AGE_SPAN:
        span = f"{min(ages):g} to {max(ages):g} years"
        raise _refused("These people are of nearly one age.", "age", span, f"a span of {LEAST_AGE_SPAN:g} years")
    women = sum(one.sex == "F" for one in people)
    if 0 < min(women, len(people) - women) < LEAST_OF_A_SEX:
        found = f"{women} women and {len(people) - women} men"
        raise _refused("There are too few of one sex.", "sex", found, f"at least {LEAST_OF_A_SEX} of each, or one sex")


def _counted(found: Counter[str]) -> str:
    return "; ".join(f"{number} x {what}" for what, number in found.most_common(5))


def _refused(what: str, where: str, found: object, expected: str) -> UnsuitableError:
    return UnsuitableError(
        what,
        where=where,
        found=found,
        expected=expected,
        fix="Correct the cohort table, or choose the healthy people of one camera and one method.",
    )
