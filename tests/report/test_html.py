"""The page: every number is there, nothing is fetched, nothing runs, everybody can read it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dopascope.reading.images import Examination
from dopascope.reading.schema import DISCLAIMER
from dopascope.report import figures, html


def page_of(examination: Examination) -> str:
    return html.render(examination, figures.draw(examination))


def test_every_number_of_the_reading_is_on_the_page(examination: Examination, parse: Any, numbers_of: Any) -> None:
    text = parse(page_of(examination)).text
    missing = [one for one in numbers_of(examination.reading) if re.sub(r"\s+", " ", one).rstrip(".") not in text]
    assert missing == []
    assert text.count(DISCLAIMER) >= 2


def test_nothing_is_fetched_and_nothing_runs(examination: Examination, parse: Any) -> None:
    page = page_of(examination)
    seen = parse(page)
    assert {tag for tag, _ in seen.tags}.isdisjoint(
        {"script", "iframe", "object", "embed", "link", "base", "form", "a"}
    )
    for tag, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
        assert "url(" not in attributes.get("style", "")
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    assert "default-src 'none'" in page
    assert "http:" not in page
    assert "https:" not in page


def test_the_page_can_be_heard_and_navigated(examination: Examination, parse: Any) -> None:
    seen = parse(page_of(examination))
    images = [attributes for tag, attributes in seen.tags if tag == "img"]
    assert images
    assert all(len(one["alt"]) > 10 and int(one["width"]) and int(one["height"]) for one in images)
    assert all("scope" in attributes for tag, attributes in seen.tags if tag == "th")
    assert [tag for tag, _ in seen.tags if tag == "h1"] == ["h1"]
    assert ("html", {"lang": "en"}) in seen.tags
    assert all("aria-hidden" in attributes for tag, attributes in seen.tags if tag == "svg")


def test_verdicts_are_words_beside_their_colour(examination: Examination, parse: Any) -> None:
    text = parse(page_of(examination)).text
    for check in examination.reading.passport.checks:
        assert check.verdict in text
    assert examination.reading.verdict in text


def test_bars_lie_where_their_numbers_are(examinations: dict[str, Examination]) -> None:
    page = page_of(examinations["normal"])
    ticks = [
        float(one)
        for one in re.findall(r'class="axis">(.*?)</th>', page, re.DOTALL)[0].split(">")[1::2]
        and re.findall(r"%\">([\d.]+)</span>", re.findall(r'class="axis">(.*?)</th>', page, re.DOTALL)[0])
    ]
    width = ticks[-1] - ticks[0]
    drawn = sorted(float(one) for one in re.findall(r'<rect x="0.0" y="4" width="([\d.]+)"', page))
    numbers = examinations["normal"].reading.quantification
    assert numbers is not None
    expected = sorted(100 * (one.sbr or 0) / width for one in numbers.regions.values())
    assert drawn == pytest.approx(expected, abs=0.01)


def test_a_reduced_scan_states_its_limits(examinations: dict[str, Examination], parse: Any) -> None:
    text = parse(page_of(examinations["reduced"])).text
    assert "does not tell Parkinson's disease from multiple system atrophy" in text
    assert "cannot be compared" in text
    assert "not been tried on clinical scans" in text
    assert "ASSUMED Slice order" in text
    assert text.count("not stated") >= 5


def test_disagreement_is_marked_only_where_there_is_some(examinations: dict[str, Examination], parse: Any) -> None:
    assert parse(page_of(examinations["uncertain"])).text.count("disagree") >= 1
    assert page_of(examinations["uncertain"]).count('class="alarm"') == 2
    assert 'class="alarm"' not in page_of(examinations["reduced"])


@pytest.mark.parametrize("kind", ["refused", "picture"])
def test_what_was_not_read_has_no_numbers(examinations: dict[str, Examination], kind: str, parse: Any) -> None:
    text = parse(page_of(examinations[kind])).text
    assert "Specific binding ratios" not in text
    assert "p (reduced)" not in text
    assert "Readers side by side" not in text
    assert "Not in this report, and why" in text


def test_a_refused_reading_hides_numbers_it_should_not_have(examinations: dict[str, Examination], parse: Any) -> None:
    normal = examinations["normal"]
    claimed = normal.reading.model_copy(update={"verdict": "refused", "verdict_reasons": ["It is a kidney."]})
    text = parse(page_of(Examination(claimed, normal.images))).text
    assert "It is a kidney." in text
    assert "Specific binding ratios" not in text
    assert "p (reduced)" not in text
