"""Augmentations by name, as plans list them, and their application to a batch with its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from dopascope.augment import pose
from dopascope.augment.blur import SD_OF_FWHM, gaussian
from dopascope.errors import UsageError

Draw = dict[str, Tensor]
"""What was drawn for a batch: names to `(B, ...)`, on the CPU."""
VOXEL_MM: Final = 2.0


@dataclass(frozen=True)
class Augmentation:
    """One kind of change."""

    draw: Callable[..., Draw]
    """`draw(generator, count, shape, **amounts)`."""
    apply: Callable[[Tensor, Draw, torch.Generator], Tensor]
    amounts: Mapping[str, Any]
    """Names of its settings and their defaults."""
    exchanges_sides: bool = False
    """Left and right labels are to be exchanged where `draw["flipped"]` says so."""


@dataclass(frozen=True)
class Pipeline:
    """Changes in the order in which they are applied."""

    steps: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    amounts: tuple[Mapping[str, Any], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        full = tuple({**AUGMENTATIONS[name].amounts, **given} for name, given in self.steps)
        object.__setattr__(self, "amounts", full)

    def draw(self, count: int, shape: Sequence[int], seed: int) -> list[Draw]:
        """What happens to a batch of `count` images `(C, I, J[, K])` of `shape`; the same for the same seed.

        The draws depend on the whole batch, not on which share of it a process holds.
        """
        generator = torch.Generator().manual_seed(seed)
        return [
            AUGMENTATIONS[name].draw(generator, count, tuple(shape), **amounts)
            for (name, _), amounts in zip(self.steps, self.amounts, strict=True)
        ]

    def apply(self, images: Tensor, drawn: Sequence[Draw], seed: int) -> tuple[Tensor, Tensor]:
        """The changed images, and which of them `(B,)` were mirrored. `seed` is that of the noise."""
        generator = torch.Generator(images.device).manual_seed(seed)
        mirrored = torch.zeros(len(images), dtype=torch.bool)
        for (name, _), draw in zip(self.steps, drawn, strict=True):
            one = AUGMENTATIONS[name]
            images = one.apply(images, draw, generator)
            if one.exchanges_sides:
                mirrored ^= draw["flipped"]
        return images, mirrored


def parse(listed: Sequence[Mapping[str, Any]]) -> Pipeline:
    """A pipeline from a plan's list, each entry with a `kind` and its amounts.

    Raises:
        UsageError: an unknown kind or amount.
    """
    steps = []
    for place, entry in enumerate(listed, 1):
        amounts = dict(entry)
        kind = amounts.pop("kind", None)
        where = f"augment, entry {place}"
        if kind not in AUGMENTATIONS:
            raise _unknown(where, "kind", kind, AUGMENTATIONS)
        if odd := sorted(amounts.keys() - AUGMENTATIONS[kind].amounts.keys()):
            raise _unknown(f"{where} ({kind})", "setting", odd[0], AUGMENTATIONS[kind].amounts)
        steps.append((kind, amounts))
    return Pipeline(tuple(steps))


def _unknown(where: str, what: str, found: object, known: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f"No augmentation has this {what}.",
        where=where,
        found=found,
        expected=", ".join(sorted(known)) or "no setting",
        fix="Correct the plan.",
    )


def _chance(generator: torch.Generator, count: int, chance: float) -> Tensor:
    return torch.rand(count, generator=generator) < chance


def _between(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _by_image(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images).reshape(-1, *[1] * (images.ndim - 1))


def _draw_pose(generator: torch.Generator, count: int, shape: Sequence[int], **amounts: Any) -> Draw:
    shift = [amounts.pop("shift_mm") / VOXEL_MM] * (len(shape) - 1)
    return {"to_input": pose.affine(generator, count, shape[1:], shift=shift, **amounts)}


def _draw_shift(generator: torch.Generator, count: int, shape: Sequence[int], width: float, height: float) -> Draw:
    shift = [width * shape[1], height * shape[2], *[0.0] * (len(shape) - 3)]
    return {"to_input": pose.affine(generator, count, shape[1:], shift=shift)}


def _apply_pose(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    return pose.resample(images, draw["to_input"])


def _draw_flip(generator: torch.Generator, count: int, _: Sequence[int], chance: float) -> Draw:
    return {"flipped": _chance(generator, count, chance)}


def _apply_flip(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    return torch.where(_by_image(draw["flipped"], images).bool(), images.flip(2), images)


def _draw_brightness(generator: torch.Generator, count: int, _: Sequence[int], amount: float) -> Draw:
    return {"factor": _between(generator, count, 1 - amount, 1 + amount)}


def _apply_brightness(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    return images * _by_image(draw["factor"], images)


def _draw_jitter(generator: torch.Generator, count: int, _: Sequence[int], brightness: float, contrast: float) -> Draw:
    return {
        "factor": _between(generator, count, 1 - brightness, 1 + brightness),
        "contrast": _between(generator, count, 1 - contrast, 1 + contrast),
    }


def _apply_jitter(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    bright = images * _by_image(draw["factor"], images)
    mean = bright.mean(tuple(range(1, images.ndim)), keepdim=True)
    return mean + (bright - mean) * _by_image(draw["contrast"], images)


def _draw_erasing(generator: torch.Generator, count: int, shape: Sequence[int], chance: float, largest: float) -> Draw:
    axes = len(shape) - 1
    extents = torch.tensor([float(size) for size in shape[1:]])
    side = (torch.rand(count, axes, generator=generator) * largest) ** (1 / axes) * extents
    start = torch.rand(count, axes, generator=generator) * (extents - side)
    side = torch.where(_chance(generator, count, chance)[:, None], side, torch.zeros_like(side))
    return {"start": start, "stop": start + side}


def _apply_erasing(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    for axis, size in enumerate(images.shape[2:]):
        places = torch.arange(size, device=images.device)
        start, stop = (draw[name][:, axis].to(images.device)[:, None] for name in ("start", "stop"))
        along = (places >= start) & (places < stop)
        inside = inside & along.reshape(len(images), 1, *[size if one == axis else 1 for one in range(images.ndim - 2)])
    return images.masked_fill(inside, 0.0)


def _draw_blur(generator: torch.Generator, count: int, _: Sequence[int], chance: float, fwhm_mm: float) -> Draw:
    width = _between(generator, count, 0.0, fwhm_mm) * (SD_OF_FWHM / VOXEL_MM)
    return {"sd": torch.where(_chance(generator, count, chance), width, torch.zeros(count))}


def _apply_blur(images: Tensor, draw: Draw, _: torch.Generator) -> Tensor:
    return gaussian(images, draw["sd"])


def _draw_noise(generator: torch.Generator, count: int, _: Sequence[int], chance: float, sd: float) -> Draw:
    level = _between(generator, count, 0.0, sd)
    return {"level": torch.where(_chance(generator, count, chance), level, torch.zeros(count))}


def _apply_noise(images: Tensor, draw: Draw, generator: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return images + noise * _by_image(draw["level"], images)


def _draw_counts(generator: torch.Generator, count: int, _: Sequence[int], chance: float, least: float) -> Draw:
    kept = _between(generator, count, least, 1.0)
    return {"kept": torch.where(_chance(generator, count, chance), kept, torch.ones(count))}


def _apply_counts(images: Tensor, draw: Draw, generator: torch.Generator) -> Tensor:
    kept = _by_image(draw["kept"], images)
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    # Noise of an image grows with the root of its counts; a share `kept` of them adds this variance.
    extra = images.clamp_min(0.0) * NOISE_OF_COUNTS * (1 / kept - 1)
    return images + noise * extra.sqrt()


NOISE_OF_COUNTS: Final = 0.01
"""Variance of a voxel of intensity 1 at full counts: about 10 %, as in the simulated sites' slabs."""

AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "pose": Augmentation(_draw_pose, _apply_pose, {"rotation_deg": 5.0, "scale": 0.05, "shift_mm": 4.0, "crop": 0.0}),
    "shift": Augmentation(_draw_shift, _apply_pose, {"width": 0.05, "height": 0.05}),
    "flip": Augmentation(_draw_flip, _apply_flip, {"chance": 0.5}, exchanges_sides=True),
    "brightness": Augmentation(_draw_brightness, _apply_brightness, {"amount": 0.1}),
    "jitter": Augmentation(_draw_jitter, _apply_jitter, {"brightness": 0.1, "contrast": 0.1}),
    "erasing": Augmentation(_draw_erasing, _apply_erasing, {"chance": 0.5, "largest": 0.1}),
    "blur": Augmentation(_draw_blur, _apply_blur, {"chance": 0.5, "fwhm_mm": 8.0}),
    "noise": Augmentation(_draw_noise, _apply_noise, {"chance": 0.5, "sd": 0.1}),
    "counts": Augmentation(_draw_counts, _apply_counts, {"chance": 0.5, "least": 0.25}),
}
"""S1 has crop and rotation (`pose`), flip, jitter, erasing; S3 shift, flip, brightness. Strong `blur` (24 mm) and
`noise` far beyond any camera are the unrealistic augmentation of Buddenkotte and Buchert 2024
(doi 10.2967/jnumed.124.267570); weaker ones with `counts` are degraded resolution and counts."""
