"""From the image that a network saw back into the head: each channel on the slices that it was made of."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UsageError
from dopascope.space.views import RGB_SLICES, SLAB_12MM, SLABS_8MM, STRIATAL_SLICE, STRIATAL_SLICES
from dopascope.tasks.classify import Sight
from dopascope.volume import MNI_2MM

Floats = NDArray[np.float32]

FLAT: Final[dict[str, tuple[tuple[int, ...], ...]]] = {
    "slab_12mm": (tuple(range(*SLAB_12MM.indices(91))),),
    "slabs_8mm": tuple(tuple(range(*slab.indices(91))) for slab in SLABS_8MM),
    "striatal_slice": ((STRIATAL_SLICE,),),
    "rgb_slices": tuple((slice_,) for slice_ in RGB_SLICES),
    "striatal_slices": tuple((slice_,) for slice_ in range(*STRIATAL_SLICES.indices(91))),
}
"""View -> for each channel the slices of `MNI_2MM` that it stands for."""


def lift(channels: Floats, sight: Sight) -> tuple[Floats, NDArray[np.bool_]]:
    """A map `(C, I, J[, K])` on the network's image as one on `MNI_2MM`, and where the network looked at all.

    Channels of a second intensity scale show the same places and are added; a slice in colour has one channel here.

    Raises:
        UsageError: a projection, whose pixels stand for no place.
    """
    shown = channels.reshape(len(sight.intensity), -1, *channels.shape[1:]).sum(0)
    found = np.zeros(MNI_2MM.shape, np.float32)
    seen = np.zeros(MNI_2MM.shape, bool)
    if sight.view == "projections":
        raise UsageError(
            "A projection has no map in the head.",
            where="view",
            found=sight.view,
            expected=", ".join((*FLAT, "volume_4mm", "volume_2mm")),
            fix="Explain a network that sees slices, slabs or the volume.",
        )
    window = tuple(slice(start, stop) for start, stop in sight.crop) or (slice(None),) * (shown.ndim - 1)
    if sight.view in FLAT:
        for picture, slices in zip(shown, FLAT[sight.view], strict=True):
            for place in slices:
                found[(*window, place)] = picture
                seen[(*window, place)] = True
    elif sight.view == "volume_4mm":
        whole, inside = np.zeros((45, 54, 45), np.float32), np.zeros((45, 54, 45), bool)
        whole[window], inside[window] = shown[0], True
        found[1:, 1:, 1:], seen[1:, 1:, 1:] = (one.repeat(2, 0).repeat(2, 1).repeat(2, 2) for one in (whole, inside))
    else:
        found[window], seen[window] = shown[0], True
    return found, seen
