"""Simulated people: who they are, how their head is shaped and what their striata bind. Plain numbers, from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from dopascope import atlas
from dopascope.errors import UsageError

Group = Literal["healthy", "pd"]
GROUPS: Final = ("healthy", "pd")
SIDES: Final = ("left", "right")
BINDING_REGIONS: Final = (*atlas.REGIONS, "accumbens_left", "accumbens_right")

HEALTHY_SBR: Final[Mapping[str, float]] = {
    "caudate": 6.3,
    "anterior_putamen": 4.2,
    "posterior_putamen": 3.7,
    "accumbens": 3.2,
}
"""True ratios of a man of 60. A camera of 12 mm recovers about 2.8 in the caudate and 2.3 in the putamen over the
occipital region (published for that class: 2.9 +- .55 and 2.1 +- .40). How they were chosen: docs/phantom.md."""
REMAINING: Final[Mapping[str, tuple[float, float]]] = {
    "caudate": (0.62, 0.76),
    "anterior_putamen": (0.38, 0.53),
    "posterior_putamen": (0.25, 0.39),
    "accumbens": (0.85, 0.90),
}
"""Mean share that is left in PD, on the worse and on the better side: whole putamen .32 and .46 (Asenbaum 1998: .38
and .55 at Hoehn and Yahr I). A camera of 12 mm then recovers about 2.0 in the caudate and 1.1 in the putamen (PPMI
at baseline: 1.99 +- .60 and .83 +- .30)."""

REFERENCE_AGE: Final = 60.0
PERSON_SD: Final = 0.10
STRUCTURE_SD: Final = 0.05
SIDE_SD: Final = 0.03
"""Relative spread of healthy ratios between people, structures of a person, and sides (left with right r about .95)."""
SEVERITY_SD: Final = 0.15
"""Relative spread of the remaining share between patients, all regions together."""


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
    """The side with less binding in the putamen, for the group `pd`; None for `healthy`."""
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

    def as_dict(self) -> dict[str, Any]:
        """The person as JSON-ready data."""
        return asdict(self)


def draw_person(seed: int, group: Group) -> Person:
    """The person that `seed` stands for in `group`: the same seed gives the same person on every machine.

    Priors (Varrone 2013, Matsuda 2018, Asenbaum 1998, Nurmi 2001): age 40 to 85; binding
    -5.0 +- 1.0 % a decade, women +8 +- 4 %; in PD the share of `REMAINING` is left, worse on one side drawn at random.

    Raises:
        UsageError: `group` is not one of `GROUPS`.
    """
    if group not in GROUPS:
        raise UsageError("There is no such group of people.", where="group", found=group, expected=GROUPS)
    rng = np.random.default_rng([seed, GROUPS.index(group)])
    age, sex = float(rng.uniform(40, 85)), str(rng.choice(["F", "M"]))
    decline, women = _normal(rng, 0.05, 0.01), _normal(rng, 0.08, 0.04)
    level = (1 - decline * (age - REFERENCE_AGE) / 10) * (1 + women * (sex == "F")) * _normal(rng, 1, PERSON_SD)
    sbr = _healthy(rng, level)
    worse_side = None
    if group == "pd":
        worse_side = str(rng.choice(SIDES))
        sbr = _reduced(rng, sbr, worse_side)
    size = _normal(rng, 0.97, 0.02)
    x, y, z = (float(size * _normal(rng, 1, 0.02)) for _ in range(3))
    return Person(
        seed=seed,
        group=group,
        age=round(age, 1),
        sex=sex,
        worse_side=worse_side,
        sbr=sbr,
        axes=(x, y, z),
        warp_mm=float(rng.uniform(1.0, 2.5)),
        warp_scale_mm=float(rng.uniform(25, 35)),
        warp_seed=int(rng.integers(2**31)),
        white=_normal(rng, 0.8, 0.04),
        fluid=_normal(rng, 0.35, 0.06),
        scalp=_normal(rng, 0.4, 0.06),
        thalamus=_normal(rng, 0.35, 0.08),
        glands=float(rng.uniform(0, 1.2)),
        ventricles=float(rng.beta(1.5, 3) * np.clip((age - 40) / 40, 0.2, 1)),
    )


def _normal(rng: np.random.Generator, mean: float, sd: float) -> float:
    """A normal draw, held within two standard deviations."""
    return float(mean + sd * np.clip(rng.normal(), -2, 2))


def _healthy(rng: np.random.Generator, level: float) -> dict[str, float]:
    found = {}
    for structure, typical in HEALTHY_SBR.items():
        both = typical * level * _normal(rng, 1, STRUCTURE_SD)
        for side in SIDES:
            found[f"{structure}_{side}"] = both * _normal(rng, 1, SIDE_SD)
    return found


def _reduced(rng: np.random.Generator, sbr: Mapping[str, float], worse_side: str) -> dict[str, float]:
    """What Parkinson's disease leaves: one severity for all regions, a small spread for each, one side worse."""
    severity = _normal(rng, 1, SEVERITY_SD)
    asymmetry = float(rng.uniform(0.6, 1.2))
    found = {}
    for structure, (worse, better) in REMAINING.items():
        middle, half = (worse + better) / 2, asymmetry * (better - worse) / 2
        own = _normal(rng, 1, 0.05)
        for side in SIDES:
            share = (middle - half if side == worse_side else middle + half) * severity * own
            found[f"{structure}_{side}"] = sbr[f"{structure}_{side}"] * float(np.clip(share, 0.12, 1))
    return found
