"""One self-contained page: every picture inline, no script, nothing fetched, every text escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from dopascope.reading.images import Examination
from dopascope.reading.schema import DISCLAIMER
from dopascope.report import colour, content, figures, t1_content, tiles, wording
from dopascope.volume import SliceImage

if TYPE_CHECKING:
    from jinja2 import Environment

    from dopascope.report.index import IndexEntry


def render(examination: Examination, drawn: figures.Figures) -> str:
    """`report.html` of an examination."""
    reading = examination.reading
    refused = reading.verdict == "refused"
    numbers = None if refused else reading.quantification
    return (
        environment()
        .get_template("report_t1.html.j2" if reading.is_t1 else "report.html.j2")
        .render(
            r=reading,
            q=numbers,
            refused=refused,
            picture=isinstance(examination.images, SliceImage),
            title=content.title(reading),
            headline=wording.HEADLINES[reading.word],
            moment=wording.moment(reading.created),
            short_hash=content.short_hash(reading.scan.sha256),
            figures=drawn,
            t1=_with_css(t1_content.of(reading, drawn.t1)),
            readers=content.reader_rows(reading),
            ratios=content.ratio_table(numbers) if numbers else None,
            indices=content.index_rows(numbers) if numbers else (),
            registration=content.registration_facts(reading.registration) if reading.registration else (),
            matrix=content.matrix_rows(reading.registration.mni_to_scan) if reading.registration else (),
            passport_reasons=content.passport_reasons(reading),
            passport=content.passport_rows(reading),
            scan_facts=content.scan_facts(reading.scan, reading.read_as),
            assumed=content.assumed(reading),
            person_facts=content.person_facts(reading),
            acquisition=content.acquisition_facts(reading.acquisition, t1=reading.is_t1),
            missing=content.missing_parts(reading),
            method=wording.method_sentences(reading),
            limits=wording.limits(reading),
            evidence_sentences=[wording.evidence_sentence(one) for one in reading.maps],
            changed=content.changed_rows(reading.counterfactual) if reading.counterfactual and not refused else (),
            changed_words=wording.changed_sentences(reading.counterfactual) if reading.counterfactual else (),
            hashes=tuple(content.hashes(reading)),
            **_fixed(),
        )
    )


def render_index(
    lines: Sequence[tuple[IndexEntry, str]], *, title: str, made: Sequence[str], next_steps: Sequence[Sequence[str]]
) -> str:
    """The page that lists many readings, each with the link to its report."""
    verdicts: Counter[str] = Counter(entry.reading.word for entry, _ in lines)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            lines=lines,
            title=title,
            made=made,
            next_steps=next_steps,
            counts=[(word, verdicts[word]) for word in wording.HEADLINES if word in verdicts],
            display_top=_fixed()["display_top"],
        )
    )


def _with_css(found: t1_content.T1Content | None) -> dict[str, Any] | None:
    """The tables of a T1 MRI with their colours as style sheets write them."""
    if found is None:
        return None
    return {**vars(found), "legend": [(name, css(rgb)) for name, rgb in found.legend]}


@cache
def _fixed() -> dict[str, Any]:
    return {
        "grade_names": content.GRADES,
        "display_top": wording.significant(figures.DISPLAY_TOP),
        "colour_bar": tiles.colour_bar(),
        "scale_ticks": content.scale_ticks(figures.DISPLAY_TOP),
        "outline_colours": [(name, css(rgb)) for name, rgb in colour.OUTLINES.items()],
        "evidence_colours": [css(colour.SPEAKS_FOR_REDUCED), css(colour.SPEAKS_FOR_NORMAL)],
    }


def css(rgb: tuple[int, int, int]) -> str:
    """A colour as style sheets write it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


@cache
def environment() -> Environment:
    """The templates of this package: every text escaped, what cannot be seen spelt out, a missing name an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("dopascope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["uri"] = lambda tile: Markup(tile.data_uri())
    environment.globals.update(disclaimer=DISCLAIMER, symbols=wording.SYMBOLS, number=wording.number)
    return environment


def _shown(value: Any) -> Any:
    """What every expression of a template goes through before it is escaped."""
    # Markup is a str too, but comes from our own macros and filters: its texts have been through here already.
    return wording.visible(value) if type(value) is str else value
