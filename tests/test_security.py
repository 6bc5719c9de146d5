"""SECURITY.md is what the tests say: every promise has a test, and every threat has one that stands against it."""

from __future__ import annotations

from pathlib import Path

import pytest

import security_table

THREATS = [f"T{k}" for k in (*range(1, 21), *range(22, 29), 30, 31, 32)]


def test_the_page_is_made_from_the_tests(request: pytest.FixtureRequest) -> None:
    text = security_table.PAGE.read_text(encoding="utf-8")
    wanted = security_table.page(text, security_table.marks())
    if request.config.getoption("--regenerate"):
        security_table.PAGE.write_text(wanted, encoding="utf-8")
    assert security_table.PAGE.read_text(encoding="utf-8") == wanted, "run python release/security_table.py"


def test_every_threat_has_a_test_and_no_sentence_is_there_twice() -> None:
    assert list(security_table.THREATS) == THREATS
    assert security_table.unproved(security_table.marks()) == []
    found = security_table.promises(security_table.marks())
    assert security_table.alike(found) == []
    for one in found:
        assert one.tests, one.sentence
        assert not one.sentence.endswith("."), one.sentence


def write(root: Path, text: str) -> Path:
    (root / "tests" / "web").mkdir(parents=True, exist_ok=True)
    (root / "tests" / "web" / "test_one.py").write_text(f"import pytest\n{text}")
    return root


def test_markers_are_found_on_tests_and_modules_and_grouped(tmp_path: Path) -> None:
    text = """
pytestmark = [pytest.mark.slow, pytest.mark.promise("Whole", asvs="7.2.4", threats="T2")]
@pytest.mark.promise("Single one", threats="T10, T9")
@pytest.mark.promise("Whole", asvs="7.2.3, 10.1.1")
def test_a(): ...
def test_b(): ...
"""
    marks = security_table.marks(write(tmp_path, text))
    found = security_table.promises(marks)
    assert [one.sentence for one in found] == ["Whole", "Single one"]
    assert found[0].asvs == ("7.2.3", "7.2.4", "10.1.1")
    assert found[0].tests == ("tests/web/test_one.py", "tests/web/test_one.py::test_a")
    assert found[1].threats == ("T9", "T10")
    shown = security_table.tables(marks)
    assert "| Whole | 7.2.3, 7.2.4, 10.1.1 | T2 | `tests/web/test_one.py` |" in shown
    assert "| T9 | memory faults in parsers | `tests/web/test_one.py::test_a` |" in shown
    assert "T32" in security_table.unproved(marks)
    assert not {"T2", "T9", "T10"} & set(security_table.unproved(marks))


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
def test_a_marker_that_proves_nothing_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(security_table.MarkError, match=fault):
        security_table.marks(write(tmp_path, text))


def test_sentences_that_differ_in_punctuation_are_found(tmp_path: Path) -> None:
    text = "@pytest.mark.promise('One, two')\n@pytest.mark.promise('one two.')\ndef test_a(): ..."
    found = security_table.promises(security_table.marks(write(tmp_path, text)))
    assert security_table.alike(found) == [("One, two", "one two.")]


def test_a_page_that_is_out_of_date_differs() -> None:
    text = f"# Security\n{security_table.BEGIN}\nold\n{security_table.END}\nend\n"
    found = security_table.marks()
    made = security_table.page(text, found)
    assert made != text
    assert security_table.page(made, found) == made
    assert made.endswith(f"{security_table.END}\nend\n")
    with pytest.raises(security_table.MarkError):
        security_table.page("# Security\n", found)
