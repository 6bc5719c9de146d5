"""A fitted generator: it draws images, and is kept as one npz file in which nothing can execute."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from dopascope import provenance
from dopascope.errors import BundleError, DopascopeError, HostileError, UsageError
from dopascope.learn.fit import memory_format
from dopascope.learn.generative.examples import Conditions, class_numbers, value_table
from dopascope.learn.generative.model import How, Model
from dopascope.learn.generative.noise import ImageNoise
from dopascope.learn.generative.plan import Plan, build
from dopascope.nets.generative.condition import asked
from dopascope.nets.generative.process import STEPS

FORMAT: Final = "dopascope.generator/1"
FACTS: Final = "facts"
WEIGHTS: Final = "net/"
MAX_BYTES: Final = 4 << 30
GUIDANCE: Final = (0.0, 10.0)
"""Smallest and largest guidance; beyond, images leave what was learned long before."""


@dataclass
class Generator:
    """A generator that has learned.

    Example:
        made = fit_generator(plan, images, classes, {"age": ages}, recipe, seed=1)
        made.sample(["PD"] * 8, {"age": [64.0] * 8}, seed=2)
    """

    model: Model
    training: Mapping[str, Any] = field(default_factory=dict)
    """What it learned from, and how: JSON-ready."""

    @property
    def plan(self) -> Plan:
        """Its family, images, classes and conditions."""
        return self.model.plan

    def sample(
        self,
        classes: Sequence[str],
        conditions: Conditions | None = None,
        *,
        seed: int,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: float = 1.0,
        first: int = 0,
        batch: int = 16,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Tensor:
        """New images `(N, C, I, J[, K])` in units of the training images, on the CPU.

        Image n depends on `seed`, `first` + n, its class and conditions; not on the others, nor, but for rounding, on
        `batch`. So a set that was interrupted goes on with `first`.

        Args:
            classes: one of the plan's for each image.
            conditions: values by name; what is left out, or NaN, is left open.
            seed: of all images.
            steps: of the sampler; the family's usual number when omitted.
            sampler: the family's usual one when omitted.
            guidance: 1 as learned, more exaggerates class and conditions, 0 ignores them; families that cannot take 1.
            first: number of the first image.
            batch: images made at once.
            progress: told of how many are done.

        Raises:
            UsageError: an unknown class, condition or sampler, or a number out of its range.
        """
        how = self.how(sampler, steps, guidance)
        if batch < 1 or first < 0 or seed < 0:
            raise _refused("batch, first and seed", f"{batch}, {first} and {seed}", "1 or more, 0 or more, 0 or more")
        condition = self.condition(classes, conditions)
        made = [torch.empty(0, *self.plan.shape)]
        for start in range(0, len(classes), batch):
            part = condition[start : start + batch]
            noise = ImageNoise(seed, range(first + start, first + start + len(part)), self.device)
            with torch.inference_mode():
                images = self.model.draw(part, noise, how)
                made.append(self.model.within(self.model.unscaled(images.float())).cpu())
            progress(start + len(part))
        return torch.cat(made).clone()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.mean.device

    def condition(self, classes: Sequence[str], conditions: Conditions | None) -> Tensor:
        """Classes and conditions as the networks take them, `(N, 1 + V)`.

        Raises:
            UsageError: a class or condition that the generator does not know.
        """
        table = value_table(self.plan, conditions, len(classes)).to(self.device)
        return asked(class_numbers(self.plan, classes).to(self.device), self.model.scaled_values(table))

    def how(self, sampler: str | None = None, steps: int | None = None, guidance: float = 1.0) -> How:
        """How images are drawn, with what was left out filled in.

        Raises:
            UsageError: this family does not draw so.
        """
        kind, name = self.model, self.plan.family
        if not kind.samplers:
            for where, given in (("sampler", sampler), ("steps", steps)):
                if given not in (None, 1):
                    raise _refused(where, given, f"none: {name} makes an image in one step")
        elif sampler is not None and sampler not in kind.samplers:
            raise _refused("sampler", sampler, ", ".join(kind.samplers))
        if steps is not None and not 1 <= steps <= STEPS:
            raise _refused("steps", steps, f"1 to {STEPS}")
        low, high = GUIDANCE if kind.guided else (1.0, 1.0)
        if not low <= guidance <= high:
            expected = f"{low:g} to {high:g}" if kind.guided else f"1: {name} learns no images without a condition"
            raise _refused("guidance", guidance, expected)
        return How(sampler or next(iter(kind.samplers), ""), steps or kind.usual_steps, guidance)

    def save(self, path: Path) -> str:
        """Keep it as one npz file, whole or not at all; its SHA-256."""
        facts = {"format": FORMAT, "plan": self.plan.as_dict(), "training": dict(self.training)}
        plain: dict[str, Any] = {
            WEIGHTS + name: value.detach().cpu().numpy()
            for name, value in self.model.state_dict().items()
            if not name.startswith(self.model.only_learning)
        }
        stream = io.BytesIO()
        encoded = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
        np.savez(stream, allow_pickle=False, **plain | {FACTS: encoded})
        provenance.write_bytes(path, stream.getvalue())
        return provenance.sha256_of(path)


def load(path: Path, *, sha256: str = "", device: str | torch.device = "cpu") -> Generator:
    """The generator in a file that `Generator.save` wrote.

    Args:
        path: of the file.
        sha256: that it must have, where given.
        device: where it shall compute.

    Raises:
        UsageError: there is no such file.
        BundleError: it is damaged, not the one that was meant, or no generator.
        HostileError: it would unpack to more than `MAX_BYTES`.
    """
    if not path.is_file():
        raise UsageError("There is no such generator.", where=path, fix="Check the spelling.")
    found = provenance.sha256_of(path)
    if sha256 and found != sha256:
        raise _damaged(path, "is not the one that was meant", f"sha256 {found}", f"sha256 {sha256}")
    facts, weights = _read(path)
    try:
        plan = Plan.from_dict(facts["plan"])
        model = build(plan)
        training = dict(facts["training"])
    except (DopascopeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "holds a plan that cannot be meant", error, "a plan as dopascope writes it") from error
    wanted = {name: value for name, value in model.state_dict().items() if not name.startswith(model.only_learning)}
    odd = sorted(name for name in wanted.keys() | weights.keys() if _shape(wanted, name) != _shape(weights, name))
    if odd:
        told = f"{odd[0]} of shape {_shape(weights, odd[0])}"
        raise _damaged(path, "holds the weights of another model", told, f"shape {_shape(wanted, odd[0])}")
    model.load_state_dict(weights, strict=False)
    model.to(device, memory_format=memory_format(plan.shape))  # type: ignore[call-overload]  # as in the loop
    return Generator(model.eval(), training)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and weights of a file, unpacked no further than allowed."""
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
        if claimed > MAX_BYTES:
            raise HostileError(
                "The file would unpack to too much.",
                where=path,
                found=f"{claimed} bytes",
                expected=f"<= {MAX_BYTES} bytes",
                fix="Check that this is the right file.",
            )
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored[FACTS].tobytes())
            if facts["format"] != FORMAT:
                raise _damaged(path, "is no generator", facts["format"], FORMAT)
            arrays = {name: stored[name] for name in stored.files if name != FACTS}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _damaged(path, "is no generator, or is damaged", error, f"a file of format {FORMAT}") from error
    return facts, {name.removeprefix(WEIGHTS): torch.from_numpy(value) for name, value in arrays.items()}


def _shape(weights: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None


def _damaged(path: Path, what: str, found: object, expected: object) -> BundleError:
    return BundleError(
        f"The file {what}.", where=path, found=found, expected=expected, fix="Copy it again, or fit anew."
    )


def _refused(where: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "The generator cannot draw so.", where=where, found=found, expected=expected, fix="Correct what is asked for."
    )
