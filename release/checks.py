"""The release checks as numbers: each with n, an interval and the published range it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dopascope.score import auroc_of_people

Lines = Sequence[dict[str, Any]]
Array = NDArray[np.float64]

DRAWS = 2000
"""Bootstrap draws of people, stratified by group; the seed is 1."""
NORMAL_AGE = 60.0
LABELS = {
    "healthy": "healthy",
    "pd": "early PD",
    "advanced_pd": "advanced PD",
    "et": "ET",
    "swedd": "SWEDD",
    "atypical": "MSA/PSP-like",
    "borderline": "borderline",
}


@dataclass(frozen=True)
class Check:
    """One figure beside what is published."""

    name: str
    value: float
    interval: tuple[float, float]
    n: int
    published: tuple[float, float] | None
    source: str
    remark: str = ""
    unit: str = ""

    @property
    def inside(self) -> bool | None:
        """Whether the value lies in the published range; None where there is none."""
        if self.published is None:
            return None
        low, high = self.published
        return low <= self.value <= high

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "inside": self.inside}


def lower_putamen(line: dict[str, Any], reference: str = "whole_brain") -> float:
    """The single feature: the ratio of the putamen with less."""
    found = line[reference]
    return float(min(found["putamen_left"], found["putamen_right"]))


def mean_of(region: str, reference: str) -> Callable[[dict[str, Any]], float]:
    """Mean over the sides of a region's ratio."""
    return lambda line: (line[reference][f"{region}_left"] + line[reference][f"{region}_right"]) / 2


def asymmetry(region: str) -> Callable[[dict[str, Any]], float]:
    """Unsigned asymmetry in %: |R - L| over their mean."""

    def index(line: dict[str, Any]) -> float:
        left, right = (line["occipital"][f"{region}_{side}"] for side in ("left", "right"))
        return float(200 * abs(left - right) / (left + right))

    return index


def caudate_to_putamen(line: dict[str, Any]) -> float:
    """The larger of the two sides' ratios, as it is published."""
    found = line["occipital"]
    return float(max(found[f"caudate_{side}"] / found[f"putamen_{side}"] for side in ("left", "right")))


def mean_check(
    lines: Lines,
    feature: Callable[[dict[str, Any]], float],
    name: str,
    published: tuple[float, float] | None,
    source: str,
    unit: str,
) -> Check:
    """Mean of a feature over people, with a bootstrap interval."""
    values = np.array([feature(line) for line in lines])
    rng = np.random.default_rng(1)
    draws = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(DRAWS)])
    sd = f"SD {values.std(ddof=1):.2f}"
    return Check(name, float(values.mean()), _ends(draws), len(values), published, source, sd, unit)


def share(found: int, n: int) -> tuple[float, tuple[float, float]]:
    """A share with its exact (Clopper and Pearson 1934) 95 % interval."""
    from scipy.stats import beta

    low = 0.0 if found == 0 else float(beta.ppf(0.025, found, n - found + 1))
    high = 1.0 if found == n else float(beta.ppf(0.975, found + 1, n - found))
    return found / n, (low, high)


PPMI = "PPMI baseline, historical series, mean -+ 1 SD"
CORRECTED = "PMC4182457, range over three corrections"
POPULATION: tuple[tuple[str, str, Callable[[dict[str, Any]], float], tuple[float, float], str, str], ...] = (
    ("caudate ratio", "healthy", mean_of("caudate", "occipital"), (2.38, 3.58), PPMI, ""),
    ("putamen ratio", "healthy", mean_of("putamen", "occipital"), (1.59, 2.69), PPMI, ""),
    ("caudate ratio", "pd", mean_of("caudate", "occipital"), (1.39, 2.59), PPMI, ""),
    ("putamen ratio", "pd", mean_of("putamen", "occipital"), (0.53, 1.13), PPMI, ""),
    ("caudate to putamen, larger side", "healthy", caudate_to_putamen, (1.75, 1.93), CORRECTED, ""),
    ("caudate to putamen, larger side", "pd", caudate_to_putamen, (2.4, 2.7), CORRECTED, ""),
    ("asymmetry of the putamen", "healthy", asymmetry("putamen"), (7, 9.1), CORRECTED, "%"),
    ("asymmetry of the putamen", "pd", asymmetry("putamen"), (18.8, 23.3), CORRECTED, "%"),
    ("asymmetry of the caudate", "healthy", asymmetry("caudate"), (6.5, 7.1), CORRECTED, "%"),
    ("asymmetry of the caudate", "pd", asymmetry("caudate"), (12.6, 15.2), CORRECTED, "%"),
)
"""What, group, feature, published range, where from, unit; ratios over the occipital region."""


def population(lines: Lines) -> list[Check]:
    """Ratios, indices and the slopes of age and sex, at one site."""
    checks = []
    for what, group, feature, published, source, unit in POPULATION:
        people = [line for line in lines if line["group"] == group]
        checks.append(mean_check(people, feature, f"{what}, {LABELS[group]}", published, source, unit))
    return checks + slopes([line for line in lines if line["group"] == "healthy"])


def slopes(healthy: Lines) -> list[Check]:
    """Change of the striatal ratio with age and sex in healthy people, by least squares on both."""
    ratio = np.array([mean_of("striatum", "whole_brain")(line) for line in healthy])
    age = np.array([line["age"] for line in healthy])
    design = np.stack([np.ones(len(age)), (age - NORMAL_AGE) / 10, [line["sex"] == "F" for line in healthy]], 1)

    def fitted(index: NDArray[np.intp]) -> Array:
        found: Array = np.linalg.lstsq(design[index].astype(float), ratio[index], rcond=None)[0]
        return found

    at_60 = fitted(np.arange(len(age)))
    rng = np.random.default_rng(1)
    draws = np.array([fitted(rng.integers(0, len(age), len(age))) for _ in range(DRAWS)])
    decade, women = 100 * draws[:, 1] / draws[:, 0], 100 * draws[:, 2] / draws[:, 0]
    per_decade, more = (float(100 * value / at_60[0]) for value in at_60[1:])
    varrone, meta = "Varrone 2013", "Schmitz-Steinkrueger 2021, Varrone 2013"
    return [
        Check(
            "striatum, change a decade, healthy", per_decade, _ends(decade), len(age), (-6.7, -4.0), varrone, unit="%"
        ),
        Check("striatum, women over men, healthy", more, _ends(women), len(age), (4.0, 14.0), meta, unit="%"),
    ]


def _ends(draws: Array) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def single_feature(lines: Lines) -> list[Check]:
    """AUROC of the lower putamen's ratio, early PD against healthy: each site alone, and all together."""
    checks = []
    for site in [None, *sorted({line["site"] for line in lines})]:
        chosen = [line for line in lines if site in (None, line["site"])]
        scores = -np.array([lower_putamen(line) for line in chosen])
        found = auroc_of_people(scores, [line["group"] == "pd" for line in chosen], range(len(chosen)))
        published = (0.77, 0.90) if site is None else (0.97, 1.0)
        source = "public multi-centre scans, participants' figures" if site is None else "single-camera papers"
        interval = (found.low, found.high)
        checks.append(Check(site or "all sites together", found.value, interval, len(chosen), published, source))
    return checks


def ordering(rows: Lines) -> list[dict[str, Any]]:
    """Mean striatal ratio under each pair of corrections, in the published order, and its share of the best."""
    names = list(dict.fromkeys(row["corrections"] for row in rows))
    means = {name: float(np.mean([row["striatum"] for row in rows if row["corrections"] == name])) for name in names}
    best = max(means.values())
    return [{"corrections": name, "ratio": mean, "of_best": mean / best} for name, mean in means.items()]
