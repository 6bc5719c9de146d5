"""Text on paper: styles, the escape that every word goes through, a second font for rare letters, page feet."""

from __future__ import annotations

import importlib.util
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate

from dopascope.reading.schema import DISCLAIMER
from dopascope.report import wording

MM: Final = 72 / 25.4
INK: Final = HexColor("#1b2430")
SOFT: Final = HexColor("#56606d")
LINE: Final = HexColor("#cfd5dd")
PLAIN: Final = "Helvetica"
BOLD: Final = "Helvetica-Bold"
RARE: Final = "DejaVuSans"
RARE_FILE: Final = Path("mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
PAPER_MINUS: Final = str.maketrans("−", "–")
"""Helvetica has no minus sign; its en dash is of the same length and height."""
CELL_LONGEST: Final = 300
"""Characters of one cell that are printed: a row cannot be taller than a page."""
SIZE: Final = 7.6


def _style(name: str, size: float = SIZE, **changes: Any) -> ParagraphStyle:
    settings: dict[str, Any] = {"fontName": PLAIN, "textColor": INK, "leading": size * 1.28, **changes}
    return ParagraphStyle(name, fontSize=size, **settings)


BODY: Final = _style("body")
SOFT_BODY: Final = _style("soft", textColor=SOFT)
PROSE: Final = _style("prose", 7.2)
RIGHT: Final = _style("right", alignment=TA_RIGHT)
CENTRE: Final = _style("centre", alignment=TA_CENTER)
HEAD: Final = _style("head", 7.0, fontName=BOLD, textColor=SOFT)
HEAD_RIGHT: Final = _style("head right", 7.0, fontName=BOLD, textColor=SOFT, alignment=TA_RIGHT)
HEAD_CENTRE: Final = _style("head centre", 7.0, fontName=BOLD, textColor=SOFT, alignment=TA_CENTER)
NOTE: Final = _style("note", 6.7, textColor=SOFT)
TITLE: Final = _style("title", 15, fontName=BOLD)
SECTION: Final = _style("section", 9.5, fontName=BOLD, spaceBefore=5, spaceAfter=2)
VERDICT: Final = _style("verdict", 21, fontName=BOLD)
SAYS: Final = _style("says", 9)
LOUD: Final = _style("loud", 11)
CODE: Final = _style("code", 6.6, fontName="Courier")


def a4(stream: BytesIO, title: str, version: str, *, compress: bool = True) -> SimpleDocTemplate:
    """An A4 document of dopascope `version`: margins, disclaimer and the same bytes for the same content."""
    return SimpleDocTemplate(
        stream,
        pagesize=(210 * MM, 297 * MM),
        leftMargin=12 * MM - 6,
        rightMargin=12 * MM - 6,
        topMargin=10 * MM,
        bottomMargin=12 * MM,
        title=title,
        author=f"dopascope {wording.visible(version)}",
        subject=DISCLAIMER,
        lang="en",
        invariant=1,
        pageCompression=int(compress),
    )


def text(words: str, style: ParagraphStyle = BODY) -> Paragraph:
    """One text from the reading as a paragraph, short enough for a table's cell."""
    return Paragraph(markup(words, CELL_LONGEST), style)


def markup(words: str, longest: int = wording.LONGEST) -> str:
    """`words` made visible, escaped for reportlab's XML, letters that Helvetica lacks put into the second font."""
    runs: list[tuple[bool, str]] = []
    for character in wording.visible(words, longest).translate(PAPER_MINUS):
        common = _in_helvetica(character)
        shown = character if common or ord(character) in _rare_letters() else f"[U+{ord(character):04X}]"
        rare = not common and shown == character
        if runs and runs[-1][0] == rare:
            runs[-1] = (rare, runs[-1][1] + shown)
        else:
            runs.append((rare, shown))
    return "".join(f'<font name="{RARE}">{escape(run)}</font>' if rare else escape(run) for rare, run in runs)


def drawable(words: str) -> str:
    """`words` for a canvas that draws in Helvetica alone: other letters are spelt out."""
    return "".join(
        one if _in_helvetica(one) else f"[U+{ord(one):04X}]" for one in wording.visible(words).translate(PAPER_MINUS)
    )


def _in_helvetica(character: str) -> bool:
    if character.isascii():
        return True
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _rare_letters() -> frozenset[int]:
    """Code points of the second font, registered at first need; empty where matplotlib's copy is not there."""
    # The font lies in matplotlib's folder; importing matplotlib for it would cost half a second.
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return frozenset()
    try:
        font = TTFont(RARE, str(Path(found.origin).parent / RARE_FILE))
    except TTFError:
        return frozenset()
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


def foot_canvas(foot: str) -> type[Canvas]:
    """A canvas class that writes `foot` and `page n of m` below every page, once all pages are known."""

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  (reportlab's name)
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                _draw_foot(self, foot, f"page {number} of {len(self._pages)}")
                super().showPage()
            super().save()

    return Numbered


def _draw_foot(canvas: Canvas, foot: str, page: str) -> None:
    left, right = 34.0, 561.3
    canvas.setStrokeColor(LINE)
    canvas.line(left, 32, right, 32)
    canvas.setFillColor(SOFT)
    canvas.setFont(PLAIN, 7)
    canvas.drawString(left, 22, drawable(foot)[:150])
    canvas.drawRightString(right, 22, page)
