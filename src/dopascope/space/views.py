"""The pictures that networks and readers take of a scan on the MNI grid.

Every function wants a Volume on `MNI_2MM` and returns float32 indexed `(x, y)` (or as named) in array order:
x grows to the subject's right, y forward, z up. Display programs and networks that expect another order turn
the picture themselves and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UsageError
from dopascope.volume import MNI_2MM, Volume

RGB_SLICES: Final = (40, 41, 42)
"""z = +8, +10, +12 mm: the three slices fed as red, green, blue (Quan et al. 2019)."""

SLAB_12MM: Final = slice(35, 41)
"""z = -2 to +8 mm, six slices: the expert networks' scores are flat for first slices 32 to 37 and their votes
break from 38 on, so the middle of the safe range is taken."""

SLABS_8MM: Final = (slice(32, 36), slice(36, 40), slice(40, 44))
"""z = -8 to -2, 0 to +6 and +8 to +14 mm: lower putamen, striatal centre and caudate, four slices each."""

STRIATAL_SLICES: Final = slice(32, 44)
"""z = -8 to +14 mm, the twelve slices of `SLABS_8MM`, one by one."""


STRIATAL_SLICE: Final = 38
"""z = +4 mm: caudate and putamen in one axial slice of a T1."""


def rgb_slices(volume: Volume) -> NDArray[np.float32]:
    """Slices 40, 41 and 42 as channels: `(91, 109, 3)`, raw intensities.

    Raises:
        UsageError: the volume is not on `MNI_2MM`.
    """
    return np.ascontiguousarray(_checked(volume)[:, :, list(RGB_SLICES)])


def slab_12mm(volume: Volume) -> NDArray[np.float32]:
    """Mean of the six slices through the striatum: `(91, 109)`, raw intensities.

    Raises:
        UsageError: the volume is not on `MNI_2MM`.
    """
    return _mean(_checked(volume), SLAB_12MM)


def slabs_8mm(volume: Volume) -> NDArray[np.float32]:
    """Three neighbouring slabs of four slices, lowest first, as channels: `(91, 109, 3)`, raw intensities.

    Raises:
        UsageError: the volume is not on `MNI_2MM`.
    """
    data = _checked(volume)
    return np.stack([_mean(data, slab) for slab in SLABS_8MM], axis=-1)


def projections(volume: Volume) -> dict[str, NDArray[np.float32]]:
    """Maximum along each axis: `sagittal` `(109, 91)` as (y, z), `coronal` `(91, 91)` as (x, z), `axial` `(91, 109)`.

    Raises:
        UsageError: the volume is not on `MNI_2MM`.
    """
    data = _checked(volume)
    return {name: data.max(axis=axis) for axis, name in enumerate(("sagittal", "coronal", "axial"))}


def _channels_first(function: Callable[[Volume], NDArray[np.float32]]) -> Callable[[Volume], NDArray[np.float32]]:
    return lambda volume: np.ascontiguousarray(np.moveaxis(function(volume), -1, 0))


def _slices(volume: Volume) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(_checked(volume)[:, :, STRIATAL_SLICES], -1, 0))


def _projections(volume: Volume) -> NDArray[np.float32]:
    """The three projections as channels, each from index 0 of a picture that holds all of them; zero elsewhere."""
    canvas = np.zeros(VIEWS["projections"].shape, np.float32)
    for channel, picture in zip(canvas, projections(volume).values(), strict=True):
        channel[: picture.shape[0], : picture.shape[1]] = picture
    return canvas


def _volume_4mm(volume: Volume) -> NDArray[np.float32]:
    """Means of 2 x 2 x 2 voxels, from index 1 of each axis: the 90 x 108 x 90 voxels that leave nothing over."""
    blocks = _checked(volume)[1:, 1:, 1:].reshape(45, 2, 54, 2, 45, 2)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32)
    return mean[None]


@dataclass(frozen=True)
class View:
    """What a network sees of a scan on `MNI_2MM`: an array with its channels first; scaling the scan scales it."""

    take: Callable[[Volume], NDArray[np.float32]]
    shape: tuple[int, ...]
    """`(C, I, J)`, or `(C, I, J, K)` of a volume."""
    description: str


VIEWS: Final = {
    "slab_12mm": View(lambda volume: slab_12mm(volume)[None], (1, 91, 109), "mean of the 12 mm through the striatum"),
    "slabs_8mm": View(_channels_first(slabs_8mm), (3, 91, 109), "means of three neighbouring slabs of 8 mm"),
    "rgb_slices": View(_channels_first(rgb_slices), (3, 91, 109), "slices 40, 41 and 42 (Quan et al. 2019)"),
    "striatal_slice": View(
        lambda volume: _checked(volume)[None, :, :, STRIATAL_SLICE], (1, 91, 109), "slice 38, z = +4 mm"
    ),
    "striatal_slices": View(_slices, (12, 91, 109), "slices 32 to 43, one by one"),
    "projections": View(_projections, (3, 109, 109), "maximum along each axis: sagittal, coronal, axial"),
    "volume_4mm": View(_volume_4mm, (1, 45, 54, 45), "the whole volume at 4 mm"),
    "volume_2mm": View(lambda volume: _checked(volume)[None], (1, 91, 109, 91), "the whole volume at 2 mm"),
}


def _mean(data: NDArray[np.float32], slices: slice) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = data[:, :, slices].mean(axis=2, dtype=np.float64).astype(np.float32)
    return mean


def _checked(volume: Volume) -> NDArray[np.float32]:
    if not volume.grid.same_as(MNI_2MM):
        raise UsageError(
            "This view exists only on the MNI grid.",
            found=f"shape {volume.grid.shape}, spacing {volume.grid.spacing_mm} mm",
            expected=f"shape {MNI_2MM.shape}, 2 mm, on the MNI152 position",
            fix="Call space.normalise(volume, space.register(volume)) first.",
        )
    return volume.data
