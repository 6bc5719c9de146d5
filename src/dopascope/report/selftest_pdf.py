"""The selftest on A4 paper, by reportlab: what a physicist signs and files; the same bytes each time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final

from reportlab.lib.colors import Color, HexColor
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Paragraph, Spacer, Table

from dopascope.reading.schema import DISCLAIMER
from dopascope.reading.selftest import Selftest
from dopascope.report import pdf_text as words
from dopascope.report import selftest as content
from dopascope.report import wording
from dopascope.report.charts import Chart, Series
from dopascope.report.pdf_tables import LINES, RULED, TIGHT, TONES, WIDTH
from dopascope.report.pdf_text import MM, markup, text
from dopascope.report.selftest_plots import plots

INKS: Final = {"bar": HexColor("#5b7694"), "expected": HexColor("#b3541e"), "normal": HexColor("#1d6f4a")}
BAND: Final = HexColor("#e8f4ee")
PASSED: Final = TONES["normal"]
FAILED: Final = TONES["reduced"]
ROOM: Final = 25 * MM
"""A section begins only where its heading and first lines have this much room."""


def render(found: Selftest) -> bytes:
    """`selftest.pdf`."""
    stream = BytesIO()
    title = f"dopascope selftest: {content.word(found)}"
    document = words.a4(stream, title, found.software.get("dopascope", ""))
    foot = f"{DISCLAIMER}   selftest {content.word(found)}   {wording.moment(found.created)}"
    document.build(list(_story(found)), canvasmaker=words.foot_canvas(foot))
    return stream.getvalue()


def _story(found: Selftest) -> Iterator[Flowable]:
    yield text("dopascope selftest", words.NOTE)
    yield text("Acceptance test of this installation", words.TITLE)
    yield Spacer(1, 3)
    yield Paragraph(f"<b>{markup(DISCLAIMER)}</b>", words.BODY)
    yield Spacer(1, 4)
    yield _outcome(found)
    yield from _lines(found)
    yield from _charts(plots(found))
    yield from _recovery(found)
    yield from _reasons(found)
    yield from _provenance(found)
    yield _signature()


def _outcome(found: Selftest) -> Flowable:
    ink, wash = PASSED if found.passed else FAILED
    left = [
        Paragraph(f'<font color="{ink}">{markup(content.word(found).capitalize())}</font>', words.VERDICT),
        Spacer(1, 8),
        text(content.says(found), words.SAYS),
    ]
    rows = [("Version", f"dopascope {found.software.get('dopascope', '')}"), *content.facts(found)]
    facts = Table([[text(name, words.SOFT_BODY), text(said)] for name, said in rows], [26 * MM, 62 * MM], style=TIGHT)
    style = [
        *RULED,
        ("BACKGROUND", (0, 0), (-1, -1), HexColor(wash)),
        ("LINEBEFORE", (0, 0), (0, -1), 4, HexColor(ink)),
        ("LEFTPADDING", (0, 0), (0, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    ]
    return Table([[left, facts]], [WIDTH - 92 * MM, 92 * MM], style=style, hAlign="LEFT")


def _lines(found: Selftest) -> Iterator[Flowable]:
    heads = [text("Line", words.HEAD), text("Figure", words.HEAD), text("Found", words.HEAD_RIGHT)]
    heads += [text("Tolerance", words.HEAD), text("n", words.HEAD_RIGHT), text("Outcome", words.HEAD)]
    rows: list[list[Any]] = [heads]
    style = [*RULED, ("LINEBELOW", (0, 0), (-1, 0), 0.6, words.SOFT)]
    for line in found.lines:
        first = len(rows)
        style.append(("LINEBELOW", (0, first - 1), (-1, first - 1), 0.6 if first == 1 else 0.3, words.LINE))
        for row in content.line_rows(line):
            name: Any = text(line.title) if row.line else ""
            shown = text(f"{line.n} {line.n_of}", words.RIGHT) if row.line else ""
            cells = [name, text(row.what), text(row.found, words.RIGHT), text(row.limit), shown, _badge(row.passed)]
            rows.append(cells)
        for note in line.notes:
            style.append(("SPAN", (1, len(rows)), (-1, len(rows))))
            rows.append(["", text(note, words.NOTE), "", "", "", ""])
    yield text("What was asked and found", words.SECTION)
    widths = [34 * MM, 63 * MM, 25 * MM, 29 * MM, 18 * MM, 17 * MM]
    yield Table(rows, widths, style=style, repeatRows=1, hAlign="LEFT")


def _badge(passed: bool) -> Paragraph:
    ink, sign, word = (PASSED[0], "✓", "passed") if passed else (FAILED[0], "✕", "failed")
    return Paragraph(f'<font color="{ink}"><b>{markup(sign)} {word}</b></font>', words.BODY)


def _charts(charts: Sequence[Chart]) -> Iterator[Flowable]:
    drawn = [ChartDrawing(one, WIDTH / 2 - 8) for one in charts]
    pairs = [[*drawn[first : first + 2], ""][:2] for first in range(0, len(drawn), 2)]
    if pairs:
        plotted = Table(pairs, [WIDTH / 2, WIDTH / 2], style=RULED, hAlign="LEFT")
        yield KeepTogether([text("Plots", words.SECTION), plotted])


class ChartDrawing(Flowable):  # type: ignore[misc]
    """One plot."""

    def __init__(self, chart: Chart, width: float) -> None:
        super().__init__()
        self._chart, self.width, self.height = chart, width, 0.56 * width

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Fixed size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Paint band, ticks, series and key."""
        canvas, chart = self.canv, self._chart
        self._left, self._low = 26.0, 30.0
        self._wide, self._high = self.width - 34.0, self.height - 44.0
        if chart.band:
            canvas.setFillColor(BAND)
            low, top = (self._y(end) for end in chart.band)
            canvas.rect(self._left, low, self._wide, top - low, stroke=0, fill=1)
        self._axes()
        for one in chart.series:
            self._series(one)
        self._key()

    def _x(self, share: float) -> float:
        return self._left + self._wide * share

    def _y(self, share: float) -> float:
        return self._low + self._high * share

    def _axes(self) -> None:
        canvas, chart = self.canv, self._chart
        canvas.setStrokeColor(words.LINE)
        canvas.setLineWidth(0.4)
        canvas.setFillColor(words.SOFT)
        canvas.setFont(words.PLAIN, 6.3)
        for label, at in chart.y_ticks:
            canvas.line(self._left, self._y(at), self._left + self._wide, self._y(at))
            canvas.drawRightString(self._left - 3, self._y(at) - 2, words.drawable(label))
        for label, at in chart.x_ticks:
            canvas.drawCentredString(self._x(at), self._low - 8, words.drawable(label))
        canvas.drawCentredString(self._x(0.5), self._low - 16, words.drawable(chart.x_label))
        canvas.saveState()
        canvas.translate(5, self._y(0.5))
        canvas.rotate(90)
        canvas.drawCentredString(0, 0, words.drawable(chart.y_label))
        canvas.restoreState()
        canvas.setFillColor(words.INK)
        canvas.setFont(words.BOLD, 7.4)
        canvas.drawString(0, self.height - 8, words.drawable(chart.title))

    def _series(self, one: Series) -> None:
        canvas, ink = self.canv, INKS[one.ink]
        places = [(self._x(x), self._y(y)) for x, y in one.points]
        canvas.setStrokeColor(ink)
        canvas.setLineWidth(0.9)
        if one.joined:
            canvas.lines([(*a, *b) for a, b in itertools.pairwise(places)])
        for (x, _), (low, top) in zip(places, one.whiskers, strict=False):
            canvas.line(x, self._y(low), x, self._y(top))
        for x, y in places:
            self._mark(one, x, y)

    def _mark(self, one: Series, x: float, y: float) -> None:
        canvas, size = self.canv, 1.2 if one.faint else 2.0
        ink = INKS[one.ink]
        canvas.setFillColor(Color(ink.red, ink.green, ink.blue, alpha=0.4 if one.faint else 1))
        if one.shape == "circle":
            canvas.circle(x, y, size, stroke=0, fill=1)
        elif one.shape == "square":
            canvas.rect(x - size, y - size, 2 * size, 2 * size, stroke=0, fill=1)
        elif one.shape == "triangle":
            path = canvas.beginPath()
            path.moveTo(x, y + 1.2 * size)
            path.lineTo(x + 1.2 * size, y - size)
            path.lineTo(x - 1.2 * size, y - size)
            path.close()
            canvas.drawPath(path, stroke=0, fill=1)

    def _key(self) -> None:
        x = self._left
        self.canv.setFont(words.PLAIN, 6.3)
        for one in self._chart.keys:
            self._mark(one, x + 2, 4)
            self.canv.setFillColor(words.SOFT)
            self.canv.drawString(x + 6, 2, words.drawable(one.name))
            x += 16 + self.canv.stringWidth(one.name, words.PLAIN, 6.3)
        self.canv.drawString(x, 2, "shaded: within tolerance" if self._chart.band else "line: ideal")


def _recovery(found: Selftest) -> Iterator[Flowable]:
    rows = content.recovery_rows(found.tables.get("recovery", ()))
    if not rows:
        return
    names = [wording.plain(one).capitalize() for one in content.STRUCTURES]
    heads = [text("Camera or site", words.HEAD), text("FWHM mm", words.HEAD_RIGHT)]
    heads += [text(name, words.HEAD_RIGHT) for name in names]
    body = [
        [text(camera), text(width, words.RIGHT), *(text(f"{own} ({ideal})", words.RIGHT) for own, ideal in cells)]
        for camera, width, cells in rows
    ]
    title = text("Recovery coefficients: measured over true ratio (ideal)", words.SECTION)
    widths = [52 * MM, 20 * MM, *[22.8 * MM] * len(names)]
    yield KeepTogether([title, Table([heads, *body], widths, style=[*LINES, *TIGHT], hAlign="LEFT")])


def _reasons(found: Selftest) -> Iterator[Flowable]:
    yield CondPageBreak(ROOM)
    yield text("Why these tolerances, and what a failure would mean", words.SECTION)
    heads = [text(name, words.HEAD) for name in ("Line", "Why this tolerance", "What a failure would mean")]
    rows = [[text(one.title), text(one.reason), text(one.failure)] for one in found.lines]
    yield Table([heads, *rows], [32 * MM, 80 * MM, 74 * MM], style=LINES, repeatRows=1, hAlign="LEFT")


def _provenance(found: Selftest) -> Iterator[Flowable]:
    yield CondPageBreak(ROOM)
    yield text("Provenance", words.SECTION)
    for name, digest in found.hashes.items():
        yield Paragraph(f"SHA-256 of {markup(name)}: {markup(digest)}", words.NOTE)
    for model in found.models:
        yield Paragraph(f"SHA-256 of {markup(model['title'])}: {markup(model['model_sha256'])}", words.NOTE)
    software = ", ".join(f"{name} {version}" for name, version in found.software.items())
    yield text(f"Software: {software}. Format {found.form}.", words.NOTE)


def _signature() -> Flowable:
    names = [*content.SIGNED, "Next test due"]
    cells = [[text(name, words.NOTE) for name in names[first : first + 2]] for first in range(0, len(names), 2)]
    style = [
        *RULED,
        ("LINEABOVE", (0, 0), (0, -1), 0.6, words.INK),
        ("LINEABOVE", (2, 0), (2, -1), 0.6, words.INK),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 22),
    ]
    lines = Table([[a, "", b] for a, b in cells], [88 * MM, 10 * MM, 88 * MM], style=style, hAlign="LEFT")
    remarks = Table([[text("Remarks", words.NOTE)]], [WIDTH], style=style[:-2] + style[-1:], hAlign="LEFT")
    return KeepTogether([text("Acceptance", words.SECTION), _boxes(), Spacer(1, 26), lines, remarks])


def _boxes() -> Flowable:
    """Small squares to tick."""
    cells: list[Any] = []
    style: list[Any] = [*RULED, ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 6)]
    for number, said in enumerate(("accepted", "not accepted", "accepted with remarks")):
        cells += ["", text(said)]
        style.append(("BOX", (2 * number, 0), (2 * number, 0), 0.8, words.INK))
    return Table([cells], [4 * MM, 36 * MM] * 3, [4 * MM], style=style, hAlign="LEFT")
