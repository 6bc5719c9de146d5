"""Write a Volume as a DICOM nuclear medicine image, reconstructed tomography, multi-frame (PS3.3 A.5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import GeometryError, UnsuitableError, UsageError
from dopascope.formats.dicom_values import Scaling
from dopascope.provenance import replacing
from dopascope.volume import Acquisition, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

NM_CLASS: Final = "1.2.840.10008.5.1.4.1.1.20"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLEMENTATION: Final = "2.25.274417103914537296540374932184466518911"
"""Implementation class: a fixed UUID-derived UID (PS3.5 B.2)."""

_TOP: Final = 65535
_SH: Final = 16
"""Longest value of VR SH, of which Convolution Kernel takes several (PS3.5 6.2)."""
_IODINE_123: Final = ("21572004", "SCT", "^123^Iodine")
"""Of context group 18; the next four of 25, 19, 20 and 21 (PS3.16)."""
_IOFLUPANE: Final = ("429296007", "SCT", "Ioflupane I^123^")
_RECUMBENT: Final = ("102538003", "SCT", "recumbent")
_SUPINE: Final = ("40199007", "SCT", "supine")
_HEADFIRST: Final = ("102540008", "SCT", "headfirst")
_CORRECTED: Final = (("attenuation_corrected", "ATTN"), ("scatter_corrected", "SCAT"))
"""Fact -> its term in Corrected Image (C.8.4.9)."""


@dataclass(frozen=True)
class Tomography:
    """How the projections were taken that a reconstruction was made from: what `Acquisition` does not hold."""

    angles: int = 120
    """Projections over a full turn."""
    radius_mm: float | None = None
    """Of the circular orbit."""
    counts: int | None = None
    """Accepted counts, all projections together."""


def write_nm(
    volume: Volume,
    path: str | Path,
    *,
    spacing_sign: int = 1,
    patient_name: str = "PHANTOM^SIMULATED",
    patient_id: str = "PHANTOM",
    study_date: str = "20240101",
    series_description: str = "RECON TOMO",
    tomography: Tomography | None = None,
) -> Path:
    """Write `volume` as one NM RECON TOMO file and return its path.

    Stored values are 16-bit: counts as they are where all are whole numbers from 0 to 65535, else scaled, with the
    scale recorded as real-world value map and as rescale. UIDs follow from the content: the same volume gives the
    same file.

    Args:
        volume: perpendicular voxel axes; `i` becomes the column, `j` the row, `k` the slice.
        path: file to write, whole or not at all.
        spacing_sign: 1 stacks slices along row x column, -1 against it (PS3.3 C.8.4.15); the image is the same.
        patient_name: Patient's Name, such as `PHANTOM^SIMULATED`.
        patient_id: Patient ID.
        study_date: `YYYYMMDD`, of study, series and acquisition.
        series_description: Series Description.
        tomography: number of projections, orbit and counts; without it 120 over a full turn, the others empty.

    Raises:
        GeometryError: voxel axes that are not perpendicular.
        UnsuitableError: values that are not finite.
        UsageError: a sign other than 1 and -1.
    """
    if spacing_sign not in (1, -1):
        raise UsageError("The spacing sign cannot be meant.", found=spacing_sign, expected="1 or -1")
    path = Path(path)
    stored, scaling = _stored(volume)
    affine, frames = _stacked(volume, stored, spacing_sign)
    uid = _uids(frames, affine, f"{patient_name}|{patient_id}|{study_date}|{series_description}")
    made = _patient_and_study(uid, patient_name, patient_id, study_date, series_description, volume.acquisition)
    _image(made, frames, volume.acquisition, tomography or Tomography())
    _geometry(made, affine, spacing_sign, volume.acquisition)
    _rotation(made, tomography or Tomography(), volume.acquisition)
    _scale(made, scaling)
    made.PixelData = frames.tobytes()
    with replacing(path) as temporary:
        made.save_as(temporary, enforce_file_format=True)
    return path


def _stored(volume: Volume) -> tuple[NDArray[np.uint16], Scaling]:
    data = np.asarray(volume.data, np.float64)
    if not np.isfinite(data).all():
        raise UnsuitableError(
            "A volume with values that are not finite cannot be written as DICOM.",
            found=f"{int((~np.isfinite(data)).sum())} voxels",
            expected="finite numbers",
            fix="Replace them first, for example by 0.",
        )
    low, high = float(data.min()), float(data.max())
    if low >= 0 and high <= _TOP and (data == np.round(data)).all():
        return data.astype(np.uint16), Scaling()
    intercept = min(low, 0.0)
    slope = (high - intercept) / _TOP or 1.0
    return np.round((data - intercept) / slope).clip(0, _TOP).astype(np.uint16), Scaling(slope, intercept)


def _stacked(volume: Volume, stored: NDArray[np.uint16], sign: int) -> tuple[geometry.Affine, NDArray[np.uint16]]:
    """LPS affine and frames `(slices, rows, columns)`, reversed where needed so that the step is `sign` * normal."""
    affine = geometry.LPS_TO_RAS @ volume.grid.affine
    if geometry.shear(affine) > geometry.ORTHOGONAL_TOLERANCE:
        raise GeometryError(
            "The volume's axes are not perpendicular, which DICOM cannot say.",
            found=f"cosine {geometry.shear(affine):.4f}",
            expected=f"at most {geometry.ORTHOGONAL_TOLERANCE}",
            fix="Resample the volume to a perpendicular grid first.",
        )
    frames = stored.transpose(2, 1, 0)
    along = float(np.cross(affine[:3, 0], affine[:3, 1]) @ affine[:3, 2])
    if np.sign(along) != sign:
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 2] * (len(frames) - 1)
        affine[:3, 2] *= -1
        frames = frames[::-1]
    return affine, np.ascontiguousarray(frames)


def _uids(frames: NDArray[np.uint16], affine: geometry.Affine, words: str) -> dict[str, str]:
    digest = hashlib.sha256(frames.tobytes() + affine.tobytes() + words.encode()).digest()
    return {
        name: f"2.25.{int.from_bytes(hashlib.sha256(digest + name.encode()).digest()[:16], 'big')}"
        for name in ("study", "series", "instance", "frame")
    }


def _patient_and_study(
    uid: dict[str, str], name: str, identifier: str, date: str, description: str, facts: Acquisition
) -> Dataset:
    """File meta, patient, study, series, equipment and SOP common modules."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = UID(NM_CLASS)
    made.file_meta.MediaStorageSOPInstanceUID = UID(uid["instance"])
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = NM_CLASS, uid["instance"]
    made.PatientName, made.PatientID = name, identifier
    made.PatientBirthDate, made.PatientSex = "", facts.sex or ""
    if facts.age_years is not None:
        made.PatientAge = f"{min(round(facts.age_years), 999):03d}Y"
    made.StudyInstanceUID, made.SeriesInstanceUID = uid["study"], uid["series"]
    made.StudyID, made.AccessionNumber, made.ReferringPhysicianName = "1", "", ""
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = date
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = "120000"
    made.Modality, made.SeriesNumber, made.InstanceNumber = "NM", 1, 1
    made.SeriesDescription = description
    made.BodyPartExamined = "BRAIN"
    made.PatientOrientationCodeSequence = [_code(*_RECUMBENT)]
    made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [_code(*_SUPINE)]
    made.PatientGantryRelationshipCodeSequence = [_code(*_HEADFIRST)]
    made.Manufacturer = facts.manufacturer or "dopascope"
    made.ManufacturerModelName = facts.model or "dopascope"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = uid["frame"], ""
    return made


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _item(**values: Any) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _image(made: Dataset, frames: NDArray[np.uint16], facts: Acquisition, tomography: Tomography) -> None:
    """NM image, image pixel, multi-frame and isotope modules (C.8.4.7 to C.8.4.10)."""
    slices, rows, columns = frames.shape
    made.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns, made.NumberOfFrames = rows, columns, slices
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.FrameIncrementPointer = 0x00540080
    made.SliceVector, made.NumberOfSlices = list(range(1, slices + 1)), slices
    made.NumberOfEnergyWindows = made.NumberOfDetectors = made.NumberOfRotations = 1
    made.CountsAccumulated = "" if tomography.counts is None else tomography.counts
    corrections = [*facts.corrections, *(term for fact, term in _CORRECTED if getattr(facts, fact))]
    if corrections:
        made.CorrectedImage = list(dict.fromkeys(corrections))
    if facts.reconstruction:
        made.ProcessingFunction = facts.reconstruction[:64]
    window = _item(EnergyWindowLowerLimit=143, EnergyWindowUpperLimit=175)
    made.EnergyWindowInformationSequence = [_item(EnergyWindowRangeSequence=[window])]
    drug = _item(RadionuclideCodeSequence=[_code(*_IODINE_123)])
    drug.Radiopharmaceutical = facts.radiopharmaceutical or "Ioflupane I-123"
    if drug.Radiopharmaceutical.startswith("Ioflupane"):
        drug.RadiopharmaceuticalCodeSequence = [_code(*_IOFLUPANE)]
    if facts.activity_mbq is not None:
        drug.RadionuclideTotalDose = round(facts.activity_mbq, 3)
    if facts.hours_after_injection is not None and facts.hours_after_injection < 12:
        seconds = round((12 - facts.hours_after_injection) * 3600)
        drug.RadiopharmaceuticalStartTime = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    made.RadiopharmaceuticalInformationSequence = [drug]


def _geometry(made: Dataset, affine: geometry.Affine, sign: int, facts: Acquisition) -> None:
    """NM detector and reconstruction modules (C.8.4.11, C.8.4.15)."""
    columns, rows, slices = geometry.spacing_mm(affine)
    directions = affine[:3, :3] / geometry.spacing_mm(affine)
    made.PixelSpacing = [_ds(rows), _ds(columns)]
    made.SliceThickness, made.SpacingBetweenSlices = _ds(slices), _ds(sign * slices)
    if facts.filter:
        made.ConvolutionKernel = _in_pieces(facts.filter)
    made.DetectorInformationSequence = [
        _item(
            CollimatorGridName=(facts.collimator or "LEHR")[:16],
            CollimatorType="PARA",
            FocalDistance=0,
            ImagePositionPatient=[_ds(value) for value in affine[:3, 3]],
            ImageOrientationPatient=[_ds(value) for value in [*directions[:, 0], *directions[:, 1]]],
        )
    ]


def _in_pieces(text: str) -> list[str]:
    """Words of `text` in as few values of VR SH as they need; the reader puts them together again."""
    pieces = [""]
    for word in text.split():
        joined = f"{pieces[-1]} {word}".strip()
        if len(joined) <= _SH:
            pieces[-1] = joined
        else:
            pieces.append(word[:_SH])
    return [piece for piece in pieces if piece]


def _rotation(made: Dataset, tomography: Tomography, facts: Acquisition) -> None:
    """NM tomographic acquisition module (C.8.4.12): one full turn, step and shoot."""
    made.TypeOfDetectorMotion = "STEP AND SHOOT"
    radius = "" if tomography.radius_mm is None else _ds(tomography.radius_mm)
    made.RotationInformationSequence = [
        _item(
            StartAngle=0,
            AngularStep=_ds(360 / tomography.angles),
            RotationDirection="CW",
            ScanArc=360,
            ActualFrameDuration=round((facts.frame_duration_s or 0) * 1000),
            RadialPosition=radius,
            NumberOfFramesInRotation=tomography.angles,
        )
    ]


def _ds(value: float) -> Any:
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value), auto_format=True)


def _scale(made: Dataset, scaling: Scaling) -> None:
    """Real-world value map (C.7.6.16.2.11), and the same as rescale for readers that know only that."""
    if scaling.identity:
        return
    made.RescaleSlope, made.RescaleIntercept = _ds(scaling.slope), _ds(scaling.intercept)
    made.RealWorldValueMappingSequence = [
        _item(
            RealWorldValueFirstValueMapped=0,
            RealWorldValueLastValueMapped=_TOP,
            RealWorldValueIntercept=scaling.intercept,
            RealWorldValueSlope=scaling.slope,
            LUTExplanation="stored to measured value",
            LUTLabel="COUNTS",
            MeasurementUnitsCodeSequence=[_code("{counts}", "UCUM", "Counts")],
        )
    ]
