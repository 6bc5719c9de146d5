"""From a plane of numbers to a picture: radiological convention, one millimetre scale, burnt-in side letters.

The letters are part of the pixels, so that a picture copied out of the report keeps its sides.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.report import colour

if TYPE_CHECKING:
    from PIL import Image

Plane = NDArray[np.float32]
"""`(rows, columns)` as displayed: rows run down, columns to the right."""

PIXELS_PER_MM: Final = 1.5
LETTER_PIXELS: Final = 20
PNG_LEVEL: Final = 6
GAP_PIXELS: Final = 6
SYNTHETIC: Final = "SYNTHETIC"


@dataclass(frozen=True)
class Tile:
    """One picture with its words."""

    label: str
    alt: str
    image: Image.Image
    width_mm: float
    height_mm: float

    def png(self) -> bytes:
        """The picture as PNG; the same pixels always give the same bytes."""
        stream = BytesIO()
        self.image.save(stream, "PNG", compress_level=PNG_LEVEL)
        return stream.getvalue()

    def data_uri(self) -> str:
        """The picture as a `data:` address, so that a page needs no second file."""
        return "data:image/png;base64," + base64.b64encode(self.png()).decode("ascii")


def radiological(plane: NDArray[np.floating[Any]]) -> Plane:
    """A RAS plane as displayed: `(x, y)`, `(x, z)` or `(y, z)`, the second axis upwards, the first to the left.

    Seen from the feet or from the front, the subject's right is on the picture's left; seen from the side, the
    face looks left.
    """
    return np.ascontiguousarray(np.nan_to_num(plane, posinf=0, neginf=0).T[::-1, ::-1], np.float32)


def scaled(plane: Plane, spacing_mm: tuple[float, float]) -> Plane:
    """`plane` enlarged to `PIXELS_PER_MM` by bicubic interpolation; `spacing_mm` is (row, column)."""
    from PIL import Image

    rows, columns = (max(1, round(n * s * PIXELS_PER_MM)) for n, s in zip(plane.shape, spacing_mm, strict=True))
    resized = Image.fromarray(plane).resize((columns, rows), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32)


def levels(plane: Plane, top: float, count: int) -> NDArray[np.uint8]:
    """0..`top` as `count` integer levels; values outside are clipped."""
    rounded: NDArray[np.uint8] = (np.clip(plane / top, 0, 1) * (count - 1) + 0.5).astype(np.uint8)
    return rounded


def hot(plane: Plane, top: float, sides: tuple[str, str]) -> Image.Image:
    """A palette picture of `plane` on the hot scale from 0 to `top`, with `sides` burnt in at left and right."""
    from PIL import Image

    index = levels(plane, top, colour.SCALE_LEVELS)
    burnt = letters(index.shape, sides)
    lit = burnt > 31
    index[lit] = colour.SCALE_LEVELS + (burnt[lit] >> 5)
    image = Image.fromarray(index)
    image.putpalette(colour.with_letters(colour.hot_iron()).tobytes())
    return image


def grey(plane: Plane, top: float, sides: tuple[str, str]) -> Image.Image:
    """A grey palette picture of `plane` from 0 to `top`, ready for `outline`."""
    from PIL import Image

    index = levels(plane, top, colour.GREY_LEVELS)
    index = np.maximum(index, np.minimum(letters(index.shape, sides), colour.GREY_LEVELS - 1))
    image = Image.fromarray(index)
    image.putpalette(colour.grey_with_outlines().tobytes())
    return image


def tint(image: Image.Image, signed: Plane) -> Image.Image:
    """`image` as RGB with `signed` (-1..1) laid over it: orange above 0, blue below, denser the larger."""
    from PIL import Image

    base = np.asarray(image.convert("RGB"), np.float32)
    target = np.where(signed[:, :, None] > 0, colour.SPEAKS_FOR_REDUCED, colour.SPEAKS_FOR_NORMAL)
    strength = np.clip(np.abs(signed), 0, 1)[:, :, None] * 0.85
    return Image.fromarray((base * (1 - strength) + target * strength + 0.5).astype(np.uint8))


def stamped(image: Image.Image) -> Image.Image:
    """`image` as RGB with SYNTHETIC burnt in below, as every picture that no camera has seen."""
    from PIL import ImageDraw, ImageFont

    drawn = image.convert("RGB")
    place = drawn.width // 2, drawn.height - 4
    font = ImageFont.load_default(size=LETTER_PIXELS)
    ImageDraw.Draw(drawn).text(place, SYNTHETIC, fill=(255, 255, 255), font=font, anchor="mb")
    return drawn


def in_a_row(pictures: Sequence[Tile]) -> bytes:
    """Pictures beside each other as one PNG."""
    from PIL import Image

    width = sum(one.image.width + GAP_PIXELS for one in pictures) - GAP_PIXELS
    canvas = Image.new("RGB", (width, max(one.image.height for one in pictures)))
    at = 0
    for one in pictures:
        canvas.paste(one.image.convert("RGB"), (at, 0))
        at += one.image.width + GAP_PIXELS
    return Tile("", "", canvas, canvas.width, canvas.height).png()


def outline(image: Image.Image, mask: Plane, name: str) -> None:
    """Draw the border of `mask` (already enlarged, inside where above one half) into a picture made by `grey`."""
    from PIL import Image

    image.paste(colour.GREY_LEVELS + list(colour.OUTLINES).index(name), mask=Image.fromarray(border(mask)))


def border(mask: Plane) -> NDArray[np.bool_]:
    """The outermost pixels of what lies above one half."""
    inside = np.pad(mask > 0.5, 1)
    core = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    found: NDArray[np.bool_] = inside[1:-1, 1:-1] & ~core
    return found


def signed(value: float) -> str:
    """A whole number with its sign, as labels have it."""
    return f"{value:+.0f}".replace("+0", "0").replace("-", "−")


def colour_bar() -> Tile:
    """The hot scale from its lowest to its highest colour, one pixel high."""
    from PIL import Image

    image = Image.frombytes("P", (256, 1), bytes(range(256)))
    image.putpalette(colour.hot_iron().tobytes())
    return Tile("", "", image, 256, 1)


@lru_cache(maxsize=32)
def letters(shape: tuple[int, int], sides: tuple[str, str]) -> NDArray[np.uint8]:
    """`sides` as white letters on black in the upper corners, `shape` (rows, columns). Read-only: it is shared."""
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=LETTER_PIXELS)
    draw.text((5, 3), sides[0], fill=255, font=font, anchor="lt")
    draw.text((shape[1] - 6, 3), sides[1], fill=255, font=font, anchor="rt")
    drawn = np.asarray(canvas)
    drawn.setflags(write=False)
    return drawn
