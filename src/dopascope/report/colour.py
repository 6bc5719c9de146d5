"""Colours of the report: the clinical hot scale, the evidence scale, and what each outline is drawn in."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Palette = NDArray[np.uint8]
"""`(256, 3)` red, green, blue."""

SCALE_LEVELS: Final = 248
"""Palette entries that carry intensity; the eight above them are greys for the letters burnt into a tile."""

OUTLINES: Final[dict[str, tuple[int, int, int]]] = {
    "brain": (255, 255, 255),
    "reference": (0, 190, 140),
    "caudate": (86, 180, 233),
    "anterior putamen": (240, 228, 66),
    "posterior putamen": (255, 128, 64),
}
"""Outline colours that stay apart for colour-blind readers on a grey scan (after Okabe and Ito 2008)."""

GREY_LEVELS: Final = 256 - len(OUTLINES)
"""Palette entries that carry intensity where outlines are drawn."""

SPEAKS_FOR_REDUCED: Final = (230, 97, 1)
SPEAKS_FOR_NORMAL: Final = (45, 130, 220)


def hot_iron() -> Palette:
    """Black, red, yellow, white: the Hot Iron palette of DICOM PS3.6 B.1.1, by its ramps. `(256, 3)`.

    Red rises by 2 from the start, green by 2 from the middle, blue by 4 from three quarters, each up to 255,
    so that luminance never falls.
    """
    step = np.arange(256)
    ramps = np.stack([2 * step, 2 * (step - 128), 4 * (step - 192)], axis=1)
    palette = np.clip(ramps, 0, 255).astype(np.uint8)
    palette[-1] = 255
    return palette


def with_letters(palette: Palette) -> Palette:
    """`palette` squeezed into the first `SCALE_LEVELS` entries, greys from dark to white in the rest. `(256, 3)`."""
    picked = np.round(np.linspace(0, 255, SCALE_LEVELS)).astype(int)
    greys = np.repeat(np.linspace(72, 255, 256 - SCALE_LEVELS).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate([palette[picked], greys])


def grey_with_outlines() -> Palette:
    """Black to white in the first `GREY_LEVELS` entries, then the outline colours in their order. `(256, 3)`."""
    greys = np.repeat(np.round(np.linspace(0, 255, GREY_LEVELS)).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate([greys, np.array(list(OUTLINES.values()), np.uint8)])


def luminance(palette: Palette) -> NDArray[np.float64]:
    """Relative luminance of each entry, `(256,)` in 0..1 (ITU-R BT.709 weights on linear light, IEC 61966-2-1)."""
    value = palette.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    weighted: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted
