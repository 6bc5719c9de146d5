"""A trained brain segmenter becomes a bundle that finds brains without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from dopascope.atlas.hull import DEFINITION
from dopascope.bundle import spec, view
from dopascope.bundle.spec import BundleSpec, InputSpec, Licence, OutputSpec, Training
from dopascope.convert import bundle_folder, onnx_export
from dopascope.learn.torch_file import require_learn

LIMITS = (
    "Heads with most of the brain in view: not for cut-outs, animals, or heads after large operations.",
    f"Brain is: {DEFINITION}",
    "A mask is no diagnosis. For research and education. Not a medical device.",
)
HALF_PARITY: Final = 0.02
"""Largest difference of a pixel's probability that weights of half the bytes may make."""


@dataclass(frozen=True)
class SegmenterNamed:
    """What the maker of a segmenter says of it."""

    id: str
    title: str
    trained_on: str
    details: str
    rebuilt_by: str
    """The command that makes it anew."""
    licence: str = "Apache-2.0"
    holder: str = "the dopascope authors"
    sources: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the files that it was made from."""


class _Logit(nn.Module):
    """The difference of the two classes: its sigmoid is their softmax."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        classes: Tensor = self.net(x)
        return classes[:, 1] - classes[:, 0]


def bundle_of_segmenter(net: nn.Module, target: Path, named: SegmenterNamed) -> Path:
    """Write a network as a segmenter bundle into the new folder `target`; returns it.

    Args:
        net: takes (B, 1, 160, 160), gives the logits (B, 2, 160, 160) of background and brain.
        target: must not exist.
        named: what is said of it.

    Raises:
        UsageError: `target` exists.
        BundleError: the ONNX form does not answer like the network.
    """
    require_learn()
    bundle_folder.check_new(target)
    side = view.VIEWS[view.BRAIN_SLICES][1][0]
    logit = _Logit(net).eval()
    model = onnx_export.to_onnx({view.BRAIN: [logit]}, torch.zeros(2, 1, side, side), image="slice", half=True)
    images = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (3, 1, side, side)).astype(np.float32))
    onnx_export.check_parity(_Row(logit), model, (images,), where=named.id, tolerance=HALF_PARITY)
    content = {spec.MODEL_FILE: model, spec.CARD_FILE: _card(named).encode()}
    return bundle_folder.write(target, content, partial(_spec, named, side))


class _Row(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.net(x)[:, None],)


def _card(named: SegmenterNamed) -> str:
    text = (files("dopascope.convert") / "cards" / "segmenter.md").read_text(encoding="utf-8")
    limits = "\n".join(f"- {one}" for one in LIMITS)
    return text.format(
        title=named.title,
        trained_on=named.trained_on,
        details=named.details,
        rebuilt_by=named.rebuilt_by,
        licence=named.licence,
        holder=named.holder,
        definition=DEFINITION,
        limits=limits,
    )


def _spec(named: SegmenterNamed, side: int, listed: dict[str, str]) -> BundleSpec:
    return BundleSpec(
        schema=spec.SCHEMA,
        id=named.id,
        kind="segmenter",
        title=named.title,
        modality="t1",
        input=InputSpec(
            name="slice",
            view=view.BRAIN_SLICES,
            intensity=view.GREY_RANGE,
            flip_x=False,
            crop=[(0, side), (0, side)],
            clip=(0.0, 1.5),
            mean=0.0,
            sd=1.0,
            axes="rows and columns of a sagittal, coronal or axial slice, each in the order R, A, S",
            shape=[1, side, side],
        ),
        outputs={
            view.BRAIN: OutputSpec(role="logit", shape=[1, side, side], meaning="Logit of brain, for each pixel.")
        },
        calibration_reason="masks are judged by their overlap, not by a probability",
        opset=onnx_export.OPSET,
        training=Training(summary=named.trained_on, details=named.details),
        licence=Licence(spdx=named.licence, holder=named.holder),
        papers=[],
        laterality="Slices of all three planes are seen in any direction; a mask has no side.",
        limits=list(LIMITS),
        files=listed,
        sources=named.sources,
        made_by=bundle_folder.made_by(),
    )
