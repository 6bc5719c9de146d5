"""A simulated slab on A4: the pictures, the ratios, and that it is no evidence."""

from __future__ import annotations

from collections.abc import Iterator

from reportlab.platypus import Flowable, KeepTogether, Paragraph, Table

from dopascope.reading.schema import Reading
from dopascope.report import colour, content, figures, wording
from dopascope.report import pdf_text as words
from dopascope.report.pdf_drawing import Film, Keys
from dopascope.report.pdf_tables import LINES, TIGHT, column_heads
from dopascope.report.pdf_text import MM, markup, text


def simulated(reading: Reading, drawn: figures.Figures) -> Iterator[Flowable]:
    """The section of a counterfactual, where there is one."""
    part = reading.counterfactual
    if part is None or drawn.counterfactual is None:
        return
    heads = column_heads("Region", ">This slab", ">Asked", ">Simulated", ">Normal at this age")
    rows = [[text(name), *(text(one, words.RIGHT) for one in rest)] for name, *rest in content.changed_rows(part)]
    colours = (colour.SPEAKS_FOR_REDUCED, colour.SPEAKS_FOR_NORMAL)
    said = " ".join(markup(one) for one in wording.changed_sentences(part))
    yield KeepTogether(
        [
            text("Simulation, no evidence", words.SECTION),
            Film(drawn.counterfactual, tallest=130.0),
            Keys(list(zip(("added", "taken away"), colours, strict=True))),
            Table([heads, *rows], [47 * MM, 26 * MM, 32 * MM, 26 * MM, 40 * MM], style=[*LINES, *TIGHT], hAlign="LEFT"),
            Paragraph(said, words.NOTE),
        ]
    )
