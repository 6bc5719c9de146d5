"""The template brain as labels at 1 mm, shipped as half a brain and unfolded when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.volume import Grid, LabelMap, Step


class Tissue(IntEnum):
    """What fills a voxel of a head; those up to `STEM` are brain."""

    AIR = 0
    GREY = 1
    WHITE = 2
    FLUID = 3
    """Between gyri, within the brain's hull."""
    VENTRICLE = 4
    CAUDATE = 5
    PUTAMEN = 6
    DEEP = 7
    """Thalamus, pallidum, accumbens and others, where a source names them."""
    CEREBELLAR_GREY = 8
    CEREBELLAR_WHITE = 9
    MIDBRAIN = 10
    PONS = 11
    STEM = 12
    """Medulla; the whole brain stem, where a source does not part it."""
    OUTER_FLUID = 13
    MENINGES = 14
    BONE = 15
    MARROW = 16
    FAT = 17
    SKIN = 18
    MUSCLE = 19
    EYE = 20
    MUCOSA = 21
    SINUS = 22
    """Air within the head."""
    CORD = 23
    VESSEL = 24
    SOFT = 25


BRAIN: Final = tuple(one for one in Tissue if Tissue.AIR < one <= Tissue.STEM)
STRUCTURES: Final[Mapping[str, tuple[Tissue, int]]] = MappingProxyType(
    {
        "caudate_left": (Tissue.CAUDATE, -1),
        "caudate_right": (Tissue.CAUDATE, 1),
        "putamen_left": (Tissue.PUTAMEN, -1),
        "putamen_right": (Tissue.PUTAMEN, 1),
        "midbrain": (Tissue.MIDBRAIN, 0),
        "pons": (Tissue.PONS, 0),
    }
)
"""What volumes are given of: name -> label and side (-1 left, 1 right, 0 both)."""
BRAIN_1MM: Final = Grid((197, 233, 189), np.array([[1.0, 0, 0, -98], [0, 1, 0, -134], [0, 0, 1, -72], [0, 0, 0, 1]]))


@lru_cache(maxsize=1)
def template_brain() -> LabelMap:
    """The labels of the template's brain on `BRAIN_1MM`: uint8 values of `Tissue`, exactly symmetric in x.

    Source: ICBM 152 2009a nonlinear symmetric (notice in `data/ICBM152_NOTICE.txt`), thresholded at half a voxel, with
    caudate and putamen from `atlas.striatum`.
    """
    with (files("dopascope.atlas") / "data" / "brain_1mm.npz").open("rb") as stream, np.load(stream) as stored:
        half: NDArray[np.uint8] = stored["labels"]
    whole = np.concatenate([half[:0:-1], half])
    whole.setflags(write=False)
    names = {int(one): one.name.lower() for one in BRAIN}
    return LabelMap(whole, BRAIN_1MM, names=names, history=(Step("atlas.template_brain"),))


def structure(labels: LabelMap, name: str) -> NDArray[np.bool_]:
    """Voxels (I, J, K) of one of `STRUCTURES`; the side is told by the world's x.

    Raises:
        KeyError: `name` is not one of `STRUCTURES`.
    """
    tissue, side = STRUCTURES[name]
    found: NDArray[np.bool_] = labels.data == tissue
    if side and found.any():
        index = np.argwhere(found)
        wrong = index[labels.grid.to_world(index)[:, 0] * side <= 0]
        found[tuple(wrong.T)] = False
    return found
