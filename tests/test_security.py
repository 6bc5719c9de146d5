"""SECURITY.md is what the tests say: every promise has a test, and every threat has one that stands against it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
THREATS = [f"T{k}" for k in (*range(1, 21), *range(22, 29), 30, 31, 32)]


@pytest.fixture(scope="module")
def table():  # type: ignore[no-untyped-def]
    """The script, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "release"))
    try:
        import security_table

        yield security_table
    finally:
        sys.path.remove(str(ROOT / "release"))


def test_the_page_is_made_from_the_tests(table: Any, request: pytest.FixtureRequest) -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    wanted = table.page(text, table.marks())
    if request.config.getoption("--regenerate"):
        table.PAGE.write_text(wanted, encoding="utf-8")
    assert table.PAGE.read_text(encoding="utf-8") == wanted, "run python release/security_table.py"


def test_every_threat_has_a_test_and_no_sentence_is_there_twice(table: Any) -> None:
    assert list(table.THREATS) == THREATS
    assert table.unproved(table.marks()) == []
    found = table.promises(table.marks())
    assert table.alike(found) == []
    for one in found:
        assert one.tests, one.sentence
        assert not one.sentence.endswith("."), one.sentence


def write(root: Path, text: str) -> Path:
    (root / "tests" / "web").mkdir(parents=True, exist_ok=True)
    (root / "tests" / "web" / "test_one.py").write_text(f"import pytest\n{text}")
    return root


def test_markers_are_found_on_tests_and_modules_and_grouped(table: Any, tmp_path: Path) -> None:
    text = """
pytestmark = [pytest.mark.slow, pytest.mark.promise("Whole", asvs="7.2.4", threats="T2")]
@pytest.mark.promise("Single one", threats="T10, T9")
@pytest.mark.promise("Whole", asvs="7.2.3, 10.1.1")
def test_a(): ...
def test_b(): ...
"""
    marks = table.marks(write(tmp_path, text))
    found = table.promises(marks)
    assert [one.sentence for one in found] == ["Whole", "Single one"]
    assert found[0].asvs == ("7.2.3", "7.2.4", "10.1.1")
    assert found[0].tests == ("tests/web/test_one.py", "tests/web/test_one.py::test_a")
    assert found[1].threats == ("T9", "T10")
    shown = table.tables(marks)
    assert "| Whole | 7.2.3, 7.2.4, 10.1.1 | T2 | `tests/web/test_one.py` |" in shown
    assert "| T9 | memory faults in parsers | `tests/web/test_one.py::test_a` |" in shown
    assert "T32" in table.unproved(marks)
    assert not {"T2", "T9", "T10"} & set(table.unproved(marks))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("@pytest.mark.promise('x')\ndef helper(): ...", "no test function"),
        ("class TestX:\n    @pytest.mark.promise('x')\n    def test_a(self): ...", "no test function"),
        ("pytestmark = pytest.mark.promise('x')", "without tests"),
        ("@pytest.mark.promise(SENTENCE)\ndef test_a(): ...", "written out"),
        ("@pytest.mark.promise('x', threats='T99')\ndef test_a(): ...", "T99"),
        ("@pytest.mark.promise('x', asvs='V7')\ndef test_a(): ...", "V7"),
        ("@pytest.mark.promise('x', why='y')\ndef test_a(): ...", "why"),
        ("@pytest.mark.promise('')\ndef test_a(): ...", "cannot be meant"),
    ],
)
def test_a_marker_that_proves_nothing_is_refused(table: Any, tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(table.MarkError, match=fault):
        table.marks(write(tmp_path, text))


def test_sentences_that_differ_in_punctuation_are_found(table: Any, tmp_path: Path) -> None:
    text = "@pytest.mark.promise('One, two')\n@pytest.mark.promise('one two.')\ndef test_a(): ..."
    found = table.promises(table.marks(write(tmp_path, text)))
    assert table.alike(found) == [("One, two", "one two.")]


def test_a_page_that_is_out_of_date_differs(table: Any) -> None:
    text = f"# Security\n{table.BEGIN}\nold\n{table.END}\nend\n"
    found = table.marks()
    made = table.page(text, found)
    assert made != text
    assert table.page(made, found) == made
    assert made.endswith(f"{table.END}\nend\n")
    with pytest.raises(table.MarkError):
        table.page("# Security\n", found)
