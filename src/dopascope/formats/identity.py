"""What identifies a person in a file. Nothing else in dopascope looks at it, and only a caller who asks gets it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from pathlib import Path

from dopascope.formats import choose
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_file import Header, header_of, is_dicom
from dopascope.formats.limits import Limits


@dataclass(frozen=True)
class Identity:
    """Identifying elements of a DICOM header as they stand there; None where the file does not say.

    Other formats carry none: every field is None.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    other_patient_ids: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    address: str | None = None
    telephone: str | None = None
    comments: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_description: str | None = None
    referring_physician: str | None = None
    operators: str | None = None
    institution: str | None = None
    station: str | None = None
    device_serial_number: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    deidentified: bool | None = None
    """Patient Identity Removed (0012,0062)."""
    burned_in_annotation: bool | None = None
    """Burned In Annotation (0028,0301): whether the pixels themselves show text that identifies."""

    def as_dict(self) -> dict[str, str | bool]:
        """The fields that are known."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in known.items() if value is not None}


_TEXTS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "other_patient_ids": "OtherPatientIDs",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "address": "PatientAddress",
    "telephone": "PatientTelephoneNumbers",
    "comments": "PatientComments",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
    "referring_physician": "ReferringPhysicianName",
    "operators": "OperatorsName",
    "institution": "InstitutionName",
    "station": "StationName",
    "device_serial_number": "DeviceSerialNumber",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
}


_PERSON_NAMES = ("PatientName", "ReferringPhysicianName", "OperatorsName")


def identity_of(path: str | Path, limits: Limits | None = None, series: str | None = None) -> Identity:
    """Whom the scan at `path` shows, from its first DICOM header.

    Args:
        path: file, folder or zip.
        limits: bounds on the read.
        series: id of a candidate where several are there; without it the first is looked at.

    Raises:
        InputError: nothing there can be opened.
        UsageError: no candidate has the id `series`.
    """
    bounds = limits or Limits()
    found = choose.survey(path, bounds) if series is None else [choose.choose(path, series, bounds)]
    blobs = [one.blobs[0] for one in found if is_dicom(one.blobs[0]) and one.reader.startswith("dicom")]
    if not blobs:
        return Identity()
    # The survey kept only what a reader needs: parse again, with everything.
    first = blobs[0]
    return _identity(header_of(Blob(first.name, first.path, first.content), bounds))


def _identity(header: Header) -> Identity:
    texts = {name: _decoded(header, keyword) for name, keyword in _TEXTS.items()}
    return Identity(
        **texts,
        deidentified=_flag(header, "PatientIdentityRemoved"),
        burned_in_annotation=_flag(header, "BurnedInAnnotation"),
    )


def _decoded(header: Header, keyword: str) -> str | None:
    """Text in the file's own character set (PS3.5 6.1), values joined by a backslash."""
    raw = header.raw(keyword)
    if raw is None:
        return None
    from pydicom.charset import convert_encodings, decode_bytes
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    delimiters = PN_DELIMS if keyword in _PERSON_NAMES else TEXT_VR_DELIMS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unknown character set: pydicom warns and falls back
        try:
            encodings = convert_encodings(list(header.texts("SpecificCharacterSet")))
            text = decode_bytes(raw, encodings, delimiters)
        except (LookupError, UnicodeError, ValueError):
            text = raw.decode("latin-1")
    return text.strip(" \0").rstrip("=") or None  # empty groups of a person's name (PS3.5 6.2.1.1)


def _flag(header: Header, keyword: str) -> bool | None:
    said = header.text(keyword)
    return None if said not in ("YES", "NO") else said == "YES"
