"""The same report on A4 paper, by reportlab: two to three pages, every text escaped, the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    KeepTogether,
    Paragraph,
    Spacer,
    Table,
)

from dopascope.reading.images import Examination
from dopascope.reading.schema import DISCLAIMER, QuantificationPart, Reading
from dopascope.report import colour, content, figures, tiles, wording
from dopascope.report import pdf_text as words
from dopascope.report.pdf_counterfactual import simulated
from dopascope.report.pdf_drawing import BarChart, Film, Keys, ScaleBar, TickRow
from dopascope.report.pdf_t1 import t1_pages
from dopascope.report.pdf_tables import (
    LINES,
    RULED,
    TIGHT,
    TONES,
    WIDTH,
    badge,
    badge_markup,
    column_heads,
    pairs,
    two_columns,
)
from dopascope.report.pdf_text import MM, markup, text
from dopascope.volume import SliceImage

ROOM: Final = 22 * MM
"""A section begins only where its heading and its first lines have this much room."""


def render(examination: Examination, drawn: figures.Figures, *, compress: bool = True) -> bytes:
    """`report.pdf` of an examination; `compress=False` leaves the page streams readable, for tests."""
    reading = examination.reading
    stream = BytesIO()
    title = f"dopascope reading of {wording.visible(reading.scan.source)}"
    document = words.a4(stream, title, reading.software.get("dopascope", ""), compress=compress)
    foot = f"{DISCLAIMER}   {content.short_hash(reading.scan.sha256)}   {reading.scan.source}"
    document.build(list(_story(examination, drawn)), canvasmaker=words.foot_canvas(foot))
    return stream.getvalue()


def _story(examination: Examination, drawn: figures.Figures) -> Iterator[Flowable]:
    reading = examination.reading
    refused = reading.verdict == "refused"
    yield _header(reading)
    if reading.is_t1:
        yield from _facts(reading)
        yield from _passport(reading)
        yield from _verdict(reading)
        yield from t1_pages(reading, drawn.t1)
        if drawn.t1 is None:
            yield from _films(examination, drawn)
        yield from _prose(reading)
        yield from _provenance(reading, refused)
        return
    yield from _verdict(reading)
    yield from _films(examination, drawn)
    if reading.quantification and not refused:
        yield from _ratios(reading.quantification)
    if reading.readers and not refused:
        yield from _readers(reading)
    yield from _checked(reading, drawn)
    yield from simulated(reading, drawn)
    yield from _passport(reading)
    yield from _facts(reading)
    yield from _prose(reading)
    yield from _provenance(reading, refused)


def _header(reading: Reading) -> Flowable:
    left = [
        text("dopascope reading", words.NOTE),
        text(content.title(reading), words.TITLE),
        Paragraph(f"<b>{markup(DISCLAIMER)}</b>", words.BODY),
    ]
    facts = (
        ("File", text(reading.scan.source)),
        ("SHA-256", text(content.short_hash(reading.scan.sha256), words.CODE)),
        ("Read on", text(wording.moment(reading.created))),
        ("Passport", badge(reading.passport.verdict)),
    )
    right = Table([[text(name, words.HEAD_RIGHT), value] for name, value in facts], [18 * MM, 50 * MM], style=TIGHT)
    return two_columns(left, [right], (118, 68), [*TIGHT, ("VALIGN", (0, 0), (-1, -1), "BOTTOM")])


def _verdict(reading: Reading) -> Iterator[Flowable]:
    ink, wash = TONES[reading.word]
    refused = reading.verdict == "refused"
    symbol = f'<font size="17">{markup(wording.SYMBOLS[reading.word])}</font>'
    said: list[Flowable] = [
        Paragraph(f'<font color="{ink}">{symbol} {reading.word.capitalize()}</font>', words.VERDICT),
        text(wording.HEADLINES[reading.word], words.SAYS),
        Spacer(1, 3),
    ]
    said += [text(f"• {reason}", words.LOUD if refused else words.BODY) for reason in reading.verdict_reasons]
    beside = [_reader_table(reading)] if reading.readers and not refused else []
    style = [
        *RULED,
        ("BACKGROUND", (0, 0), (-1, -1), HexColor(wash)),
        ("LINEBEFORE", (0, 0), (0, -1), 4, HexColor(ink)),
        ("LEFTPADDING", (0, 0), (0, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    ]
    yield Spacer(1, 4)
    yield two_columns(said, beside, (78, 108) if beside else (180, 6), style)
    if reading.disagreement:
        yield Spacer(1, 3)
        yield _alarm(reading.disagreement)
    yield Spacer(1, 5)


def _alarm(disagreement: str) -> Flowable:
    ink = HexColor(TONES["uncertain"][0])
    words_ = f'<font color="{TONES["uncertain"][0]}"><b>! The readers disagree.</b></font> {markup(disagreement)}'
    box = [("BOX", (0, 0), (-1, -1), 1.2, ink), ("LEFTPADDING", (0, 0), (-1, -1), 6)]
    return Table([[Paragraph(words_, words.BODY)]], [WIDTH], style=[*RULED, *box])


def _reader_table(reading: Reading) -> Flowable:
    rows = [
        [text(one.title), badge(one.verdict), text(one.probability, words.RIGHT), text(one.interval, words.RIGHT)]
        for one in content.reader_rows(reading)
    ]
    heads = column_heads("Reader", "Says", ">p (reduced)", ">Interval")
    return Table([heads, *rows], [47 * MM, 18 * MM, 17 * MM, 22 * MM], style=LINES)


def _films(examination: Examination, drawn: figures.Figures) -> Iterator[Flowable]:
    strips = [*drawn.rows, *([drawn.planes] if drawn.planes else [])]
    for strip in strips:
        yield Film(strip, tallest=96.0)
        yield Spacer(1, 2)
    if strips:
        unit = (
            "times the mean of the reference region, in all pictures. R: subject's right. Slices of 6 mm, from below."
        )
        yield ScaleBar(tiles.colour_bar(), content.scale_ticks(figures.DISPLAY_TOP), unit)
    if drawn.stored:
        yield Film(drawn.stored, tallest=300.0)
        yield text(_stored_note(examination), words.NOTE)


def _stored_note(examination: Examination) -> str:
    if isinstance(examination.images, SliceImage):
        return "A picture has no position, spacing or side. Nothing is measured on it."
    return "Own scale: white is the 99.5th percentile of these planes. R is the subject's right as the file states it."


def _ratios(numbers: QuantificationPart) -> Iterator[Flowable]:
    table = content.ratio_table(numbers)
    yield Spacer(1, 3)
    yield _ratio_rows(table)
    expected = f"; orange: expected at this age and sex, from {numbers.normals}" if table.compared else ""
    explained = f"Bar: SBR; line: its interval{expected}."
    method = f"Method {numbers.method_id}, reference {wording.plain(numbers.reference_region)}. {explained}"
    notes = [method, *(f"Warning: {one}" for one in numbers.warnings)]
    if table.notes:
        notes.insert(1, f"Missing values: {'; '.join(table.notes)}")
    yield Paragraph(" ".join(markup(f"{note.rstrip('.')}.") for note in notes), words.NOTE)
    if indices := content.index_rows(numbers):
        rows = [
            [text(name), text(value, words.RIGHT), text(interval, words.RIGHT), text(definition)]
            for name, value, interval, definition in indices
        ]
        heads = column_heads("Index", ">Value", ">Interval", "Definition")
        style = [*LINES, *TIGHT]
        widths = [47 * MM, 15 * MM, 24 * MM, 100 * MM]
        yield KeepTogether([Spacer(1, 3), Table([heads, *rows], widths, style=style, repeatRows=1)])


def _ratio_rows(table: content.RatioTable) -> Flowable:
    compared = [">Expected", ">z", ">of expected"] if table.compared else []
    fixed = [32, 11, 14, 26] + ([16, 13, 18] if compared else [])
    bar_width = WIDTH - sum(fixed) * MM - 6
    heads = column_heads("Specific binding ratio", "Side", ">SBR", f">{table.level} interval", *compared)
    rows: list[list[Any]] = [[*heads, TickRow(table.ticks, bar_width)]]
    style = [*RULED, *TIGHT, LINES[len(RULED)], ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
    previous = ""
    for line, row in enumerate(table.rows, start=1):
        cells = [row.sbr, row.interval, *([row.expected, row.z, row.percent] if compared else [])]
        shown = BarChart(row.bar, bar_width) if row.bar else text("")
        beside = [shown, text(row.reason, words.NOTE)] if row.reason else shown
        new = row.structure != previous
        if new and line > 1:
            style.append(("LINEABOVE", (0, line), (-1, line), 0.3, words.LINE))
        previous = row.structure
        rows.append(
            [text(row.structure if new else ""), text(row.side), *(text(c, words.RIGHT) for c in cells), beside]
        )
    return Table(rows, [one * MM for one in fixed] + [bar_width + 6], style=style, hAlign="LEFT", repeatRows=1)


def _readers(reading: Reading) -> Iterator[Flowable]:
    rows = content.reader_rows(reading)
    yield CondPageBreak(ROOM)
    yield text("Readers side by side", words.SECTION)
    body = []
    for one in rows:
        title = Paragraph(
            f'{markup(one.title, 120)}<br/><font color="#56606d">{markup(one.id, 120)}</font>', words.BODY
        )
        last = [
            text(one.calibration, words.NOTE),
            *([text(one.reason, words.NOTE)] if one.reason else []),
        ]
        chance = [text(one.probability, words.RIGHT), text(one.interval, words.RIGHT)]
        body.append([title, badge(one.verdict), *chance, text(one.votes), last])
    heads = column_heads("Reader", "Verdict", ">p (reduced)", ">Interval", "Votes", "Calibration")
    yield Table([heads, *body], [47 * MM, 18 * MM, 16 * MM, 23 * MM, 38 * MM, 44 * MM], style=LINES, repeatRows=1)
    for one in rows:
        if one.grades:
            yield Spacer(1, 4)
            yield _grades(one)


def _grades(one: content.ReaderRow) -> Flowable:
    heads = column_heads(f"Grades: {one.id}", *(f"|{grade}" for grade in content.GRADES))
    style = [*LINES]
    body = []
    for line, row in enumerate(one.grades, start=1):
        cells: list[Any] = [text(row.region)]
        for column, share in enumerate(row.shares, start=1):
            picked = content.GRADES[column - 1] == row.grade
            shown = markup(wording.number(share))
            cells.append(Paragraph(f"<b>{shown}</b>" if picked else shown, words.CENTRE))
            shade = [255 + (tone - 255) * 0.7 * share for tone in (91, 118, 148)]
            wash = HexColor("#{:02x}{:02x}{:02x}".format(*(round(tone) for tone in shade)))
            style.append(("BACKGROUND", (column, line), (column, line), wash))
            if picked:
                style.append(("BOX", (column, line), (column, line), 1, words.INK))
        body.append(cells)
    return Table([heads, *body], [36 * MM, *[30 * MM] * 5], style=style)


def _checked(reading: Reading, drawn: figures.Figures) -> Iterator[Flowable]:
    """Evidence and registration, side by side."""
    if not (drawn.registration or drawn.evidence or reading.registration):
        return
    left: list[Any] = [text("Evidence", words.SECTION)]
    for name, tile in drawn.evidence:
        left.append(Film(figures.Strip(name, (tile,)), tallest=115.0))
    for found in reading.maps:
        left.append(Paragraph(markup(wording.evidence_sentence(found)), words.NOTE))
    if drawn.evidence:
        colours = (colour.SPEAKS_FOR_REDUCED, colour.SPEAKS_FOR_NORMAL)
        left.append(Keys(list(zip(("speaks for reduced", "speaks for normal"), colours, strict=True))))
    else:
        left.append(text(reading.reasons.get("maps", "No evidence map was made.")))
    right: list[Any] = [text("Registration", words.SECTION)]
    if drawn.registration:
        right += [Film(drawn.registration, tallest=115.0), Keys(list(colour.OUTLINES.items()))]
    if reading.registration:
        right.append(pairs(content.registration_facts(reading.registration), 24, 92))
    yield Spacer(1, 5)
    yield two_columns(left, right, (62, 124), RULED)


def _passport(reading: Reading) -> Iterator[Flowable]:
    yield CondPageBreak(ROOM)
    yield Paragraph(f"Passport: {badge_markup(reading.passport.verdict)}", words.SECTION)
    for reason in content.passport_reasons(reading):
        yield text(f"• {reason}")
    rows = [
        [text(name), text(value), text(expected), badge(verdict), text(explanation, words.NOTE)]
        for name, value, expected, verdict, explanation in content.passport_rows(reading)
    ]
    if rows:
        heads = column_heads("Check", "Value", "Expected", "Verdict", "Explanation")
        widths = [30 * MM, 34 * MM, 31 * MM, 25 * MM, 66 * MM]
        yield Table([heads, *rows], widths, style=[*LINES, *TIGHT], repeatRows=1)


def _facts(reading: Reading) -> Iterator[Flowable]:
    left: list[Any] = [text("Scan and person", words.SECTION)]
    left.append(pairs(content.scan_facts(reading.scan, reading.read_as) + content.person_facts(reading), 28, 60))
    for line in content.assumed(reading):
        ink = TONES["uncertain"][0]
        left.append(Paragraph(f'<font color="{ink}"><b>ASSUMED</b></font> {markup(line)}', words.BODY))
    right = [text("Acquisition, from the header", words.SECTION)]
    right.append(pairs(content.acquisition_facts(reading.acquisition, t1=reading.is_t1), 34, 56))
    yield Spacer(1, 5)
    yield two_columns(left, right, (93, 93), RULED)


def _prose(reading: Reading) -> Iterator[Flowable]:
    if reading.warnings:
        yield text("Warnings", words.SECTION)
        yield from (text(f"• {warning}") for warning in reading.warnings)
    if missing := content.missing_parts(reading):
        yield text("Not in this report, and why", words.SECTION)
        yield pairs(missing, 52, 130)
    for name, sentences in (("Method", wording.method_sentences(reading)), ("Limits", wording.limits(reading))):
        yield CondPageBreak(ROOM)
        yield text(name, words.SECTION)
        yield Paragraph(" ".join(markup(one) for one in sentences), words.PROSE)


def _provenance(reading: Reading, refused: bool) -> Iterator[Flowable]:
    yield CondPageBreak(ROOM)
    yield text("Provenance", words.SECTION)
    for one in () if refused else content.reader_rows(reading):
        facts = "; ".join(f"{name.lower()}: {markup(value)}" for name, value in one.facts)
        if facts:
            yield Paragraph(f"<b>{markup(one.title)}</b> ({facts})", words.NOTE)
    for name, digest in content.hashes(reading):
        yield Paragraph(f"SHA-256 of {markup(name)}: {markup(digest)}", words.NOTE)
    if reading.registration:
        lines = " / ".join(content.matrix_rows(reading.registration.mni_to_scan))
        yield text(f"MNI to scan in mm, row by row: {lines}", words.NOTE)
    software = ", ".join(f"{name} {version}" for name, version in reading.software.items())
    yield text(f"Software: {software}. Reading format {reading.schema_id}.", words.NOTE)
