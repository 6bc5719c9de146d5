"""Symmetric tissue maps on `MNI_2MM`, shipped as half a brain and unfolded when asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM, Step, Volume

TISSUES: Final = ("grey", "white", "csf", "ventricles", "brain", "head")


@lru_cache(maxsize=len(TISSUES))
def tissue(name: str) -> Volume:
    """The map called `name` on `MNI_2MM`: float32 fractions of 0 to 1, exactly symmetric in x.

    `csf` is all fluid inside the brain mask, `ventricles` the deep part of it; grey + white + csf = brain up to the
    storage step of 1/63. `head` adds skull, scalp, face and neck.
    Source: ICBM 152 2009a nonlinear symmetric (notice in `data/ICBM152_NOTICE.txt`).

    Raises:
        UsageError: `name` is not one of `TISSUES`.
    """
    if name not in TISSUES:
        raise UsageError("There is no tissue map of this name.", where="atlas.tissue", found=name, expected=TISSUES)
    data = _unfold(_stored()[name])
    return Volume(data, MNI_2MM, history=(Step("atlas.tissue", {"name": name}),))


@lru_cache(maxsize=1)
def _stored() -> dict[str, NDArray[np.uint8]]:
    with (files("dopascope.atlas") / "data" / "tissue.npz").open("rb") as stream, np.load(stream) as stored:
        return {name: stored[name] for name in TISSUES}


def _unfold(half: NDArray[np.uint8]) -> NDArray[np.float32]:
    whole = np.asarray(np.concatenate([half[:0:-1], half]) / 63, np.float32)
    whole.setflags(write=False)
    return whole
