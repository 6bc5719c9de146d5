"""The template brain as labels at 1 mm, shipped as half a brain and unfolded when asked for."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
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
