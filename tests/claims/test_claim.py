"""Claims in files: what is there is read, what cannot be meant is refused by its field."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dopascope.claims import audit, read_claim, shipped_names
from dopascope.claims.claim import FIGURES, OTHERS
from dopascope.cli.app import app
from dopascope.errors import UnreadableError

WHOLE = """
title = "A paper"
[[set]]
name = "test"
n = 67
positives = 57
[set.reported]
accuracy = "94.03 %"
[[folds]]
values = ["0.9", "0.8"]
sizes = [10, 10]
mean = "0.85"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "claim.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_claim_is_read_and_audited(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    claim = read_claim(path)
    assert (claim.title, claim.sets[0].n, claim.sets[0].reported["accuracy"].value) == ("A paper", 67, 0.9403)
    assert claim.folds[0].sizes == (10, 10)
    ended = CliRunner().invoke(app, ["audit-claim", str(path)])
    assert (ended.exit_code, "A paper" in ended.stdout) == (0, True)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("n = 67", "m = 67", "set 1, m"),
        ("n = 67", "n = true", "set 1, n"),
        ("n = 67", "n = -1", "set 1, n"),
        ("n = 67", "n = 0", "set 1"),
        ("n = 67", "n = 10_000_000_000", "set 1, n"),
        ("positives = 57", "positives = 68", "set 1, positives"),
        ("[set.reported]", "[set.counts]\ntp = 0\nfp = 0\ntn = 0\nfn = 0\n[set.reported]", "set 1"),
        ('mean = "0.85"', "batch = -1", "folds 1, batch"),
        ('accuracy = "94.03 %"', "accuracy = 0.94", "set 1, reported, accuracy"),
        ('accuracy = "94.03 %"', 'accuracy = "high"', "set 1, accuracy"),
        ('accuracy = "94.03 %"', 'accurcy = "0.9"', "set 1, reported, accurcy"),
        ("sizes = [10, 10]", "sizes = [10]", "folds 1"),
        ("sizes = [10, 10]", "sizes = [10, 0]", "folds 1"),
        ('values = ["0.9", "0.8"]', 'values = ["0.9", "x"]', "folds 1, value 2"),
        ("[[set]]", "[[sets]]", "sets"),
        ("title =", "title", "claim.toml"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(old: str, new: str, place: str, tmp_path: Path) -> None:
    assert old in WHOLE
    with pytest.raises(UnreadableError) as caught:
        read_claim(written(tmp_path, WHOLE.replace(old, new, 1)))
    assert place in caught.value.where


@pytest.mark.parametrize("text", ["", 'title = "x"'])
def test_a_claim_that_reports_nothing_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="reports nothing"):
        read_claim(written(tmp_path, text))


def test_absent_files_and_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be opened"):
        read_claim(tmp_path / "none.toml")
    ended = CliRunner().invoke(app, ["audit-claim", "s9"])
    assert ended.exit_code == 2
    assert all(name in ended.stderr for name in shipped_names())


@given(st.text(max_size=200))
def test_no_text_is_anything_but_a_claim_or_a_typed_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claim.toml"
        path.write_bytes(text.encode("utf-8", "replace"))
        try:
            read_claim(path)
        except UnreadableError:
            return


COUNTS = st.integers(-1, 60) | st.sampled_from([10**6, 10**9, 10**12])
PRINTED = st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,5})? ?%?\Z") | st.sampled_from(["9" * 400, "0", "1", "100 %", "."])


@given(
    st.fixed_dictionaries({}, optional={"n": COUNTS, "positives": COUNTS, "further": COUNTS}),
    st.dictionaries(st.sampled_from(("tp", "fp", "tn", "fn")), COUNTS),
    st.dictionaries(st.sampled_from((*FIGURES, *OTHERS)), PRINTED),
    st.lists(st.tuples(PRINTED, COUNTS), max_size=5),
)
def test_every_claim_is_audited_or_refused(
    numbers: dict[str, int], counts: dict[str, int], figures: dict[str, str], folds: list[tuple[str, int]]
) -> None:
    lines = ["[[set]]", *(f"{name} = {value}" for name, value in numbers.items())]
    lines += ["[set.counts]", *(f"{name} = {value}" for name, value in counts.items())]
    lines += ["[set.reported]", *(f'{name} = "{text}"' for name, text in figures.items())]
    if folds:
        lines += ["[[folds]]", f"values = {[text for text, _ in folds]}", f"sizes = {[size for _, size in folds]}"]
        lines += ['mean = "0.9"', 'spread = "0.01"', "batch = 16"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claim.toml"
        path.write_text("\n".join(lines))
        try:
            claim = read_claim(path)
        except UnreadableError:
            return
    assert all(one.text for one in audit(claim))
