"""Tables by column mapping, CSV and Excel: what is kept, what is refused and where; hostile workbooks; fuzz."""

from __future__ import annotations

import tempfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_trees import nifti, series, write_csv
from dopascope.cohort import read_cohort
from dopascope.cohort.importers import Found, ImportOptions, excel, find_scans, write_cohort
from dopascope.cohort.importers.foreign import read_foreign
from dopascope.errors import (
    DopascopeError,
    HostileError,
    InputError,
    UnreadableError,
    UnsuitableError,
    UnsupportedError,
    UsageError,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for n in range(3):
        nifti(tmp_path / "scans" / f"{n}.nii.gz", n)
    return tmp_path


def imported(table: Path, **options: Any) -> Found:
    return find_scans("table", table, ImportOptions(**options))


def refused(table: Path, kind: type[DopascopeError] = UnreadableError, **options: Any) -> DopascopeError:
    with pytest.raises(kind) as error:
        imported(table, **options)
    return error.value


def test_all_other_columns_are_kept_and_cells_put_in_our_words(root: Path) -> None:
    lines = [
        "Subject,path,Dx,sex,age,Tremor,day,Note",
        'b,scans/1.nii.gz,1,Male,61.50,yes,31.05.2019,"two\nlines, one cell"',
    ]
    lines += ["a,./scans/0.nii.gz,PD,f,,no,2019-05-03 10:22,NA"]
    columns = {"participant_id": "Subject", "label": "Dx", "scan_date": "day", "updrs": "Tremor"}
    found = imported(write_csv(root / "t.csv", lines), columns=columns, labels={"1": "control"})
    first = {"participant_id": "a", "path": "scans/0.nii.gz", "label": "PD", "sex": "F", "updrs": "no"}
    first |= {"scan_date": "2019-05-03", "scan_id": "scans_0", "modality": "dat"}
    second = {"participant_id": "b", "path": "scans/1.nii.gz", "label": "control", "sex": "M", "age": "61.5"}
    second |= {"updrs": "yes", "scan_date": "2019-05-31", "Note": "two lines, one cell"}
    assert found.rows == [first, second | {"scan_id": "scans_1", "modality": "dat"}]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(("sex", "1"), ("sex", "x"), ("label", "0"), ("label", "1.0"), ("age", "old"), ("age", "-1")),
        *(("age", "1961"), ("scan_date", "5/6/2019"), ("scan_date", "2019-13-01"), ("scan_date", "20190231")),
        *(("scan_date", "spring"), ("scatter_corrected", "perhaps")),
    ],
)
def test_a_cell_with_two_meanings_is_refused_at_its_place(root: Path, column: str, cell: str) -> None:
    table = write_csv(root / "t.csv", [f"path,{column}", "scans/0.nii.gz,", f"scans/1.nii.gz,{cell}"])
    error = refused(table)
    assert error.where == f"{table}, line 3, column {column}"
    assert error.found == cell
    assert error.fix


def test_lines_without_a_whole_scan_are_left_out_with_the_reason(root: Path) -> None:
    (root / "scans" / "e.nii").write_bytes(b"")
    series(root / "series", 4)
    lines = [
        "who,path",
        "a,scans/0.nii.gz",
        "b,",
        "c,gone.nii",
        "d,scans/../scans/0.nii.gz",
        "e,scans/e.nii",
        f"f,{'x' * 999}",
    ]
    lines += ["g,scans", "h,series"]
    found = imported(write_csv(root / "t.csv", lines))
    assert [one.where for one in found.left_out] == [f"t.csv, line {n}" for n in range(3, 9)]
    assert [row["path"] for row in found.rows] == ["scans/0.nii.gz", "series"]
    assert [one.why.split(" ")[-1] for one in found.left_out] == ["scan.", "file.", "has.", "off.", "file.", "series."]
    assert found.assumed == ["each scan is of a person of its own, since the source names no people"]


def test_links_to_folders_are_said_not_followed(root: Path) -> None:
    (root / "classes" / "PD").mkdir(parents=True)
    nifti(root / "classes" / "PD" / "a.nii", 1)
    (root / "classes" / "control").symlink_to(root / "scans")
    found = find_scans("folders", root / "classes")
    assert [(one.where, "link to a folder" in one.why) for one in found.left_out] == [("control", True)]


def test_a_sex_that_is_neither_is_missing(root: Path) -> None:
    rows = imported(write_csv(root / "t.csv", ["path,sex", "scans/0.nii.gz,Other", "scans/1.nii.gz,WOMAN"])).rows
    assert [row.get("sex") for row in rows] == [None, "F"]


def test_columns_that_cannot_be_meant(root: Path) -> None:
    table = write_csv(root / "t.csv", ["file,label,group", "scans/0.nii.gz,train,PD"])
    assert "path" in refused(table).where
    path = {"path": "file"}
    assert "such column" in refused(table, UsageError, columns={**path, "age": "Age"}).what
    error = refused(table, UsageError, columns={**path, "label": "group"})
    assert error.fix == "Give the other one a name too: --column label_of_source=label"
    row = imported(table, columns={**path, "label": "group", "label_of_source": "label"}).rows[0]
    assert (row["label"], row["label_of_source"]) == ("PD", "train")
    assert "--label" in refused(table, UsageError, columns=path, labels={"tran": "x"}).where
    assert "--sex" in refused(table, UsageError, columns=path, sexes={"1": "male"}).where
    assert "--sheet" in refused(table, UsageError, columns=path, sheet="one").where


def workbook(path: Path, *rows: list[Any], sheet: str = "People", more: str | None = None) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(row)
    if more:
        book.create_sheet(more)
    book.save(path)
    return path


HEAD = ["id", "path", "age", "scan_date", "done"]


def test_an_excel_table_is_read_as_a_csv_of_the_same_cells(root: Path) -> None:
    first = [3001, "scans/0.nii.gz", 61.5, datetime(2019, 5, 31), True]
    book = workbook(
        root / "t.xlsx", [*HEAD, None], first, [None] * 5, [3002, "scans/1.nii.gz", None, "2019-06-01", "n/a"]
    )
    lines = [",".join(HEAD), "3001,scans/0.nii.gz,61.5,2019-05-31,true", "3002,scans/1.nii.gz,,2019-06-01,"]
    columns = {"participant_id": "id"}
    assert imported(book, columns=columns).rows == imported(write_csv(root / "t.csv", lines), columns=columns).rows


@pytest.mark.parametrize(
    ("rows", "place", "what"),
    [
        ([HEAD, [1, "scans/0.nii.gz", "old"]], "line 2, column age", "cannot be meant"),
        ([HEAD, [1, "scans/0.nii.gz", "#DIV/0!"]], "line 2, column C", "error of Excel"),
        ([HEAD, [1, "scans/0.nii.gz", "=1+1"]], "line 2, column C", "no saved value"),
        ([[*HEAD, "age"], [1]], "line 1, column age", "header"),
        ([[], [], ["id", None, "path"], [1, 2, 3]], "line 3, column unnamed", "header"),
        ([["id"], [1]], "line 1, column path", "missing"),
        ([HEAD], "line 1", "no rows"),
        ([HEAD, [1, "a", 2, None, 4, 5]], "line 2, column F", "beside the table"),
    ],
)
def test_faults_of_a_sheet_name_sheet_row_and_column(root: Path, rows: list[list[Any]], place: str, what: str) -> None:
    book = workbook(root / "t.xlsx", *rows)
    error = refused(book)
    assert error.where == f"{book}, sheet People, {place}"
    assert what in error.what


def test_a_sheet_is_named_where_there_are_several(root: Path) -> None:
    book = workbook(root / "t.xlsx", HEAD, [1, "scans/0.nii.gz"], more="Notes")
    assert refused(book, UsageError).expected == "People, Notes"
    assert refused(book, UsageError, sheet="people").found == "people"
    assert len(imported(book, sheet="People").rows) == 1
    assert "--delimiter" in refused(book, UsageError, sheet="People", delimiter=";").where


def packed(path: Path, source: Path, changed: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        names = [*old.namelist(), *(name for name in changed if name not in old.namelist())]
        for name in names:
            new.writestr(name, changed.get(name) if name in changed else old.read(name))
    return path


@pytest.mark.promise(
    "Excel files are judged as zips before they are opened; macros, XML entities and other forms are refused",
    asvs="1.5.1, 5.2.3",
    threats="T5",
)
def test_hostile_and_other_workbooks_are_refused_before_they_are_opened(root: Path) -> None:
    good = workbook(root / "good.xlsx", HEAD, [1, "scans/0.nii.gz"])
    sheet = "xl/worksheets/sheet1.xml"
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><worksheet/>'
    assert "entities" in refused(packed(root / "e.xlsx", good, {sheet: entity}), HostileError).what
    refused(packed(root / "bomb.xlsx", good, {sheet: b" " * (8 << 20)}), HostileError)
    assert refused(packed(root / "m.xlsx", good, {"xl/vbaProject.bin": b"x"}), UnsupportedError).found == "macros"
    assert "damaged" in refused(packed(root / "d.xlsx", good, {sheet: b"<worksheet>"})).what
    for ending in (".xls", ".xlsm", ".ods"):
        (root / f"t{ending}").write_bytes(good.read_bytes())
        assert ending in refused(root / f"t{ending}", UnsupportedError).found
    write_csv(root / "csv.xlsx", ["path", "scans/0.nii.gz"])
    assert "no Excel" in refused(root / "csv.xlsx").what


def test_what_a_sheet_claims_of_its_size_is_not_believed(root: Path) -> None:
    good = workbook(root / "good.xlsx", HEAD, [1, "scans/0.nii.gz", 61])
    with zipfile.ZipFile(good) as opened:
        sheet = opened.read("xl/worksheets/sheet1.xml")
    assert b'ref="A1:E2"' in sheet
    small = packed(root / "t.xlsx", good, {"xl/worksheets/sheet1.xml": sheet.replace(b'ref="A1:E2"', b'ref="A1:B2"')})
    assert imported(small).rows[0]["age"] == "61"


def test_a_sheet_that_claims_to_be_vast_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_CELLS", 40)
    book = workbook(root / "t.xlsx", HEAD, *[[n, f"{n}.nii"] for n in range(20)])
    assert "more cells" in refused(book, HostileError).what


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.text(alphabet='path,;\t\n\r" xé0\0', max_size=80).map(str.encode),
    st.sampled_from([None, ",", ";", "\t", "", '"', "ab"]),
    st.sampled_from([None, "utf-8", "cp1252", "utf-16", "base64", "nonsense", "idna", "punycode", "undefined"]),
)
def test_any_bytes_are_rows_or_a_typed_error(content: bytes, delimiter: str | None, encoding: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        try:
            rows = read_foreign(path, ("path",), delimiter=delimiter, encoding=encoding)
        except (InputError, UsageError):
            return
        assert all(row.line > 1 and set(row.cells) <= set(row.columns) for row in rows)


CELLS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4), CELLS)
def test_whatever_was_imported_reads_back(cells: list[tuple[str, str]], column: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        quoted = ['"' + text.replace('"', '""') + '"' for pair in cells for text in pair]
        lines = [f'path,participant_id,"{column.replace(chr(34), chr(34) * 2)}"']
        for n in range(len(cells)):
            (root / f"{n}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
            lines.append(f"{n}.png,{quoted[2 * n]},{quoted[2 * n + 1]}")
        (root / "t.csv").write_bytes("\n".join(lines).encode())
        try:
            found = imported(root / "t.csv")
        except DopascopeError:
            return
        write_cohort(found, root / "out.tsv", "table")
        scans = read_cohort(root / "out.tsv")
        assert [scan.path.name for scan in scans] == [row["path"] for row in found.rows]
        assert [scan.person for scan in scans] == [row.get("participant_id") for row in found.rows]


def test_a_cohort_table_that_is_imported_again_is_compared_by_its_hashes(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz", 1)
    (tmp_path / "list.csv").write_text("path,label\na.nii.gz,PD\n")
    first = tmp_path / "first.tsv"
    write_cohort(find_scans("table", tmp_path / "list.csv"), first, "table")
    again = tmp_path / "again.tsv"
    write_cohort(find_scans("table", first), again, "table")
    assert again.read_text() == first.read_text()
    nifti(tmp_path / "a.nii.gz", 2)
    with pytest.raises(UnsuitableError, match="not the files") as caught:
        write_cohort(find_scans("table", first), tmp_path / "third.tsv", "table")
    assert "a.nii.gz" in caught.value.found
    assert not (tmp_path / "third.tsv").exists()
