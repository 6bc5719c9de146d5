"""Trains the shipped brain segmenter: python release/segmenter.py --out DIR [--labels ASEG ...] [--epochs N].

Heads are painted around the template's brain and around the brains of `--labels` (FreeSurfer's aseg files, under a licence
that permits it); no scan's intensities are seen. Run again to go on; the last line says where the weights lie.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from dopascope import formats, provenance
from dopascope.atlas.brain import template_brain
from dopascope.learn.log import Epoch
from dopascope.learn.segment import SegmentRecipe, fit_segmenter
from dopascope.phantom.mr.heads import draw_head, from_freesurfer
from dopascope.tasks.segment import PaintedSlices, new_segmenter
from dopascope.volume import Grid, LabelMap

HEADS = 40
SEED = 20261129
WATCHED = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=Path, nargs="*", default=[])
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--slices-per-epoch", type=int, default=1600)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="bf16")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    heads = painted_heads(chosen.out / "heads", chosen.labels)
    net = new_segmenter(chosen.encoder, SEED)
    recipe = SegmentRecipe(
        epochs=chosen.epochs,
        slices_per_epoch=chosen.slices_per_epoch,
        batch=chosen.batch,
        learning_rate=chosen.rate,
        precision=chosen.precision,
        seed=SEED,
        workers=chosen.workers,
        loss="cross-entropy+dice",
    )
    watched = Watched(PaintedSlices(heads, SEED + 1, chosen.size))
    fit_segmenter(
        net, PaintedSlices(heads, SEED, chosen.size), recipe, watched=watched, folder=chosen.out, progress=say
    )


class Watched:
    """The first slices of another stream."""

    def __init__(self, stream: PaintedSlices) -> None:
        self.slices = [stream[number] for number in range(WATCHED)]

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, number: int):  # type: ignore[no-untyped-def]
        return self.slices[number]


def say(epoch: Epoch) -> None:
    print(
        f"{time.strftime('%H:%M:%S')} epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, "
        f"right {epoch.train_accuracy:.4f}, watched Dice {epoch.validation_accuracy:.4f}, {epoch.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def painted_heads(folder: Path, labels: list[Path]) -> list[LabelMap]:
    """`HEADS` heads, kept in a folder once they are painted."""
    brains = [template_brain(), *(from_freesurfer(as_labels(path)) for path in labels)]
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(HEADS):
        path = folder / f"{number:03}.npz"
        if not path.is_file():
            head = draw_head([brains[number % len(brains)]], np.random.default_rng([SEED, number, 7]))
            with provenance.replacing(path) as temporary, open(temporary, "wb") as stream:
                np.savez_compressed(stream, labels=head.data, affine=head.grid.affine)
        with np.load(path) as stored:
            data = stored["labels"]
            found.append(LabelMap(data, Grid(data.shape, stored["affine"])))
    return found


def as_labels(path: Path) -> LabelMap:
    """A label volume from a file."""
    volume = formats.load(path)
    return LabelMap(np.rint(volume.data).astype(np.int32), volume.grid)


if __name__ == "__main__":
    main()
