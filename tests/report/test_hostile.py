"""Text from a file is shown, never obeyed: in the page, in the PDF, in the index."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.platypus import Paragraph

from dopascope import report
from dopascope.reading.images import Examination
from dopascope.reading.schema import SCHEMA, Grade, PassportCheck, Reading, Verdict
from dopascope.report import figures, html, pdf, wording
from dopascope.report.pdf_text import BODY, drawable, markup

pytestmark = pytest.mark.promise("Text from files is escaped in every page", asvs="1.2.1", threats="T14")

MARKED_UP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{% raw %}&amp;"
HOSTILE = MARKED_UP + "\r\nSet: \u202eevil\u0000\x1b[31m 患者 ω\u2028\udcff"
SAFE = MARKED_UP + "  Set: [U+202E]evil[U+0000][U+001B][31m 患者 ω[U+2028][U+DCFF]"

WORDS = {
    *get_args(Verdict),
    *get_args(PassportCheck.model_fields["verdict"].annotation),
    *get_args(Grade.model_fields["grade"].annotation),
    *("rule", "network", "ensemble", "occlusion", "F", "M", "argument", "header", "assumed", "dat", "t1"),
    SCHEMA,
}
"""Text that the schema itself fixes."""


def poisoned(value: Any, hostile: str) -> Any:
    """A reading's data with every free text replaced; also the keys that a file or bundle can choose."""
    if isinstance(value, str):
        return value if value in WORDS else hostile
    if isinstance(value, list):
        return [poisoned(one, hostile) for one in value]
    if isinstance(value, dict):
        return {name: poisoned(one, hostile) for name, one in value.items()}
    return value


def with_hostile_text(examination: Examination, hostile: str = HOSTILE) -> Examination:
    data = poisoned(examination.reading.model_dump(by_alias=True), hostile)
    data["software"][hostile] = hostile
    data["reasons"][hostile] = hostile
    for reader in data["readers"]:
        reader["votes"] = {hostile: hostile}
        reader["grades"] = {f"{hostile} {name}": grade for name, grade in reader["grades"].items()}
    return Examination(Reading.model_validate(data), examination.images)


def test_hostile_text_changes_no_tag_of_the_page(examination: Examination, parse: Any) -> None:
    drawn = figures.draw(examination)
    hostile = with_hostile_text(examination)
    harmless = with_hostile_text(examination, "a harmless text")
    seen, known = (parse(html.render(one, drawn)) for one in (hostile, harmless))
    assert [tag for tag, _ in seen.tags] == [tag for tag, _ in known.tags]
    assert [sorted(attributes) for _, attributes in seen.tags] == [sorted(attributes) for _, attributes in known.tags]
    assert wording.visible(HOSTILE) == SAFE
    assert SAFE.replace("  ", " ") in seen.text
    assert "\u202e" not in seen.text


def test_hostile_text_is_only_text_in_the_pdf(examination: Examination, words_of: Any) -> None:
    hostile = with_hostile_text(examination)
    data = pdf.render(hostile, figures.draw(examination), compress=False)
    assert b"/JavaScript" not in data
    assert b"/URI" not in data
    assert b"/Launch" not in data
    text = words_of(data).replace(" ", "")
    assert MARKED_UP.replace(" ", "") in text
    assert "[U+202E]" in text


@pytest.mark.parametrize("length", [5_000, 200_000])
def test_endless_text_is_cut_and_said_so(examinations: dict[str, Examination], length: int, parse: Any) -> None:
    hostile = with_hostile_text(examinations["uncertain"], "W" * length)
    drawn = figures.draw(hostile)
    text = parse(html.render(hostile, drawn)).text
    assert f"({length - wording.LONGEST} more characters in reading.json)" in text
    assert len(text) < 200_000
    assert pdf.render(hostile, drawn).startswith(b"%PDF")


def test_hostile_names_stay_names_in_the_index(
    examinations: dict[str, Examination], tmp_path: Path, parse: Any
) -> None:
    hostile = with_hostile_text(examinations["uncertain"])
    names = [HOSTILE.replace("\0", "").replace("\udcff", ""), "javascript:alert(1)", "../../x", "a b&c=d#e?f"]
    entries = [report.IndexEntry.of(name, hostile, tmp_path / name / "report.html", truth=HOSTILE) for name in names]
    page = report.write_index(entries, tmp_path / "index.html", title=HOSTILE, made=[HOSTILE], next_steps=[HOSTILE])
    seen = parse(page.read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert all(not name.startswith("on") for _, attributes in seen.tags for name in attributes)
    links = [attributes["href"] for tag, attributes in seen.tags if tag == "a"]
    assert len(links) == len(names)
    assert all(":" not in link and "?" not in link and "#" not in link for link in links)


ANY_TEXT = st.text(st.characters(), max_size=80)
"""Any code points, lone surrogates too: a file name on disk may hold them."""


@given(ANY_TEXT)
def test_whatever_is_shown_can_be_seen(text: str) -> None:
    seen = wording.visible(text)
    assert "\n" not in seen
    assert not [one for one in seen if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    seen.encode("utf-8")
    if text.isascii() and text.isprintable():
        assert seen == text


@given(ANY_TEXT)
def test_any_text_is_a_paragraph_and_draws_in_helvetica(text: str) -> None:
    Paragraph(markup(text), BODY)
    drawable(text).encode("cp1252")
