"""Worklist, visits and dashboard."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from dopascope.web import summary
from dopascope.web.tables import Job, ReadingRow, Upload, urgency
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
        session.get_one(ReadingRow, first).urgency = urgency(False, "reduced", "in-distribution")
        session.get_one(ReadingRow, second).urgency = urgency(True, "normal", "in-distribution")
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
    groups = [
        summary.Group(f"2025-{9 - number:02}", ("normal", "reduced")[number % 2], bool(number % 2), number + 1, 0)
        for number in range(7)
    ]
    months = summary.months(groups[::-1])
    assert [one.name for one in months] == sorted(one.name for one in months)
    assert sum(one.total for one in months) == 28
    assert sum(one.unusual for one in months) == 2 + 4 + 6
    found = summary.distributions({"": [6, 3], "A": [7, 1, 2, 5, 4]})
    assert [(one.camera, one.values) for one in found] == [("A", (1.0, 2.0, 4.0, 5.0, 7.0)), ("not stated", (3.0, 6.0))]
    assert found[0].quartiles == (2.0, 4.0, 5.0)
    assert found[1].strokes() == "M50.0 1v8M99.6 1v8", "6 and beyond is the axis's end"


def test_very_many_values_are_drawn_by_their_ranks_with_both_ends() -> None:
    (found,) = summary.distributions({"A": [number / 1000 for number in range(6000)]})
    assert found.count == 6000
    assert len(found.values) == summary.MOST_PLACES
    assert (found.values[0], found.values[-1]) == (0.0, 5.999)
    assert max(after - before for before, after in itertools.pairwise(found.values)) < 0.004 * summary.TOP_SBR


def test_the_database_counts_as_one_counts_by_hand(installation: Installation) -> None:
    draw = random.Random(5)
    owner = installation.user("ada")
    made = []
    with installation.database.write() as session:
        for number in range(40):
            upload = Upload(owner_id=owner, original_name="a", files=1, size=1, sha256="0" * 64)
            session.add(upload)
            session.flush()
            job = Job(upload_id=upload.id, state="done")
            session.add(job)
            session.flush()
            row = ReadingRow(
                id=job.id,
                upload_id=upload.id,
                owner_id=owner,
                pseudonym=f"P-{draw.randrange(9)}",
                created=draw.uniform(1.6e9, 1.65e9),
                verdict=draw.choice(summary.VERDICTS),
                passport=draw.choice(("in-distribution", "unusual")),
                disagreement=draw.random() < 0.3,
                camera=draw.choice("AB"),
                ratios={"putamen_left": draw.uniform(0, 3), "putamen_right": draw.uniform(0, 3)} if number % 3 else {},
                sha256="0" * 64,
            )
            session.add(row)
            made.append(row)
    found = installation.program(installation.token("ada")).get("/dashboard").json
    assert found["total"] == 40
    assert found["people"] == len({one.pseudonym for one in made})
    assert found["disagreements"] == sum(one.disagreement for one in made)
    assert {name: count for name, count in found["counts"].items() if count} == Counter(one.verdict for one in made)
    months = Counter(summary.day_of(one.created)[:7] for one in made)
    assert {one["name"]: one["total"] for one in found["months"]} == months
    assert sum(one["unusual"] for one in found["months"]) == sum(one.passport == "unusual" for one in made)
    for one in found["distributions"]:
        ratios = [min(row.ratios.values()) for row in made if row.camera == one["camera"] and row.ratios]
        assert one["values"] == pytest.approx(sorted(ratios), rel=1e-12)


def test_disagreements_are_most_urgent_then_uncertain_readings_then_unusual_scans() -> None:
    kinds = [
        (disagreement, verdict, passport)
        for disagreement in (False, True)
        for verdict in ("reduced", "uncertain")
        for passport in ("in-distribution", "unusual")
    ]
    ranks = [urgency(*one) for one in kinds]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
