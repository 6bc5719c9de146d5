"""A generator that knows ratios becomes a bundle that changes slabs without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dopascope.bundle import spec
from dopascope.bundle.spec import BundleSpec, EditRule, InputSpec, Licence, OutputSpec, Training
from dopascope.convert import bundle_folder, onnx_export
from dopascope.errors import UsageError
from dopascope.learn.generative.counterfactual import Editor
from dopascope.learn.generative.generator import Generator
from dopascope.learn.torch_file import require_learn
from dopascope.nets.generative.condition import asked

LIMITS = (
    "A simulation: what the model has learned of simulated people, not what this person was or will be. It is no "
    "evidence for or against any diagnosis.",
    "Its own normal values are means over ten simulated cameras. A scan of a sharper camera than most has higher "
    "ratios, a scan of a coarser one lower, with nothing wrong.",
    "The difference of two of the model's pictures is added to the slab; the scan's own noise stays, also where it "
    "would be weaker or stronger.",
    "It has seen slabs of simulated scans that were registered well, and no real scan.",
    "For research and education. Not a medical device.",
)
HALF_PARITY: Final = 0.02
"""Largest difference of a pixel, in units of the intensity reference, that weights of half the bytes may make."""
IMAGE, PRESENT, WANTED, DIFFERENCE = "image", "present", "wanted", "difference"


@dataclass(frozen=True)
class EditorNamed:
    """What the maker of an editor says of it."""

    id: str
    title: str
    trained_on: str
    details: str
    rebuilt_by: str
    """The command that makes it anew."""
    measured: str
    """Markdown: what was measured on people that nothing learned from."""
    licence: str = "Apache-2.0"
    holder: str = "the dopascope authors"


class _Told(nn.Module):
    """An `Editor` that takes ratios as they are, of a generator with one class."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.editor = Editor(generator.model)

    def forward(self, image: Tensor, present: Tensor, wanted: Tensor) -> Tensor:
        """Images `(B, 1, I, J)` and ratios `(B, V)` to differences `(B, 1, I, J)`."""
        model = self.editor.model
        which = torch.zeros_like(present[:, 0]).long()
        told = [asked(which, model.scaled_values(one)) for one in (present, wanted)]
        difference: Tensor = self.editor(image, *told)
        return difference


def bundle_of_editor(
    generator: Generator, seen: InputSpec, rule: EditRule, images: Tensor, target: Path, named: EditorNamed
) -> Path:
    """Write a generator as an editor bundle into the new folder `target`; returns it.

    Args:
        generator: with one class, and the rule's values as its conditions in this order.
        seen: how its images are made.
        rule: what it may be asked; its inputs and output are named `PRESENT`, `WANTED` and `DIFFERENCE`.
        images: (B, 1, I, J) with B of 2 or more, on which torch and ONNX are compared.
        target: must not exist.
        named: what is said of it.

    Raises:
        UsageError: `target` exists, or the generator is of another kind.
        BundleError: the ONNX form does not answer like the generator.
    """
    require_learn()
    bundle_folder.check_new(target)
    _check_kind(generator, rule)
    net = _Told(generator).eval()
    rng = np.random.default_rng(0)
    low, high = (np.array([getattr(one, end) for one in rule.values]) for end in ("low", "high"))
    ratios = torch.from_numpy(rng.uniform(low, high, (2, len(images), len(rule.values))).astype(np.float32))
    given = {IMAGE: images, PRESENT: ratios[0], WANTED: ratios[1]}
    model = onnx_export.one_to_onnx(net, given, answer=DIFFERENCE, half=True)

    def in_units(pixels: Any) -> NDArray[np.float64]:
        return seen.sd * np.asarray(pixels, np.float64)

    onnx_export.check_parity(net, model, list(given.values()), where=named.id, tolerance=HALF_PARITY, scale=in_units)
    content = {spec.MODEL_FILE: model, spec.CARD_FILE: _card(named, rule).encode()}
    return bundle_folder.write(target, content, partial(_spec, named, seen, rule))


def _check_kind(generator: Generator, rule: EditRule) -> None:
    names = tuple(one.name for one in rule.values)
    if len(generator.plan.classes) != 1 or generator.plan.conditions != names:
        raise UsageError(
            "This generator cannot become an editor.",
            where="generator",
            found=f"{len(generator.plan.classes)} classes, conditions {', '.join(generator.plan.conditions) or 'none'}",
            expected=f"1 class, conditions {', '.join(names)}",
            fix="Fit one with one class and these conditions.",
        )


def _card(named: EditorNamed, rule: EditRule) -> str:
    text = (files("dopascope.convert") / "cards" / "editor.md").read_text(encoding="utf-8")
    return text.format(
        title=named.title,
        trained_on=named.trained_on,
        details=named.details,
        rebuilt_by=named.rebuilt_by,
        licence=named.licence,
        holder=named.holder,
        normals="\n".join(_normals(rule)),
        measured=named.measured,
        limits="\n".join(f"- {one}" for one in LIMITS),
    )


def _normals(rule: EditRule) -> Sequence[str]:
    head = (
        f"Normal values, of {rule.people} healthy simulated people of {rule.ages[0]:.0f} to {rule.ages[1]:.0f} years: "
        f"mean at {rule.reference_age:g} years, change in ten years, standard deviation about that; and the range of "
        "what may be asked."
    )
    rows = [
        f"| {one.name.replace('_', ' ')} | {one.normal.at_reference_age:.2f} | {one.normal.per_decade:+.2f} | "
        f"{one.normal.sd:.2f} | {one.low:.2f} to {one.high:.2f} |"
        for one in rule.values
    ]
    return [head, "", "| region | mean | ten years | sd | range |", "|---|---|---|---|---|", *rows]


def _spec(named: EditorNamed, seen: InputSpec, rule: EditRule, listed: dict[str, str]) -> BundleSpec:
    return BundleSpec(
        schema=spec.SCHEMA,
        id=named.id,
        kind="editor",
        title=named.title,
        modality="dat",
        input=seen,
        outputs={
            DIFFERENCE: OutputSpec(role="difference", shape=seen.shape, meaning="What is to be added to the image.")
        },
        edit=rule,
        calibration_reason="an editor answers with a picture, not with a probability",
        opset=onnx_export.OPSET,
        training=Training(summary=named.trained_on, details=named.details),
        licence=Licence(spdx=named.licence, holder=named.holder),
        papers=[],
        laterality="Slabs have x from the subject's left to right; each side has ratios of its own.",
        limits=list(LIMITS),
        files=listed,
        made_by=bundle_folder.made_by(),
    )
