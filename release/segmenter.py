"""Trains the shipped brain segmenter: python release/segmenter.py --out DIR [--labels ASEG ...] [--epochs N].

Heads are painted around the template's brain and around the brains of `--labels` (FreeSurfer's aseg files, under a
licence that permits it); no scan's intensities are seen. Run again to go on.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dopascope.learn.log import Epoch
from dopascope.learn.segment import SegmentRecipe, fit_segmenter
from dopascope.tasks.painted import FirstSlices, painted_heads
from dopascope.tasks.segment import PaintedSlices, new_segmenter

SEED = 20261129
WATCHED = 64


def main() -> None:
    """Paint, train, and keep each epoch's end."""
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
    heads = painted_heads(chosen.out / "heads", chosen.labels, SEED)
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
    watched = FirstSlices.of(PaintedSlices(heads, SEED + 1, chosen.size), WATCHED)
    fit_segmenter(
        net, PaintedSlices(heads, SEED, chosen.size), recipe, watched=watched, folder=chosen.out, progress=say
    )


def say(epoch: Epoch) -> None:
    """A line for each epoch."""
    print(
        f"{time.strftime('%H:%M:%S')} epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, "
        f"right {epoch.train_accuracy:.4f}, watched Dice {epoch.validation_accuracy:.4f}, {epoch.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
