"""What "brain" means here: one definition for training, masks and the references that masks are compared with."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.volume import Grid

CLOSING_MM: Final = 5.0
"""Sulci and fissures up to twice as wide belong to the brain with their fluid."""
DEFINITION: Final = (
    "Grey and white matter of cerebrum, cerebellum and brain stem down to the foramen magnum, the ventricles, and the "
    f"fluid that a closing of {CLOSING_MM:g} mm around them encloses; no dura, no skull, no vessels outside, "
    "no eye, no nerve."
)


def brain_hull(tissue: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Grey and white matter (I, J, K) with its fluid: closed by `CLOSING_MM`, holes filled."""
    from scipy import ndimage

    spacing = grid.spacing_mm
    reach = [int(np.ceil((CLOSING_MM + s) / s)) for s in spacing]
    box = ndimage.find_objects(tissue.astype(np.uint8))[0] if tissue.any() else None
    if box is None:
        return tissue.copy()
    near = tuple(slice(max(0, b.start - r), b.stop + r) for b, r in zip(box, reach, strict=True))
    room = [(r, r) for r in reach]
    inner = np.pad(tissue[near], room)
    dilated = ndimage.distance_transform_edt(~inner, sampling=spacing) <= CLOSING_MM
    closed = ndimage.distance_transform_edt(dilated, sampling=spacing) > CLOSING_MM
    closed = ndimage.binary_fill_holes(closed | inner)
    hull = tissue.copy()
    hull[near] |= closed[tuple(slice(r, n - r) for r, n in zip(reach, closed.shape, strict=True))]
    return hull
