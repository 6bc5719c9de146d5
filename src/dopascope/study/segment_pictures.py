"""The slices of a segmenter's run that are kept to be looked at: an example, the stages, and the worst."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.score.slices import Judged
from dopascope.space.threshold import largest_piece
from dopascope.tasks.masked_slices import MaskedSlice

PICTURES: Final = "pictures.npz"
WORST: Final = 12
"""Slices of the lowest Dice that are kept, and as many with the largest pieces outside."""
RIM_SHARE: Final = 1 / 256
"""Of the side: what lies outside the expert's mask and is nowhere thicker than about twice that is a rim, no piece."""
_NETWORK: Final = "network"


@dataclass(frozen=True, eq=False)
class Answered:
    """One control slice with the network's mask."""

    slice: MaskedSlice
    said: NDArray[np.bool_]
    judged: dict[str, Judged]
    """Reader -> what its mask came to."""

    @cached_property
    def outside(self) -> NDArray[np.bool_]:
        """The largest piece that the network says and the expert does not, see `outside_piece`."""
        return outside_piece(self.said, self.slice.mask)

    @property
    def dice(self) -> float | None:
        """Of the network; None where both masks are empty."""
        return self.judged[_NETWORK].pixels.f1


def outside_piece(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of `said` outside the truth, such as a sinus, an eye or a neck; empty where there is but a rim.

    A rim is what an opening of `RIM_SHARE` of the side removes: a border drawn a little too far out goes all around the
    brain and would be larger than a sinus.

    Args:
        said: `(rows, columns)`.
        truth: the same shape.
    """
    from scipy import ndimage

    width = max(1, round(max(said.shape) * RIM_SHARE))
    thick = ndimage.binary_opening(said & ~truth, np.ones((3, 3)), iterations=width)
    return largest_piece(np.asarray(thick, bool))


def stages(answered: Sequence[Answered]) -> list[int]:
    """Which control slices are shown in stages: the best, middle and lowest Dice, and the largest piece outside.

    Only slices with brain, where there are any; each once.
    """
    with_brain = [number for number, one in enumerate(answered) if one.slice.mask.any()] or [*range(len(answered))]
    ranked = sorted(with_brain, key=lambda number: (-(answered[number].dice or 0.0), number))
    outside = max(with_brain, key=lambda number: int(answered[number].outside.sum()))
    return list(dict.fromkeys([ranked[0], ranked[len(ranked) // 2], ranked[-1], outside]))


def worst(answered: Sequence[Answered]) -> list[tuple[int, str]]:
    """The slices of the lowest Dice, and those with the largest piece outside the expert's mask, with which it is."""
    known = [number for number, one in enumerate(answered) if one.dice is not None]
    low = sorted(known, key=lambda number: (answered[number].dice or 0.0, number))[:WORST]
    sizes = {number: int(one.outside.sum()) for number, one in enumerate(answered)}
    large = sorted((number for number in sizes if sizes[number]), key=lambda number: (-sizes[number], number))[:WORST]
    return [(number, "lowest Dice") for number in low] + [(number, "largest piece outside") for number in large]


def write_pictures(out: Path, example: MaskedSlice, answered: Sequence[Answered]) -> None:
    """Keep `PICTURES` in the run folder, every slice as people look at it."""
    chosen = [(number, "stages") for number in stages(answered)] + worst(answered)
    kept = [(answered[number], why) for number, why in chosen]
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        **_named("example", [example], [example.mask], [example.mask]),
        **_named(
            "shown", [one.slice for one, _ in kept], [one.said for one, _ in kept], [one.outside for one, _ in kept]
        ),
        why=np.array([why for _, why in kept], str),
        dice=np.array([np.nan if one.dice is None else one.dice for one, _ in kept]),
    )
    provenance.write_bytes(out / PICTURES, stream.getvalue())


def _named(
    name: str, slices: Sequence[MaskedSlice], said: Sequence[NDArray[np.bool_]], outside: Sequence[NDArray[np.bool_]]
) -> dict[str, Any]:
    return {
        f"{name}_image": np.array([one.shown(one.image.astype(np.float16)) for one in slices]),
        f"{name}_truth": np.array([one.shown(one.mask) for one in slices]),
        f"{name}_said": np.array([one.shown(mask) for one, mask in zip(slices, said, strict=True)]),
        f"{name}_outside": np.array([one.shown(mask) for one, mask in zip(slices, outside, strict=True)]),
        f"{name}_slice": np.array([one.name for one in slices], str),
        f"{name}_person": np.array([one.participant_id for one in slices], str),
        f"{name}_sides": np.array([one.sides or ("", "") for one in slices], str).reshape(-1, 2),
    }
