"""What a generator learns of a scan: which view, cut where, on which grid; and numbers read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import by_name
from dopascope.generate.read_off import DAT, T1, Modality
from dopascope.space.views import RGB_SLICES, SLAB_12MM, STRIATAL_SLICE
from dopascope.tasks.classify import Sight
from dopascope.volume import MNI_2MM, Grid, Volume

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """A part of a view of a scan on the MNI grid, in units of its modality's intensity scale."""

    name: str
    sight: Sight
    grid: Grid
    """Of one image; channels lie along its third axis."""
    striatal: int
    """Index along the third axis of the plane that is shown to people."""
    description: str
    modality: Modality

    @property
    def top(self) -> float:
        """Units of the intensity scale that become 1."""
        return self.sight.top

    @property
    def grey(self) -> bool:
        """Whether its pictures are shown in grey, as MRI is."""
        return self.modality is T1

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, I, J[, K])` of one image."""
        return self.sight.shape

    def volume(self, image: NDArray[np.floating]) -> Volume:
        """One image `(C, I, J[, K])` from 0 to 1, on its place in MNI space, in units of the intensity scale."""
        data = image[0] if image.ndim == 4 else np.moveaxis(image, 0, -1)
        return Volume(data * np.float32(self.top), self.grid)

    def image(self, data: NDArray[np.floating]) -> NDArray[np.float32]:
        """What `volume` was given, of its data `(I, J, K)`."""
        scaled = np.asarray(data / self.top, np.float32)
        return scaled[None] if len(self.shape) == 4 else np.ascontiguousarray(np.moveaxis(scaled, -1, 0))

    def plane(self, image: NDArray[np.floating]) -> NDArray[np.floating]:
        """The axial plane `(I, J)` of an image that is shown to people, in units of the intensity scale."""
        return (image[0, :, :, self.striatal] if image.ndim == 4 else image[self.striatal]) * self.top

    def quantities(self, images: NDArray[np.floating]) -> dict[str, Floats]:
        """The modality's quantities (N,) read off images (N, C, I, J[, K]); see `generate.read_off`.

        Real and synthetic images of one frame are read alike, so they compare; nothing here is measured on a scan.
        """
        return self.modality.read(self, np.asarray(images, np.float64))


def _grid(shape: tuple[int, int, int], spacing: tuple[float, float, float], first: tuple[float, ...]) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = first
    return Grid(shape, affine)


def _flat(
    name: str,
    view: str,
    crop: tuple[tuple[int, int], ...],
    z: float,
    thickness_mm: float,
    description: str,
    modality: Modality = DAT,
) -> Frame:
    """A frame of 2-D images whose channels are planes so thick, the first centred at index `z` of `MNI_2MM`."""
    sight = Sight(view, (modality.intensity,), modality.top, crop)
    channels, *axes = sight.shape
    start = [ends[0] for ends in crop] or [0, 0]
    first = MNI_2MM.to_world((*start, z))
    grid = _grid((axes[0], axes[1], channels), (2.0, 2.0, thickness_mm), tuple(first))
    return Frame(name, sight, grid, channels // 2, description, modality)


def _solid(name: str, crop: tuple[tuple[int, int], ...], description: str, modality: Modality = DAT) -> Frame:
    """A frame of `volume_4mm`, whose voxels begin at index 1 of `MNI_2MM`, two at a time."""
    sight = Sight("volume_4mm", (modality.intensity,), modality.top, crop)
    first = MNI_2MM.to_world([1.5 + 2 * ends[0] for ends in crop])
    shape = sight.shape[1], sight.shape[2], sight.shape[3]
    level = round((4.0 - first[2]) / 4)
    return Frame(name, sight, _grid(shape, (4.0, 4.0, 4.0), tuple(first)), level, description, modality)


_SLAB: Final = ((SLAB_12MM.start + SLAB_12MM.stop - 1) / 2, 2.0 * (SLAB_12MM.stop - SLAB_12MM.start))
FRAMES: Final[Mapping[str, Frame]] = {
    one.name: one
    for one in (
        _flat("slab", "slab_12mm", (), *_SLAB, "the 12 mm through the striatum, 91 x 109 pixels of 2 mm"),
        _flat(
            "slab-64",
            "slab_12mm",
            ((13, 77), (14, 78)),
            *_SLAB,
            "the 12 mm through the striatum, 64 x 64 pixels of 2 mm with striatum and occipital cortex",
        ),
        _flat("slices", "rgb_slices", (), RGB_SLICES[0], 2.0, "slices 40, 41 and 42 of 2 mm, 91 x 109 pixels (S1, S3)"),
        _solid(
            "volume-32",
            ((6, 38), (7, 39), (6, 38)),
            "32 x 32 x 32 voxels of 4 mm with striatum and occipital cortex",
        ),
        _flat("t1-slice", "striatal_slice", (), STRIATAL_SLICE, 2.0, "slice 38 of a T1, 91 x 109 pixels of 2 mm", T1),
        _solid("t1-volume", ((2, 42), (3, 51), (0, 40)), "the brain of a T1, 40 x 48 x 40 voxels of 4 mm", T1),
    )
}
"""By name."""


def frame(name: str) -> Frame:
    """The frame of this name.

    Raises:
        UsageError: there is none.
    """
    return by_name(FRAMES, name, kind="frame", where="--frame")
