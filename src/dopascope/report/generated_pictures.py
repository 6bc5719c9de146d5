"""Generated images as pictures: grids with a row for each class, SYNTHETIC burnt in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.report import colour, tiles

DISPLAY_TOP: Final = 6.0
"""Units of the intensity scale that are white, as on the pages of studies."""
SIDE: Final = 144
"""Pixels of the longer side of an image."""
HEAD: Final = 24
GAP: Final = 4
WORD: Final = "SYNTHETIC"
INK: Final = (235, 235, 235)

Plane = NDArray[np.floating[Any]]


def grid(rows: Mapping[str, Sequence[Plane]], title: str, *, grey: bool = False) -> bytes:
    """Rows of planes `(I, J)` in units of the intensity scale, with their names, as PNG that says SYNTHETIC.

    Seen from the feet: the subject's right is on the left.
    """
    from PIL import Image, ImageDraw, ImageFont

    pictures = {name: [picture(one, grey=grey) for one in planes] for name, planes in rows.items()}
    first = next(iter(pictures.values()))[0]
    columns = max(len(one) for one in pictures.values())
    width = columns * (first.width + GAP) - GAP
    page = Image.new("RGB", (width, HEAD + len(rows) * (HEAD + first.height + GAP)))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=14)
    draw.text((GAP, HEAD // 2), title, fill=INK, font=font, anchor="lm")
    draw.text((width - GAP, HEAD // 2), WORD, fill=INK, font=font, anchor="rm")
    for number, (name, made) in enumerate(pictures.items()):
        top = HEAD + number * (HEAD + first.height + GAP)
        draw.text((GAP, top + HEAD // 2), name, fill=INK, font=font, anchor="lm")
        for place, one in enumerate(made):
            page.paste(one.convert("RGB"), (place * (first.width + GAP), top + HEAD))
    stream = BytesIO()
    page.save(stream, "PNG", compress_level=tiles.PNG_LEVEL)
    return stream.getvalue()


def picture(plane: Plane, *, synthetic: bool = True, grey: bool = False) -> Any:
    """One plane `(I, J)` on the hot scale, or in grey as MRI, as a palette picture; its longer side has `SIDE` pixels.

    With R and L for the subject's right and left, and SYNTHETIC, burnt in.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = tiles.radiological(plane)
    zoom = SIDE / max(shown.shape)
    size = round(shown.shape[1] * zoom), round(shown.shape[0] * zoom)
    enlarged = np.asarray(Image.fromarray(shown).resize(size, Image.Resampling.BICUBIC), np.float32)
    image = Image.fromarray(tiles.levels(enlarged, DISPLAY_TOP, 256))
    image.putpalette((colour.grey() if grey else colour.hot_iron()).tobytes())
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=12)
    draw.text((3, 2), "R", fill=255, font=font, anchor="lt")
    draw.text((size[0] - 3, 2), "L", fill=255, font=font, anchor="rt")
    if synthetic:
        draw.text((size[0] // 2, size[1] - 3), WORD, fill=255, font=font, anchor="mb")
    return image
