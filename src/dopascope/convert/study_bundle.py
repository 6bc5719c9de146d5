"""The final networks of a study's run become a bundle that `dopascope read` can ask, with its card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from dopascope import provenance
from dopascope.bundle import spec, view
from dopascope.bundle.spec import (
    BundleSpec,
    Calibration,
    GradeRule,
    Group,
    InputSpec,
    Licence,
    OutputSpec,
    Training,
    VoteRule,
)
from dopascope.convert import bundle_folder, onnx_export
from dopascope.convert.dat_spect_recipes import GRADES, REGIONS
from dopascope.convert.onnx_export import Part
from dopascope.errors import UnreadableError, UsageError
from dopascope.learn.torch_file import require_learn
from dopascope.report.study_words import estimate
from dopascope.space.intensity import METHODS
from dopascope.study.folder import PLAN, PREDICTIONS
from dopascope.study.members import WEIGHTS
from dopascope.study.people import FINAL
from dopascope.study.plan import load
from dopascope.study.trained import Trained, networks_of

SCAN: Final = "scan"
GRADED: Final = "grades"
SIMULATED_LIMIT: Final = "It has seen simulated scans only: how often it is right on patients is not known."
LIMITS: Final = (
    "I-123 FP-CIT SPECT only: no other tracer, no PET, no MRI.",
    "A reduced scan does not tell Parkinson's disease from multiple system atrophy or progressive supranuclear palsy.",
    "Needs a good registration to MNI space, and the brain around the striatum: look at both first.",
    "For research and education. Not a medical device.",
)
GRADES_HEAD: Final = (
    "| region | scans | weighted kappa | same grade | at most one apart | always the most frequent |\n"
    "|---|---|---|---|---|---|"
)
_PARTS: Final = {
    SCAN: Part(0, 1, ()),
    GRADED: Part(1, 1 + len(REGIONS) * len(GRADES), (len(REGIONS), len(GRADES))),
}


@dataclass(frozen=True)
class Named:
    """What the maker of a bundle says of it."""

    id: str
    title: str
    licence: str
    holder: str


@dataclass(frozen=True)
class _Run:
    """What a bundle needs of a run."""

    folder: Path
    nets: list[Trained]
    answer: dict[str, Any]
    metrics: dict[str, Any]
    learned: int
    """Scans that the networks learned from."""

    @property
    def graded(self) -> bool:
        return bool(self.nets[0].member.grades)


class _Parts(nn.Module):
    """The outputs of the bundle from networks that answer all at once."""

    def __init__(self, nets: Sequence[nn.Module], graded: bool) -> None:
        super().__init__()
        self.nets, self.graded = nn.ModuleList(nets), graded

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        said = torch.stack([net(x) for net in self.nets], 1)
        if said.ndim == 2:
            return (said,)
        chosen = _PARTS if self.graded else {SCAN: _PARTS[SCAN]}
        return tuple(said[:, :, one.start : one.stop].reshape(*said.shape[:2], *one.shape) for one in chosen.values())


def bundle_of_run(run: Path, target: Path, named: Named) -> Path:
    """Write the final networks of a finished run as a bundle into the new folder `target`; returns it.

    Args:
        run: of a plan with `validation.final = "all"` and one network member that sees one slab at one intensity.
        target: must not exist.
        named: id, title and licence.

    Raises:
        UsageError: `target` exists, or the run's answer cannot be given by a bundle; the error says by what.
        UnreadableError: the run is not finished, or damaged.
        BundleError: the ONNX form does not answer like the networks, or the parts do not make a bundle.
    """
    require_learn()
    bundle_folder.check_new(target)
    found = _read(run)
    nets = [one.net.eval() for one in found.nets]
    shape = found.nets[0].sight.shape
    example = torch.zeros(2, *shape)
    parts = None
    if nets[0](example).ndim > 1:
        parts = {"answer": _PARTS if found.graded else {SCAN: _PARTS[SCAN]}}
    model = onnx_export.to_onnx({"answer" if parts else SCAN: nets}, example, image="image", parts=parts)
    images = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (4, *shape)).astype(np.float32))
    onnx_export.check_parity(_Parts(nets, found.graded), model, (images,), where=named.id)
    content = {spec.MODEL_FILE: model, spec.CARD_FILE: _card(found, named).encode()}
    return bundle_folder.write(target, content, partial(_described, found, named))


def _read(run: Path) -> _Run:
    nets = networks_of(run)
    plan = load(str(run / PLAN))
    leaning = {*plan.answer.sensitive, *plan.answer.specific}
    member = plan.networks[0]
    checks = (
        ("members", len(plan.members) == 1 and not leaning, f"{len(plan.members)} members", "one network"),
        ("view", member.view in view.VIEWS, member.view, ", ".join(view.VIEWS)),
        ("intensity", len(member.intensity) == 1, " and ".join(member.intensity), "one scale"),
        ("intensity", member.intensity[0] in METHODS, member.intensity[0], "a scale of DaT scans"),
        ("colour", member.colour == "none", member.colour, "none"),
        ("classes", not member.classes, "classes", "no classes"),
        ("answer.calibration", plan.answer.calibration != "beta", "beta", "none, temperature or platt"),
    )
    for name, fits, was, expected in checks:
        if not fits:
            raise UsageError(
                "This run's answer cannot be given by a bundle.",
                where=f"{run / PLAN}: {name}",
                found=was,
                expected=expected,
                fix="Run a plan of this kind; release/reader.toml is one.",
            )
    try:
        told = json.loads((run / f"fold-{FINAL}" / "fold.json").read_text(encoding="utf-8"))
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(
            "The run is not finished, or damaged.", where=run, found=error, fix="Run the study again with --resume."
        ) from error
    return _Run(run, nets, told["answer"], metrics, int(metrics["scans"]))


def _described(run: _Run, named: Named, listed: dict[str, str]) -> BundleSpec:
    try:
        return _spec(run, named, listed)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            "This cannot be said of a bundle.",
            where=".".join(str(step) for step in first["loc"]),
            found=first.get("input"),
            expected=first["msg"],
            fix="Correct --id, --title, --licence or --holder.",
        ) from None


def _spec(run: _Run, named: Named, listed: dict[str, str]) -> BundleSpec:
    calibration = _calibration(run)
    sources = [(f"{one.name}.npz", run.folder / f"fold-{FINAL}" / one.name / WEIGHTS) for one in run.nets]
    sources += [(name, run.folder / name) for name in (PLAN, PREDICTIONS)]
    return BundleSpec(
        schema=spec.SCHEMA,
        id=named.id,
        kind="classifier",
        title=named.title,
        modality="dat",
        input=_input(run),
        outputs=_outputs(run),
        vote=_vote(run),
        grades=_grades(run) if run.graded else None,
        calibration=calibration,
        calibration_reason=None if calibration else "the study's plan has none",
        opset=onnx_export.OPSET,
        training=Training(summary=_seen(run), details=f"Plan, splits and predictions: {PLAN} and {PREDICTIONS}."),
        licence=Licence(spdx=named.licence, holder=named.holder),
        papers=[],
        laterality="x runs from the subject's left to right, as dopascope's arrays do; nothing is turned.",
        limits=_limits(run),
        files=listed,
        sources={name: provenance.sha256_of(path) for name, path in sources},
        made_by=bundle_folder.made_by(),
    )


def _input(run: _Run) -> InputSpec:
    sight = run.nets[0].sight
    full = view.VIEWS[sight.view][1]
    return InputSpec(
        name="image",
        view=sight.view,
        intensity=sight.intensity[0],
        flip_x=False,
        crop=list(sight.crop) or [(0, size) for size in full],
        clip=(0.0, sight.top),
        mean=0.0,
        sd=sight.top,
        axes="(batch, channel 1, x from the subject's left to right, y from back to front)",
        shape=list(sight.shape),
    )


def _outputs(run: _Run) -> dict[str, OutputSpec]:
    count = len(run.nets)
    found = {SCAN: OutputSpec(role="logit", shape=[count], meaning="logit of 'reduced', for each network")}
    if run.graded:
        found[GRADED] = OutputSpec(
            role="grade_logit",
            shape=[count, len(REGIONS), len(GRADES)],
            meaning="logits of the grades (last axis) of each region, for each network",
        )
    return found


def _vote(run: _Run) -> VoteRule:
    low, high = run.answer["uncertain_between"]
    return VoteRule(
        groups={SCAN: Group(threshold=0.5, votes_needed=len(run.nets) // 2 + 1)},
        decides=SCAN,
        probability=SCAN,
        mean="logit",
        uncertain_between=(low, high),
        source=f"the probability, uncertain from {low:.2f} to {high:.2f}: set on out-of-fold answers of the scans that "
        "it learned from",
    )


def _grades(run: _Run) -> GradeRule:
    return GradeRule(
        output=GRADED,
        regions=list(REGIONS),
        grades=list(GRADES),
        reduced_from="moderately reduced",
        source="the most probable grade of the mean over the networks; learned from the grades of the cohort table "
        f"({', '.join(run.nets[0].member.grades)})",
    )


def _calibration(run: _Run) -> Calibration | None:
    """The study's map of the mean logit: the member's weight and intercept, then the calibration's."""
    (weight,), offset = run.answer["weights"].values(), run.answer["intercept"]
    fitted = run.answer["calibration"]
    slope, intercept = (1.0, 0.0) if fitted is None else (fitted["a"], fitted["c"])
    if fitted is None and (weight, offset) == (1.0, 0.0):
        return None
    return Calibration(
        method="logistic",
        slope=slope * weight,
        intercept=slope * offset + intercept,
        scans=run.learned if fitted is None else fitted["n"],
        data=f"out-of-fold answers of {_seen(run)}",
    )


def _limits(run: _Run) -> list[str]:
    return [*([SIMULATED_LIMIT] if run.metrics["simulated"] else []), *LIMITS]


def _seen(run: _Run) -> str:
    """What the networks learned from, in one line."""
    cameras = [one["group"] for one in run.metrics["subgroups"] if one["by"] == "camera"]
    at = f" at {len(cameras)} cameras" if len(cameras) > 1 else ""
    if run.metrics["simulated"]:
        return f"{run.metrics['people']} simulated people{at}; no real scan"
    return f"{run.learned} scans of {run.metrics['people']} people{at} (study {run.metrics['plan']})"


def _card(run: _Run, named: Named) -> str:
    pooled = run.metrics["pooled"]
    calibration = _calibration(run)
    low, high = run.answer["uncertain_between"]
    readers = {"answer": "this reader", "sbr-logistic": "logistic regression on binding ratios"}
    readers |= {"sbr-rule": "binding-ratio rule", "majority": "always the more frequent class"}
    keys = ("auroc", "log_loss", "accuracy")
    rows = [
        f"| {title} | " + " | ".join(estimate(pooled["readers"][name][key]) for key in keys) + " |"
        for name, title in readers.items()
    ]
    grades = [
        f"| {one['region']} | {one['n']} | "
        + " | ".join(estimate(one[key]) for key in ("kappa", "same", "within_one", "most_frequent"))
        + " |"
        for one in run.metrics.get("grades", [])
    ]
    text = files("dopascope.convert").joinpath("cards", "study.md").read_text(encoding="utf-8")
    return text.format(
        id=named.id,
        title=named.title,
        networks=len(run.nets),
        network=run.nets[0].member.network,
        view=run.nets[0].sight.view,
        intensity=run.nets[0].sight.intensity[0],
        top=f"{run.nets[0].sight.top:g}",
        seen=_seen(run),
        low=f"{low:.3f}",
        high=f"{high:.3f}",
        calibrated=f"by a logistic map ({calibration.data})" if calibration else "not at all",
        scans=run.learned,
        folds=len(run.metrics["folds"]),
        figures="\n".join(rows),
        uncertain=estimate(pooled["three_way"]["uncertain"]),
        errors=estimate(pooled["three_way"]["errors_among_uncertain"]),
        grades="\n".join([GRADES_HEAD, *grades]) if grades else "It grades no regions.",
        limits="\n".join(f"- {one}" for one in _limits(run)),
        licence=f"{named.licence}, {named.holder}",
        simulated="These are figures on simulated people: they say nothing about patients and are never to be put "
        "beside clinical ones."
        if run.metrics["simulated"]
        else "",
    )
