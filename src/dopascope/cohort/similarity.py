"""Copies of a scan under another name: resampled, rescaled, cropped or mirrored.

Scans of two people from one camera look much alike, but their noise does not: what is compared is the band between
6 and 20 mm within the head, where noise and small anatomy lie, with the bright striata cut down. How far copies and
other people lie apart: docs/splits.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import space
from dopascope.volume import Grid, Volume

SPACING_MM: Final = 4.0
SHAPE: Final = (48, 56, 48)
"""19 x 22 x 19 cm around the middle of the field."""
FINE: Final = 0.7
COARSE: Final = 2.0
"""Standard deviations, in voxels, of the two Gaussians whose difference is the band."""
BRIGHTEST: Final = 2.0
"""Times the head's median: hotter voxels are cut to it, so that striata, alike in all people, do not decide."""
INSIDE: Final = 0.4
"""Times the head's median: what is darker is not head."""
RIND: Final = 2
"""Voxels of the head's rim that do not count: outlines of heads in one pose are alike, and cropping makes new ones."""
SHIFT: Final = 6
"""Voxels by which copies may be shifted, along each axis: 24 mm."""
THRESHOLD: Final = 0.70
_BLOCK: Final = 32

Texture = NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """Two images that are of one scan."""

    one: int
    other: int
    """Places in the sequence that was compared, `one` first."""
    correlation: float
    mirrored: bool

    @property
    def kind(self) -> str:
        """`mirrored`, or `copy`."""
        return "mirrored" if self.mirrored else "copy"


def texture(volume: Volume) -> Texture:
    """What tells one scan from another: `SHAPE`, float32, mean 0 and norm 1; zeros where the image is empty."""
    from scipy.ndimage import binary_erosion, gaussian_filter

    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = volume.grid.centre_mm - SPACING_MM * (np.array(SHAPE) - 1) / 2
    data = np.asarray(space.resample(volume, Grid(SHAPE, affine)).data, np.float32)
    head = data[data > 0.05 * data.max()]
    if not head.size:
        return np.zeros(SHAPE, np.float32)
    data = np.clip(data / np.median(head), 0, BRIGHTEST)
    inside = binary_erosion(data > INSIDE, iterations=RIND)
    band = (gaussian_filter(data, FINE) - gaussian_filter(data, COARSE)) * inside
    band -= band.sum() / max(inside.sum(), 1) * inside
    norm = float(np.linalg.norm(band))
    return np.asarray(band / norm if norm > 0 else band, np.float32)


def copies(textures: Sequence[Texture], threshold: float = THRESHOLD) -> list[Copy]:
    """Every pair of images that are of one scan, as they are or mirrored left to right, in the order of the sequence.

    Costs about 1 ms a pair of one core; blocks of 32 by 32 images are in memory.

    Args:
        textures: of `texture`.
        threshold: correlation from which on two images are of one scan.
    """
    found = []
    for start in range(0, len(textures), _BLOCK):
        rows = _spectra(textures[start : start + _BLOCK])
        for begin in range(start, len(textures), _BLOCK):
            block = textures[begin : begin + _BLOCK]
            for mirrored in (False, True):
                columns = _spectra([one[::-1] for one in block] if mirrored else block)
                for i, j, correlation in _matches(rows, columns, threshold):
                    if start + i < begin + j:
                        found.append(Copy(start + i, begin + j, correlation, mirrored))
    return sorted(found, key=lambda one: (one.one, one.other, one.mirrored))


def _spectra(textures: Sequence[Texture]) -> NDArray[np.complex64]:
    from scipy import fft

    return np.asarray(fft.rfftn(np.stack(textures), axes=(1, 2, 3)), np.complex64)


def _matches(
    rows: NDArray[np.complex64], columns: NDArray[np.complex64], threshold: float
) -> Iterator[tuple[int, int, float]]:
    """(row, column, correlation at the best shift) of the pairs above the threshold."""
    from scipy import fft

    for i, row in enumerate(rows):
        correlations = fft.irfftn(row * columns.conj(), SHAPE, axes=(1, 2, 3))
        for j, image in enumerate(correlations):
            value = _peak(image)
            if value >= threshold:
                yield i, j, value


def _peak(correlation: NDArray[Any]) -> float:
    """The largest value within `SHIFT` of no shift, between voxels by a parabola along each axis."""
    reach = np.arange(-SHIFT, SHIFT + 1)
    near = correlation[np.ix_(reach, reach, reach)]
    at = np.unravel_index(int(near.argmax()), near.shape)
    top = float(near[at])
    gain = 0.0
    for axis in range(3):
        if 0 < at[axis] < 2 * SHIFT:
            low, high = (
                float(near[tuple(int(n) + (step if k == axis else 0) for k, n in enumerate(at))]) for step in (-1, 1)
            )
            bend = low - 2 * top + high
            gain += -((high - low) ** 2) / (8 * bend) if bend < 0 else 0.0
    return min(top + gain, 1.0)
