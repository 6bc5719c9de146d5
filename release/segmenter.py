"""Trains the brain segmenter that ships, and writes its bundle: python release/segmenter.py --out DIR --labels ASEG ...

Heads are painted around the template's brain and around the brains of `--labels` (FreeSurfer's aseg files, under a
licence that permits it); no scan's intensities are seen. Run again to go on. With `--bundle DIR` the trained network
is written as a bundle, its checkpoint's figures in its card.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from dopascope import provenance
from dopascope.convert.segmenter_bundle import SegmenterNamed, bundle_of_segmenter
from dopascope.learn.log import Epoch
from dopascope.learn.segment import SegmentRecipe, fit_segmenter
from dopascope.tasks.painted import FirstSlices, painted_heads
from dopascope.tasks.segment import PaintedSlices, new_segmenter

SEED = 20261129
WATCHED = 64
ID = "dopascope-brain"


def main() -> None:
    """Paint, train, and keep each epoch's end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=Path, nargs="*", default=[])
    parser.add_argument("--bundle", type=Path, help="new folder of the bundle")
    parser.add_argument("--encoder", default="tu-regnetx_002")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--slices-per-epoch", type=int, default=1008)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="32")
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
    log = fit_segmenter(
        net, PaintedSlices(heads, SEED, chosen.size), recipe, watched=watched, folder=chosen.out, progress=say
    )
    if chosen.bundle:
        named = SegmenterNamed(
            id=ID,
            title="dopascope's brain segmenter (painted heads only)",
            trained_on="painted heads around the ICBM 152 template's brain and label maps under the MIT licence; "
            "no scan's intensities",
            details=f"{len(heads)} heads, {chosen.epochs} epochs of {recipe.steps * recipe.batch} slices of "
            f"{chosen.size} x {chosen.size} pixels in random contrasts, encoder {chosen.encoder}, {recipe.loss}, "
            f"seed {SEED}; Dice of {WATCHED} painted slices that were not learned from: "
            f"{log[-1].validation_accuracy:.3f}.",
            rebuilt_by=f"python release/segmenter.py --out DIR --labels {' '.join(p.name for p in chosen.labels)} "
            "--bundle BUNDLE",
            sources={path.name: provenance.sha256_of(path) for path in chosen.labels},
        )
        print(bundle_of_segmenter(net.to(memory_format=torch.contiguous_format), chosen.bundle, named))


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
