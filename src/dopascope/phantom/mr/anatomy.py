"""How large a person's brain and its parts are: priors, age, what a disease takes. Plain numbers, from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from dopascope.errors import UsageError
from dopascope.phantom.people import GROUPS, Person

TEMPLATE_EXCESS: Final = 1.3
"""The template's brain over a typical adult's, by volume (docs/t1.md)."""
MALE_SHARE: Final = 0.06
"""Men's brains are so much larger, women's smaller, than the mean of both."""
BRAIN_SD: Final = 0.08
AXIS_SD: Final = 0.02
"""Relative spread of brain volume between people of one sex, and of each axis at a given volume."""
TEMPLATE_AGE: Final = 30.0
"""The template is the mean of young adults."""
SIDE_SD: Final = 0.02

PARTS: Final = ("caudate", "putamen", "midbrain", "pons")
SPREAD: Final[Mapping[str, float]] = MappingProxyType(
    {"caudate": 0.09, "putamen": 0.08, "midbrain": 0.09, "pons": 0.09, "ventricles": 0.35}
)
"""Standard deviation of the log of a volume between people of one age, sex and brain volume."""
PER_DECADE: Final[Mapping[str, float]] = MappingProxyType(
    {"caudate": -0.02, "putamen": -0.05, "midbrain": -0.015, "pons": -0.005, "ventricles": 0.20}
)
"""Change of the log of a volume with ten years of age."""
CORTEX_PER_DECADE: Final = 0.02
CORTEX_SPREAD: Final = 0.3
"""Share of cerebral grey matter lost at its fluid in ten years, and the spread of its log between people."""

PUTAMEN_IN_PD: Final = -0.16
"""Standardised difference of putamen volume, patients of all stages against controls, as ENIGMA reports it (Laansma et
al., preprint of 2020, doi 10.1101/2020.04.28.20072710; -0.14 in the paper of 2021, doi 10.1002/mds.28706), adjusted
for age, sex and intracranial volume."""
MIDBRAIN_LEFT_IN_PSP: Final = 0.75
PONS_LEFT_IN_PSP: Final = 0.82
"""Shares left, within what Bocchetta et al. 2020 report (doi 10.14802/jmd.19030): midbrain 24 to 26 % less, the least
affected of the brain stem's parts 18 % less."""
EFFECTS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "pd": {"putamen": PUTAMEN_IN_PD},
        "advanced_pd": {"putamen": PUTAMEN_IN_PD},
        "atypical": {
            "midbrain": round(log(MIDBRAIN_LEFT_IN_PSP) / SPREAD["midbrain"], 2),
            "pons": round(log(PONS_LEFT_IN_PSP) / SPREAD["pons"], 2),
        },
    }
)
"""Group -> part -> shift of the log of its volume in units of `SPREAD`, which is a standardised difference d at given
age, sex and brain volume. Groups that are not named have none: ET and SWEDD are healthy in T1."""
LARGEST_EFFECT: Final = 3.0
WARP_MM: Final = (1.0, 2.5)
WARP_LENGTH_MM: Final = (25.0, 35.0)


@dataclass(frozen=True)
class Anatomy:
    """What makes one brain unlike the template; volumes are those of the template's own parts, times these."""

    axes: tuple[float, float, float]
    """Size along x, y, z relative to the template."""
    parts: Mapping[str, float]
    """Structure (`atlas.brain.STRUCTURES`) -> volume relative to the template's at this size."""
    ventricles: float
    """The same of the ventricles."""
    cortex_lost: float
    """Share of cerebral grey matter that turned into fluid."""
    warp_mm: float
    warp_length_mm: float
    seed: int
    """Of the smooth displacement."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self) | {"parts": dict(self.parts)}


def draw_anatomy(person: Person, effect: float = 1.0) -> Anatomy:
    """The anatomy of `person`: age, sex and seed decide; `effect` times `EFFECTS` is what the group takes.

    Raises:
        UsageError: `effect` is not within 0 to `LARGEST_EFFECT`.
    """
    check_effect(effect)
    rng = np.random.default_rng([person.seed, GROUPS.index(person.group), 37])
    sex = 1 + MALE_SHARE if person.sex == "M" else 1 - MALE_SHARE
    volume = sex / TEMPLATE_EXCESS * np.exp(BRAIN_SD * rng.normal())
    skew = np.exp(AXIS_SD * rng.normal(size=3))
    axes = np.cbrt(volume) * skew / np.cbrt(skew.prod())
    decades = (person.age - TEMPLATE_AGE) / 10
    taken = EFFECTS.get(person.group, {})
    logs = {
        name: PER_DECADE[name] * decades + SPREAD[name] * (rng.normal() + effect * taken.get(name, 0.0))
        for name in (*PARTS, "ventricles")
    }
    apart = {name: SIDE_SD * rng.normal() for name in ("caudate", "putamen")}
    parts = {
        f"{name}_{side}": float(np.exp(logs[name] + sign * apart[name]))
        for name in apart
        for side, sign in (("left", -1), ("right", 1))
    }
    return Anatomy(
        axes=(float(axes[0]), float(axes[1]), float(axes[2])),
        parts=parts | {name: float(np.exp(logs[name])) for name in ("midbrain", "pons")},
        ventricles=float(np.exp(logs["ventricles"])),
        cortex_lost=float(max(CORTEX_PER_DECADE * decades, 0) * np.exp(CORTEX_SPREAD * rng.normal())),
        warp_mm=float(rng.uniform(*WARP_MM)),
        warp_length_mm=float(rng.uniform(*WARP_LENGTH_MM)),
        seed=int(rng.integers(2**31)),
    )


def check_effect(effect: float) -> None:
    """Raise UsageError for a scale of group effects that cannot be meant."""
    if isinstance(effect, bool) or not 0 <= effect <= LARGEST_EFFECT:
        raise UsageError(
            "The scale of group effects cannot be meant.",
            where="effect",
            found=effect,
            expected=f"0 (none) to {LARGEST_EFFECT:g}; 1 is what the literature reports",
            fix="Give --effect a number of that range.",
        )


def priors() -> dict[str, Any]:
    """Every number above, JSON-ready, for a cohort's plan."""
    return {
        "template_excess": TEMPLATE_EXCESS,
        "male_share": MALE_SHARE,
        "brain_sd": BRAIN_SD,
        "axis_sd": AXIS_SD,
        "side_sd": SIDE_SD,
        "template_age": TEMPLATE_AGE,
        "log_sd": dict(SPREAD),
        "log_per_decade": dict(PER_DECADE),
        "cortex_per_decade": CORTEX_PER_DECADE,
        "cortex_log_sd": CORTEX_SPREAD,
        "effects_d": {group: dict(parts) for group, parts in EFFECTS.items()},
        "warp_mm": WARP_MM,
        "warp_length_mm": WARP_LENGTH_MM,
    }
