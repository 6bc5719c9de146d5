"""The figures of Abramov et al. 2021 drawn anew: mark-up, stages, and slices that went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.report import colour, tiles
from dopascope.report.segment_folder import MarkedSlice
from dopascope.space.pseudocolour import INTERVALS, clusters, grey_range

if TYPE_CHECKING:
    from PIL import Image

Rgb = NDArray[np.uint8]
"""`(rows, columns, 3)`"""
EXPERT: Final = (86, 180, 233)
NETWORK: Final = (240, 228, 66)
OUTSIDE: Final = (230, 97, 1)
"""Colours that stay apart for colour-blind readers on grey (after Okabe and Ito 2008)."""
MARKUP: Final = ("original image", "colour mask", "training mask")
STAGES: Final = ("expert", "network", f"coloured, {INTERVALS} intervals")
DISCLAIMER: Final = "For research and education. Not a medical device."
LEAST: Final = 384
"""Pixels of a panel's longer side: smaller slices are enlarged by whole numbers."""
_GAP: Final = 8
_HEAD: Final = 34
_LINE: Final = 26
_TEXT: Final = 19
_INK: Final = (225, 225, 225)
_SHARE: Final = 0.45
"""Of a mask's colour laid over the grey."""


def markup(one: MarkedSlice) -> bytes:
    """Figure 1 as PNG: original, colour mask, training mask."""
    panels = [_grey(one.image), _laid(one.image, {EXPERT: one.truth}), _white(one.truth)]
    return _page([[*panels]], [[*MARKUP]], [one])


def stages(slices: Sequence[MarkedSlice]) -> bytes:
    """Figure 3 as PNG, a row a slice: the expert's mask, the network's, and its brain coloured on black."""
    rows = [
        [
            _laid(one.image, {EXPERT: one.truth}),
            _laid(one.image, {NETWORK: one.said, OUTSIDE: one.outside}),
            coloured(one.image, one.said),
        ]
        for one in slices
    ]
    named = [[STAGES[0], f"{STAGES[1]}, {dice_words(one)}", STAGES[2]] for one in slices]
    return _page(rows, named, slices)


def coloured(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> Rgb:
    """The masked slice in 49 colours on black; black where the mask is empty or has one grey value."""
    if not mask.any() or float(image[mask].max()) == float(image[mask].min()):
        return np.zeros((*image.shape, 3), np.uint8)
    found = clusters(image, mask, grey_range(image, mask), INTERVALS)
    palette = np.concatenate([np.zeros((1, 3), np.uint8), colour.sequential(INTERVALS)])
    return np.asarray(palette[found])


def gallery_tile(one: MarkedSlice) -> tiles.Tile:
    """A slice with both borders; the largest piece outside the expert's mask is filled."""
    drawn = _laid(one.image, {OUTSIDE: one.outside})
    for mask, ink in ((one.truth, EXPERT), (one.said, NETWORK)):
        drawn[_border(mask)] = ink
    image = _enlarged(drawn)
    alt = f"{one.name}: {one.why}, {dice_words(one)}, {int(one.outside.sum())} pixels in the largest piece outside"
    return tiles.Tile("", alt, image, float(image.width), float(image.height))


def dice_words(one: MarkedSlice) -> str:
    """The slice's Dice in words."""
    return "no brain, none said" if one.dice is None else f"Dice {one.dice:.3f}"


def _grey(image: NDArray[np.float32]) -> Rgb:
    return np.repeat(tiles.levels(image, 1.0, 256)[..., None], 3, axis=2)


def _white(mask: NDArray[np.bool_]) -> Rgb:
    return np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)


def _laid(image: NDArray[np.float32], masks: dict[tuple[int, int, int], NDArray[np.bool_]]) -> Rgb:
    drawn = _grey(image).astype(np.float32)
    for ink, mask in masks.items():
        drawn[mask] = drawn[mask] * (1 - _SHARE) + np.array(ink, np.float32) * _SHARE
    return np.asarray(drawn + 0.5, np.uint8)


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def _enlarged(drawn: Rgb) -> Image.Image:
    from PIL import Image

    times = max(1, LEAST // max(drawn.shape[:2]))
    return Image.fromarray(np.repeat(np.repeat(drawn, times, axis=0), times, axis=1))


def _page(rows: Sequence[Sequence[Rgb]], named: Sequence[Sequence[str]], slices: Sequence[MarkedSlice]) -> bytes:
    """Panels in rows on black, each with its name above it, the slice's name and sides below its row."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=_TEXT)
    pictures = [[_enlarged(panel) for panel in row] for row in rows]
    width, height = pictures[0][0].size
    step = _HEAD + height + _LINE + _GAP
    page = Image.new("RGB", (len(rows[0]) * (width + _GAP) - _GAP, step * len(rows) + _LINE))
    draw = ImageDraw.Draw(page)
    for row, (line, names, one) in enumerate(zip(pictures, named, slices, strict=True)):
        top = row * step
        for column, (panel, name) in enumerate(zip(line, names, strict=True)):
            left = column * (width + _GAP)
            draw.text((left + width // 2, top + _HEAD // 2), name, fill=_INK, font=font, anchor="mm")
            page.paste(panel, (left, top + _HEAD))
            for text, at, anchor in zip(one.sides or (), (left + 4, left + width - 4), ("lm", "rm"), strict=False):
                draw.text((at, top + _HEAD // 2), text, fill=_INK, font=font, anchor=anchor)
        draw.text((4, top + _HEAD + height + _LINE // 2), one.name, fill=_INK, font=font, anchor="lm")
    draw.text((4, step * len(rows) + _LINE // 2), DISCLAIMER, fill=_INK, font=font, anchor="lm")
    stream = BytesIO()
    page.save(stream, "PNG", compress_level=tiles.PNG_LEVEL)
    return stream.getvalue()
