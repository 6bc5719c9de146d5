"""Simulated people: who they are, how their head is shaped and what their striata bind. Plain numbers, from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import erf, sqrt
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import numpy as np

from dopascope import atlas
from dopascope.errors import UsageError
from dopascope.phantom.disease import LOSSES, SIDES, YEARS, Loss, held, lower_side, progressed, putamen

Group = Literal["healthy", "pd", "advanced_pd", "et", "swedd", "atypical", "borderline"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
"""`pd` is early Parkinson's disease. The order is part of the seeds: new groups go to the end."""
LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "healthy": "control",
        "pd": "PD",
        "advanced_pd": "PD",
        "et": "ET",
        "swedd": "SWEDD",
        "atypical": "MSA-PSP",
        "borderline": "borderline",
    }
)
"""Group -> its label in a cohort table."""
MIX: Final[Mapping[str, float]] = MappingProxyType(
    {
        "healthy": 0.30,
        "pd": 0.30,
        "advanced_pd": 0.10,
        "et": 0.10,
        "swedd": 0.05,
        "atypical": 0.08,
        "borderline": 0.07,
    }
)
"""Shares of the groups in a cohort that nothing else is said of."""
MIX_TOLERANCE: Final = 1e-6
LONGEST_YEARS: Final = 40.0
BINDING_REGIONS: Final = (*atlas.REGIONS, "accumbens_left", "accumbens_right")

HEALTHY_SBR: Final[Mapping[str, float]] = {
    "caudate": 8.4,
    "anterior_putamen": 5.0,
    "posterior_putamen": 5.2,
    "accumbens": 4.0,
}
"""True ratios of a man of 60. How they were chosen: docs/phantom.md."""

REFERENCE_AGE: Final = 60.0
PERSON_SD: Final = 0.10
STRUCTURE_SD: Final = 0.05
SIDE_SD: Final = 0.03
"""Relative spread of healthy ratios between people, structures of a person, and sides (left with right r about .95)."""
BURST_BACKGROUND: Final = 1.15
"""White matter's and scalp's uptake where the striatum is burst, over a healthy person's."""
READER_THRESHOLD: Final = 3.2
READER_NOISE: Final = 0.6
"""The visual reader's limit and its spread, in the true ratio of the lower putamen."""


@dataclass(frozen=True)
class Person:
    """One simulated person; every field is a plain number, string or tuple of them.

    `sbr` are true specific binding ratios to grey matter's unspecific uptake, before any camera.
    """

    seed: int
    group: str
    age: float
    sex: str
    worse_side: str | None
    """The side with less binding in the putamen, where something is lost; None for the healthy."""
    sbr: Mapping[str, float]
    """The six striatal regions and the accumbens of both sides -> true ratio."""
    axes: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Size of the head along x, y, z relative to the MNI template."""
    warp_mm: float = 0.0
    """Root mean square length of the smooth displacement inside the brain."""
    warp_scale_mm: float = 25.0
    """Full width at half maximum of the displacement's correlation kernel."""
    warp_seed: int = 0
    grey: float = 1.0
    white: float = 0.85
    fluid: float = 0.35
    scalp: float = 0.4
    thalamus: float = 0.35
    """Ratio in the thalamus, where the tracer binds to serotonin transporters."""
    glands: float = 0.4
    """Activity of the salivary glands as a share of the striatal peak that a camera of 10 mm sees."""
    ventricles: float = 0.0
    """0: as in the template; 1: widened by about 3 mm all round."""
    years: float | None = None
    """Since the diagnosis of PD; None for everybody else."""
    abnormal: bool | None = False
    """Whether binding is truly reduced; None where that is left open (borderline)."""
    pattern: str | None = None
    """`mild` (SWEDD with a loss), `burst` (atypical), or None."""

    @property
    def lowest_putamen(self) -> float:
        """True ratio of the whole putamen with less binding."""
        return putamen(self.sbr, lower_side(self.sbr))

    def as_dict(self) -> dict[str, Any]:
        """The person as JSON-ready data."""
        return asdict(self)


def draw_person(seed: int, group: Group, *, years: float | None = None) -> Person:
    """The person that `seed` stands for in `group`: the same seed gives the same person on every machine.

    Priors (Varrone 2013, Matsuda 2018, Asenbaum 1998, Nurmi 2001; `phantom.disease`): age 40 to 85; binding
    -5.0 +- 1.0 % a decade, women +8 +- 4 %; what is lost by group. `years` since diagnosis replaces the drawn ones.

    Raises:
        UsageError: `group` is not one of `GROUPS`, `seed` is not a whole number from 0 on, or `years` are given for a
            group without PD or are not 0 to `LONGEST_YEARS`.
    """
    if group not in GROUPS:
        raise UsageError("There is no such group of people.", where="group", found=group, expected=GROUPS)
    check_seed(seed)
    _check_years(group, years)
    rng = np.random.default_rng([seed, GROUPS.index(group)])
    age, sex = float(rng.uniform(40, 85)), str(rng.choice(["F", "M"]))
    decline, women = held(rng, 0.05, 0.01), held(rng, 0.08, 0.04)
    level = (1 - decline * (age - REFERENCE_AGE) / 10) * (1 + women * (sex == "F")) * held(rng, 1, PERSON_SD)
    healthy = _healthy(rng, level)
    loss = LOSSES[group](rng)
    size = held(rng, 0.97, 0.02)
    x, y, z = (float(size * held(rng, 1, 0.02)) for _ in range(3))
    anatomy = _anatomy(rng, age, loss)
    shares = loss.shares
    if group in YEARS:
        drawn = float(rng.uniform(*YEARS[group]))
        years = round(drawn if years is None else float(years), 2)
        shares = progressed(rng, shares, years)
    return Person(
        seed=seed,
        group=group,
        age=round(age, 1),
        sex=sex,
        worse_side=loss.worse_side,
        sbr={region: value * shares[region] for region, value in healthy.items()},
        axes=(x, y, z),
        years=years,
        abnormal=loss.abnormal,
        pattern=loss.pattern,
        **anatomy,
    )


def _anatomy(rng: np.random.Generator, age: float, loss: Loss) -> dict[str, Any]:
    """Warp, tissue uptakes and ventricles; their order is part of the seeds."""
    burst = BURST_BACKGROUND if loss.pattern == "burst" else 1.0
    return {
        "warp_mm": float(rng.uniform(1.0, 2.5)),
        "warp_scale_mm": float(rng.uniform(25, 35)),
        "warp_seed": int(rng.integers(2**31)),
        "white": burst * held(rng, 0.8, 0.04),
        "fluid": held(rng, 0.35, 0.06),
        "scalp": burst * held(rng, 0.4, 0.06),
        "thalamus": held(rng, 0.35, 0.08),
        "glands": float(rng.uniform(0, 1.2)),
        "ventricles": float(rng.beta(1.5, 3) * np.clip((age - 40) / 40, 0.2, 1)),
    }


def _healthy(rng: np.random.Generator, level: float) -> dict[str, float]:
    found = {}
    for structure, typical in HEALTHY_SBR.items():
        both = typical * level * held(rng, 1, STRUCTURE_SD)
        for side in SIDES:
            found[f"{structure}_{side}"] = both * held(rng, 1, SIDE_SD)
    return found


def check_seed(seed: object) -> None:
    """Raise UsageError for what is not a whole number from 0 on."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError("This is no seed.", where="seed", found=repr(seed), expected="a whole number, 0 or more")


def _check_years(group: str, years: float | None) -> None:
    if years is None:
        return
    if group not in YEARS:
        raise UsageError(
            "Years since diagnosis mean nothing in this group.",
            where="years",
            found=f"{years} for {group}",
            expected=f"none, or one of the groups {', '.join(YEARS)}",
        )
    if not 0 <= years <= LONGEST_YEARS:
        raise UsageError(
            "These cannot be years since diagnosis.", where="years", found=years, expected=f"0 to {LONGEST_YEARS:g}"
        )


def check_mix(mix: Mapping[str, float]) -> dict[str, float]:
    """The shares of all `GROUPS`, those not named being 0.

    Raises:
        UsageError: an unknown group, a share outside 0 to 1, or shares that do not add up to 1.
    """
    for group, share in mix.items():
        if group not in GROUPS:
            raise UsageError("There is no such group of people.", where="mix", found=group, expected=GROUPS)
        if not 0 <= share <= 1:
            raise UsageError(
                "This is no share.", where=f"mix.{group}", found=share, expected="0 to 1", fix="Write .3 for 30 %."
            )
    total = float(sum(mix.values()))
    if abs(total - 1) > MIX_TOLERANCE:
        raise UsageError(
            "The shares of the groups do not add up.",
            where="mix",
            found=f"{total:g}",
            expected="1",
            fix="Name every group that is wanted with its share, such as healthy=0.5,pd=0.5.",
        )
    return {group: float(mix.get(group, 0.0)) for group in GROUPS}


def draw_group(seed: int, mix: Mapping[str, float] = MIX) -> Group:
    """The group that `seed` falls into under the shares of `mix`.

    Raises:
        UsageError: as `check_mix` and `check_seed`.
    """
    check_seed(seed)
    shares = check_mix(mix)
    place = np.random.default_rng([seed, 23]).random() * sum(shares.values())
    possible = [group for group in GROUPS if shares[group] > 0]
    reached = np.cumsum([shares[group] for group in possible])
    return possible[min(int(np.searchsorted(reached, place, side="right")), len(possible) - 1)]


def read_visually(person: Person, seed: int, noise: float = READER_NOISE) -> bool:
    """What a visual reader calls `person`: True for reduced. Probit in the true lowest putamen ratio.

    P(reduced) = Phi((`READER_THRESHOLD` - lowest putamen) / `noise`); the draw depends on `seed` and the person's own.

    Raises:
        UsageError: `noise` is negative, or `seed` is no seed.
    """
    check_seed(seed)
    if not 0 <= noise < float("inf"):
        raise UsageError("This is no spread.", where="noise", found=noise, expected="0 or more, finite")
    below = READER_THRESHOLD - person.lowest_putamen
    if noise == 0:
        return below > 0
    probability = (1 + erf(below / noise / sqrt(2))) / 2
    rng = np.random.default_rng([seed, person.seed, GROUPS.index(person.group), 29])
    return bool(rng.random() < probability)
