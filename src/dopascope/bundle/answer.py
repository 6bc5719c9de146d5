"""From the numbers that networks put out to what a bundle answers: probabilities, votes, grades, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle.spec import BundleSpec, Calibration, GradeRule, Group, OutputSpec, VoteRule

Floats = NDArray[np.float64]
Verdict = Literal["normal", "reduced", "uncertain"]

NO_PROBABILITY: Final = "These networks grade regions; they give no probability for the scan as a whole."
NO_GRADES: Final = "These networks judge the scan as a whole; they grade no regions."
MAX_LOGIT: Final = 30.0
"""Logits are cut here: a float32 probability cannot be told from 0 or 1 long before."""


@dataclass(frozen=True)
class Vote:
    """How many networks of one group said "reduced"."""

    reduced: int
    of: int
    needed: int

    @property
    def verdict(self) -> Verdict:
        """Reduced when enough of them said so."""
        return "reduced" if self.reduced >= self.needed else "normal"

    def __str__(self) -> str:
        return f"{self.reduced} of {self.of} reduced ({self.needed} needed): {self.verdict}"


@dataclass(frozen=True)
class RegionGrade:
    """The most probable grade of one region, and the mean probability of each."""

    grade: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """What one bundle says of one scan. What does not apply is None and has its reason in `reasons`."""

    bundle_id: str
    title: str
    networks: int
    p_abnormal: float | None
    """Mean probability of "reduced" over the networks of the deciding group."""
    calibrated: bool
    calibration: str
    """What the probability was calibrated on, or why it was not."""
    member_probabilities: Mapping[str, tuple[float, ...]]
    """Group to the probability of each network, as the networks gave it."""
    votes: Mapping[str, Vote]
    verdict: Verdict
    verdict_rule: str
    """Where the rule of the verdict comes from."""
    grades: Mapping[str, RegionGrade] | None
    interval: tuple[float, float] | None
    interval_means: str | None
    trained_on: str
    licence: str
    papers: tuple[str, ...]
    limits: tuple[str, ...]
    model_sha256: str
    reasons: Mapping[str, str]


def logits_of(raw: NDArray[Any], output: OutputSpec) -> Floats:
    """One group's answers as logits, cut at +-`MAX_LOGIT`; same shape as `raw`."""
    values = np.asarray(raw, np.float64)
    if output.role == "probability":
        values = np.clip(values, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            values = np.log(values) - np.log1p(-values)
    cut: Floats = np.clip(values, -MAX_LOGIT, MAX_LOGIT)
    return cut


def sigmoid(logits: Floats) -> Floats:
    """`1 / (1 + exp(-x))`."""
    one: Floats = 1.0 / (1.0 + np.exp(-logits))
    return one


def softmax(logits: NDArray[Any]) -> Floats:
    """Over the last axis."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(-1, keepdims=True))
    shares: Floats = powers / powers.sum(-1, keepdims=True)
    return shares


def grade_probabilities(raw: NDArray[Any]) -> Floats:
    """Logits `(..., members, regions, grades)` to the mean softmax of the networks, `(..., regions, grades)`."""
    mean: Floats = softmax(raw).mean(-3)
    return mean


def vote(probabilities: Floats, group: Group) -> Vote:
    """One group's vote from the probabilities `(members,)` of its networks."""
    return Vote(int((probabilities > group.threshold).sum()), len(probabilities), group.votes_needed)


def verdict_of(votes: Mapping[str, Vote], p: float, rule: VoteRule) -> Verdict:
    """By the shown probability where the rule has an uncertain range; else the deciding group's vote where the groups
    that must agree do, and uncertain where they do not."""
    if rule.uncertain_between is not None:
        low, high = rule.uncertain_between
        return "normal" if p < low else "reduced" if p >= high else "uncertain"
    if len({votes[name].verdict for name in rule.agree}) > 1:
        return "uncertain"
    return votes[rule.decides].verdict


def calibrated(p: float, calibration: Calibration | None) -> float:
    """The probability after logistic recalibration, if the bundle has one."""
    if calibration is None:
        return p
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    logit = np.log(inside / (1 - inside))
    return float(sigmoid(np.asarray(calibration.slope * logit + calibration.intercept)))


def answer(raw: Mapping[str, NDArray[Any]], spec: BundleSpec) -> Prediction:
    """The prediction from the outputs of one image, each `(members, ...)`."""
    if spec.vote is None and spec.grades is None:
        raise ValueError(f"bundle {spec.id} is a {spec.kind}: it has no answer of this kind")
    found = _shared(spec)
    if spec.grades is not None:
        found |= _graded(raw, spec.grades)
    if spec.vote is not None:
        found |= _voted(raw, spec, spec.vote)
    return Prediction(**found)


def _shared(spec: BundleSpec) -> dict[str, Any]:
    licence = f"{spec.licence.spdx}, {spec.licence.holder}"
    return {
        "bundle_id": spec.id,
        "title": spec.title,
        "networks": sum(spec.outputs[name].shape[0] for name in _asked(spec)),
        "calibrated": spec.calibration is not None,
        "calibration": _calibration_text(spec),
        "trained_on": spec.training.summary,
        "licence": licence,
        "papers": tuple(f"{paper.citation}, doi {paper.doi}" for paper in spec.papers),
        "limits": tuple(spec.limits),
        "model_sha256": spec.files["model.onnx"],
        "grades": None,
        "reasons": {},
    }


def _asked(spec: BundleSpec) -> list[str]:
    """Outputs whose networks are different ones: grades beside a vote are the same networks'."""
    if spec.vote is not None:
        return list(spec.vote.groups)
    return [spec.grades.output] if spec.grades is not None else list(spec.outputs)


def _calibration_text(spec: BundleSpec) -> str:
    if spec.calibration is None:
        return f"not calibrated: {spec.calibration_reason}"
    return f"calibrated on {spec.calibration.scans} scans: {spec.calibration.data}"


def _voted(raw: Mapping[str, NDArray[Any]], spec: BundleSpec, rule: VoteRule) -> dict[str, Any]:
    logits = {name: logits_of(raw[name], spec.outputs[name]) for name in rule.groups}
    members = {name: sigmoid(values) for name, values in logits.items()}
    votes = {name: vote(members[name], group) for name, group in rule.groups.items()}
    shown = members[rule.probability]
    low, high = (calibrated(float(p), spec.calibration) for p in (shown.min(), shown.max()))
    mean = shown.mean() if rule.mean == "probability" else sigmoid(logits[rule.probability].mean())
    p = calibrated(float(mean), spec.calibration)
    return {
        "p_abnormal": p,
        "member_probabilities": {name: tuple(map(float, values)) for name, values in members.items()},
        "votes": votes,
        "verdict": verdict_of(votes, p, rule),
        "verdict_rule": rule.source,
        "interval": (min(low, high), max(low, high)),
        "interval_means": f"lowest and highest of the {len(shown)} networks of the group {rule.probability}: "
        "how far they differ, not a confidence interval",
        "reasons": {} if spec.grades else {"grades": NO_GRADES},
    }


def _graded(raw: Mapping[str, NDArray[Any]], rule: GradeRule) -> dict[str, Any]:
    probabilities = grade_probabilities(raw[rule.output])
    worst = probabilities.argmax(-1)
    grades = {
        region: RegionGrade(rule.grades[worst[index]], tuple(map(float, probabilities[index])))
        for index, region in enumerate(rule.regions)
    }
    return {
        "p_abnormal": None,
        "member_probabilities": {},
        "votes": {},
        "verdict": "reduced" if worst.max() >= rule.grades.index(rule.reduced_from) else "normal",
        "verdict_rule": rule.source,
        "grades": grades,
        "interval": None,
        "interval_means": None,
        "reasons": {"p_abnormal": NO_PROBABILITY, "interval": NO_PROBABILITY},
    }
