"""The binding-ratio rule: a reader that needs no network and can be checked by hand.

It compares the lower putamen and the lower caudate with a threshold kept as data. The thresholds hold for one
method only and come from simulated people: nothing here is calibrated on clinical scans.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant.result import Quantification, Region

Verdict = Literal["normal", "reduced", "uncertain"]

RULE_FILE: Final = "sbr_rule.json"
STRUCTURES: Final = ("putamen", "caudate")

CAUDATE_FALSE_ALARMS: Final = 0.01
"""Share of simulated healthy people allowed below the caudate threshold: the caudate must not cost specificity,
since the putamen goes first in Parkinson's disease; it is there for the rare scan with a lost caudate alone."""
PUTAMEN_OF_EXPECTED: Final = 0.65
"""Where normals fit the scan, the putamen's threshold as a share of the expected ratio (the deficit rule of the staging
of neuronal synuclein disease, Simuni et al. 2024, Lancet Neurol 23:178)."""
CAUDATE_Z: Final = -2.33
"""And the caudate's, in residual standard deviations: 1 % of the healthy lie below."""


WITH_NORMALS: Final = "not calibrated on clinical scans; thresholds follow the normal values that fit this scan"
WITHOUT_NORMALS: Final = (
    "not calibrated on clinical scans; no normal values fit this scan, so one threshold set on simulated people holds "
    "for all cameras: where attenuation or scatter is not corrected, healthy people can fall below it"
)


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Threshold(_Data):
    """p(abnormal) = 1 / (1 + exp((sbr - threshold) / width))."""

    threshold: float = Field(gt=0)
    width: float = Field(gt=0)
    healthy_below: float = Field(description="share of simulated healthy people below the threshold")
    disease_above: float = Field(description="share of simulated people with Parkinson's above it")

    def p_abnormal(self, sbr: float) -> float:
        """The logistic of the distance from the threshold."""
        return 1 / (1 + math.exp(max(-700.0, min(700.0, (sbr - self.threshold) / self.width))))


class Provenance(_Data):
    """How a rule's numbers were made, so that they can be made again."""

    population: str
    healthy: int
    disease: int
    seeds: str
    cameras: str
    how: str


class Rule(_Data):
    """Thresholds for one method."""

    method_id: str
    putamen: Threshold
    caudate: Threshold
    provenance: Provenance


class RuleFile(_Data):
    """The shipped file: one rule per method."""

    form: Literal["dopascope.sbr-rule/1"]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class RuleResult:
    """What the rule says, with the names that `reading.json` gives every reader."""

    id: str
    kind: Literal["rule"]
    title: str
    model_sha256: str | None
    p_abnormal: float | None
    interval: tuple[float, float] | None
    interval_means: str | None
    verdict: Verdict
    trained_on: str
    calibration: str
    votes: dict[str, str] = field(default_factory=dict)
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        return asdict(self)


@cache
def _shipped() -> tuple[RuleFile, str]:
    text = files("dopascope.quant").joinpath("data", RULE_FILE).read_bytes()
    return RuleFile.model_validate_json(text), hashlib.sha256(text).hexdigest()


def shipped_rule(method_id: str) -> Rule:
    """The rule that ships for `method_id`.

    Raises:
        UnsuitableError: none was set for this method.
    """
    known = {rule.method_id: rule for rule in _shipped()[0].rules}
    if method_id not in known:
        raise UnsuitableError(
            "There is no binding-ratio rule for this method.",
            where="method_id",
            found=method_id,
            expected=" or ".join(sorted(known)),
            fix="Quantify with one of these methods, or read the ratios without the rule.",
        )
    return known[method_id]


def classify(quantification: Quantification, rule: Rule | None = None) -> RuleResult:
    """Read a quantification by the rule: reduced, normal, or uncertain where an interval crosses a threshold.

    Reduced when the interval of the lower putamen or of the lower caudate lies below its threshold, normal
    when both lie above theirs, uncertain otherwise. `p_abnormal` is the larger of the two structures'. Where normal
    values fit the scan, thresholds follow what is expected there (`PUTAMEN_OF_EXPECTED`, `CAUDATE_Z`): ratios of one
    person differ by a factor of three between cameras, and one threshold cannot hold for all.

    Raises:
        UnsuitableError: the rule was set for another method, or none ships for this one.
    """
    digest = _shipped()[1] if rule is None else None
    rule = rule or shipped_rule(quantification.method_id)
    if rule.method_id != quantification.method_id:
        raise UnsuitableError(
            "The rule was set for another method.",
            where="rule.method_id",
            found=rule.method_id,
            expected=quantification.method_id,
            fix="Use the rule of the method the scan was measured with.",
        )
    seen = {name: _lowest(quantification, name) for name in STRUCTURES}
    missing = [name for name, low in seen.items() if low is None]
    found = {name: low for name, low in seen.items() if low is not None}
    curves = {name: _curve(name, low, getattr(rule, name)) for name, low in found.items()}
    verdicts = {name: _side(low, curves[name].threshold) for name, low in found.items()}
    p, interval = _probability(curves, found)
    return RuleResult(
        id="sbr-rule",
        kind="rule",
        title="Binding-ratio rule",
        model_sha256=digest,
        p_abnormal=p,
        interval=interval,
        interval_means="p_abnormal at the ends of the ratio's 95 % interval" if interval else None,
        verdict=_combine(verdicts, missing),
        trained_on=rule.provenance.population,
        calibration=WITH_NORMALS if any(low.expected is not None for low in found.values()) else WITHOUT_NORMALS,
        votes={
            name: f"{low.sbr:.2f} ({low.low:.2f} to {low.high:.2f}), threshold {curves[name].threshold:.2f}"
            f"{'' if low.expected is None else f' for an expected {low.expected:.2f}'}: {verdicts[name]}"
            for name, low in found.items()
        },
        reason=f"no ratio with an interval on both sides: {', '.join(missing)}" if missing else None,
    )


@dataclass(frozen=True)
class _Low:
    sbr: float
    low: float
    high: float
    expected: float | None
    """By normals that fit the scan; then `residual_sd` is known too."""
    residual_sd: float | None

    @classmethod
    def of(cls, region: Region) -> _Low | None:
        if region.sbr is None or region.interval is None:
            return None
        expected, sd = region.expected, None
        if expected is not None and region.z:
            sd = (region.sbr - expected) / region.z
        return cls(region.sbr, *region.interval, expected if sd else None, sd)


def _curve(structure: str, low: _Low, shipped: Threshold) -> Threshold:
    """The threshold for this scan; its width keeps its proportion to it."""
    if low.expected is None or low.residual_sd is None:
        return shipped
    at = PUTAMEN_OF_EXPECTED * low.expected if structure == "putamen" else low.expected + CAUDATE_Z * low.residual_sd
    if at <= 0:
        return shipped
    return shipped.model_copy(update={"threshold": at, "width": shipped.width * at / shipped.threshold})


def _lowest(quantification: Quantification, structure: str) -> _Low | None:
    sides = [quantification.regions.get(f"{structure}_{side}") for side in ("left", "right")]
    known = [low for side in sides if side is not None and (low := _Low.of(side)) is not None]
    return min(known, key=lambda low: low.sbr) if len(known) == len(sides) else None


def _side(low: _Low, threshold: float) -> Verdict:
    if low.high < threshold:
        return "reduced"
    return "normal" if low.low > threshold else "uncertain"


def _combine(verdicts: dict[str, Verdict], missing: Sequence[str]) -> Verdict:
    if "reduced" in verdicts.values():
        return "reduced"
    return "uncertain" if missing or "uncertain" in verdicts.values() else "normal"


def _probability(
    curves: dict[str, Threshold], found: dict[str, _Low]
) -> tuple[float | None, tuple[float, float] | None]:
    if not found:
        return None, None
    name = max(found, key=lambda one: curves[one].p_abnormal(found[one].sbr))
    curve, low = curves[name], found[name]
    return curve.p_abnormal(low.sbr), (curve.p_abnormal(low.high), curve.p_abnormal(low.low))


def fit_rule(
    method_id: str,
    healthy: dict[str, Sequence[float]],
    disease: dict[str, Sequence[float]],
    provenance: Provenance,
) -> Rule:
    """Set thresholds from the lower putamen and caudate of simulated people.

    Putamen: the ratio at which as large a share of healthy people lies below as of diseased people above.
    Caudate: the `CAUDATE_FALSE_ALARMS` quantile of the healthy. Width: pooled variance over the difference of
    the means, the slope of the logistic for two normal distributions of equal variance (Cox 1966; linear
    discriminant analysis).

    Args:
        method_id: the method all ratios were measured with.
        healthy: for `putamen` and `caudate`, the lower side's ratio of each healthy person.
        disease: the same for each person with the disease.
        provenance: where the people came from.

    Raises:
        UsageError: the healthy mean is not above the diseased mean, so that no threshold separates them.
    """
    fitted = {}
    for name in STRUCTURES:
        well, ill = np.sort(np.asarray(healthy[name], float)), np.sort(np.asarray(disease[name], float))
        if well.mean() <= ill.mean():
            raise UsageError(
                "No threshold separates these groups.",
                where=f"{name} of method {method_id}",
                found=f"mean {well.mean():.3f} healthy, {ill.mean():.3f} diseased",
                expected="a higher mean in healthy people",
                fix="Check the order of the two groups.",
            )
        cut = _equal_errors(well, ill) if name == "putamen" else float(np.quantile(well, CAUDATE_FALSE_ALARMS))
        pooled = ((well.size - 1) * well.var(ddof=1) + (ill.size - 1) * ill.var(ddof=1)) / (well.size + ill.size - 2)
        fitted[name] = Threshold(
            threshold=round(cut, 4),
            width=round(float(pooled / (well.mean() - ill.mean())), 4),
            healthy_below=round(float((well < cut).mean()), 4),
            disease_above=round(float((ill >= cut).mean()), 4),
        )
    return Rule(method_id=method_id, provenance=provenance, putamen=fitted["putamen"], caudate=fitted["caudate"])


def _equal_errors(well: np.ndarray[Any, Any], ill: np.ndarray[Any, Any]) -> float:
    # The middle of the stretch of candidate cuts whose two error rates differ least: separable groups leave a gap.
    cuts = np.unique(np.concatenate([well, ill]))
    cuts = (cuts[1:] + cuts[:-1]) / 2
    gap = np.abs(np.searchsorted(well, cuts) / well.size - 1 + np.searchsorted(ill, cuts) / ill.size)
    best = cuts[gap <= gap.min() + 1e-12]
    return float((best[0] + best[-1]) / 2)
