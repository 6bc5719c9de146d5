"""A cohort scan by scan: bad ones recorded, what is done kept, and measured again only where something changed."""

from __future__ import annotations

import json
import shutil

import pytest

from dopascope.batch import Measured, Outcome, Settings, measure_all, measure_scan, sheet_text
from dopascope.batch.drive import as_error
from dopascope.batch.measuring import measured_of
from dopascope.batch.sheet import HEADER
from dopascope.cohort import CohortScan, read_cohort
from dopascope.errors import UnsuitableError, UnsupportedError


def lines(scans):
    return [("A", scans / "0.dcm", "control", "n/a", "n/a"), ("B", scans / "2.dcm", "PD", 71, "M")]


def cells(text):
    head, *rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_the_table_holds_ratios_intervals_z_and_who(scans, cohort):
    results = [one.result for one in measure_all(read_cohort(cohort(*lines(scans))), Settings())]
    one, two = cells(sheet_text(results))
    assert [one["scan_id"], two["scan_id"]] == ["A", "B"]
    assert (two["age"], two["sex"], two["label"]) == ("71", "M", "PD")
    assert one["age"] != "n/a"  # the header's
    for row, result in zip((one, two), results, strict=True):
        assert row["status"] == "done"
        assert row["error"] == "n/a"
        assert row["method_id"] == result.quantification.method_id
        assert "simulated healthy people" in row["normals"]
        assert "not against real ones" in row["warnings"]
        assert len(row["sha256"]) == 64
        for name, region in result.quantification.regions.items():
            assert float(row[name]) == pytest.approx(region.sbr, rel=1e-5)
            assert float(row[f"{name}_low"]) < float(row[name]) < float(row[f"{name}_high"])
            assert float(row[f"{name}_z"]) == pytest.approx(region.z, rel=1e-5, abs=1e-5)
            assert float(row[f"{name}_percent_expected"]) == pytest.approx(region.percent_expected, rel=1e-5)
        assert float(row["asymmetry_putamen"]) == pytest.approx(
            result.quantification.indices["asymmetry_putamen"].value, rel=1e-5
        )
    assert float(two["putamen_left_z"]) < float(one["putamen_left_z"])


def test_a_result_goes_to_a_file_and_back_unchanged(scans, cohort):
    (scan, _) = read_cohort(cohort(*lines(scans)))
    result = measure_scan(scan, Settings())
    assert Measured.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def test_one_bad_scan_is_recorded_and_the_others_are_done(scans, cohort, tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 400)
    (tmp_path / "picture.png").write_bytes(b"not a picture")
    bad = [(name, name, "PD", "n/a", "n/a") for name in ("broken.dcm", "picture.png", "absent.nii")]
    results = [one.result for one in measure_all(read_cohort(cohort(*bad, *lines(scans))), Settings())]
    assert [one.error is None for one in results] == [False, False, False, True, True]
    rows = cells(sheet_text(results))
    assert [row["status"] for row in rows] == ["failed"] * 3 + ["done"] * 2
    assert "absent.nii" in rows[2]["error"]
    assert rows[2]["putamen_left"] == "n/a"


def test_what_is_done_is_kept_and_what_changed_is_measured_again(scans, cohort, tmp_path):
    for name in ("0.dcm", "2.dcm"):
        shutil.copy(scans / name, tmp_path / name)
    table = cohort(*lines(tmp_path), ("C", "later.dcm", "PD", "n/a", "n/a"))
    side = tmp_path / "cache"
    first = list(measure_all(read_cohort(table), Settings(), side))
    assert [one.kept for one in first] == [False] * 3
    assert first[2].result.error is not None

    def again(settings=Settings()):  # noqa: B008
        return [(one.kept, one.result.error is None) for one in measure_all(read_cohort(table), settings, side)]

    shutil.copy(scans / "1.dcm", tmp_path / "later.dcm")
    assert again() == [(True, True), (True, True), (False, True)]
    assert again() == [(True, True)] * 3
    shutil.copy(scans / "2.dcm", tmp_path / "0.dcm")
    assert again() == [(False, True), (True, True), (True, True)]
    cohort(("A", tmp_path / "0.dcm", "control", 50, "M"), *lines(tmp_path)[1:], ("C", "later.dcm", "PD", "n/a", "n/a"))
    assert again() == [(False, True), (True, True), (True, True)]
    assert again(Settings(reference="occipital")) == [(False, True)] * 3


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:-300], lambda raw: b"", lambda raw: b"\xff\x00 not ours\n{}\n", lambda raw: raw + b" "]
)
def test_a_damaged_entry_is_measured_again_and_mended(scans, cohort, tmp_path, spoil):
    table, cache = cohort(*lines(scans)), tmp_path / "cache"
    whole = [one.result for one in measure_all(read_cohort(table), Settings(), cache)]
    (entry, _) = [path for path in cache.rglob("*") if path.is_file()]
    sound = entry.read_bytes()
    entry.write_bytes(spoil(sound))
    again = list(measure_all(read_cohort(table), Settings(), cache))
    assert sorted(one.kept for one in again) == [False, True]
    assert [one.result for one in again] == whole
    assert entry.read_bytes() == sound


def test_what_is_kept_names_nobody(scans, cohort, tmp_path):
    shutil.copy(scans / "0.dcm", tmp_path / "ZZCANARY.dcm")
    (scan,) = read_cohort(cohort(("ZZCANARY", "ZZCANARY.dcm", "ZZCANARY"), columns="scan_id path label"))
    assert [one.result.error for one in measure_all([scan], Settings(), tmp_path / "cache")] == [None]
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"CANARY" in path.read_bytes() or "CANARY" in path.name]


def test_an_interruption_keeps_what_was_done(scans, cohort, tmp_path):
    table, side = cohort(*lines(scans)), tmp_path / "cache"
    running = measure_all(read_cohort(table), Settings(), side)
    next(running)
    running.close()
    assert [one.kept for one in measure_all(read_cohort(table), Settings(), side)] == [True, False]


def test_facts_of_the_table_complete_the_header_and_may_not_contradict_it(scans, cohort):
    columns = "path manufacturer model scatter_corrected"
    (scan,) = read_cohort(cohort((scans / "0.dcm", "Dopascope  Simulated", "n/a", "false"), columns=columns))
    assert measure_scan(scan, Settings()).acquisition.model == "siemens-lehr-osem"
    (scan,) = read_cohort(cohort((scans / "0.dcm", "SIEMENS", "n/a", "n/a"), columns=columns))
    with pytest.raises(UnsuitableError, match="contradict") as caught:
        measure_scan(scan, Settings())
    assert "'SIEMENS' in the table, 'dopascope simulated' in the header" in caught.value.found


def test_other_modalities_and_unfit_images_are_refused_by_name(scans, cohort, tmp_path):
    (scan,) = read_cohort(cohort((scans / "0.dcm", "t1"), columns="path modality"))
    with pytest.raises(UnsupportedError, match="DaT SPECT"):
        measure_scan(scan, Settings())
    import numpy as np

    from dopascope.formats import save_nifti
    from dopascope.volume import Grid, Volume

    save_nifti(Volume(np.zeros((30, 31, 32)), Grid((30, 31, 32), np.diag([4.0, 4, 4, 1]))), tmp_path / "empty.nii")
    (scan,) = read_cohort(cohort(("empty.nii",), columns="path"))
    with pytest.raises(UnsuitableError, match="passport refuses"):
        measure_scan(scan, Settings())


def test_a_picture_has_no_ratio(scans, cohort, tmp_path):
    from PIL import Image

    Image.new("L", (90, 80), 40).save(tmp_path / "slice.png")
    (one,) = measure_all(read_cohort(cohort(("slice.png",), columns="path")), Settings())
    assert "no binding ratio" in one.result.error["what"]


def test_a_series_in_a_folder_is_measured_again_when_a_file_of_it_changes(scans, cohort, tmp_path):
    folder, side = tmp_path / "series", tmp_path / "cache"
    folder.mkdir()
    shutil.copy(scans / "0.dcm", folder / "image.dcm")
    table = cohort(("series",), columns="path")
    kept = []
    for change in (None, None, "1.dcm"):
        if change:
            shutil.copy(scans / change, folder / "image.dcm")
        (one,) = measure_all(read_cohort(table), Settings(), side)
        assert one.result.error is None
        kept.append(one.kept)
    assert kept == [False, True, False]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ZeroDivisionError("a slip"), "ZeroDivisionError"),
    ],
)
def test_any_failure_of_one_scan_becomes_its_record(tmp_path, error, found):
    scan = CohortScan("A", tmp_path / "a.dcm", {"label": "PD"}, age=60.0)
    record = measured_of(Outcome(0, scan, error=as_error(scan, error).as_dict()))
    assert found in record.error["found"]
    assert (record.name, record.label, record.age, record.quantification) == ("A", "PD", 60.0, None)
    assert Measured.from_dict(json.loads(json.dumps(record.as_dict()))) == record


def test_every_column_stands_once():
    assert len(set(HEADER)) == len(HEADER)
