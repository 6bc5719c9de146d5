"""Readings: comments, the signature, search, and tables that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.web.history import harmless
from web_installation import Browser, Finished, Installation


@pytest.fixture
def one(installation: Installation, finished: Finished) -> tuple[Browser, str]:
    """A browser with one reading."""
    reading = installation.place(finished, installation.user("ada"), "=one.dcm")
    return installation.browser("ada"), reading


def test_a_signature_needs_the_password_comes_once_and_makes_addenda_of_comments(
    installation: Installation, one: tuple[Browser, str]
) -> None:
    browser, reading = one
    page = f"/readings/{reading}"
    assert browser.submit(f"{page}/notes", page=page, text="<img src=x onerror=alert(1)>").status_code == 302
    told = browser.sign(page, "Reduced.", password="wrong password")
    assert "not your password" in told.text
    assert browser.sign(page, "Reduced.").status_code == 302
    shown = browser.get(page).text
    assert "&lt;img src=x" in shown
    assert "signature, <bdi>ada</bdi>" in shown
    assert "Your password" not in shown
    assert ">ada<" in browser.get("/").text
    token_page = browser.sign(page, "Again.")
    assert token_page.status_code == 302
    assert "is signed and stays as it is" in browser.get(page).text
    browser.submit(f"{page}/notes", page=page, text="La\0ter.")
    assert "addendum, <bdi>ada</bdi>" in browser.get(page).text
    for wrong in ({"text": ""}, {"text": "x" * 4001}):
        assert browser.submit(f"{page}/notes", page=page, **wrong).status_code == 200
    assert browser.get(page).text.count("<article") == 3


def test_the_history_is_searched_and_filtered(one: tuple[Browser, str]) -> None:
    browser, reading = one
    verdict = json.loads(browser.get(f"/readings/{reading}/reading.json").text)["verdict"]
    assert reading in browser.get(f"/?verdict={verdict}").text
    other = "normal" if verdict != "normal" else "reduced"
    assert "Nothing was found" in browser.get(f"/?verdict={other}").text
    assert reading in browser.get("/?find=ONE.d").text
    assert "Nothing was found" in browser.get("/?find=%25one").text  # a percent sign is a percent sign
    assert browser.get("/?page=7").status_code == 200
    assert browser.get("/?page=x&find=%00'%22;--").status_code == 200


def test_the_table_is_a_table(one: tuple[Browser, str]) -> None:
    browser, _ = one
    told = browser.get("/history.csv")
    assert "attachment" in told.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert len(rows) == 1
    assert 0 <= float(rows[0]["p_abnormal"]) <= 1


@pytest.mark.promise("Exported cells are no formulas", asvs="1.2.10", threats="T15")
@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2.5", "-2.5"),
        ("+3", "+3"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
    ],
)
def test_cells(cell: str, safe: str) -> None:
    assert harmless(cell) == safe


@pytest.mark.promise("Exported cells are no formulas", asvs="1.2.10", threats="T15")
@given(st.text())
def test_no_cell_begins_as_a_formula(cell: str) -> None:
    found = harmless(cell)
    if found.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        float(found)
