"""Grey values of tissues: of the usual sequences with spread, and of sequences that do not exist.

Domain randomisation as in SynthSeg (Billot et al., Medical Image Analysis 2023, doi 10.1016/j.media.2023.102789): what
is learned must not rest on one contrast.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import Tissue

T = Tissue
_LIKE: Final[Mapping[Tissue, Tissue]] = MappingProxyType(
    {
        T.CEREBELLAR_GREY: T.GREY,
        T.CEREBELLAR_WHITE: T.WHITE,
        T.CAUDATE: T.GREY,
        T.PUTAMEN: T.GREY,
        T.DEEP: T.GREY,
        T.MIDBRAIN: T.WHITE,
        T.PONS: T.WHITE,
        T.STEM: T.WHITE,
        T.CORD: T.WHITE,
        T.VENTRICLE: T.FLUID,
        T.OUTER_FLUID: T.FLUID,
    }
)
"""Tissues that look much like another one, in any sequence."""

SEQUENCES: Final[Mapping[str, Mapping[Tissue, float]]] = MappingProxyType(
    {
        "t1": {
            T.GREY: 0.55, T.WHITE: 0.80, T.FLUID: 0.16, T.MENINGES: 0.35, T.BONE: 0.10, T.MARROW: 0.65, T.FAT: 0.95,
            T.SKIN: 0.55, T.MUSCLE: 0.50, T.EYE: 0.18, T.MUCOSA: 0.45, T.VESSEL: 0.45, T.SOFT: 0.50,
        },
        "t1_enhanced": {
            T.GREY: 0.40, T.WHITE: 0.50, T.FLUID: 0.14, T.MENINGES: 0.70, T.BONE: 0.12, T.MARROW: 0.70, T.FAT: 0.95,
            T.SKIN: 0.60, T.MUSCLE: 0.42, T.EYE: 0.14, T.MUCOSA: 0.95, T.VESSEL: 1.00, T.SOFT: 0.55,
        },
        "t2": {
            T.GREY: 0.55, T.WHITE: 0.38, T.FLUID: 0.95, T.MENINGES: 0.25, T.BONE: 0.08, T.MARROW: 0.35, T.FAT: 0.55,
            T.SKIN: 0.35, T.MUSCLE: 0.25, T.EYE: 0.95, T.MUCOSA: 0.70, T.VESSEL: 0.10, T.SOFT: 0.40,
        },
        "flair": {
            T.GREY: 0.62, T.WHITE: 0.48, T.FLUID: 0.10, T.MENINGES: 0.30, T.BONE: 0.08, T.MARROW: 0.35, T.FAT: 0.60,
            T.SKIN: 0.45, T.MUSCLE: 0.30, T.EYE: 0.15, T.MUCOSA: 0.70, T.VESSEL: 0.15, T.SOFT: 0.45,
        },
        "pd": {
            T.GREY: 0.80, T.WHITE: 0.65, T.FLUID: 0.75, T.MENINGES: 0.40, T.BONE: 0.10, T.MARROW: 0.50, T.FAT: 0.80,
            T.SKIN: 0.55, T.MUSCLE: 0.50, T.EYE: 0.70, T.MUCOSA: 0.65, T.VESSEL: 0.20, T.SOFT: 0.55,
        },
        "pet": {
            T.GREY: 0.90, T.WHITE: 0.40, T.FLUID: 0.10, T.MENINGES: 0.12, T.BONE: 0.06, T.MARROW: 0.12, T.FAT: 0.06,
            T.SKIN: 0.10, T.MUSCLE: 0.18, T.EYE: 0.10, T.MUCOSA: 0.22, T.VESSEL: 0.15, T.SOFT: 0.18,
        },
    }
)  # fmt: skip
"""Grey values of the usual sequences, white matter and fluid apart as they are in them; rounded, from textbooks.

`t1_enhanced` is after gadolinium: vessels, dura and mucosa are bright, and beside them the brain is dark."""


def typical(sequence: str, tissue: Tissue) -> float:
    """The value of `SEQUENCES` for a tissue, or for the one that it looks much like; 0 for air."""
    return SEQUENCES[sequence].get(_LIKE.get(tissue, tissue), 0.0)


def draw_means(rng: np.random.Generator, sequence: str | None = None, spread: float = 0.08) -> NDArray[np.float32]:
    """A grey value for each tissue, float32 (len(Tissue),), 0 to 1.

    Args:
        rng: decides.
        sequence: one of `SEQUENCES`; None draws every tissue evenly, as no sequence would.
        spread: standard deviation around a sequence's values.
    """
    means = np.zeros(len(Tissue), np.float32)
    if sequence is None:
        base = {tissue: float(rng.random()) for tissue in Tissue if tissue not in _LIKE}
    else:
        base = {tissue: value + float(rng.normal(0, spread)) for tissue, value in SEQUENCES[sequence].items()}
    for tissue in Tissue:
        if tissue in (Tissue.AIR, Tissue.SINUS):
            means[tissue] = abs(float(rng.normal(0, 0.02)))
            continue
        like = base[_LIKE.get(tissue, tissue)]
        means[tissue] = like if tissue not in _LIKE else like + float(rng.normal(0, 0.04))
    return np.clip(means, 0, 1.2)
