"""Painted heads to learn from, kept once they are painted: no scan's intensities are needed, labels alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor

from dopascope import formats, provenance
from dopascope.atlas.brain import template_brain
from dopascope.errors import UnsuitableError
from dopascope.phantom.mr.heads import FREESURFER, draw_head, from_freesurfer
from dopascope.tasks.segment import PaintedSlices
from dopascope.volume import Grid, LabelMap, SliceImage

HEADS: Final = 40
"""Painted for a training; every slice is of one of them, bent and tilted anew."""
_HEAD: Final = 7
"""Keeps the seeds of heads apart from those of slices."""


@dataclass(frozen=True)
class FirstSlices:
    """The first slices of a stream, drawn once and held."""

    slices: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, stream: PaintedSlices, count: int) -> FirstSlices:
        """The first `count`."""
        return cls([stream[number] for number in range(count)])

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.slices[number]


def painted_heads(
    folder: Path,
    labels: Sequence[Path],
    seed: int,
    count: int = HEADS,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> list[LabelMap]:
    """`count` heads around the template's brain and those of `labels` in turn, kept in a folder once they are painted.

    Head n follows from the seed, n and its brain alone.

    Args:
        folder: of painted heads; those of another seed or other labels must not lie there.
        labels: FreeSurfer's `aseg` files.
        seed: of the heads.
        count: how many.
        progress: told of each head.

    Raises:
        InputError: a file cannot be read, or holds no labels of a brain.
    """
    brains = [template_brain(), *(brain_labels(path) for path in labels)]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"{number:03}.npz"
        if not path.is_file():
            head = draw_head([brains[number % len(brains)]], np.random.default_rng([seed, number, _HEAD]))
            with provenance.replacing(path) as temporary, open(temporary, "wb") as stream:
                np.savez_compressed(stream, labels=head.data, affine=head.grid.affine)
        with np.load(path) as stored:
            data = stored["labels"]
            found.append(LabelMap(data, Grid(data.shape, stored["affine"])))
        progress(number + 1)
    return found


def brain_labels(path: Path) -> LabelMap:
    """A brain's tissues from FreeSurfer's `aseg`.

    Raises:
        InputError: it cannot be read, is a picture, or has none of FreeSurfer's labels of a brain.
    """
    volume = formats.load(path)
    known = [number for numbers in FREESURFER.values() for number in numbers]
    whole = not isinstance(volume, SliceImage) and np.isfinite(volume.data).all()
    if isinstance(volume, SliceImage) or not whole or not np.isin(np.rint(volume.data), known).any():
        raise UnsuitableError(
            "This file has no labels of a brain.",
            where=path,
            found="a picture" if isinstance(volume, SliceImage) else "none of FreeSurfer's numbers",
            expected="an aseg volume of FreeSurfer (such as aseg.mgz)",
            fix="Give another file, or leave it out: the template's brain is always there.",
        )
    return from_freesurfer(LabelMap(np.rint(volume.data).astype(np.int32), volume.grid))
