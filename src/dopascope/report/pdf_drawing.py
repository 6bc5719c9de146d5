"""What is drawn on paper rather than written: films of tiles, bars with whiskers, colour bars and keys."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfdoc
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from dopascope.report.content import Bar
from dopascope.report.figures import Strip
from dopascope.report.pdf_text import BOLD, INK, PLAIN, SOFT, drawable
from dopascope.report.tiles import Tile

PAD: Final = 4.0
GAP: Final = 3.0
CAPTION: Final = 8.5
NAME: Final = 9.0
CAPTION_GREY: Final = HexColor("#d0d0d0")
FAINT: Final = HexColor("#eef0f4")
BAR: Final = HexColor("#5b7694")
EXPECTED: Final = HexColor("#b3541e")


class IndexedImage(pdfdoc.PDFObject):  # type: ignore[misc]
    """A palette picture as an indexed image XObject (PDF 32000-1, 8.6.6.3 and 8.9.5).

    reportlab's own way turns every picture into RGB in ASCII, which takes ten times as long.
    """

    def __init__(self, image: Image.Image) -> None:
        self._pixels = zlib.compress(image.tobytes(), 6)
        self._size = image.size
        self._palette = bytes(image.getpalette("RGB") or b"")
        self.name = hashlib.sha256(self._pixels + self._palette).hexdigest()[:32]

    def format(self, document: Any) -> Any:
        """The stream object, as reportlab asks for it when it writes the file."""
        stream = pdfdoc.PDFStream(content=self._pixels)
        stream.filters = []
        entries = stream.dictionary
        entries["Type"], entries["Subtype"] = pdfdoc.PDFName("XObject"), pdfdoc.PDFName("Image")
        entries["Width"], entries["Height"] = self._size
        entries["BitsPerComponent"] = 8
        entries["Filter"] = pdfdoc.PDFName("FlateDecode")
        top = len(self._palette) // 3 - 1
        entries["ColorSpace"] = f"[/Indexed /DeviceRGB {top} <{self._palette.hex()}>]"
        return stream.format(document)


def place(canvas: Canvas, image: Image.Image, x: float, y: float, width: float, height: float) -> None:
    """Draw `image` with its lower left corner at (x, y), in points."""
    if image.mode != "P":
        canvas.drawImage(ImageReader(image), x, y, width, height)
        return
    made = IndexedImage(image)
    if not canvas.hasForm(made.name):
        # The one step that reportlab offers no public call for: handing the document an XObject of our own.
        canvas._doc.addForm(made.name, made)
    canvas.saveState()
    canvas.translate(x, y)
    canvas.scale(width, height)
    canvas.doForm(made.name)
    canvas.restoreState()


class Film(Flowable):  # type: ignore[misc]
    """A strip of tiles on black, all at one scale, captions beneath."""

    def __init__(self, strip: Strip, *, tallest: float = 150.0) -> None:
        super().__init__()
        self._strip = strip
        self._tallest = tallest

    def wrap(self, available: float, _height: float) -> tuple[float, float]:
        """Width given, height needed, in points."""
        tiles = self._strip.tiles
        inner = available - 2 * PAD - GAP * (len(tiles) - 1)
        scale = inner / sum(one.width_mm for one in tiles)
        self._scale = min(scale, self._tallest / max(one.height_mm for one in tiles))
        self.width = available
        self.height = self._scale * max(one.height_mm for one in tiles) + CAPTION + NAME + 2 * PAD
        return self.width, self.height

    def draw(self) -> None:
        """Paint the film."""
        canvas, tiles = self.canv, self._strip.tiles
        canvas.setFillColor(black)
        canvas.roundRect(0, 0, self.width, self.height, 2, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, 7.2)
        canvas.drawString(PAD + 1, self.height - NAME, drawable(self._strip.name))
        used = self._scale * sum(one.width_mm for one in tiles) + GAP * (len(tiles) - 1)
        x = (self.width - used) / 2
        for tile in tiles:
            x += self._draw_tile(tile, x) + GAP

    def _draw_tile(self, tile: Tile, x: float) -> float:
        width, height = self._scale * tile.width_mm, self._scale * tile.height_mm
        place(self.canv, tile.image, x, PAD + CAPTION, width, height)
        self.canv.setFillColor(CAPTION_GREY)
        self.canv.setFont(PLAIN, 6.3)
        self.canv.drawCentredString(x + width / 2, PAD + 1, drawable(tile.label))
        return width


class BarChart(Flowable):  # type: ignore[misc]
    """One bar of the binding-ratio table, with its whisker and the expected value."""

    def __init__(self, bar: Bar | None, width: float, height: float = 7.0) -> None:
        super().__init__()
        self._bar, self.width, self.height = bar, width, height

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Fixed size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Paint the bar."""
        canvas, bar = self.canv, self._bar
        canvas.setFillColor(FAINT)
        canvas.rect(0, 0, self.width, self.height, stroke=0, fill=1)
        if bar is None:
            return
        middle, first, last = self.height / 2, *sorted((bar.zero, bar.value))
        canvas.setFillColor(BAR)
        canvas.rect(first * self.width, middle - 1.8, (last - first) * self.width, 3.6, stroke=0, fill=1)
        canvas.setLineWidth(0.7)
        canvas.setStrokeColor(INK)
        if bar.low is not None and bar.high is not None:
            low, high = bar.low * self.width, bar.high * self.width
            canvas.lines([(low, middle, high, middle), *((x, middle - 1.8, x, middle + 1.8) for x in (low, high))])
        if bar.expected is not None:
            canvas.setStrokeColor(EXPECTED)
            canvas.setLineWidth(1.2)
            canvas.line(bar.expected * self.width, 0, bar.expected * self.width, self.height)


class TickRow(Flowable):  # type: ignore[misc]
    """Numbers above the bars."""

    def __init__(self, ticks: Sequence[tuple[str, float]], width: float) -> None:
        super().__init__()
        self._ticks, self.width, self.height = ticks, width, 7.0

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Fixed size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Paint the numbers."""
        draw_ticks(self.canv, self._ticks, 0, self.width, 1)


def draw_ticks(canvas: Canvas, ticks: Sequence[tuple[str, float]], left: float, width: float, y: float) -> None:
    """Centred numbers along `width`; the outermost stay inside it."""
    canvas.setFillColor(SOFT)
    canvas.setFont(PLAIN, 6.3)
    for label, at in ticks:
        write = canvas.drawString if at == 0 else canvas.drawRightString if at == 1 else canvas.drawCentredString
        write(left + at * width, y, drawable(label))


class ScaleBar(Flowable):  # type: ignore[misc]
    """The colour bar with its numbers and its unit."""

    def __init__(self, bar: Tile, ticks: Sequence[tuple[str, float]], words: str) -> None:
        super().__init__()
        self._bar, self._ticks, self._words = bar, ticks, words

    def wrap(self, available: float, _height: float) -> tuple[float, float]:
        """Width given, in points."""
        self.width, self.height = available, 16.0
        return self.width, self.height

    def draw(self) -> None:
        """Paint the bar."""
        place(self.canv, self._bar.image, 0, 8, 150, 6)
        draw_ticks(self.canv, self._ticks, 0, 150, 1.5)
        self.canv.setFont(PLAIN, 6.9)
        self.canv.drawString(158, 8.5, drawable(self._words))


class Keys(Flowable):  # type: ignore[misc]
    """Small squares with their meaning."""

    def __init__(self, keys: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
        super().__init__()
        self._keys = keys

    def wrap(self, available: float, _height: float) -> tuple[float, float]:
        """Width given, in points."""
        self.width, self.height = available, 11.0
        return self.width, self.height

    def draw(self) -> None:
        """Paint the keys."""
        x = 0.0
        self.canv.setFont(PLAIN, 6.6)
        self.canv.setStrokeColor(SOFT)
        self.canv.setLineWidth(0.4)
        for name, (red, green, blue) in self._keys:
            self.canv.setFillColor(Color(red / 255, green / 255, blue / 255))
            self.canv.rect(x, 2, 6, 6, stroke=1, fill=1)
            self.canv.setFillColor(SOFT)
            self.canv.drawString(x + 8, 2.6, drawable(name))
            x += 16 + self.canv.stringWidth(name, PLAIN, 6.6)
