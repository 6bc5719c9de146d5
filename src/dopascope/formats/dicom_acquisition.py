"""What a DICOM header says of how the scan was made, without anything that names a person."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from dopascope.formats.dicom_file import Header
from dopascope.volume import Acquisition

KEYWORDS: Final = (
    *("Modality", "ImageType", "Manufacturer", "ManufacturerModelName", "CorrectedImage", "Units"),
    *("RadiopharmaceuticalInformationSequence", "DetectorInformationSequence", "RotationInformationSequence"),
    *("ReconstructionMethod", "ProcessingFunction", "ConvolutionKernel", "FilterType", "ActualFrameDuration"),
    *("AttenuationCorrectionMethod", "ScatterCorrectionMethod", "CollimatorGridName", "CollimatorType"),
    *("AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime", "StudyDate"),
    *("PatientAge", "PatientBirthDate", "PatientSex"),
)
"""Elements that `acquisition_of` looks at."""

_YEARS: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_PLAUSIBLE_MBQ: Final = 20_000.0
"""More than this many MBq is never injected for a scan: the number is in Bq, as in PET."""


def acquisition_of(header: Header, units: str | None = None) -> Acquisition:
    """The non-identifying facts of the header; what it does not say is None.

    Args:
        header: parsed with at least `KEYWORDS`.
        units: unit of the values where the caller knows it from a real-world value map.
    """
    drug = header.item("RadiopharmaceuticalInformationSequence")
    detector = header.item("DetectorInformationSequence") or header
    corrections = tuple(value for value in header.texts("CorrectedImage") if value)
    return Acquisition(
        modality=header.text("Modality"),
        image_type=header.texts("ImageType"),
        manufacturer=header.text("Manufacturer"),
        model=header.text("ManufacturerModelName"),
        radiopharmaceutical=_drug_name(drug),
        radionuclide=_meaning(drug, "RadionuclideCodeSequence"),
        collimator=detector.text("CollimatorGridName") or detector.text("CollimatorType"),
        reconstruction=header.text("ReconstructionMethod") or header.text("ProcessingFunction"),
        filter=" ".join(header.texts("ConvolutionKernel")).strip() or header.text("FilterType"),
        attenuation_corrected=_corrected(header, corrections, "ATTN", "AttenuationCorrectionMethod"),
        scatter_corrected=_corrected(header, corrections, "SCAT", "ScatterCorrectionMethod"),
        corrections=corrections,
        activity_mbq=_activity(header, drug),
        hours_after_injection=_hours_after_injection(header, drug),
        frame_duration_s=_frame_duration(header),
        units=units or header.text("Units"),
        age_years=age_years(header),
        sex=_sex(header),
    )


def _meaning(holder: Header | None, keyword: str) -> str | None:
    code = holder.item(keyword) if holder is not None else None
    return None if code is None else code.text("CodeMeaning") or code.text("CodeValue")


def _drug_name(drug: Header | None) -> str | None:
    if drug is None:
        return None
    return drug.text("Radiopharmaceutical") or _meaning(drug, "RadiopharmaceuticalCodeSequence")


def _corrected(header: Header, corrections: tuple[str, ...], flag: str, keyword: str) -> bool | None:
    """Corrected Image (0028,0051) names it, or the method is given; None when the header is silent on both."""
    method = header.text(keyword)
    if method is not None:
        return method.upper() not in ("NONE", "NO")
    return flag in corrections if corrections else None


def _activity(header: Header, drug: Header | None) -> float | None:
    """MBq. NM gives MBq (C.8.4.10.1.7), PET gives Bq (C.8.9.2); some NM writers give Bq all the same."""
    dose = drug.number("RadionuclideTotalDose") if drug is not None else None
    if not dose or dose < 0:
        return None
    return dose / 1e6 if header.text("Modality") == "PT" or dose > _PLAUSIBLE_MBQ else dose


def _hours_after_injection(header: Header, drug: Header | None) -> float | None:
    if drug is None:
        return None
    scanned = moment(
        header.text("AcquisitionDate") or header.text("SeriesDate"),
        header.text("AcquisitionTime") or header.text("SeriesTime"),
    )
    start = drug.text("RadiopharmaceuticalStartDateTime")
    if start is not None:
        injected = moment(start[:8], start[8:].split("+")[0].split("-")[0])
    else:
        injected = moment(scanned.strftime("%Y%m%d") if scanned else None, drug.text("RadiopharmaceuticalStartTime"))
    if scanned is None or injected is None or not timedelta(0) <= scanned - injected <= timedelta(days=3):
        return None
    return (scanned - injected).total_seconds() / 3600


def _frame_duration(header: Header) -> float | None:
    rotation = header.item("RotationInformationSequence")
    duration = (rotation.number("ActualFrameDuration") if rotation else None) or header.number("ActualFrameDuration")
    return duration / 1000 if duration else None  # ms, C.8.4.14 and C.8.9.4


def _sex(header: Header) -> str | None:
    sex = header.text("PatientSex")
    return sex if sex in ("F", "M") else None


def age_years(header: Header) -> float | None:
    """Age at the scan: Patient's Age (VR AS), else from birth and study date."""
    age = header.text("PatientAge")
    if age and len(age) == 4 and age[:3].isdecimal() and age[3] in _YEARS and int(age[:3]) > 0:
        return int(age[:3]) * _YEARS[age[3]]
    born = day(header.text("PatientBirthDate"))
    scanned = day(header.text("StudyDate") or header.text("AcquisitionDate"))
    if born is None or scanned is None or not 0 <= (scanned - born).days <= 130 * 366:
        return None
    return round((scanned - born).days / 365.25, 2)


def day(text: str | None) -> date | None:
    """A DICOM date (DA; the old form with dots too), or None when it is not one."""
    digits = (text or "").replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if len(digits) == 8 else None
    except ValueError:
        return None


def moment(date_text: str | None, time_text: str | None) -> datetime | None:
    """A DICOM date and time (DA, TM) as one moment, or None when either is missing or is none."""
    on = day(date_text)
    digits = (time_text or "").replace(":", "").split(".")[0]
    if on is None or len(digits) < 4 or not digits.isdecimal():
        return None
    padded = digits.ljust(6, "0")
    try:
        return datetime(on.year, on.month, on.day, int(padded[:2]), int(padded[2:4]), min(int(padded[4:6]), 59))
    except ValueError:
        return None
