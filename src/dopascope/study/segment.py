"""A segmenter from a table of marked images, or from painted heads, to a run folder (Abramov et al. 2021).

The same call goes on where an interrupted one ended.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from dopascope import provenance
from dopascope.bundle.brain import SIDE as BUNDLE_SIDE
from dopascope.cohort.masked import MaskedImage
from dopascope.cohort.nearest_share import nearest_share
from dopascope.cohort.splits import Place, write_splits
from dopascope.errors import UnreadableError, UnsuitableError, UsageError
from dopascope.learn.log import Epoch
from dopascope.learn.segment import Slices, fit_segmenter
from dopascope.score.slices import Judged, figures_of, interval_of, judge
from dopascope.space.threshold import bright_piece
from dopascope.study.folder import PLAN, SPLITS, environment
from dopascope.study.segment_pictures import Answered, write_pictures
from dopascope.study.segment_plan import (
    CONTROL_SHARE,
    CONTROL_SLICES,
    SegmentPlan,
    heads_sentence,
    plan_text,
    split_sentence,
    why_no_bundle,
)
from dopascope.tasks.masked_slices import Gathered, MaskedSlice
from dopascope.tasks.painted import HEADS, FirstSlices, painted_heads
from dopascope.tasks.segment import PaintedSlices, StoredSlices, brain_probability, new_segmenter, save_weights

FORM: Final = "dopascope.segment-run/1"
WEIGHTS: Final = "weights.npz"
SLICES: Final = "slices.tsv"
NETWORK: Final = "network"
OTSU: Final = "otsu"
"""The trivial baseline: `space.threshold.bright_piece`."""
_SHOWN_OF_STREAM: Final = 16
"""Painted training slices among which the example is chosen."""


@dataclass(frozen=True)
class Material:
    """What is learned from and what it is judged by."""

    train: Slices
    example: MaskedSlice
    """The training slice with the most brain, to be shown."""
    control: list[MaskedSlice]
    places: list[Place]
    """Lines of `splits.tsv`."""
    split: dict[str, Any]
    sentence: str
    """The split in words."""
    notes: list[str]
    """What was assumed of the images."""
    data: list[str]
    """SHA-256 of everything that is learned from."""
    train_slices: int
    planes: set[str | None]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every slice."""
        rows, columns = self.example.image.shape
        return rows, columns


@dataclass(frozen=True)
class TrainedSegmenter:
    """What a training came to."""

    net: nn.Module
    figures: dict[str, Any]
    """What is written as `metrics.json`."""


def check_people(images: Sequence[MaskedImage]) -> None:
    """Say that a table cannot be split before its images are read.

    Raises:
        UsageError: fewer than two people.
    """
    nearest_share(Counter(one.participant_id for one in images), CONTROL_SHARE, 0)


def material_of_table(gathered: Gathered, images: Sequence[MaskedImage], seed: int) -> Material:
    """The slices of a table, split by people.

    Args:
        gathered: its slices.
        images: its lines.
        seed: of the split.

    Raises:
        UsageError: fewer than two people.
        UnsuitableError: a side of the split without brain, or the training side without background.
    """
    sizes = Counter(one.participant_id for one in gathered.slices)
    control_people = nearest_share(sizes, CONTROL_SHARE, seed)
    control = [one for one in gathered.slices if one.participant_id in control_people]
    train = [one for one in gathered.slices if one.participant_id not in control_people]
    _check_classes(train, control)
    split = {
        "control_share": CONTROL_SHARE,
        "control_people": control_people,
        "train_people": sorted(sizes.keys() - {*control_people}),
        "control_slices": len(control),
        "train_slices": len(train),
    }
    return Material(
        train=_stored(train),
        example=max(train, key=lambda one: int(one.mask.sum())),
        control=control,
        places=[
            Place("1", "test" if one.participant_id in control_people else "train", one.name, one.participant_id)
            for one in images
        ],
        split=split,
        sentence=split_sentence(split),
        notes=gathered.assumed,
        data=[json.dumps([(one.name, one.participant_id) for one in gathered.slices]), *gathered.digests],
        train_slices=len(train),
        planes={one.plane for one in train},
    )


def material_of_heads(
    plan: SegmentPlan, labels: Sequence[Path], folder: Path, *, progress: Callable[[int], None] = lambda _: None
) -> Material:
    """Slices of painted heads; those of the last heads are the control set, and no training slice is of them.

    Args:
        plan: of painted heads.
        labels: FreeSurfer's `aseg` files beside the template's brain.
        folder: where heads are kept, each set of heads under its own name.
        progress: told of each head.

    Raises:
        InputError: a file of labels cannot be read.
    """
    for path in labels:
        if not path.is_file():
            raise UnreadableError("There is no such file.", where=path, fix="Check --labels.")
    digests = [provenance.sha256_of(path) for path in labels]
    own = hashlib.sha256(json.dumps([plan.seed, *digests]).encode()).hexdigest()[:12]
    heads = painted_heads(folder / f"heads-{own}", labels, plan.seed, HEADS, progress=progress)
    apart, size = round(CONTROL_SHARE * HEADS), plan.size or BUNDLE_SIDE
    train = PaintedSlices(heads[:-apart], plan.seed, size)
    drawn = FirstSlices.of(PaintedSlices(heads[-apart:], plan.seed + 1, size), CONTROL_SLICES)
    first = [_painted(train, number, "training") for number in range(_SHOWN_OF_STREAM)]
    split = {"control_heads": apart, "train_heads": HEADS - apart, "control_slices": CONTROL_SLICES}
    return Material(
        train=train,
        example=max(first, key=lambda one: int(one.mask.sum())),
        control=[_painted(drawn, number, "control") for number in range(CONTROL_SLICES)],
        places=[],
        split=split,
        sentence=heads_sentence(split, 1 + len(labels)),
        notes=[],
        data=digests,
        train_slices=len(train),
        planes={None},
    )


def _painted(slices: Slices, number: int, side: str) -> MaskedSlice:
    image, mask = slices[number]
    name = f"painted-{side}-{number:03d}"
    return MaskedSlice(name, name, "painted heads", None, image[0].numpy(), mask.numpy().astype(bool), None)


def _stored(slices: Sequence[MaskedSlice]) -> StoredSlices:
    return StoredSlices([one.image for one in slices], [one.mask for one in slices])


def _check_classes(train: Sequence[MaskedSlice], control: Sequence[MaskedSlice]) -> None:
    cases = (
        ("brain", "training", any(one.mask.any() for one in train)),
        ("background", "training", any(not one.mask.all() for one in train)),
        ("brain", "control", any(one.mask.any() for one in control)),
    )
    for name, side, there in cases:
        if not there:
            raise UnsuitableError(
                f"A class is missing: the {side} slices have no {name}.",
                where="columns mask and slices",
                found=f"0 pixels of {name} in {len(train if side == 'training' else control)} slices",
                expected="brain above 0 and background 0 on both sides of the split",
                fix="Correct the masks, or ask for slices that have both (slices: brain).",
            )


def first_network(plan: SegmentPlan) -> nn.Module:
    """The plan's network with its first weights.

    Raises:
        UsageError: there is no such encoder, or it does not fit.
    """
    return new_segmenter(plan.encoder, plan.seed)


def run_segmenter(
    plan: SegmentPlan,
    net: nn.Module,
    material: Material,
    out: Path,
    *,
    given: Sequence[str],
    progress: Callable[[Epoch], None] = lambda _: None,
) -> TrainedSegmenter:
    """Train as the plan says, judge on the control slices, and write the run folder.

    Args:
        plan: how.
        net: of `first_network`; trained in place.
        material: from what.
        out: the run folder, new or of the same training.
        given: names of the settings that the user said; the rest of the plan is assumed.
        progress: told of each epoch.

    Raises:
        UsageError: `out` holds another training.
        OSError: `out` cannot be written.
    """
    recipe = plan.recipe(material.train_slices)
    text = plan_text(plan, recipe, material.shape, material.split, plan.assumed(given), material.notes, material.data)
    _claim(out, text)
    if material.places:
        write_splits(material.places, out / SPLITS)
    log = fit_segmenter(
        net,
        material.train,
        recipe,
        watched=_stored(material.control),
        folder=out,
        identity=hashlib.sha256(text.encode()).hexdigest(),
        progress=progress,
    )
    save_weights(net, out / WEIGHTS)
    answered = _answers(net, material.control)
    write_pictures(out, material.example, answered)
    provenance.write_text(out / SLICES, _table(answered))
    provenance.write_text(out / "environment.json", json.dumps(environment(), indent=2) + "\n")
    figures = _figures(plan, material, answered, log)
    provenance.write_text(out / "metrics.json", json.dumps(figures, indent=2) + "\n")
    return TrainedSegmenter(net, figures)


def _claim(out: Path, text: str) -> None:
    """Make `out` this training's, or see that it is."""
    written = out / PLAN
    if written.is_file() and written.read_text(encoding="utf-8") != text:
        raise UsageError(
            "This folder holds another training.",
            where=written,
            found="another plan.toml: other slices or other settings",
            expected="a new folder, or the same table and settings to go on with",
            fix="Name another folder with --out.",
        )
    provenance.write_text(written, text)


def _answers(net: nn.Module, control: Sequence[MaskedSlice]) -> list[Answered]:
    slices = _stored(control)
    found = []
    for number, one in enumerate(control):
        p = brain_probability(net, slices, number)
        said = p > 0.5
        network = judge(said, one.mask, one.participant_id, score=p, pixel_mm=one.pixel_mm)
        blind = bright_piece(one.image.astype(np.float32))
        otsu = judge(blind, one.mask, one.participant_id, pixel_mm=one.pixel_mm)
        found.append(Answered(one, said, {NETWORK: network, OTSU: otsu}))
    return found


def _figures(
    plan: SegmentPlan, material: Material, answered: Sequence[Answered], log: Sequence[Epoch]
) -> dict[str, Any]:
    readers: dict[str, list[Judged]] = {name: [one.judged[name] for one in answered] for name in (NETWORK, OTSU)}
    reason = why_no_bundle(plan, material.shape, material.planes)
    last = log[-1]
    return {
        "form": FORM,
        "source": plan.source,
        "split": material.sentence,
        "intervals": f"95 %, bootstrap over {interval_of([one.slice.participant_id for one in answered])}",
        "readers": {name: figures_of(judged) for name, judged in readers.items()},
        "training": {
            "epochs": last.epoch,
            "loss": plan.loss,
            "train_loss": last.train_loss,
            "control_cross_entropy": last.validation_loss,
            "seconds": round(sum(one.seconds for one in log), 1),
        },
        "bundle": {"made": reason is None, "reason": reason},
    }


def _table(answered: Sequence[Answered]) -> str:
    """A line for each control slice."""
    head = ("slice", "scan_id", "participant_id", "brain_pixels", "said_pixels", "pixel_dice", "outside_pixels")
    lines = [head]
    for one in answered:
        counts = one.judged[NETWORK].pixels
        dice = "n/a" if counts.f1 is None else f"{counts.f1:.6f}"
        sizes = (str(counts.positives), str(counts.tp + counts.fp), dice, str(int(one.outside.sum())))
        lines.append((one.slice.name, one.slice.scan, one.slice.participant_id, *sizes))
    return "".join("\t".join(line) + "\n" for line in lines)
