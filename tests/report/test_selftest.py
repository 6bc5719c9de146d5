"""The page of a selftest says what its JSON says; its plots carry the tables; paper is the same each time."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from dopascope.reading.selftest import Selftest
from dopascope.reading.selftest.chain import NotRead
from dopascope.report import selftest as report
from dopascope.report import selftest_pdf
from dopascope.report.charts import Axis, round_top
from dopascope.report.selftest_plots import plots
from selftest_evidence import result, some_failed


@pytest.fixture(scope="module")
def made() -> Selftest:
    return some_failed()


def cells(page: str) -> list[str]:
    return [
        unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in re.findall("<t[dh][ >].*?</t[dh]>", page, re.DOTALL)
    ]


def test_the_page_says_what_the_json_says(made: Selftest, tmp_path: Path) -> None:
    written = report.write(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["selftest.html", "selftest.json", "selftest.pdf"]
    page, said = written["html"].read_text(), json.loads(written["json"].read_text())
    assert said["form"] == "dopascope.selftest/1"
    shown = cells(page)
    for line in said["lines"]:
        assert any(line["title"] in cell and line["asks"] in cell for cell in shown)
        assert {line["reason"], line["failure"], f"{line['n']} {line['n_of']}"} <= set(shown)
        for one in line["measures"]:
            digits = f"{one['value']:.{one['digits']}f}".replace("-", "−")
            at = shown.index(one["what"])
            candidates = [shown[n + 1 : n + 3] for n in range(at, len(shown) - 2) if shown[n] == one["what"]]
            assert [f"{digits} {one['unit']}".strip(), one["limit"]] in candidates
    recovered = [row for row in said["tables"]["recovery"] if row["region"].startswith("caudate")]
    for row in recovered:
        assert f"{row['measured']:.2f} {row['ideal']:.2f}" in shown
    assert said["disclaimer"] == "For research and education. Not a medical device."
    assert page.count(said["disclaimer"]) == 2
    for word in ("Institution", "Signature", "Next test due", said["hashes"]["installed package"]):
        assert word in page
    assert not re.search(r"<script|https?://|src=\"(?!data:)", page)


def test_the_plots_lie_inside_their_frames_and_carry_the_tables(made: Selftest) -> None:
    drawn = plots(made)
    assert [one.title for one in drawn] == ["Recovery coefficients", "Bias and counts", "Tilt", "Shift"]
    for chart in drawn:
        for series in chart.series:
            assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in series.points)
            assert all(0 < low < top < 1 for low, top in series.whiskers)
        assert chart.keys
    tilt = drawn[2]
    top = round_top(1.25 * 4)
    turned = [row for row in made.tables["tilt"] if row["axis"] == "turn"]
    marks = next(one for one in tilt.series if one.name == "turn").points
    assert [y for _, y in marks[1:]] == pytest.approx([row["worst_percent"] / top for row in turned])


def test_axes() -> None:
    assert [Axis(1, 100, "log").at(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 0.5, 1, 1])
    assert [round_top(value) for value in (0.61, 1, 4.2, 11)] == pytest.approx([0.8, 1, 5, 20])


def test_paper_is_the_same_each_time_and_names_the_outcome(made: Selftest) -> None:
    first = selftest_pdf.render(made)
    assert first == selftest_pdf.render(made)
    assert first.startswith(b"%PDF")
    assert b"dopascope selftest: failed" in first


def test_a_page_without_figures_still_says_why(tmp_path: Path) -> None:
    written = report.write(result(lambda one: NotRead(one.job, one.storage, "<b>torn</b> file")), tmp_path)
    page = written["html"].read_text()
    assert "not measured" in page
    assert "&lt;b&gt;torn&lt;/b&gt; file" in page
    assert "<svg viewBox" not in page
