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

SEQUENTIAL_LAB: Final = ((22, 40, -45), (56, -65, -15), (90, -15, 80))
"""L*, a*, b* of the Bezier curve behind `sequential`: violet, green-blue, yellow."""

_SRGB_TO_XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_D65: Final = _SRGB_TO_XYZ.sum(axis=1)
"""White: sRGB's (1, 1, 1)."""


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


def grey() -> Palette:
    """Black to white. `(256, 3)`."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def with_letters(palette: Palette) -> Palette:
    """`palette` squeezed into the first `SCALE_LEVELS` entries, greys from dark to white in the rest. `(256, 3)`."""
    picked = np.round(np.linspace(0, 255, SCALE_LEVELS)).astype(int)
    greys = np.repeat(np.linspace(72, 255, 256 - SCALE_LEVELS).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate([palette[picked], greys])


def grey_with_outlines() -> Palette:
    """Black to white in the first `GREY_LEVELS` entries, then the outline colours in their order. `(256, 3)`."""
    greys = np.repeat(np.round(np.linspace(0, 255, GREY_LEVELS)).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate([greys, np.array(list(OUTLINES.values()), np.uint8)])


def sequential(count: int) -> Palette:
    """Violet, blue, green, yellow: `count` colours whose lightness rises in equal steps. `(count, 3)`.

    A quadratic Bezier curve through CIELAB (D65), L* from 22, well above black, to 90, inside what sRGB can show. Of 64
    colours, neighbours are 2 to 4 units of CIELAB apart. Colour-blind readers keep the lightness.
    """
    t = np.linspace(0, 1, count)[:, None]
    first, middle, last = (np.array(one, np.float64) for one in SEQUENTIAL_LAB)
    lightness, a, b = ((1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last).T
    return _srgb(lightness, a, b)


def _srgb(lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> Palette:
    """CIELAB of CIE 15:2004 to sRGB of IEC 61966-2-1; each `(N,)`."""
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D65
    linear = np.clip(np.linalg.solve(_SRGB_TO_XYZ, xyz.T).T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rounded: Palette = np.round(encoded * 255).astype(np.uint8)
    return rounded


def luminance(palette: Palette) -> NDArray[np.float64]:
    """Relative luminance of each entry, `(256,)` in 0..1 (ITU-R BT.709 weights on linear light, IEC 61966-2-1)."""
    value = palette.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    weighted: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted
