"""The PPMI importer on a made-up download: the baseline table, and each rule by a tree that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ppmi_tree as made
from cohort_trees import dicom, nifti
from dopascope.cohort import read_cohort
from dopascope.cohort.importers import Found, ImportOptions, Visits, find_scans, ppmi, write_cohort
from dopascope.cohort.importers.files import EMPTY
from dopascope.cohort.importers.ppmi_dates import Month, day_of, folder_day, month_of
from dopascope.cohort.importers.ppmi_tables import NO_CONTENT, UNKNOWN
from dopascope.cohort.importers.ppmi_tree import NO_IMAGE, NO_PLACE, OTHER, RAW, SEVERAL
from dopascope.cohort.table import Row
from dopascope.errors import HostileError, UnreadableError, UnsuitableError, UsageError

TINY = 6
"""People of the trees that one rule is tried on."""


def image(path: Path, seed: int) -> Path:
    return dicom(path, seed) if path.suffix == ".dcm" else nifti(path, seed)


def stand_in(path: Path, seed: int) -> Path:
    """The first bytes of a NIfTI and no more: which files are scans is told by them."""
    path = path.with_suffix(".nii")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x5c\x01\0\0" + bytes(340) + b"n+1\0" + bytes([seed % 256]))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    made.write_images(root, image)
    made.write_tables(root)
    return root


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    made.write_images(tmp_path, stand_in, TINY)
    made.write_tables(tmp_path, TINY)
    return tmp_path


def found_in(root: Path, **options: object) -> Found:
    return find_scans("ppmi", root, ImportOptions(**options))  # type: ignore[arg-type]


def why(found: Found, part: str) -> set[str]:
    return {one.why for one in found.left_out if part in one.where}


def rows_of(found: Found, n: int) -> list[dict[str, str]]:
    return [row for row in found.rows if row["participant_id"] == made.person(n)]


def test_sixty_people_with_three_visits_become_sixty_baseline_rows(whole: Path, tmp_path: Path) -> None:
    found = found_in(whole)
    assert len(found.rows) == len({row["participant_id"] for row in found.rows}) == made.PEOPLE
    for n in range(made.PEOPLE):
        (row,) = rows_of(found, n)
        old, new = made.ratios(n, 0, 0.0), made.ratios(n, 0, 0.5)
        later = Month.of(made.day(n, 0) + timedelta(days=61))
        expected = {
            "session_id": "SC",
            "scan_id": f"{made.person(n)}_{made.day(n, 0)}_{made.image_id(n, 0)}",
            "modality": "dat",
            "label": {"Control": "control"}.get(made.group(n), made.group(n)),
            "age": f"{made.age(n, 0):g}",
            "sex": "F" if n % 2 else "M",
            "scan_date": made.day(n, 0).isoformat(),
            "image_id": made.image_id(n, 0),
            "sbr_datscan_caudate_r": old[0],
            "sbr_datscan_putamen_l_ant": old[5],
            "sbr_xing_striatum": new[0],
            "sbr_xing_caudate_l": new[1],
            "visual_interpretation": "negative" if made.group(n) in ("Control", "SWEDD") else "positive",
            "quality_rating": "3" if n == 4 else "1",
            "updrs3": str(21 + n % 9),
            "updrs3_months_apart": "0",
            "hoehn_yahr": "2",
            "hoehn_yahr_months_apart": str(later.apart(Month.of(made.day(n, 0)))),
        }
        assert {name: row.get(name) for name in expected} == expected
    left = found.reasons()
    assert left == {ppmi.LATER: 120, UNKNOWN: 1, NO_IMAGE: 1, RAW: 1, OTHER: 1, ppmi.SECOND_COPY: 1, ppmi.NOT_THERE: 1}
    write_cohort(found, tmp_path / "cohort.tsv", "ppmi")
    assert len(read_cohort(tmp_path / "cohort.tsv")) == made.PEOPLE


def test_all_visits_and_the_first_ones(tiny: Path) -> None:
    everything = found_in(tiny, visits=Visits.ALL)
    assert [row["session_id"] for row in rows_of(everything, 2)] == ["SC", "V04", "V06"]
    assert len(everything.rows) == 3 * TINY
    assert rows_of(everything, 2)[1]["sbr_datscan_caudate_r"] == made.ratios(2, 1, 0)[0]
    assert [row["scan_date"] for row in found_in(tiny, visits=Visits.FIRST).rows] == [
        made.day(n, 0).isoformat() for n in range(TINY)
    ]


def collection(root: Path) -> Path:
    return next(root.glob("DaTSCAN_collection*"))


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before


def swap(root: Path, old: str, new: str) -> None:
    edit(collection(root), lambda text: text.replace(old, new))


def line_of(root: Path, n: int, visit: int) -> str:
    text = collection(root).read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if made.image_id(n, visit) in line)


def say(root: Path, visit: int, old: str, new: str, *, again: bool = False) -> None:
    """What the collection says of person 1's visit, changed; or said `again` otherwise in a further line."""
    line = line_of(root, 1, visit)
    changed = line.replace(old, new)
    assert changed != line
    swap(root, line, f"{line}\n{changed}" if again else changed)


def a_second_file(root: Path) -> None:
    folder = next((root / "PPMI" / made.person(1)).rglob(made.image_id(1, 0)))
    stand_in(folder / "other_I7.nii", 5)


def a_later_baseline(root: Path) -> None:
    say(root, 1, '"V04"', '"SC"')
    say(root, 0, '"SC"', '"V04"')


RULES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no table names it": (lambda root: say(root, 0, made.image_id(1, 0), "I1"), ppmi.NO_TABLE),
    "another person": (lambda root: say(root, 0, '"3007"', '"3014"'), ppmi.OTHER_PERSON),
    "another day": (lambda root: say(root, 0, "/2011", "/2012"), ppmi.OTHER_DAY),
    "two ages": (lambda root: say(root, 0, '"51"', '"61"', again=True), ppmi.TWO_WORDS),
    "two sexes": (lambda root: say(root, 0, '"F"', '"M"', again=True), ppmi.TWO_WORDS),
    "two visits": (lambda root: say(root, 0, '"SC"', '"BL"', again=True), ppmi.TWO_WORDS),
    "no group": (lambda root: say(root, 0, '"PD"', '""'), ppmi.NO_GROUP),
    "two groups": (lambda root: say(root, 1, '"PD"', '"SWEDD"'), ppmi.TWO_GROUPS),
    "a phantom": (lambda root: swap(root, '"3007","PD"', '"3007","Phantom"'), ppmi.PHANTOM),
    "no baseline": (lambda root: say(root, 0, '"SC"', '"V02"'), ppmi.NO_BASELINE),
    "baseline is later": (a_later_baseline, ppmi.NOT_EARLIEST),
    "two of one visit": (lambda root: say(root, 1, '"V04"', '"SC"'), ppmi.SEVERAL),
    "several files": (a_second_file, SEVERAL),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_the_tables_do_not_say_with_one_voice_is_left_out_with_the_reason(rule: str, tiny: Path) -> None:
    change, reason = RULES[rule]
    change(tiny)
    found = found_in(tiny)
    assert reason in why(found, made.person(1))
    assert {row["participant_id"] for row in found.rows} == {made.person(n) for n in range(TINY) if n != 1}


def test_files_that_lie_elsewhere_and_cut_ones_are_named(tiny: Path) -> None:
    stand_in(tiny / "PPMI" / "odd" / "scan_I5.nii", 1)
    scan = next((tiny / "PPMI" / made.person(2)).rglob(f"*{made.image_id(2, 0)}.nii"))
    scan.write_bytes(b"")
    found = found_in(tiny)
    assert why(found, "odd") == {NO_PLACE}
    assert EMPTY in why(found, scan.name)
    assert rows_of(found, 2) == []


def test_baseline_is_bl_where_there_is_no_sc(tiny: Path) -> None:
    swap(tiny, line_of(tiny, 1, 0), line_of(tiny, 1, 0).replace('"SC"', '"Baseline"'))
    assert rows_of(found_in(tiny), 1)[0]["session_id"] == "BL"


def test_the_visit_comes_from_the_table_of_the_scans_month_where_the_collection_has_none(tiny: Path) -> None:
    swap(tiny, line_of(tiny, 1, 0), line_of(tiny, 1, 0).replace('"SC"', '""'))
    assert rows_of(found_in(tiny), 1)[0]["session_id"] == "SC"
    (tiny / "tables" / "DaTScan_SBR_Analysis_01Jan2024.csv").unlink()
    assert ppmi.NO_VISIT in why(found_in(tiny), made.person(1))


def test_ratios_of_another_month_are_not_joined_and_counted(tiny: Path) -> None:
    path = tiny / "tables" / "DaTScan_SBR_Analysis_01Jan2024.csv"
    right = f'"{made.person(1)}","SC","{made.month(made.day(1, 0))}"'
    edit(path, lambda text: text.replace(right, f'"{made.person(1)}","SC","12/2018"'))
    found = found_in(tiny)
    assert not any(name.startswith("sbr_datscan") for name in rows_of(found, 1)[0])
    assert rows_of(found, 1)[0]["sbr_xing_striatum"]
    assert f"1 {ppmi.OTHER_MONTH}" in found.warnings


def test_the_older_table_of_ratios_is_the_same_series(tiny: Path) -> None:
    path = tiny / "tables" / "DaTScan_SBR_Analysis_01Jan2024.csv"
    edit(path, lambda text: text.replace("DATSCAN_CAUDATE", "CAUDATE").replace("DATSCAN_PUTAMEN", "PUTAMEN"))
    path.rename(path.with_name("DaTScan_Analysis.csv"))
    assert rows_of(found_in(tiny), 1)[0]["sbr_datscan_caudate_r"] == made.ratios(1, 0, 0)[0]


def test_both_series_are_named_as_not_to_be_mixed(tiny: Path) -> None:
    assert ppmi.BOTH_SERIES in found_in(tiny).warnings
    next(tiny.glob("tables/Xing*")).unlink()
    assert ppmi.BOTH_SERIES not in found_in(tiny).warnings


def test_scores_further_than_a_year_are_not_taken(tiny: Path) -> None:
    path = tiny / "tables" / "MDS-UPDRS_Part_III.csv"
    everything = found_in(tiny, visits=Visits.ALL)
    late = next(row for row in rows_of(everything, 1) if row["session_id"] == "V06")
    assert late["updrs3"] == "100"
    assert abs(int(late["updrs3_months_apart"])) <= 12
    edit(path, lambda text: "\n".join(line for line in text.splitlines() if '"V04"' not in line) + "\n")
    late = next(row for row in rows_of(found_in(tiny, visits=Visits.ALL), 1) if row["session_id"] == "V06")
    assert "updrs3" not in late


def test_age_counts_from_the_month_of_birth_where_no_table_has_it_and_is_compared_where_one_has(tiny: Path) -> None:
    swap(tiny, line_of(tiny, 1, 0), line_of(tiny, 1, 0).replace('"51"', '""'))
    found = found_in(tiny)
    assert float(rows_of(found, 1)[0]["age"]) == pytest.approx(made.age(1, 0), abs=0.1)
    assert ppmi.FROM_BIRTH in found.assumed
    swap(tiny, line_of(tiny, 2, 0), line_of(tiny, 2, 0).replace('"52"', '"57"'))
    found = found_in(tiny)
    assert rows_of(found, 2)[0]["age"] == "57"
    assert f"1 {ppmi.OTHER_AGE}" in found.warnings


def test_poor_scans_are_taken_and_counted(tiny: Path) -> None:
    assert f"1 {ppmi.POOR}" in found_in(tiny).warnings


def test_the_search_export_of_the_archive_is_known_too(tiny: Path) -> None:
    swap(tiny, "Image Data ID", "Image ID")
    for old, new in (("Subject", "Subject ID"), ("Group", "Research Group"), ("Acq Date", "Study Date")):
        swap(tiny, f'"{old}"', f'"{new}"')
    assert len(found_in(tiny).rows) == TINY
    edit(collection(tiny), lambda text: text.replace('"I2000', '"2000'))  # without the letter
    assert len(found_in(tiny).rows) == TINY


def test_a_series_id_is_matched_by_person_and_day_when_the_file_has_no_image_id(tiny: Path) -> None:
    scan = next((tiny / "PPMI" / made.person(3)).rglob(f"S*/*{made.image_id(3, 1)}.nii"))
    scan.rename(scan.with_name("PPMI_scan.nii"))
    found = found_in(tiny, visits=Visits.ALL)
    row = next(row for row in rows_of(found, 3) if row["session_id"] == "V04")
    assert row["image_id"].startswith("S")
    assert row["age"] == f"{made.age(3, 1):g}"


def test_metadata_files_do_where_there_is_no_collection_and_stubs_are_named(tmp_path: Path) -> None:
    made.write_images(tmp_path, stand_in, 2)
    for n in range(2):
        made.write_metadata(
            tmp_path / f"PPMI_{n}.xml", made.image_id(n, 0)[1:], made.person(n), "Control", "Screening", 61.5
        )
    (tmp_path / "stub.xml").write_text("<idaxs><project/></idaxs>")
    (tmp_path / "empty.xml").write_text("")
    found = found_in(tmp_path)
    assert [(row["label"], row["session_id"], row["age"], row["sex"]) for row in found.rows] == [
        ("control", "SC", "61.5", "F")
    ] * 2
    assert why(found, "stub.xml") == why(found, "empty.xml") == {NO_CONTENT}


@pytest.mark.promise("The metadata XML of an image archive is small and without entities, or refused", asvs="1.5.1")
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><idaxs>&a;</idaxs>', HostileError),
        ("<idaxs>" + " " * (1 << 20) + "</idaxs>", HostileError),
        ("<idaxs><open></idaxs>", UnreadableError),
        ("<idaxs><subjectAge>old</subjectAge></idaxs>", UnreadableError),
    ],
)
def test_metadata_that_cannot_be_meant_is_refused(content: str, kind: type[Exception], tiny: Path) -> None:
    (tiny / "bad.xml").write_text(content)
    with pytest.raises(kind, match="metadata file"):
        found_in(tiny)


def test_without_any_table_nothing_is_guessed(tmp_path: Path) -> None:
    made.write_images(tmp_path, stand_in, 2)
    with pytest.raises(UnsuitableError, match="No table says whose"):
        found_in(tmp_path)


def test_tables_may_lie_elsewhere(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "collection.csv"
    collection(tiny).rename(elsewhere)
    assert len(found_in(tiny, tables=(elsewhere,)).rows) == TINY


def test_labels_and_sexes_are_called_as_the_user_says(tiny: Path) -> None:
    swap(tiny, '"F"', '"0"')
    found = found_in(tiny)
    assert f"3 {ppmi.NO_SEX}" in found.warnings
    found = found_in(tiny, labels={"Control": "normal"}, sexes={"0": "F"})
    assert {row["label"] for row in found.rows} == {"PD", "normal", "SWEDD", "Prodromal"}
    assert rows_of(found, 1)[0]["sex"] == "F"
    for options in ({"labels": {"Contrl": "normal"}}, {"sexes": {"7": "F"}}):
        with pytest.raises(UsageError, match="nothing of this name"):
            found_in(tiny, **options)


@pytest.mark.parametrize(
    ("table", "old", "new", "place"),
    [
        ("DaTSCAN_collection_3_20_2015.csv", '"1/9/2011"', '"20/9/2011"', "line 2, column Acq Date"),
        ("DaTSCAN_collection_3_20_2015.csv", '"3000"', '""', "line 2, column Subject"),
        ("DaTSCAN_collection_3_20_2015.csv", '"50"', '"500"', "line 2, column Age"),
        ("tables/DaTScan_SBR_Analysis_01Jan2024.csv", '"01/2011"', '"2011"', "line 2, column DATSCAN_DATE"),
        ("tables/Demographics.csv", '"3000"', '""', "line 2, column PATNO"),
    ],
)
def test_a_cell_that_cannot_be_meant_is_named_with_file_line_and_column(
    table: str, old: str, new: str, place: str, tiny: Path
) -> None:
    edit(tiny / table, lambda text: text.replace(old, new, 1))
    with pytest.raises(UnreadableError) as caught:
        found_in(tiny)
    assert str(tiny / table) in caught.value.where
    assert place in caught.value.where


def cell(text: str) -> Row:
    return Row(Path("t.csv"), 2, ("date",), {"date": text} if text else {})


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_dates_come_back_as_they_were_written(day: date) -> None:
    assert day_of(cell(f"{day.month}/{day.day}/{day.year}"), "date") == day
    assert month_of(cell(f"{day.month:02d}/{day.year}"), "date") == Month(day.year, day.month)
    assert folder_day(f"{day.isoformat()}_01_02_03.0") == day


@given(st.text(max_size=12))
def test_no_other_text_is_a_date(text: str) -> None:
    for read in (day_of, month_of):
        try:
            found = read(cell(text), "date")
        except UnreadableError:
            continue
        assert found is None or text.count("/") in (1, 2)
    assert folder_day(text) is None


@pytest.mark.parametrize("text", ["2/30/2015", "13/1/2015", "0/5/2015", "1/1/1800"])
def test_days_that_are_not_in_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        day_of(cell(text), "date")


def test_months_apart_and_years_from_a_birth() -> None:
    assert Month(2012, 2).apart(Month(2010, 11)) == 15
    assert Month(1950, 6).years_until(date(2010, 6, 15)) == pytest.approx(60, abs=0.01)


def test_a_curated_cut_in_excel_is_joined_beside_csv_tables(tiny: Path) -> None:
    """As the curated data cut comes: several sheets, one row a visit, among tables that are CSV."""
    csv_table = tiny / "tables" / "MDS-UPDRS_Part_III.csv"
    lines = [[cell.strip('"') for cell in line.split('","')] for line in csv_table.read_text().splitlines()]
    csv_table.unlink()
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    cut = book.create_sheet("Cut")
    for line in lines:
        cut.append(line)
    book.save(tiny / "tables" / "cut.xlsx")
    with pytest.raises(UsageError, match="several sheets"):
        found_in(tiny)
    found = found_in(tiny, sheet="Cut", delimiter=",")
    assert rows_of(found, 1)[0]["updrs3"] == "22"
