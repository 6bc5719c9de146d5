"""What identifies a person is given to whoever asks `formats.identity`, and to nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dopascope.errors import DopascopeError
from dopascope.formats import load, save_nifti, write_nm
from dopascope.formats.identity import Identity, identity_of
from dopascope.volume import Volume

pytestmark = pytest.mark.promise(
    "What names a person stays in `formats.identity`: no reading, report or log holds it", asvs="14.2.1", threats="T22"
)

CANARIES = {
    "PatientName": "CANARY^NAME",
    "PatientID": "CANARYID",
    "PatientBirthDate": "19510203",
    "PatientAddress": "CANARY STREET",
    "PatientTelephoneNumbers": "CANARYPHONE",
    "PatientComments": "CANARY COMMENT",
    "OtherPatientIDs": "CANARYOTHER",
    "AccessionNumber": "CANARYACC",
    "ReferringPhysicianName": "CANARY^DOCTOR",
    "OperatorsName": "CANARY^OPERATOR",
    "InstitutionName": "CANARY HOSPITAL",
    "StationName": "CANARYSTATION",
    "StudyDescription": "CANARY STUDY",
    "SeriesDescription": "CANARY SERIES",
    "ProtocolName": "CANARY PROTOCOL",
    "DeviceSerialNumber": "CANARYSERIAL",
    "ImageComments": "CANARY IMAGE",
    "ImageID": "CANARY IMAGEID",
}


def mark(made: Any, k: int = 0) -> None:
    for keyword, value in CANARIES.items():
        setattr(made, keyword, value)
    made.StudyDate = "20210203"
    made.PatientSex = "F"
    if "PatientAge" in made:
        del made.PatientAge
    made.BurnedInAnnotation = "YES"
    made.PatientIdentityRemoved = "NO"


@pytest.fixture(params=["nm", "series", "enhanced"])
def marked(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    whole_volume: Volume,
    write_series: Callable[..., Path],
    write_enhanced: Callable[..., Path],
) -> Path:
    """A scan full of canaries, in a folder and files that are called after the canary too."""
    import pydicom

    folder = tmp_path / "scan"
    if request.param == "series":
        write_series(whole_volume, folder / "CANARY_NAME", edit=mark)
        return folder
    path = folder / "CANARY_NAME" / "CANARY.dcm"
    path.parent.mkdir(parents=True)
    write_nm(whole_volume, path) if request.param == "nm" else write_enhanced(whole_volume, path)
    made = pydicom.dcmread(path)
    mark(made)
    made.save_as(path)
    return folder


def test_no_canary_reaches_a_volume(marked: Path) -> None:
    volume = load(marked)
    texts = [repr(volume), repr(volume.source), repr(volume.acquisition), repr(volume.history)]
    texts += [repr(dataclasses.asdict(volume.acquisition)), repr(dataclasses.asdict(volume.source))]
    for text in texts:
        assert "CANARY" not in text
        assert "19510203" not in text
    assert volume.source.path == str(marked)


def test_age_and_sex_are_kept_because_reference_values_need_them(marked: Path) -> None:
    acquisition = load(marked).acquisition
    assert acquisition.age_years == pytest.approx(70.0, abs=0.01)
    assert acquisition.sex == "F"


def test_whoever_asks_gets_it(marked: Path) -> None:
    found = identity_of(marked)
    assert found.patient_name == "CANARY^NAME"
    assert found.patient_id == "CANARYID"
    assert found.birth_date == "19510203"
    assert found.accession_number == "CANARYACC"
    assert found.institution == "CANARY HOSPITAL"
    assert found.referring_physician == "CANARY^DOCTOR"
    assert found.burned_in_annotation is True
    assert found.deidentified is False
    assert found.as_dict()["comments"] == "CANARY COMMENT"


def test_formats_without_identity_have_none(tmp_path: Path, whole_volume: Volume) -> None:
    save_nifti(whole_volume, tmp_path / "scan.nii.gz")
    assert identity_of(tmp_path / "scan.nii.gz") == Identity()
    assert Identity().as_dict() == {}


def test_names_are_decoded_in_the_files_own_character_set(tmp_path: Path, whole_volume: Volume) -> None:
    import pydicom

    path = write_nm(whole_volume, tmp_path / "scan.dcm", patient_name="Jérôme^Łukasz")
    assert identity_of(path).patient_name == "Jérôme^Łukasz"
    made = pydicom.dcmread(path)
    made.SpecificCharacterSet, made.PatientName = "ISO_IR 100", "Äneas^Rüdiger"
    made.save_as(path)
    assert identity_of(path).patient_name == "Äneas^Rüdiger"


@pytest.mark.data
def test_the_character_sets_of_the_standard(data_dir: Path) -> None:
    import pydicom

    folder = data_dir / "edge_cases" / "pydicom" / "charset"
    compared = 0
    for path in sorted(folder.glob("*.dcm")):
        try:
            found = identity_of(path).patient_name
        except DopascopeError:
            continue
        if found is not None:
            assert found == str(pydicom.dcmread(path).PatientName).strip(), path.name
            compared += 1
    assert compared >= 10


def test_a_series_is_named_where_there_are_several(tmp_path: Path, whole_volume: Volume) -> None:
    for name in ("AC", "NAC"):
        write_nm(whole_volume, tmp_path / f"{name}.dcm", series_description=name, patient_name=name)
    assert identity_of(tmp_path, series="1.2").patient_name == "NAC"
