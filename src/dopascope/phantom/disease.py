"""What each group of people has left of a healthy person's binding: shares per region, and how they fall with years."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

SIDES: Final = ("left", "right")
STRUCTURES: Final = ("caudate", "anterior_putamen", "posterior_putamen", "accumbens")
PUTAMEN_ML: Final[Mapping[str, float]] = {"anterior_putamen": 3.30, "posterior_putamen": 3.88}
"""Volumes of the two parts of one putamen, which weigh its ratio (Tian et al. 2020)."""

REMAINING: Final[Mapping[str, tuple[float, float]]] = {
    "caudate": (0.63, 0.75),
    "anterior_putamen": (0.38, 0.52),
    "posterior_putamen": (0.25, 0.38),
    "accumbens": (0.85, 0.90),
}
"""Mean share that is left at the diagnosis of PD, on the worse and on the better side: whole putamen .31 and .45
(Asenbaum 1998: .38 and .55 at Hoehn and Yahr I)."""
SEVERITY_SD: Final = 0.15
"""Relative spread of the remaining share between patients, all regions together."""
FLOOR: Final = 0.15
"""Share that no progression goes below; loss slows on the way (Pirker 2003)."""
LOSS_PER_YEAR: Final[Mapping[str, tuple[float, float]]] = {
    "caudate": (0.025, 0.010),
    "anterior_putamen": (0.050, 0.015),
    "posterior_putamen": (0.050, 0.015),
    "accumbens": (0.020, 0.010),
}
"""Mean and SD of the first year's loss, as a share of the value at diagnosis (Dzialas 2025: putamen 4 to 6 %, caudate
2 to 3 %; the accumbens is a guess)."""
YEARS: Final[Mapping[str, tuple[float, float]]] = {"pd": (0.0, 2.0), "advanced_pd": (5.0, 15.0)}
"""Years since diagnosis, even between the two."""

MILD_SHARE: Final = 0.26
"""SWEDD with a mild loss: 13 of 50 later had PD (PPMI)."""
MILD: Final = {"caudate": (0.80, 0.95), "anterior_putamen": (0.62, 0.80), "posterior_putamen": (0.50, 0.70)}
"""Share left on the worse side of a mild loss, even between the two; the other side keeps half of what is lost."""
BORDERLINE: Final = {"caudate": (0.85, 1.0), "anterior_putamen": (0.65, 0.85), "posterior_putamen": (0.58, 0.78)}
"""The same for a borderline case, whose other side keeps `BORDERLINE_OTHER` of what is lost."""
MILD_OTHER: Final = 0.5
BORDERLINE_OTHER: Final = 0.75
ATYPICAL_CAUDATE: Final = (0.50, 0.60)
ATYPICAL_ASYMMETRY: Final = 0.5
"""MSA and PSP: half the asymmetry of PD, caudate as much involved as the putamen."""
BURST_SHARE: Final = 0.25
BURST: Final = (0.10, 0.20)
"""Share left in a burst striatum, all regions, and how often it is met among the atypical."""

Shares = dict[str, float]


@dataclass(frozen=True)
class Loss:
    """What one person has left: `shares` region -> 0 to 1, the worse side, and the pattern where it has a name."""

    shares: Shares
    worse_side: str | None = None
    pattern: str | None = None
    abnormal: bool | None = False


def held(rng: np.random.Generator, mean: float, sd: float) -> float:
    """A normal draw, held within two standard deviations."""
    return float(mean + sd * np.clip(rng.normal(), -2, 2))


def none(_rng: np.random.Generator) -> Loss:
    """Nothing is lost, and nothing drawn."""
    return Loss(_everywhere(1.0))


def parkinson(rng: np.random.Generator) -> Loss:
    """At diagnosis: one severity for all regions, a small spread for each, one side worse."""
    worse_side = str(rng.choice(SIDES))
    return Loss(_asymmetric(rng, worse_side, REMAINING, spread=1.0), worse_side, abnormal=True)


def swedd(rng: np.random.Generator) -> Loss:
    """Mostly healthy; `MILD_SHARE` have a mild loss."""
    mild = bool(rng.random() < MILD_SHARE)
    loss = _one_sided(rng, MILD, MILD_OTHER)
    return Loss(loss.shares, loss.worse_side, "mild", abnormal=True) if mild else none(rng)


def borderline(rng: np.random.Generator) -> Loss:
    """One putamen between normal and PD: no reader could be sure, so that the truth is left open."""
    loss = _one_sided(rng, BORDERLINE, BORDERLINE_OTHER)
    return Loss(loss.shares, loss.worse_side, abnormal=None)


def atypical(rng: np.random.Generator) -> Loss:
    """MSA or PSP: nearly symmetric loss, caudate included; in some a burst striatum."""
    burst = bool(rng.random() < BURST_SHARE)
    worse_side = str(rng.choice(SIDES))
    remaining = {**REMAINING, "caudate": ATYPICAL_CAUDATE}
    shares = _asymmetric(rng, worse_side, remaining, spread=ATYPICAL_ASYMMETRY)
    if burst:
        level = float(rng.uniform(*BURST))
        shares = {region: level * held(rng, 1, 0.05) for region in shares}
        worse_side = lower_side(shares)
    return Loss(shares, worse_side, "burst" if burst else None, abnormal=True)


LOSSES: Final[Mapping[str, Callable[[np.random.Generator], Loss]]] = {
    "healthy": none,
    "pd": parkinson,
    "advanced_pd": parkinson,
    "et": none,
    "swedd": swedd,
    "atypical": atypical,
    "borderline": borderline,
}
"""Group -> how its loss is drawn."""


def progressed(rng: np.random.Generator, shares: Shares, years: float) -> Shares:
    """What is left `years` after diagnosis; the rates are drawn, the same for both sides.

    Towards `FLOOR` exponentially, with the first year's slope of `LOSS_PER_YEAR`, so that loss slows and the worse
    side's lead shrinks. A share already below the floor stays.
    """
    found = {}
    for structure in STRUCTURES:
        rate = max(held(rng, *LOSS_PER_YEAR[structure]), 0.0)
        for side in SIDES:
            start = shares[f"{structure}_{side}"]
            above = start - FLOOR
            left = above * np.exp(-rate * start / above * years) if above > 0 else above
            found[f"{structure}_{side}"] = float(FLOOR + left)
    return found


def putamen(values: Mapping[str, float], side: str) -> float:
    """The whole putamen of one side: its parts weighed by volume."""
    parts = sum(volume * values[f"{part}_{side}"] for part, volume in PUTAMEN_ML.items())
    return parts / sum(PUTAMEN_ML.values())


def lower_side(values: Mapping[str, float]) -> str:
    """The side with less in its putamen."""
    return min(SIDES, key=lambda side: putamen(values, side))


def _everywhere(share: float) -> Shares:
    return {f"{structure}_{side}": share for structure in STRUCTURES for side in SIDES}


def _asymmetric(
    rng: np.random.Generator, worse_side: str, remaining: Mapping[str, tuple[float, float]], *, spread: float
) -> Shares:
    severity = held(rng, 1, SEVERITY_SD)
    asymmetry = spread * float(rng.uniform(0.6, 1.2))
    found = {}
    for structure, (worse, better) in remaining.items():
        middle, half = (worse + better) / 2, asymmetry * (better - worse) / 2
        own = held(rng, 1, 0.05)
        for side in SIDES:
            share = (middle - half if side == worse_side else middle + half) * severity * own
            found[f"{structure}_{side}"] = float(np.clip(share, 0.12, 1))
    return found


def _one_sided(rng: np.random.Generator, limits: Mapping[str, tuple[float, float]], other: float) -> Loss:
    """One place between the limits for all structures; the other side keeps `other` of what the worse one lost."""
    worse_side, depth = str(rng.choice(SIDES)), float(rng.uniform())
    shares = _everywhere(1.0)
    for structure, (low, high) in limits.items():
        lost = 1 - (low + depth * (high - low))
        for side in SIDES:
            shares[f"{structure}_{side}"] = 1 - lost * (1.0 if side == worse_side else 1 - other)
    return Loss(shares, worse_side)
