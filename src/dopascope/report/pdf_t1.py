"""The pages of a T1 MRI on A4: the brain's outline, volumes with bars, indices, pseudo-colour, registration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Spacer, Table

from dopascope.reading.schema import Reading
from dopascope.report import content, t1_content
from dopascope.report import pdf_text as words
from dopascope.report.pdf_drawing import BarChart, Film, Keys, TickRow
from dopascope.report.pdf_tables import LINES, RULED, TIGHT, WIDTH, column_heads, pairs
from dopascope.report.pdf_text import MM, text
from dopascope.report.t1_figures import T1Figures

ROOM: Final = 60 * MM
FIXED_MM: Final = (36, 14, 22, 32)
"""Structure, side, volume, interval; the bars have the rest."""


def t1_pages(reading: Reading, drawn: T1Figures | None) -> Iterator[Flowable]:
    """What is said and shown of a brain that was found; nothing where none was."""
    found = t1_content.of(reading, drawn)
    if found is None:
        return
    yield CondPageBreak(ROOM)
    yield text("Brain", words.SECTION)
    for strip in filter(None, (found.outlined, found.structures)):
        yield Film(strip, tallest=150.0)
        yield Spacer(1, 2)
    yield Keys(list(found.legend))
    yield pairs(found.mask, 32, 150)
    yield CondPageBreak(ROOM)
    yield text("Volumes", words.SECTION)
    if found.volumes:
        yield _volumes(found)
    if found.why_not:
        yield text(f"Not measured: {found.why_not}")
    if found.indices:
        yield _indices(found)
    yield from (text(note, words.NOTE) for note in found.notes)
    yield CondPageBreak(ROOM)
    yield text("The brain in pseudo-colour", words.SECTION)
    if found.coloured:
        yield Film(found.coloured, tallest=150.0)
    yield from (text(note, words.NOTE) for note in found.colour_notes)
    if reading.registration:
        yield CondPageBreak(ROOM)
        yield text("Registration", words.SECTION)
        yield pairs(content.registration_facts(reading.registration), 32, 150)


def _volumes(found: t1_content.T1Content) -> Flowable:
    width = WIDTH - sum(FIXED_MM) * MM - 6
    names = column_heads("Structure", "Side", ">Volume, ml", f">{found.level} interval")
    rows: list[list[Any]] = [[*names, TickRow(found.ticks, width)]]
    style = [*RULED, *TIGHT, LINES[len(RULED)], ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
    previous = ""
    for line, row in enumerate(found.volumes, start=1):
        new = row.structure != previous
        if new and line > 1:
            style.append(("LINEABOVE", (0, line), (-1, line), 0.3, words.LINE))
        previous = row.structure
        cells = [text(one, words.RIGHT) for one in (row.ml, row.interval)]
        rows.append([text(row.structure if new else ""), text(row.side), *cells, BarChart(row.bar, width)])
    return Table(rows, [one * MM for one in FIXED_MM] + [width + 6], style=style, hAlign="LEFT", repeatRows=1)


def _indices(found: t1_content.T1Content) -> Flowable:
    rows = [
        [text(name), text(value, words.RIGHT), text(interval, words.RIGHT), text(definition)]
        for name, value, interval, definition in found.indices
    ]
    names = column_heads("Index", ">Value", ">Interval", "Definition")
    widths = [47 * MM, 18 * MM, 30 * MM, 91 * MM]
    table = Table([names, *rows], widths, style=[*LINES, *TIGHT], repeatRows=1)
    return KeepTogether([Spacer(1, 3), table])
