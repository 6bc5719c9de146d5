"""What each layout's rules make of its irregularities; each rule has a case that fails without it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pydicom
import pytest

from cohort_trees import bids, challenge, dicom, folders, nifti, ntua, picture, series, write_csv
from dopascope.cohort.importers import Found, ImportOptions, LeftOut, find_scans
from dopascope.cohort.importers.bids_sidecar import is_dat_tracer
from dopascope.cohort.importers.files import BROKEN, EMPTY, MIXED, NO_SCAN, NO_TEXT, scan_ids, scans_below
from dopascope.cohort.importers.folders import ONE_LABEL
from dopascope.errors import InputError, UnsuitableError, UsageError


def by_path(found: Found) -> dict[str, dict[str, str]]:
    return {row["path"]: row for row in found.rows}


def why(found: Found) -> dict[str, str]:
    return {one.where: one.why for one in found.left_out}


def test_bids_takes_dat_and_t1_with_what_the_nearest_table_says(tmp_path: Path) -> None:
    bids(tmp_path, "")
    nifti(tmp_path / "sub-9" / "pet" / "sub-9_trc-x_pet.nii", 7)
    (tmp_path / "sub-9" / "pet" / "sub-9_trc-x_pet.json").write_text('{"TracerName": "FDG"}')
    nifti(tmp_path / "sub-8" / "pet" / "sub-8_pet.nii", 8)
    nifti(tmp_path / "sub-8" / "pet" / "sub-8_mask.nii", 9)
    nifti(tmp_path / "sub-8" / "func" / "sub-8_bold.nii", 9)
    nifti(tmp_path / "derivatives" / "x" / "sub-8" / "spect" / "sub-8_spect.nii", 9)
    with open(tmp_path / "participants.tsv", "a") as stream:
        stream.write("sub-7\t61\tM\tPD\tn/a\n")
    found = find_scans("bids", tmp_path)
    rows = by_path(found)
    assert len(rows) == 7
    first = rows["sub-0/ses-BL/spect/sub-0_ses-BL_spect.nii.gz"]
    wanted = {"age": "71", "scan_date": "2020-01-05", "sex": "F", "label": "PD", "manufacturer": "GE"}
    wanted |= {"attenuation_corrected": "true", "scan_id": "sub-0_ses-BL_spect", "session_id": "ses-BL"}
    assert {name: first[name] for name in wanted} == wanted
    assert rows["sub-1/ses-BL/anat/sub-1_ses-BL_T1w.nii.gz"]["modality"] == "t1"
    assert "label" not in rows["sub-8/pet/sub-8_pet.nii"]
    assert why(found) == {
        "participants.tsv, line 5": "The line's participant has no scan that is taken.",
        "sub-9/pet/sub-9_trc-x_pet.nii": "The sidecar names a tracer that does not show the dopamine transporter.",
    }
    assert found.assumed == ["a scan is DaT where no sidecar names its tracer"]


def test_bids_sidecars_are_inherited_and_the_nearest_wins(tmp_path: Path) -> None:
    nifti(tmp_path / "sub-1" / "spect" / "sub-1_run-2_spect.nii.gz", 1)
    (tmp_path / "spect.json").write_text(
        '{"TracerName": "[123I]FP-CIT", "Manufacturer": "GE", "ReconMethodName": "FBP"}'
    )
    (tmp_path / "sub-1" / "spect" / "sub-1_spect.json").write_text(
        '{"Manufacturer": "Siemens", "ScatterCorrection": "none"}'
    )
    (tmp_path / "sub-1" / "spect" / "sub-1_run-1_spect.json").write_text('{"Manufacturer": "another run"}')
    (tmp_path / "pet.json").write_text('{"ManufacturersModelName": "another kind"}')
    row = find_scans("bids", tmp_path).rows[0]
    assert "model" not in row
    assert (row["manufacturer"], row["reconstruction"], row["scatter_corrected"]) == ("Siemens", "FBP", "false")
    (tmp_path / "spect.json").write_text("[1]")
    with pytest.raises(InputError, match="sidecar"):
        find_scans("bids", tmp_path)


@pytest.mark.parametrize(
    "name", ["[123I]FP-CIT", "Ioflupane I-123", "DaTSCAN", "18F-FE-PE2I", "99mTc-TRODAT-1", "β-CIT"]
)
def test_tracers_of_the_transporter_are_known_however_spelt(name: str) -> None:
    assert is_dat_tracer(name)


@pytest.mark.parametrize("name", ["FDG", "FDOPA", "IBZM", "raclopride", "HMPAO", "DTBZ", "MIBG"])
def test_other_tracers_are_not(name: str) -> None:
    assert not is_dat_tracer(name)


def test_bids_tables_that_contradict_themselves_are_refused_at_their_line(tmp_path: Path) -> None:
    tree = bids(tmp_path, "")
    assert tree.table is not None
    for cell, place in (("7x", "line 2, column age"), ("1999", "line 2, column age")):
        write_csv(tree.table, [f"participant_id\tage\nsub-0\t{cell}"])
        with pytest.raises(InputError) as error:
            find_scans("bids", tmp_path)
        assert place in error.value.where
    write_csv(tree.table, ["participant_id\tsex", "sub-0\t1", "sub-0\tF"])
    with pytest.raises(InputError) as error:
        find_scans("bids", tmp_path, ImportOptions(sexes={"1": "M"}))
    assert "line 3" in error.value.where
    write_csv(tree.table, ["participant_id\tsex", "sub-0\t1"])
    with pytest.raises(InputError) as error:
        find_scans("bids", tmp_path)
    assert "--sex" in error.value.fix


def test_bids_says_which_of_two_label_columns_it_took(tmp_path: Path) -> None:
    tree = bids(tmp_path, "")
    assert tree.table is not None
    write_csv(tree.table, ["participant_id\tgroup\tlabel", "sub-0\tPD\ttrain"])
    found = find_scans("bids", tmp_path)
    assert (found.rows[0]["label"], found.rows[0]["label_of_source"]) == ("PD", "train")
    assert "the label is the column group" in found.assumed
    found = find_scans("bids", tmp_path, ImportOptions(columns={"label": "label"}))
    assert (found.rows[0]["label"], found.rows[0]["group"]) == ("train", "PD")


def test_ntua_keeps_slices_of_a_series_together_and_classes_apart(tmp_path: Path) -> None:
    ntua(tmp_path, "")
    picture(tmp_path / "PD Patients" / "cover.png", 1)
    nifti(tmp_path / "PD Patients" / "Subject0" / "0.DAT" / "s1" / "x.nii", 1)
    found = find_scans("ntua", tmp_path)
    rows = by_path(found)
    dat = [rows[f"PD Patients/Subject0/0.DAT/s1/00{n}.png"] for n in range(2)]
    assert dat[0]["volume"] == dat[1]["volume"] == "PD Patients/Subject0/0.DAT/s1"
    assert [row["slice"] for row in dat] == ["0", "1"]
    assert rows["PD Patients/Subject0/1.MRI/3D_Brain_FLAIR_001.png"]["modality"] == "flair"
    assert {row["participant_id"] for row in rows.values()} == {"PD_Subject0", "PD_Subject1", "non-PD_Subject0"}
    assert {row["label"] for row in rows.values()} == {"PD", "non-PD"}
    assert len(found.left_out) == 2
    assert "not quantitative" in found.warnings[0]
    assert find_scans("ntua", tmp_path, ImportOptions(labels={"non-PD": "control"})).rows[-1]["label"] == "control"
    assert "two people" in found.assumed[0]
    shutil.rmtree(tmp_path / "Non PD Patients")
    assert find_scans("ntua", tmp_path).assumed == []
    with pytest.raises(UsageError, match="nothing of this name"):
        find_scans("ntua", tmp_path, ImportOptions(labels={"Non PD": "control"}))


MEANT = ImportOptions(labels={"0": "normal", "1": "abnormal"})


def test_challenge_never_guesses_what_a_number_means(tmp_path: Path) -> None:
    challenge(tmp_path, "s")
    with pytest.raises(InputError) as error:
        find_scans("challenge", tmp_path)
    assert "line 2, column label" in error.value.where
    assert "--label" in error.value.fix
    write_csv(tmp_path / "labels.csv", ["id,is_abnormal", "s0,0", "s1,1"])
    assert [row["label"] for row in find_scans("challenge", tmp_path).rows] == ["normal", "abnormal"]


def test_challenge_says_what_the_table_and_the_folder_have_alone(tmp_path: Path) -> None:
    challenge(tmp_path, "s")
    write_csv(tmp_path / "labels.csv", ["filename,label", "niftis/s0.nii.gz,0", "s1,1", "s1.nii.gz,0", "s7,1", "s3,"])
    found = find_scans("challenge", tmp_path, MEANT)
    assert [row["scan_id"] for row in found.rows] == ["s0", "s1"]
    assert why(found) == {
        "labels.csv, line 4": "The labels table names this scan twice.",
        "labels.csv, line 5": "The labels table names a scan that is not there.",
        "labels.csv, line 6": "The labels table gives this scan no label.",
        "niftis/s2.nii.gz": "The labels table has no line for this scan.",
    }


def test_challenge_asks_where_two_tables_or_columns_could_be_meant(tmp_path: Path) -> None:
    challenge(tmp_path, "s")
    shutil.copy(tmp_path / "labels.csv", tmp_path / "more.csv")
    with pytest.raises(UsageError, match="which table"):
        find_scans("challenge", tmp_path, MEANT)
    tables = (tmp_path / "labels.csv",)
    assert len(find_scans("challenge", tmp_path, ImportOptions(labels=MEANT.labels, tables=tables)).rows) == 4
    write_csv(tmp_path / "labels.csv", ["id,filename,label", "a,s0,0", "b,s1,1"])
    with pytest.raises(InputError, match="which column"):
        find_scans("challenge", tmp_path, ImportOptions(labels=MEANT.labels, tables=tables))
    columns = {"path": "filename", "participant_id": "id"}
    found = find_scans("challenge", tmp_path, ImportOptions(labels=MEANT.labels, tables=tables, columns=columns))
    assert [row["participant_id"] for row in found.rows] == ["a", "b"]
    assert found.assumed == []


def test_folders_take_people_from_folders_and_say_what_they_assume(tmp_path: Path) -> None:
    folders(tmp_path, "p")
    nifti(tmp_path / "PD" / "alone.nii", 5)
    nifti(tmp_path / "PD" / "sub-7_ses-1.nii.gz", 6)
    nifti(tmp_path / "pclass" / "pa" / "scan.nii", 7)
    nifti(tmp_path / "pclass" / "pa" / "deep" / "scan.nii", 8)
    nifti(tmp_path / "loose.nii", 9)
    found = find_scans("folders", tmp_path, ImportOptions(labels={"pclass": "control"}))
    rows = by_path(found)
    assert rows["PD/pa/p.nii.gz"]["participant_id"] == "PD_pa"
    assert rows["pclass/pa/scan.nii"]["participant_id"] == "pclass_pa"
    assert rows["pclass/pa/scan.nii"]["label"] == "control"
    assert rows["PD/pd"]["participant_id"] == "pd"
    assert [rows[f"pclass/pc/{n}.png"]["volume"] for n in range(2)] == ["pc", "pc"]
    assert rows["PD/sub-7_ses-1.nii.gz"]["participant_id"] == "sub-7"
    assert "participant_id" not in rows["PD/alone.nii"]
    assert why(found)["pclass/pa/deep/scan.nii"].startswith("The file lies deeper")
    assert why(found)["loose.nii"].startswith("The file lies in no class")
    assert len(found.assumed) == 3
    with pytest.raises(UsageError, match="nothing of this name"):
        find_scans("folders", tmp_path, ImportOptions(labels={"clas": "control"}))


def test_numbered_pictures_without_people_are_refused_and_others_taken(tmp_path: Path) -> None:
    for name in ("anna", "bert"):
        picture(tmp_path / "PD" / f"{name}.png", 1)
    assert len(find_scans("folders", tmp_path).rows) == 2
    for n in range(2):
        picture(tmp_path / "PD" / f"anna_slice{n:02d}.png", n)
    with pytest.raises(UnsuitableError, match="slices of one person") as error:
        find_scans("folders", tmp_path)
    assert error.value.found.startswith("2 such pictures")


def test_the_table_of_an_export_says_who_is_who(tmp_path: Path) -> None:
    for n in range(3):
        picture(tmp_path / "PD" / f"s_{n}.png", n)
    lines = ["participant_id\tscan_id\tpath\tlabel\tvolume\tage"]
    lines += [f"p{n % 2}\ts_{n}\tPD/s_{n}.png\tPD\ts_{n}\t6{n}" for n in (0, 1, 7)]
    write_csv(tmp_path / "slices.tsv", lines)
    (tmp_path / "slices.json").write_text("{}")
    found = find_scans("folders", tmp_path)
    assert [(row["participant_id"], row["scan_id"], row["age"]) for row in found.rows] == [
        ("p0", "s_0", "60"),
        ("p1", "s_1", "61"),
    ]
    assert why(found) == {"PD/s_7.png": "There is no such file.", "PD/s_2.png": "The file is not in slices.tsv."}
    assert found.assumed == []


def _renamed(source: str, target: str) -> None:
    made = pydicom.dcmread(source)
    made.SeriesInstanceUID = "2.25.99"
    made.save_as(Path(target).with_name(f"other-{Path(target).name}"))


def test_files_are_judged_by_their_bytes_and_dicom_slices_by_their_series(tmp_path: Path) -> None:
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "text.nii").write_text("no scan")
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "nowhere")
    nifti(tmp_path / "tab\tname.nii", 1)
    nifti(tmp_path / ".hidden.nii", 1)
    nifti(tmp_path / "good.nii.gz", 1)
    series(tmp_path / "slices", 1)
    series(tmp_path / "mixed", 2)
    shutil.copytree(series(tmp_path / "other", 3), tmp_path / "mixed", dirs_exist_ok=True, copy_function=_renamed)
    dicom(tmp_path / "frames" / "a.dcm", 1)
    dicom(tmp_path / "frames" / "b.dcm", 2)
    left_out: list[LeftOut] = []
    scans = scans_below(tmp_path, left_out)
    assert [(one.path, one.reader) for one in scans] == [
        ("frames/a.dcm", "dicom"),
        ("frames/b.dcm", "dicom"),
        ("good.nii.gz", "nifti"),
        ("other", "dicom"),
        ("slices", "dicom"),
    ]
    assert {one.where: one.why for one in left_out} == {
        "empty.nii": EMPTY,
        "text.nii": NO_SCAN,
        "link.nii.gz": BROKEN,
        "tab\tname.nii": NO_TEXT,
        **{f"mixed/{mark}s{k}.dcm": MIXED for k in range(4) for mark in ("", "other-")},
    }


def test_a_folder_of_slices_is_one_scan_only_where_nothing_else_is_in_it(tmp_path: Path) -> None:
    for name in ("beside", "above"):
        series(tmp_path / name, 1)
    dicom(tmp_path / "beside" / "frames.dcm", 2)
    nifti(tmp_path / "above" / "more" / "a.nii", 3)
    left_out: list[LeftOut] = []
    found = [one.path for one in scans_below(tmp_path, left_out)]
    assert found == ["above/more/a.nii", "beside/frames.dcm"]
    assert [one.why for one in left_out] == [MIXED] * 8
    assert [one.path for one in scans_below(series(tmp_path / "alone", 4), left_out)] == []


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    scan = nifti(tmp_path / "PD" / "a.nii", 1)
    scan.rename(scan.with_name(os.fsdecode(b"\xff.nii")))
    nifti(tmp_path / "PD" / "b.nii", 1)
    found = find_scans("folders", tmp_path)
    assert [row["path"] for row in found.rows] == ["PD/b.nii"]
    assert json.dumps(found.as_dict()).encode()


def test_ids_are_unique_and_follow_from_names_alone() -> None:
    paths = ["a/b.nii", "a/b.png", "a_b/c.nii", "a/b_c.nii", "c d.nii.gz"]
    ids = scan_ids(paths)
    assert len(set(ids.values())) == len(paths)
    assert ids["c d.nii.gz"] == "c-d"
    assert ids["a/b.nii"] == "a_b.nii"


def test_one_class_alone_is_said(tmp_path: Path) -> None:
    nifti(tmp_path / "PD" / "a.nii.gz", 1)
    assert ONE_LABEL in find_scans("folders", tmp_path).warnings
    nifti(tmp_path / "control" / "b.nii.gz", 2)
    assert ONE_LABEL not in find_scans("folders", tmp_path).warnings
