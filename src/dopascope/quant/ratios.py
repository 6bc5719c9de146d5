"""From means to binding ratios and indices, each with an interval by the delta method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.quant import voi
from dopascope.quant.measure import Means

Array = NDArray[np.float64]

NORMAL_95: Final = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""

STRIATAL_VOLUME_ML: Final = 11.2
"""Volume of one striatum that the large-volume method assumes for everybody (Tossici-Bolt et al. 2006)."""

_ASYMMETRY = "100 * (left - right) / mean(left, right)"


@dataclass(frozen=True)
class Formula:
    """An index: its two arguments, unit and definition."""

    kind: str
    first: str
    second: str
    unit: str
    definition: str


def _asymmetry_of(structure: str) -> Formula:
    return Formula("asymmetry", f"{structure}_left", f"{structure}_right", "%", _ASYMMETRY)


def _ratio_of(first: str, second: str, side: str) -> Formula:
    words = f"{first} / {second}".replace("_", " ")
    return Formula("ratio", f"{first}_{side}", f"{second}_{side}", "", words)


INDICES: Final = {
    "asymmetry_caudate": _asymmetry_of("caudate"),
    "asymmetry_putamen": _asymmetry_of("putamen"),
    **{f"caudate_putamen_ratio_{side}": _ratio_of("caudate", "putamen", side) for side in voi.SIDES},
    **{
        f"anterior_posterior_putamen_ratio_{side}": _ratio_of("anterior_putamen", "posterior_putamen", side)
        for side in voi.SIDES
    },
}
"""Every index by name; left and right are the subject's."""

LARGE_DEFINITION: Final = (
    f"large-volume method: specific counts in {{ml:.0f}} ml / ({STRIATAL_VOLUME_ML} ml * reference concentration)"
)


@dataclass(frozen=True)
class Estimate:
    """A value and its standard deviation; NaN where there is none."""

    value: float
    sd: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """Value -+ 1.96 standard deviations."""
        if not (np.isfinite(self.value) and np.isfinite(self.sd)):
            return None
        return self.value - NORMAL_95 * self.sd, self.value + NORMAL_95 * self.sd


def ratios(means: Means, factors: Mapping[str, Estimate] | None = None) -> dict[str, Estimate]:
    """Binding ratio of every region, the two large-volume ratios, and every index.

    With recovery `factors` a region's ratio is divided by its factor, whose standard deviation goes into the
    interval (errors of different regions' factors taken as independent); a region without a factor has no ratio.
    Large-volume ratios are not divided.
    """
    names = [*voi.MEASURED, *(f"sbr_{name}" for name in voi.LARGE)]
    values, slopes = _bind(means)
    covariance = slopes @ means.covariance @ slopes.T
    if factors is not None:
        recovered = np.array([_factor(factors, name) for name in names])
        values = values / recovered[:, 0]
        covariance = covariance / np.outer(recovered[:, 0], recovered[:, 0])
        covariance += np.diag((values * recovered[:, 1] / recovered[:, 0]) ** 2)
    sds = np.sqrt(np.diag(covariance))
    found = {name: Estimate(float(v), float(s)) for name, v, s in zip(names, values, sds, strict=True)}
    for name, formula in INDICES.items():
        a, b = names.index(formula.first), names.index(formula.second)
        pair, spread = values[[a, b]], covariance[np.ix_([a, b], [a, b])]
        found[name] = (_asymmetry if formula.kind == "asymmetry" else _ratio)(pair, spread)
    return found


def _factor(factors: Mapping[str, Estimate], name: str) -> tuple[float, float]:
    if name not in voi.MEASURED:
        return 1.0, 0.0
    found = factors.get(name)
    return (np.nan, np.nan) if found is None else (found.value, found.sd)


def _mixing(means: Means) -> Array:
    """Rows that make the mean of each measured region, then each large volume, of the base means."""
    rows = np.zeros((len(voi.MEASURED) + len(voi.LARGE), len(means.names)))
    for row, region in enumerate(voi.MEASURED):
        parts = voi.PARTS[region]
        volumes = np.array([voi.ml(part) for part in parts])
        rows[row, [means.names.index(part) for part in parts]] = volumes / volumes.sum()
    for row, name in enumerate(voi.LARGE, len(voi.MEASURED)):
        rows[row, means.names.index(name)] = 1
    return rows


def _bind(means: Means) -> tuple[Array, Array]:
    """Ratios `(R,)` and their slopes `(R, K + 1)` by the means and the scale.

    Anatomical volumes measure concentration. Large ones measure counts, shared out over a striatum's assumed volume.
    """
    mixing, reference = _mixing(means), means.reference
    # A region is unknown when any of its parts is, but 0 * NaN must not spread to the others.
    mixed = np.array([row[row > 0] @ means.values[row > 0] for row in mixing])
    striata = np.array([voi.ml(name) / STRIATAL_VOLUME_ML for name in voi.LARGE])
    gains = np.concatenate([np.ones(len(voi.MEASURED)), striata * means.scale])
    values = gains * (mixed / reference - 1)
    slopes = np.zeros((len(values), len(means.names) + 1))
    slopes[:, :-1] = gains[:, None] * mixing / reference
    slopes[:, -2] = -gains * np.nan_to_num(mixed) / reference**2
    slopes[len(voi.MEASURED) :, -1] = np.nan_to_num(values[len(voi.MEASURED) :]) / means.scale
    return values, slopes


def _asymmetry(pair: Array, spread: Array) -> Estimate:
    left, right = pair
    total = left + right
    if not total > NORMAL_95 * np.sqrt(spread.sum()):
        return Estimate(float("nan"), float("nan"))
    slope = np.array([right, -left]) * 400 / total**2
    return Estimate(float(200 * (left - right) / total), float(np.sqrt(slope @ spread @ slope)))


def _ratio(pair: Array, spread: Array) -> Estimate:
    top, bottom = pair
    if not bottom > NORMAL_95 * np.sqrt(spread[1, 1]):
        return Estimate(float("nan"), float("nan"))
    slope = np.array([1 / bottom, -top / bottom**2])
    return Estimate(float(top / bottom), float(np.sqrt(slope @ spread @ slope)))
