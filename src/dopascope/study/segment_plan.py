"""The plan of a segmenter's training: every number that decides its result, as one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from dopascope.bundle.brain import PIXEL_MM
from dopascope.bundle.brain import SIDE as BUNDLE_SIDE
from dopascope.errors import UsageError
from dopascope.learn.segment import Loss, SegmentRecipe
from dopascope.tasks.masked_slices import check_size

FORM: Final = "dopascope.segment-plan/1"
TABLE: Final = "table"
PAINTED: Final = "painted heads"
PAPER_SIZE: Final = 512
CONTROL_SHARE: Final = 0.2
"""Of the slices: the paper's 100 of 500."""
SLICES_PER_EPOCH: Final = 1600
"""Of painted heads."""
CONTROL_SLICES: Final = 64
"""Of painted heads."""
NOT_SAID: Final = "the paper does not say; ours"


@dataclass(frozen=True)
class SegmentPlan:
    """What a segmenter learns from, and how. The defaults are the paper's (Abramov et al. 2021) where it says them."""

    source: Literal["table", "painted heads"] = "table"
    size: int | None = None
    """Side of the slices; None keeps their pixels as they are stored."""
    encoder: str = "resnet18"
    loss: Loss = "cross-entropy"
    epochs: int = 200
    batch: int = 8
    learning_rate: float = 1e-3
    precision: Literal["32", "bf16"] = "32"
    seed: int = 1

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.painted and self.size is None:
            raise UsageError(
                "Painted heads have no pixels of their own.",
                where="--size",
                found="native",
                expected=f"pixels of a side, such as {BUNDLE_SIDE}",
                fix="Choose a size.",
            )
        if self.batch < 2:
            raise UsageError(
                "The network cannot learn from single slices.",
                where="--batch",
                found=self.batch,
                expected="2 or more: its batch statistics need two slices",
                fix="Choose a larger batch.",
            )
        self.recipe(self.batch)  # refuses the other numbers that cannot be meant

    @property
    def painted(self) -> bool:
        """Whether it learns from painted heads."""
        return self.source == PAINTED

    def recipe(self, slices: int) -> SegmentRecipe:
        """How `slices` training slices are learned from.

        Each is seen once an epoch; a last batch that is not full is filled with some that are seen twice.
        """
        whole = SLICES_PER_EPOCH if self.painted else -(-slices // self.batch) * self.batch
        return SegmentRecipe(
            epochs=self.epochs,
            slices_per_epoch=whole,
            batch=self.batch,
            learning_rate=self.learning_rate,
            loss=self.loss,
            precision=self.precision,
            seed=self.seed,
            workers=1 if self.painted else 0,
        )

    def assumed(self, given: Sequence[str]) -> dict[str, str]:
        """Setting -> why it is as it is although nobody said it; `given` names those that the user did say."""
        why = {
            "encoder": NOT_SAID,
            "batch": NOT_SAID,
            "learning_rate": f"{NOT_SAID}; up over a twentieth of the steps, then down a half cosine to a hundredth",
        }
        found = {name: f"{getattr(self, name)}: {text}" for name, text in why.items() if name not in given}
        found["optimiser"] = f"AdamW, weight decay 1e-4: {NOT_SAID}"
        found["first_weights"] = f"random, from the seed: {NOT_SAID}"
        if not self.painted:
            found["augmentation"] = "none: the paper names none"
        if not self.painted and self.size == BUNDLE_SIDE:
            found["pixels"] = f"{PIXEL_MM:g} mm in slices of scans, as bundles see them"
        return found


def heads_sentence(split: Mapping[str, Any], brains: int) -> str:
    """What painted heads are split into, in words, and what that is not; `split` as under `[split]`."""
    return (
        f"an endless stream of training slices of {split['train_heads']} painted heads and {split['control_slices']} "
        f"control slices of {split['control_heads']} others, around {brains} brain{'s' if brains > 1 else ''} that "
        "both sides share: not a test on people"
    )


def split_sentence(split: Mapping[str, Any]) -> str:
    """What the split of a table came to, in words, beside what was wanted; `split` as under `[split]`."""
    control, train = split["control_slices"], split["train_slices"]
    return (
        f"{train} training slices of {_people(split['train_people'])} and {control} control slices of "
        f"{_people(split['control_people'])}: {control / (control + train):.1%} where {CONTROL_SHARE:.0%} was wanted, "
        "as near as whole people come"
    )


def _people(names: Sequence[str]) -> str:
    return f"{len(names)} {'person' if len(names) == 1 else 'people'}"


def plan_text(
    plan: SegmentPlan,
    recipe: SegmentRecipe,
    shape: tuple[int, int],
    split: Mapping[str, Any],
    assumed: Mapping[str, str],
    notes: Sequence[str],
    data: Sequence[str],
) -> str:
    """`plan.toml`: the same text for the same training, and another one for any other.

    Args:
        plan: what was wanted.
        recipe: of `plan.recipe`.
        shape: rows and columns that the slices came to.
        split: what stands under `[split]`.
        assumed: setting -> why it is as it is.
        notes: what else was assumed, of the images.
        data: SHA-256 of everything that is learned from.
    """
    parts: dict[str, Mapping[str, Any]] = {
        "slices": {"size": "native" if plan.size is None else plan.size, "shape": list(shape)},
        "training": {
            name: getattr(recipe, name)
            for name in ("epochs", "slices_per_epoch", "batch", "learning_rate", "loss", "precision", "seed")
        },
        "split": split,
        "assumed": dict(assumed) | ({"images": list(notes)} if notes else {}),
    }
    lines = [
        f"form = {_value(FORM)}",
        f"source = {_value(plan.source)}",
        'network = "DeepLabv3+"',
        f"encoder = {_value(plan.encoder)}",
        f"data_sha256 = {_value(hashlib.sha256(''.join(data).encode()).hexdigest())}",
    ]
    for name, part in parts.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in part.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """Strings, numbers and lists of them are written alike in JSON and in TOML."""
    return json.dumps(value, ensure_ascii=False)


def why_no_bundle(plan: SegmentPlan, shape: tuple[int, int], planes: set[str | None]) -> str | None:
    """Why this training's network makes no bundle that finds brains in scans; None where it does.

    Args:
        plan: of the training.
        shape: rows and columns of its slices.
        planes: that its slices are of; None among them for pictures.
    """
    if shape != (BUNDLE_SIDE, BUNDLE_SIDE):
        return (
            f"its slices are {shape[0]} x {shape[1]} pixels, and a bundle sees {BUNDLE_SIDE} x {BUNDLE_SIDE} "
            f"(--size {BUNDLE_SIDE})"
        )
    if plan.painted:
        return None
    if None in planes:
        return "it learned from pictures, whose planes and pixel sizes nobody knows, and a bundle sees scans"
    missing = {"sagittal", "coronal", "axial"} - {plane for plane in planes if plane}
    if missing:
        return f"it saw no {' or '.join(sorted(missing))} slices, and a bundle is asked in three planes (plane: all)"
    return None
