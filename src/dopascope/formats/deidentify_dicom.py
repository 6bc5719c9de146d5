"""One DICOM file without what identifies a person: PS3.15 Annex E, and besides nothing that is not known to be safe.

The data set is built anew. An attribute comes over if the profile's table keeps it, or if no row names it and its value
cannot hold a name: numbers, UIDs (replaced), and texts of technical words alone. All else stays behind, at any depth.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dopascope.errors import InputError, UnreadableError, UnsuitableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.deidentify_elements import OLDEST, Cleaning
from dopascope.formats.deidentify_person import Key, Person
from dopascope.formats.deidentify_report import OPTIONS, Removed
from dopascope.formats.deidentify_terms import profile
from dopascope.formats.dicom_acquisition import age_years
from dopascope.formats.dicom_codecs import encapsulated
from dopascope.formats.dicom_file import Header, data_set, header_of
from dopascope.formats.dicom_write import IMPLEMENTATION
from dopascope.formats.limits import Limits

if TYPE_CHECKING:
    from pydicom import Dataset

_SCREENS: Final = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6.", "1.2.840.10008.5.1.4.1.1.3.")
"""Secondary capture, ultrasound: classes whose pixels commonly show text; the dot keeps longer numbers apart."""
_PIXELS: Final = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}
_SCREEN_WORDS: Final = ("SCREEN", "CAPTURE", "SAVE")


def clean_dicom(
    blob: Blob, key: Key, person: Person, removed: Removed, limits: Limits, *, allow_burned_in: bool = False
) -> bytes:
    """The bytes of a DICOM image that names nobody.

    Args:
        blob: the file.
        key: for new UIDs.
        person: the new name and the shift of dates.
        removed: is told what was done.
        limits: bounds on the read.
        allow_burned_in: whether pixels that may show a name are let through, with a warning.

    Raises:
        UnsuitableError: the pixels may show a name.
        UnsupportedError: no DICOM, no pixels, or a transfer syntax that is not the standard's.
        UnreadableError: damaged.
        HostileError: a limit would be passed.
    """
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID

    header = header_of(Blob(blob.name, blob.path, blob.content), limits)
    syntax = UID(header.transfer_syntax)
    _check(header, syntax, blob.name, removed, allow_burned_in)
    stored = blob.read()
    data, start = data_set(header, stored, limits)
    end = _end(header, data)
    with _silence():
        try:
            source = read_dataset(io.BytesIO(data[start:end]), header.encoding.implicit, header.encoding.little)
            made = Cleaning(key, person, removed).data_set(source)
            _complete(made, header, person, removed)
            _trim(made, header, removed)
            return _written(made, syntax)
        except InputError:
            raise
        except Exception as error:  # whatever pydicom throws at damaged bytes
            raise UnreadableError(
                "The DICOM file cannot be taken apart.",
                where=blob.name,
                found=type(error).__name__,
                expected="data elements as in DICOM PS3.5",
                fix="Copy or export the file again.",
            ) from None  # pydicom's texts quote values


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing of what pydicom says is shown: its warnings and log lines quote values that it finds wrong."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _end(header: Header, data: bytes) -> int:
    """Where the pixel data ends: what comes after it is not looked at."""
    span = header.pixels
    if span is None:
        return len(data)
    return encapsulated(header, data)[1] if span.encapsulated else span.offset + span.length


def _check(header: Header, syntax: Any, name: str, removed: Removed, allow: bool) -> None:
    known = syntax.is_transfer_syntax and not syntax.is_private
    if header.pixels is None or not known:
        raise UnsupportedError(
            "Only DICOM images in a transfer syntax of the standard are de-identified.",
            where=name,
            found="no pixel data" if header.pixels is None else "another transfer syntax",
            expected="an image",
            fix="Leave it out, or de-identify it with a tool made for its kind.",
        )
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if header.text(keyword) is None:
            raise UnreadableError(
                "The DICOM file does not say which object it is.",
                where=name,
                found=f"no {keyword}",
                expected="class and instance UID",
                fix="Export the file again.",
            )
    suspicion = _burned_in(header)
    if suspicion is None:
        if "SECONDARY" in header.texts("ImageType"):
            removed.warn("a secondary image: look whether its pixels show text")
        return
    if not allow:
        raise UnsuitableError(
            "The pixels themselves may show who this is.",
            where=name,
            found=suspicion,
            expected="an image without burned-in text",
            fix="Look at it; leave it out, or let it through with --allow-burned-in.",
        )
    removed.warn(f"{suspicion}: look whether its pixels show text")


def _burned_in(header: Header) -> str | None:
    """Why the pixels may show text; None where nothing says so."""
    said = header.text("BurnedInAnnotation")
    if said is not None and said != "NO":
        return "Burned In Annotation is not NO"
    for group in range(0x6000, 0x6020, 2):
        bits = header.elements.get(group << 16 | 0x0100)
        if bits is not None and int.from_bytes(bits[1][:2], "little" if header.encoding.little else "big") > 1:
            return "an overlay is kept in bits of the pixels"
    if said == "NO":
        return None
    kind = header.text("SOPClassUID") or ""
    if f"{kind}.".startswith(_SCREENS[0] + ".") or f"{kind}.".startswith(_SCREENS[1:]):
        return "a secondary capture or ultrasound image that does not deny burned-in text"
    words = " ".join(header.texts("ImageType")).upper()
    if any(word in words for word in _SCREEN_WORDS):
        return "a screen capture by its Image Type"
    return None


def _complete(made: Dataset, header: Header, person: Person, removed: Removed) -> None:
    """Name the person anew, keep the age that dates gave, and record what was done (PS3.15 E.1.1)."""
    from pydicom import Dataset

    from dopascope import __version__

    if not {"SOPClassUID", "SOPInstanceUID"} <= set(made.dir()) or not _PIXELS & set(made.dir()):
        raise UnreadableError(
            "The DICOM file keeps its pixels or UIDs in a form that cannot be judged.",
            where=header.name,
            found="another value representation than the dictionary's",
            expected="UI, and OB or OW",
            fix="Export the file again.",
        )
    made.PatientName = made.PatientID = person.pseudonym
    for keyword in ("PatientName", "PatientID"):
        removed.note(keyword, "replaced")
    if not made.get("PatientAge") and (years := age_years(header)) is not None:
        made.PatientAge = f"{min(int(years), OLDEST):03d}Y"
        removed.note("PatientAge", "written")
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = [f"dopascope {__version__}", f"DICOM PS3.15 {profile().edition} Table E.1-1"]
    made.DeidentificationMethodCodeSequence = []
    for code, meaning in OPTIONS.items():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        made.DeidentificationMethodCodeSequence.append(item)
    made.LongitudinalTemporalInformationModified = "MODIFIED"


def _trim(made: Dataset, header: Header, removed: Removed) -> None:
    """Take off bytes after the last pixel of an uncompressed image: readers pass over them, a name could be there."""
    if header.pixels is None or header.pixels.encapsulated or "PixelData" not in made:
        return
    # The clean values: those of the header could be anything, and an error would quote them.
    sizes = [made.get(keyword) for keyword in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel")]
    frames = made.get("NumberOfFrames", None if header.raw("NumberOfFrames") else 1)
    if not all(isinstance(size, int) for size in (*sizes, frames)):
        return
    wanted = (math.prod(sizes) * int(frames) + 15) // 16 * 2  # bytes, an even number
    if 0 < wanted < len(made.PixelData):
        made["PixelData"].value = made.PixelData[:wanted]
        removed.note("bytes after the pixels", "removed")


def _written(made: Dataset, syntax: Any) -> bytes:
    """File with an empty preamble and meta information of our own; the pixels keep their encoding."""
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    made.preamble = bytes(128)
    stream = io.BytesIO()
    dcmwrite(stream, made, enforce_file_format=True)
    return stream.getvalue()
