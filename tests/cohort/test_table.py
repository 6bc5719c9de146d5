"""Tables read strictly: every fault is told with its line and column, and nothing else escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.batch import read_truth
from dopascope.cohort import read_cohort
from dopascope.cohort.table import MAX_BYTES, read_table
from dopascope.errors import DopascopeError, UnreadableError

GOOD = "scan_id\tpath\tlabel\tage\tsex\nA\tone.dcm\tcontrol\t66.5\tF\n\nB\ttwo.nii.gz\tn/a\tn/a\t\n"


def written(tmp_path, text, name="cohort.tsv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_cohort_is_read_however_its_lines_end(tmp_path, ending, mark):
    one, two = read_cohort(written(tmp_path, mark + GOOD.replace("\n", ending).encode()))
    assert (one.name, one.path, one.label, one.age, one.sex) == ("A", tmp_path / "one.dcm", "control", 66.5, "F")
    assert (two.name, two.label, two.age, two.sex) == ("B", None, None, None)
    assert one.cells["age"] == "66.5"


def test_a_scan_without_an_id_is_named_by_its_path_and_facts_are_read(tmp_path):
    text = "path\tmanufacturer\tattenuation_corrected\tscatter_corrected\nsub/x.nii\tNobody\tyes\tfalse\n"
    (one,) = read_cohort(written(tmp_path, text))
    assert one.name == "sub/x.nii"
    assert one.stated.manufacturer == "Nobody"
    assert (one.stated.attenuation_corrected, one.stated.scatter_corrected) == (True, False)


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("", "line 1, column path", ""),
        ("path\n", "line 1", "the header alone"),
        ("scan_id\tlabel\nA\tPD\n", "line 1, column path", "columns scan_id, label"),
        ("path\tpath\na\tb\n", "line 1, column path", "2 columns"),
        ("path\t\na\tb\n", "line 1, column unnamed", "without a name"),
        ("path\tage\na.dcm\n", "line 2", "1 cells"),
        ("path\tage\na.dcm\t66\textra\n", "line 2", "3 cells"),
        ("path\tage\na.dcm\tsixty\n", "line 2, column age", "sixty"),
        ("path\tage\na.dcm\t-1\n", "line 2, column age", "-1"),
        ("path\tage\na.dcm\tnan\n", "line 2, column age", "nan"),
        ("path\tage\na.dcm\t1_0\n", "line 2, column age", "1_0"),
        ("path\tage\na.dcm\t66\nb.dcm\t130\n", "line 3, column age", "130"),
        ("path\tsex\na.dcm\tmale\n", "line 2, column sex", "male"),
        ("scan_id\tpath\nA\ta.dcm\nA\tb.dcm\n", "line 3, column scan_id", "line 2"),
        ("path\na.dcm\na.dcm\n", "line 3, column path", "line 2"),
        ("scan_id\tpath\nA\tn/a\n", "line 2, column path", "n/a"),
        ("path\tscatter_corrected\na.dcm\tmaybe\n", "line 2, column scatter_corrected", "maybe"),
        (b"path\na.dcm\n\xff\xfe\n", "line 3", "0xff"),
        (b"path\na\0.dcm\n", "line 2", "zero byte"),
    ],
)
def test_a_faulty_cohort_is_refused_with_the_place(tmp_path, text, place, found):
    with pytest.raises(UnreadableError) as caught:
        read_cohort(written(tmp_path, text))
    assert f"cohort.tsv, {place}" in caught.value.where
    assert found in caught.value.found
    assert caught.value.expected
    assert caught.value.fix


def test_a_missing_or_huge_table_is_refused(tmp_path):
    with pytest.raises(UnreadableError, match="cannot be opened"):
        read_table(tmp_path / "none.tsv", ("path",))
    big = tmp_path / "big.tsv"
    with open(big, "wb") as stream:
        stream.truncate(MAX_BYTES + 2)
    with pytest.raises(UnreadableError, match="too large"):
        read_table(big, ("path",))


def test_true_ratios_are_read_for_every_scan_or_for_each(tmp_path):
    one = read_truth(written(tmp_path, "region\ttrue_ratio\ncaudate_left\t5.2\nputamen_left\t4\n"))
    assert one == {"": {"caudate_left": 5.2, "putamen_left": 4.0}}
    two = read_truth(
        written(tmp_path, "scan\tregion\ttrue_ratio\nA\tcaudate_left\t5.2\nB\tcaudate_left\t2\nA\tputamen_left\t3\n")
    )
    assert two == {"A": {"caudate_left": 5.2, "putamen_left": 3.0}, "B": {"caudate_left": 2.0}}


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("region,true_ratio\ncaudate_left,5\n", "line 1", "separated by commas"),
        ("region;true_ratio\ncaudate_left;5\n", "line 1", "separated by semicolons"),
        ("region true_ratio\ncaudate_left 5\n", "line 1", "separated by spaces"),
        ("region\tratio\ncaudate_left\t5\n", "line 1, column true_ratio", "columns region, ratio"),
        ("region\ttrue_ratio\npallidum\t5\n", "line 2, column region", "pallidum"),
        ("region\ttrue_ratio\nn/a\t5\n", "line 2, column region", "n/a"),
        ("region\ttrue_ratio\ncaudate_left\t0\n", "line 2, column true_ratio", "0"),
        ("region\ttrue_ratio\ncaudate_left\t-5\n", "line 2, column true_ratio", "-5"),
        ("region\ttrue_ratio\ncaudate_left\tinf\n", "line 2, column true_ratio", "inf"),
        ("region\ttrue_ratio\ncaudate_left\t5,2\n", "line 2, column true_ratio", "5,2"),
        ("region\ttrue_ratio\ncaudate_left\tn/a\n", "line 2, column true_ratio", "n/a"),
        ("region\ttrue_ratio\ncaudate_left\t5\ncaudate_left\t5\n", "line 3, column region", "second time"),
        ("scan\tregion\ttrue_ratio\nA\tcaudate_left\t5\nn/a\tcaudate_left\t5\n", "line 3, column scan", "n/a"),
    ],
)
def test_a_faulty_table_of_true_ratios_is_refused_with_the_place(tmp_path, text, place, found):
    with pytest.raises(UnreadableError) as caught:
        read_truth(written(tmp_path, text, "truth.tsv"))
    assert f"truth.tsv, {place}" in caught.value.where
    assert found in caught.value.found


@pytest.mark.parametrize("reader", [read_cohort, read_truth])
@given(
    st.binary(max_size=200)
    | st.lists(
        st.lists(
            st.sampled_from(["path", "region", "true_ratio", "age", "sex", "caudate_left", "n/a", "5", "", '"'])
        ).map("\t".join),
        max_size=6,
    ).map(lambda lines: "\n".join(lines).encode())
)
def test_any_bytes_give_rows_or_a_typed_error(tmp_path_factory, reader, data):
    path = tmp_path_factory.mktemp("t") / "table.tsv"
    path.write_bytes(data)
    where = str(path)
    try:
        assert reader(path)
    except DopascopeError as error:
        where = error.where
    assert "table.tsv" in where
