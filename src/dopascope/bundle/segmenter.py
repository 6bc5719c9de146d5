"""The brain of a scan by an installed segmenter, or by the one that ships."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle import Bundle, store, view
from dopascope.bundle.brain import BrainMask, find_brain
from dopascope.errors import UnsuitableError, UsageError
from dopascope.volume import LabelMap, SliceImage, Volume

SHIPPED_SEGMENTER: Final = "dopascope-brain"
THREADS: Final = 2


def segmenter(model: str | None = None, models_dir: str | Path | None = None, *, threads: int = THREADS) -> Bundle:
    """The segmenter of that name, or the one that ships.

    Raises:
        UsageError: there is no such model, or it is no segmenter.
        BundleError: it is damaged or was changed.
    """
    bundle = store.load(model or SHIPPED_SEGMENTER, models_dir, threads=threads)
    if bundle.spec.kind != "segmenter":
        raise UsageError(
            "This model does not find brains.",
            where=bundle.id,
            found=bundle.spec.kind,
            expected="segmenter",
            fix="Choose a segmenter (dopascope models list).",
        )
    return bundle


@dataclass(frozen=True)
class BrainFinder:
    """A segmenter that goes to worker processes by its name and is loaded where it is asked first."""

    model: str
    sha256: str
    """Of the network that was there when it was chosen."""
    models_dir: Path | None = None

    @classmethod
    def of(cls, model: str | None = None, models_dir: Path | None = None) -> BrainFinder:
        """The segmenter of that name, or the one that ships.

        Raises:
            UsageError, BundleError: as `segmenter`.
        """
        bundle = segmenter(model, models_dir, threads=1)
        return cls(bundle.id, bundle.model_sha256, models_dir)

    @property
    def name(self) -> str:
        """What it is, weights included."""
        return f"{self.model} {self.sha256}"

    def __call__(self, volume: Volume) -> LabelMap:
        """Brain above 0, on the scan's grid; see `brain_of`."""
        return brain_of(volume, _loaded(self.model, self.models_dir)).mask


@lru_cache(maxsize=1)
def _loaded(model: str, models_dir: Path | None) -> Bundle:
    return segmenter(model, models_dir, threads=1)


def brain_of(
    scan: Volume | SliceImage,
    model: str | Bundle | None = None,
    models_dir: str | Path | None = None,
    *,
    threads: int = THREADS,
    progress: Callable[[str], None] = lambda _: None,
) -> BrainMask:
    """The brain in a scan of any contrast.

    Args:
        scan: with three axes.
        model: a segmenter or its name; the one that ships where none is named.
        models_dir: where models are installed.
        threads: cores that may be used.
        progress: told of each plane.

    Raises:
        UsageError: there is no such model, or it is no segmenter.
        UnsuitableError: a picture, or no brain that could be one.
    """
    if isinstance(scan, SliceImage):
        raise UnsuitableError(
            "A picture of one slice has no volume to find a brain in.",
            where=scan.source.path if scan.source else "",
            found="a picture",
            expected="a scan with three axes (NIfTI, MGZ, DICOM)",
            fix="Give the scan that the picture was cut from.",
        )
    bundle = model if isinstance(model, Bundle) else segmenter(model, models_dir, threads=threads)

    def ask(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return bundle.run(slices)[view.BRAIN][:, 0]

    return find_brain(scan, ask, progress=progress)
