"""A table of made-up scans of made-up people, and what is left of them without their names."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canaries import BIRTH, CANARY, NAME, leaks, leaks_below, rewrite
from dopascope.cohort import read_cohort
from dopascope.cohort.deidentified import Deidentified, deidentify_cohort
from dopascope.errors import UsageError
from dopascope.formats import load, save_nifti, write_nm
from dopascope.formats.deidentify import Key
from dopascope.volume import Volume

KEY = Key(b"a secret of 32 bytes for testing")
pytestmark = pytest.mark.filterwarnings("ignore")


def row(path: Path, root: Path, person: str, session: str, **cells: str) -> dict[str, str]:
    fixed = {"participant_id": person, "session_id": session, "scan_id": f"{person}_{session}_{CANARY}"}
    return fixed | {"path": str(path.relative_to(root)), "modality": "NM"} | cells


@pytest.fixture
def people(tmp_path: Path, oblique_volume: Volume) -> tuple[Path, list[dict[str, str]]]:
    """Two people, one with two visits; every text is a canary somewhere."""
    root = tmp_path / "source"
    folder = root / f"{CANARY}_folder"
    folder.mkdir(parents=True)
    rows = []
    for person, visits in (("one", ("20200101", "20210101")), ("two", ("20200601",))):
        for day in visits:
            path = folder / f"{CANARY}_{person}_{day}.dcm"
            write_nm(oblique_volume, path, patient_name=f"{NAME}{person}", patient_id=person, study_date=day)
            facts = {"label": "PD", "site": f"{CANARY} hospital", "camera": f"{CANARY} 3000", "age": "97", "sex": "F"}
            more = {"updrs": "31", "visit_date": f"{day[:4]}-{day[4:6]}-{day[6:]}", "birth_date": BIRTH}
            more |= {"notes": f"seen by {NAME}", CANARY: "1", "medical_record": "12345678", "manufacturer": "GE"}
            rows.append(row(path, root, f"{CANARY}{person}", f"ses-{day}", **facts, **more))
    path = folder / f"{CANARY}.nii.gz"
    save_nifti(oblique_volume, path)
    rows.append(row(path, root, f"{CANARY}two", "ses-20200601", label=CANARY))
    return root, rows


def made(people: tuple[Path, list[dict[str, str]]], out: Path, key: Key = KEY, **more: object) -> Deidentified:
    return deidentify_cohort(people[1], people[0], out, key, **more)  # type: ignore[arg-type]


def test_no_canary_leaves_the_cohort(
    people: tuple[Path, list[dict[str, str]]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    before = {path: path.read_bytes() for path in people[0].rglob("*") if path.is_file()}
    done = made(people, tmp_path / "clean")
    assert leaks_below(tmp_path / "clean") == []
    assert leaks_below(tmp_path / "clean", "12345678", "20200601", "2020-06-01") == []
    assert leaks("".join(capfd.readouterr()).encode() + caplog.text.encode()) == []
    assert {path: path.read_bytes() for path in people[0].rglob("*") if path.is_file()} == before
    assert sorted(done.dropped) == sorted(["birth_date", "notes", CANARY, "medical_record"])


def test_the_table_is_a_cohort_of_the_same_scans(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    made(people, tmp_path / "clean")
    scans = read_cohort(tmp_path / "clean" / "cohort.tsv")
    assert len(scans) == len(people[1])
    for scan, source in zip(scans, people[1], strict=True):
        before, after = load(people[0] / source["path"]), load(scan.path)
        assert (before.data == after.data).all()
        assert before.grid == after.grid
    first, second, third, fourth = (scan.cells for scan in scans)
    assert first["participant_id"] == second["participant_id"] != third["participant_id"]
    assert [first["session_id"], second["session_id"], third["session_id"]] == ["ses-01", "ses-02", "ses-01"]
    assert third["session_id"] == fourth["session_id"]
    assert fourth["scan_id"] == third["scan_id"] + "_2"
    assert (first["label"], first["age"], first["sex"]) == ("PD", "90", "F")
    assert first["site"] == third["site"]
    assert fourth["label"].startswith("X")


def test_table_and_headers_move_by_the_same_days(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    done = made(people, tmp_path / "clean")
    days = [date.fromisoformat(row["visit_date"]) for row in done.rows[:3]]
    heads = [pydicom.dcmread(tmp_path / "clean" / row["path"]) for row in done.rows[:3]]
    assert [f"{day:%Y%m%d}" for day in days] == [head.StudyDate for head in heads]
    assert (days[1] - days[0]).days == 366
    assert [head.PatientID for head in heads] == [row["participant_id"] for row in done.rows[:3]]


def test_a_column_that_is_asked_for_is_kept(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    done = made(people, tmp_path / "clean", covariates=["medical_record"])
    assert done.rows[0]["medical_record"] == "12345678"
    assert done.rows[0]["updrs"] == "31"
    report = json.loads((tmp_path / "clean" / "deidentify.json").read_text())
    assert report["columns_kept_unchanged"] == ["medical_record"]
    assert report["columns_dropped"] == 3
    with pytest.raises(UsageError, match="no such column"):
        made(people, tmp_path / "other", covariates=["nowhere"])


@pytest.mark.parametrize("cell", ["05/2012", "3/20/2015", "2015", "seen", "123456", "20150320 10:00"])
def test_columns_of_other_dates_years_and_texts_are_left_out(
    people: tuple[Path, list[dict[str, str]]], tmp_path: Path, cell: str
) -> None:
    root, rows = people
    done = deidentify_cohort([one | {"visit": cell} for one in rows[:2]], root, tmp_path / "clean", KEY)
    assert "visit" in done.dropped
    assert all("visit" not in one for one in done.rows)
    assert cell not in (tmp_path / "clean" / "cohort.tsv").read_text()


def test_a_column_that_repeats_who_it_is_is_left_out(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    root, rows = people
    numbered = [one | {"participant_id": f"31{k}", "cohort": f"31{k}", "score": "5"} for k, one in enumerate(rows[:2])]
    done = deidentify_cohort(numbered, root, tmp_path / "clean", KEY)
    assert "cohort" in done.dropped
    assert done.rows[0]["score"] == "5"


def test_an_unknown_camera_maker_is_missing_and_its_column_stays(
    people: tuple[Path, list[dict[str, str]]], tmp_path: Path
) -> None:
    root, rows = people
    named = [rows[0] | {"manufacturer": "GE"}, rows[1] | {"manufacturer": CANARY}]
    done = deidentify_cohort(named, root, tmp_path / "clean", KEY)
    assert [one["manufacturer"] for one in done.rows] == ["GE", "n/a"]


def test_a_bad_scan_is_counted_and_the_others_go_on(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    root, rows = people
    rewrite(root / rows[0]["path"], lambda head: setattr(head, "BurnedInAnnotation", "YES"))
    (root / rows[1]["path"]).write_bytes(b"damaged")
    done = made(people, tmp_path / "clean")
    assert len(done.rows) == 2
    assert sum(done.failed.values()) == 2
    report = json.loads((tmp_path / "clean" / "deidentify.json").read_text())
    assert (report["scans"], report["people"], sum(report["failed"].values())) == (2, 1, 2)
    assert leaks_below(tmp_path / "clean") == []


def test_the_key_decides(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    one, two = made(people, tmp_path / "one"), made(people, tmp_path / "two")
    other = made(people, tmp_path / "three", Key(b"another secret of bytes"))
    assert one.rows == two.rows
    for name in sorted(path.name for path in (tmp_path / "one" / "scans").iterdir()):
        assert (tmp_path / "one" / "scans" / name).read_bytes() == (tmp_path / "two" / "scans" / name).read_bytes()
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert mine["participant_id"] != theirs["participant_id"]


def test_an_interrupted_run_leaves_nothing(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(people, tmp_path / "clean", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    made(people, tmp_path / "clean")


def test_a_folder_that_is_not_empty_is_refused(people: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is taken"):
        made(people, people[0])
    with pytest.raises(UsageError, match="no path"):
        deidentify_cohort([{"label": "PD"}], tmp_path, tmp_path / "clean", KEY)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.lists(
        st.sampled_from(
            ["label", "site", "camera", "age", "sex", "visit", "note", "camera_model", CANARY, f"x {CANARY}"]
        ),
        unique=True,
    ),
    text=st.sampled_from([NAME, CANARY, CANARY.lower(), f"GE {CANARY}", f"{CANARY}\u00e9", f"2020-01-01 {CANARY}"]),
)
def test_no_canary_leaves_any_column(
    tmp_path_factory: pytest.TempPathFactory, oblique_volume: Volume, columns: list[str], text: str
) -> None:
    root = tmp_path_factory.mktemp("cohort")
    save_nifti(oblique_volume, root / f"{CANARY}.nii.gz")
    cells = dict.fromkeys(columns, text)
    deidentify_cohort([row(root / f"{CANARY}.nii.gz", root, text, text, **cells)], root, root / "clean", KEY)
    assert leaks_below(root / "clean") == []
