"""Derivatives of a cohort: where the scan comes to lie, the same bytes however they come about, failures recorded."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dopascope import __version__, formats, space
from dopascope.batch import NormaliseSettings, Part, Runner, normalise_cohort
from dopascope.batch.derivatives import CENTRED_SPACE, MNI_SPACE, targets_of
from dopascope.batch.slurm import array_script
from dopascope.cohort import CohortScan, read_cohort
from dopascope.errors import UsageError
from dopascope.formats.save import nifti_gz, save_nifti
from dopascope.volume import MNI_2MM, Grid, Volume

COLUMNS = "participant_id session_id scan_id path label updrs"
FAST = NormaliseSettings(register=False, intensity="p99")


def people(scans: Path) -> list[tuple[object, ...]]:
    return [(f"sub-{n}", "ses-BL", f"s{n}", scans / f"{n}.dcm", "PD", 20 + n) for n in range(3)]


def digest_of(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def rows_of(path: Path) -> list[dict[str, str]]:
    head, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_a_registered_scan_lies_where_the_registration_says(scans, cohort, tmp_path):
    out = tmp_path / "out"
    normalise_cohort(cohort(*people(scans)[:1], columns=COLUMNS), out, NormaliseSettings())
    stem = f"sub-0/ses-BL/spect/sub-0_ses-BL_space-{MNI_SPACE}_desc-normalised_spect"
    image, told = nibabel.load(out / f"{stem}.nii.gz"), json.loads((out / f"{stem}.json").read_text())
    volume = formats.load(scans / "0.dcm")
    found = space.register(volume)
    wanted = space.normalise(volume, found)
    divisor = space.intensity.reference_value(wanted, "p75_nonstriatal")
    np.testing.assert_allclose(np.asarray(image.dataobj), wanted.data / divisor, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(image.affine, MNI_2MM.affine)
    np.testing.assert_allclose(told["MNIToSource"], found.mni_to_scan)
    assert int(image.header["sform_code"]) == 4
    assert told["IntensityFactor"] == pytest.approx(1 / divisor)
    assert told["Registration"]["accepted"] is True
    assert told["SourceSHA256"] == volume.source.sha256
    assert told["Sources"] == ["0.dcm"]  # the table had an absolute path, which is nobody's business
    assert told["Manufacturer"]
    (row,) = rows_of(out / "cohort.tsv")
    assert (row["path"], row["updrs"]) == (f"{stem}.nii.gz", "20")
    assert read_cohort(out / "cohort.tsv")[0].path.is_file()
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"] == [{"Name": "dopascope", "Version": __version__}]
    assert "_spect.nii.gz" in (out / ".bidsignore").read_text()


def test_without_registration_every_voxel_is_where_its_transform_says(cohort, tmp_path):
    rng = np.random.default_rng(4)
    turn = np.diag([-4.0, 3.0, 3.5, 1.0])
    turn[:3, 3] = 100, -30, 7
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[0.96, -0.28], [0.28, 0.96]]
    volume = Volume(rng.uniform(1, 2, (30, 41, 32)).astype(np.float32), Grid((30, 41, 32), tilt @ turn))
    save_nifti(volume, tmp_path / "a.nii")
    settings = NormaliseSettings(register=False, intensity="none")
    normalise_cohort(cohort(("a", "a.nii"), columns="scan_id path"), tmp_path / "out", settings)
    (path,) = (tmp_path / "out").rglob("*.nii.gz")
    assert f"space-{CENTRED_SPACE}_" in path.name
    told = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
    to_scan = np.array(told["MNIToSource"])
    centre = to_scan @ [*MNI_2MM.to_world((np.array(MNI_2MM.shape) - 1) / 2), 1]
    middle = volume.grid.to_world((np.array(volume.grid.shape) - 1) / 2)
    np.testing.assert_allclose(centre[:3], middle, atol=1e-4)  # NIfTI keeps float32
    # scipy's general sampling as the oracle of the three matrix products
    from scipy.ndimage import affine_transform

    index = np.linalg.inv(volume.grid.affine) @ to_scan @ MNI_2MM.affine
    wanted = affine_transform(
        volume.data, index[:3, :3], index[:3, 3], output_shape=MNI_2MM.shape, order=1, mode="nearest"
    )
    got = np.asarray(nibabel.load(path).dataobj)
    inside = got > 0
    assert 0.2 < inside.mean() < 0.9
    np.testing.assert_allclose(got[inside], wanted[inside], rtol=1e-4)
    assert told["Registration"]["registered"] is False


def test_any_number_of_workers_parts_and_returns_give_the_same_bytes(scans, cohort, tmp_path):
    bad = ("x", "n/a", "bad", "absent.nii", "PD", 1)
    table = cohort(*people(scans), bad, columns=COLUMNS)
    one, two, parts = (tmp_path / name for name in ("one", "two", "parts"))
    outcomes = normalise_cohort(table, one, FAST)
    assert [outcome.error is None for outcome in outcomes] == [True, True, True, False]
    normalise_cohort(table, two, FAST, runner=Runner(2))
    for number in (2, 1):
        normalise_cohort(table, parts, FAST, part=Part(number, 2))
        assert not (parts / "cohort.tsv").exists()
    gathered = normalise_cohort(table, parts, FAST)
    assert [outcome.kept for outcome in gathered] == [True, True, True, False]
    assert digest_of(one) == digest_of(two) == digest_of(parts)
    assert [row["scan_id"] for row in rows_of(one / "normalise.tsv")] == ["s0", "s1", "s2", "bad"]
    assert [row["scan_id"] for row in rows_of(one / "cohort.tsv")] == ["s0", "s1", "s2"]
    (path, *_) = one.rglob("*.nii.gz")
    whole = digest_of(one)
    path.write_bytes(b"spoilt")
    (path.parent / ".abcdefgh-sub-0_cut.nii.gz").write_bytes(b"left by a killed worker")
    normalise_cohort(table, one, FAST)
    assert digest_of(one) == whole


def test_a_scan_that_fails_now_leaves_nothing_of_before(scans, cohort, tmp_path):
    shutil.copy(scans / "0.dcm", tmp_path / "a.dcm")
    table = cohort(("a", "a.dcm", "dat"), columns="scan_id path modality")
    normalise_cohort(table, tmp_path / "out", FAST)
    assert [*(tmp_path / "out").rglob("*.nii.gz")]
    (tmp_path / "a.dcm").write_bytes(b"no image")
    (found,) = normalise_cohort(table, tmp_path / "out", FAST)
    assert found.error["code"] == "unreadable"
    assert not [*(tmp_path / "out").rglob("*_spect.*")]
    (t1,) = normalise_cohort(cohort(("a", "a.dcm", "t1"), columns="scan_id path modality"), tmp_path / "out", FAST)
    assert t1.error["code"] == "unsupported", "FAST does not register, and a T1 needs that"


def test_names_are_bids_and_never_two_people_in_one(tmp_path):
    def scan(name, **cells):
        return CohortScan(name, Path(name), cells)

    def entities(*scans):
        return [one.entities for one in targets_of(scans, tmp_path, MNI_SPACE).values()]

    twice = [scan(n, participant_id="sub-A_1", session_id="BL") for n in "ab"]
    assert entities(*twice) == ["sub-A1_ses-BL_run-1", "sub-A1_ses-BL_run-2"]
    assert entities(scan("x/y.nii")) == ["sub-xynii"]
    for other in ("A1", "a_1"):
        with pytest.raises(UsageError, match="Two names become one"):
            entities(*twice, scan("c", participant_id=other, session_id="V2"))
    with pytest.raises(UsageError, match="Two names become one"):
        entities(*twice, scan("c", participant_id="sub-A_1", session_id="B-L"))
    with pytest.raises(UsageError, match="letters and digits"):
        entities(scan("c", participant_id="---"))


def test_what_cannot_be_meant_is_refused(scans, cohort, tmp_path):
    with pytest.raises(UsageError, match="intensity method"):
        NormaliseSettings(intensity="mean")
    with pytest.raises(UsageError, match="part"):
        Part(3, 2)
    with pytest.raises(UsageError, match="workers"):
        Runner(0)
    with pytest.raises(UsageError, match="mixed with the cohort"):
        normalise_cohort(cohort(*people(scans), columns=COLUMNS), tmp_path, FAST)


def test_the_image_file_is_small_sound_and_always_the_same():
    rng = np.random.default_rng(0)
    data = np.zeros(MNI_2MM.shape, np.float32)
    data[20:70, 20:80, 20:70] = rng.uniform(0, 5, (50, 60, 50))
    raw = nifti_gz(Volume(data, MNI_2MM), code=4)
    assert raw == nifti_gz(Volume(data.copy(), MNI_2MM), code=4)
    assert raw[4:8] == bytes(4)  # no time
    assert len(raw) < 1.1 * 150_000 * 4
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(raw))
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)


def test_the_array_script_names_every_scan_once_and_runs_the_parts():
    scans = [CohortScan(f"s{n}\nrm", Path("x"), {}) for n in range(5)]
    text = array_script(["dopascope", "normalise", "a b.tsv"], scans, 2, 4)
    assert "#SBATCH --array=1-2\n" in text
    assert "#   1  s0 rm, s2 rm, s4 rm\n#   2  s1 rm, s3 rm\n" in text
    assert text.endswith("exec dopascope normalise 'a b.tsv' --part \"$SLURM_ARRAY_TASK_ID/2\"\n")
    with pytest.raises(UsageError, match="number of parts"):
        array_script([], scans, 0, 1)
