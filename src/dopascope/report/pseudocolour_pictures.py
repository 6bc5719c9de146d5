"""One slice in pseudo-colour as PNG: the bare picture, and panels of several numbers of intervals with their words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from io import BytesIO
from math import log2
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.report import colour, tiles
from dopascope.space.pseudocolour import SIDE, GreyRange, clusters, on_canvas

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageDraw import ImageDraw

PANELS: Final = (7, 14, 49, 56)
"""The paper's numbers of intervals: two too coarse, its own, and where it began to see noise."""

CAPTION: Final = (
    "The brain's grey range is cut into {intervals} equal intervals of one colour each, about {bits} bits a pixel. The "
    "colours add no information: they follow from the grey values alone, and what differs within an interval is lost."
)
DISCLAIMER: Final = "For research and education. Not a medical device."

_GAP: Final = 8
_HEAD: Final = 38
_BAR: Final = 16
_FOOT: Final = 36
_TEXT: Final = 22
_LINE: Final = 30
_INK: Final = (225, 225, 225)
_CHARACTERS: Final = 220


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice as displayed: rows run down, columns to the right."""

    name: str
    """Beginning of the names of its files."""
    number: int
    position_mm: float | None
    grey: NDArray[np.float32]
    brain: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    """Of rows and columns."""
    sides: tuple[str, str] | None
    """What is on the left and on the right; None where nobody knows."""


def caption(*intervals: int) -> str:
    """What the colours are, and that they add nothing."""
    return CAPTION.format(
        intervals=_listed([str(one) for one in intervals]), bits=_listed([f"{log2(one):.1f}" for one in intervals])
    )


def range_words(span: GreyRange, *, of_scan: bool) -> str:
    """The range that is cut; `of_scan` where it is that of the whole scan."""
    of = "the whole scan" if of_scan else "this slice"
    return f"Range: {span.low:g} to {span.high:g}, {span.voxels:,} voxels of {of}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def picture(found: NDArray[np.uint8], intervals: int, words: str) -> bytes:
    """The intervals of a slice `(SIDE, SIDE)`, 0 for the background, as PNG with a palette of black and their colours.

    Args:
        found: of `space.pseudocolour.clusters`.
        intervals: how many there are.
        words: the picture's description, in the file.
    """
    from PIL import Image

    image = Image.fromarray(found)
    image.putpalette(_palette(intervals).tobytes())
    return _png(image, words)


def panels(one: Slice, span: GreyRange, *, of_scan: bool) -> bytes:
    """The masked slice in grey and in each of `PANELS`, side by side, as PNG with scale, sides and caption."""
    from PIL import Image, ImageDraw

    words = f"{caption(*PANELS)} {range_words(span, of_scan=of_scan)}"
    lines = [*textwrap.wrap(words, _CHARACTERS), DISCLAIMER]
    width = (len(PANELS) + 1) * (SIDE + _GAP) - _GAP
    page = Image.new("RGB", (width, _HEAD + SIDE + _BAR + _FOOT + _LINE * len(lines) + _GAP))
    draw = ImageDraw.Draw(page)
    grey, brain = on_canvas(one.grey, one.brain, one.spacing_mm)
    _panel(
        page, draw, 0, "grey", np.where(brain, _grey_levels(grey, span), 0), np.repeat(np.arange(256)[:, None], 3, 1)
    )
    for place, intervals in enumerate(PANELS, 1):
        _panel(page, draw, place, f"{intervals} intervals", clusters(grey, brain, span, intervals), _palette(intervals))
    for place in range(len(PANELS) + 1):
        _words(draw, place * (SIDE + _GAP), span, one.sides)
    for row, line in enumerate(lines):
        _text(draw, (_GAP, _HEAD + SIDE + _BAR + _FOOT + row * _LINE), line, "lt")
    return _png(page, words)


def _panel(
    page: Image.Image, draw: ImageDraw, place: int, title: str, index: NDArray[Any], palette: NDArray[Any]
) -> None:
    """Title, picture and scale of one panel."""
    from PIL import Image

    left = place * (SIDE + _GAP)
    _text(draw, (left + SIDE // 2, _HEAD // 2), title, "mm")
    page.paste(Image.fromarray(palette.astype(np.uint8)[index]), (left, _HEAD))
    colours = palette[palette.any(axis=1)] if len(palette) < 256 else palette
    scale = colours.astype(np.uint8)[np.arange(SIDE) * len(colours) // SIDE]
    page.paste(Image.fromarray(np.repeat(scale[None], _BAR, axis=0)), (left, _HEAD + SIDE))


def _words(draw: ImageDraw, left: int, span: GreyRange, sides: tuple[str, str] | None) -> None:
    """Sides above a panel and the ends of the range beneath it."""
    if sides is not None:
        _text(draw, (left + _GAP, _HEAD // 2), sides[0], "lm")
        _text(draw, (left + SIDE - _GAP, _HEAD // 2), sides[1], "rm")
    below = _HEAD + SIDE + _BAR + _FOOT // 2
    _text(draw, (left + _GAP, below), f"{span.low:g}", "lm")
    _text(draw, (left + SIDE - _GAP, below), f"{span.high:g}", "rm")


def _text(draw: ImageDraw, at: tuple[int, int], words: str, anchor: str) -> None:
    from PIL import ImageFont

    draw.text(at, words, fill=_INK, font=ImageFont.load_default(size=_TEXT), anchor=anchor)


def _grey_levels(grey: NDArray[np.float32], span: GreyRange) -> NDArray[np.uint8]:
    return tiles.levels(grey - np.float32(span.low), span.high - span.low, 256)


def _palette(intervals: int) -> colour.Palette:
    """Black for the background, then the colours of the intervals, `(intervals + 1, 3)`."""
    return np.concatenate([np.zeros((1, 3), np.uint8), colour.sequential(intervals)])


def _png(image: Image.Image, words: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Description", words)
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=tiles.PNG_LEVEL, pnginfo=about)
    return stream.getvalue()
