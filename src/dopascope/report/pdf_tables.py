"""Tables and columns on paper that every report has: ruled rows, pairs, badges, two columns side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reportlab.platypus import Flowable, KeepInFrame, Paragraph, Table

from dopascope.reading.schema import NO_VERDICT
from dopascope.report import pdf_text as words
from dopascope.report import wording
from dopascope.report.pdf_text import MM, markup, text

WIDTH: Final = 186 * MM

TALLEST: Final = 250 * MM
"""Height that two columns side by side may take: a page less its margins."""

TONES: Final = {
    "normal": ("#1d6f4a", "#e8f4ee"),
    "reduced": ("#a3281f", "#fbeceb"),
    "uncertain": ("#8a5a00", "#fdf4e0"),
    "refused": ("#4a4f59", "#eceef1"),
    NO_VERDICT: ("#4a4f59", "#eceef1"),
}
"""Ink and wash of the verdict box."""

BADGES: Final = {
    **{word: tone[0] for word, tone in TONES.items()},
    "refused": "#a3281f",
    "in-distribution": "#1d6f4a",
    "unusual": "#8a5a00",
    "not stated": "#56606d",
}

RULED: Final = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 6),
    ("TOPPADDING", (0, 0), (-1, -1), 1.6),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
]
TIGHT: Final = [*RULED, ("TOPPADDING", (0, 0), (-1, -1), 0.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.9)]
LINES: Final = [
    *RULED,
    ("LINEBELOW", (0, 0), (-1, 0), 0.6, words.SOFT),
    ("LINEBELOW", (0, 1), (-1, -2), 0.3, words.LINE),
]


def two_columns(left: list[Any], right: list[Any], widths_mm: tuple[float, float], style: list[Any]) -> Flowable:
    """Two columns that stay on one page: what would be taller is drawn smaller."""
    columns = zip((left, right), widths_mm, strict=True)
    cells = [KeepInFrame(width * MM - 6, TALLEST, column, mode="shrink") for column, width in columns]
    return Table([cells], [width * MM for width in widths_mm], style=style)


def column_heads(*names: str) -> list[Paragraph]:
    """Column heads; `>` before a name sets it to the right, `|` to the middle."""
    styles = {">": words.HEAD_RIGHT, "|": words.HEAD_CENTRE}
    return [text(name.lstrip(">|"), styles.get(name[:1], words.HEAD)) for name in names]


def pairs(facts: Sequence[tuple[str, str]], left_mm: float, right_mm: float) -> Flowable:
    """Names and values."""
    rows = [[text(name, words.SOFT_BODY), text(value)] for name, value in facts]
    return Table(rows, [left_mm * MM, right_mm * MM], style=TIGHT, hAlign="LEFT")


def badge(word: str) -> Paragraph:
    """A verdict word with its sign and colour."""
    return Paragraph(badge_markup(word), words.BODY)


def badge_markup(word: str) -> str:
    """The same within a line."""
    return f'<font color="{BADGES[word]}"><b>{markup(wording.SYMBOLS[word])} {markup(word)}</b></font>'
