"""Worklist, visits and dashboard."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest

from dopascope.web import summary
from dopascope.web.tables import ReadingRow
from web_installation import Browser, Finished, Installation

FIRST = summary.Visit("a", "2024-01-01", "scan", "normal", "Siemens", "roi", {"putamen_left": 2.0, "caudate_left": 3.0})


@pytest.fixture
def pair(installation: Installation, finished: Finished, finished_healthy: Finished) -> tuple[Browser, list[str]]:
    """A browser with two readings, which both name the same made-up person: one of Parkinson's, one healthy."""
    ada = installation.user("ada")
    ids = [installation.place(finished, ada), installation.place(finished_healthy, ada, "two.dcm")]
    return installation.browser("ada"), ids


def test_what_is_doubtful_stands_first_until_it_is_signed(
    installation: Installation, pair: tuple[Browser, list[str]]
) -> None:
    browser, (first, second) = pair
    with installation.database.write() as session:
        session.get_one(ReadingRow, first).disagreement = False
        session.get_one(ReadingRow, first).verdict = "reduced"
        session.get_one(ReadingRow, second).disagreement = True
    assert _links(browser.get("/worklist").text) == [second, first]
    page = f"/readings/{second}"
    browser.sign(page, "Seen.")
    assert _links(browser.get("/worklist").text) == [first]


def _links(text: str) -> list[str]:
    return re.findall(r"/readings/([0-9a-f]{32})", text)


def test_one_persons_visits_stand_side_by_side(installation: Installation, pair: tuple[Browser, list[str]]) -> None:
    browser, ids = pair
    with installation.database.write() as session:
        for one in ids:
            session.get_one(ReadingRow, one).pseudonym = "P-SAME"
    shown = browser.get("/people/P-SAME").text
    assert set(_links(shown)) == set(ids)
    assert "Putamen" in shown
    assert "PMID 15586635" in shown
    assert browser.get("/people/P-OTHER").status_code == 404


def test_the_dashboard_counts_what_one_may_see(installation: Installation, pair: tuple[Browser, list[str]]) -> None:
    browser, _ = pair
    shown = browser.get("/dashboard").text
    assert "2 readings of 1 person" in shown
    installation.user("bob")
    assert "No scan was read yet" in installation.browser("bob").get("/dashboard").text


def test_a_change_is_that_from_the_first_visit_where_both_were_measured() -> None:
    later = replace(FIRST, day="2025-01-01", ratios={"putamen_left": 1.5, "putamen_right": 1.0})
    found = {one.region: one for one in summary.changes([FIRST, later])}
    assert found["Putamen left"].percents == (None, pytest.approx(-25))
    assert found["Caudate left"].percents == (None, None)
    assert found["Putamen right"].percents == (None, None)


@pytest.mark.parametrize(("changed", "doubts"), [({}, 0), ({"camera": "GE"}, 1), ({"camera": "", "method": "lvm"}, 2)])
def test_other_cameras_and_methods_are_said(changed: dict[str, str], doubts: int) -> None:
    assert len(summary.not_comparable([FIRST, replace(FIRST, **changed)])) == doubts


def test_months_and_distributions_hold_every_reading_once() -> None:
    day = 86400.0
    rows = [
        summary.Shown(
            created=40 * number * day,
            pseudonym="P-1",
            verdict=("normal", "reduced")[number % 2],
            passport=("in-distribution", "unusual")[number % 2],
            disagreement=False,
            camera=("A", "A", "")[number % 3],
            ratios={"putamen_left": 1.0 + number, "putamen_right": 9.0, "caudate_left": 0.1},
        )
        for number in range(7)
    ]
    months = summary.months(rows[::-1])
    assert [one.name for one in months] == sorted(one.name for one in months)
    assert sum(one.total for one in months) == 7
    assert sum(one.unusual for one in months) == 3
    found = summary.distributions(rows)
    assert [(one.camera, one.values) for one in found] == [("A", (1.0, 2.0, 4.0, 5.0, 7.0)), ("not stated", (3.0, 6.0))]
    assert found[0].quartiles == (2.0, 4.0, 5.0)
    assert max(found[1].places()) == 1.0


def test_very_many_values_are_drawn_by_their_ranks_with_both_ends() -> None:
    values = tuple(number / 1000 for number in range(6000))
    places = summary.Distribution("A", values, (0.0, 0.0, 0.0)).places()
    assert len(places) == summary.MOST_PLACES
    assert (places[0], places[-1]) == (0.0, pytest.approx(5.999 / summary.TOP_SBR))
    assert max(after - before for before, after in itertools.pairwise(places)) < 0.004
