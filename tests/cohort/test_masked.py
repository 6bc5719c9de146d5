"""Tables of marked images: what may stand in them, and each fault with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope.cohort.masked import Wanted, read_masked
from dopascope.errors import UnreadableError, UsageError

HEAD = "participant_id\timage\tmask\tplane\tslices\n"


def table(folder: Path, *lines: str, head: str = HEAD) -> Path:
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).touch()
    path = folder / "slices.tsv"
    path.write_text(head + "".join(f"{line}\n" for line in lines))
    return path


def test_a_line_is_read_and_silence_stays_silence(tmp_path: Path) -> None:
    one, other = read_masked(
        table(tmp_path, "p1\ta.nii.gz\tm.nii.gz\tcoronal\t4,10-20/5", "p2\tb.nii.gz\tm.nii.gz\tn/a\tn/a")
    )
    assert (one.name, one.participant_id, one.plane) == ("a", "p1", "coronal")
    assert one.image == tmp_path / "a.nii.gz"
    assert one.slices is not None
    assert one.slices.of([True] * 30) == [4, 10, 15, 20]
    assert (other.plane, other.slices) == (None, None)


def test_two_lines_of_one_file_have_two_names(tmp_path: Path) -> None:
    lines = ["p1\ta.nii.gz\tm.nii.gz\taxial\tall", "p1\ta.nii.gz\tm.nii.gz\tcoronal\tall"]
    assert [one.name for one in read_masked(table(tmp_path, *lines))] == ["a-1", "a-2"]


def test_words_for_slices() -> None:
    brain = [False, True, True, True, False]
    assert Wanted("all").of(brain) == [0, 1, 2, 3, 4]
    assert Wanted("brain").of(brain) == [1, 2, 3]
    assert Wanted("middle").of(brain) == [2]
    with pytest.raises(UsageError) as caught:
        Wanted("5", (5,)).of(brain)
    assert caught.value.expected == "0 to 4"


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("n/a\ta.nii.gz\tm.nii.gz\taxial\tall", "participant_id"),
        ("p1\tn/a\tm.nii.gz\taxial\tall", "image"),
        ("p1\tc.nii.gz\tm.nii.gz\taxial\tall", "image"),
        ("p1\ta.nii.gz\tc.nii.gz\taxial\tall", "mask"),
        ("p1\ta.nii.gz\tm.nii.gz\taxially\tall", "plane"),
        ("p1\ta.nii.gz\tm.nii.gz\taxial\tsome", "slices"),
        ("p1\ta.nii.gz\tm.nii.gz\taxial\t9-3", "slices"),
        ("p1\ta.nii.gz\tm.nii.gz\taxial\t3-9/0", "slices"),
        ("p1\ta.nii.gz\tm.nii.gz\taxial\t-3", "slices"),
    ],
)
def test_a_fault_is_named_by_line_and_column(line: str, column: str, tmp_path: Path) -> None:
    good = "p1\ta.nii.gz\tm.nii.gz\taxial\tall"
    with pytest.raises(UnreadableError) as caught:
        read_masked(table(tmp_path, good, line))
    assert caught.value.where.endswith(f"line 3, column {column}")


def test_the_three_columns_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_masked(table(tmp_path, "p1\ta.nii.gz", head="participant_id\timage\n"))
    assert "mask" in str(caught.value)
