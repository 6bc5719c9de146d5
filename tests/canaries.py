"""A name planted wherever a file can hold text, and a search that finds it in any coding, also inside gzip and zip."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dopascope.formats.deidentify_terms import profile

CANARY = "ZZCANARY"
NAME = f"{CANARY}^PAT"
BIRTH = "19310203"
PLANTED: dict[str, Any] = dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS"), NAME)
PLANTED |= {"AE": CANARY, "UR": f"http://{CANARY}/", "DA": BIRTH, "TM": CANARY, "DT": BIRTH + "1200", "AS": CANARY}
PLANTED |= {"DS": CANARY, "IS": CANARY, "UI": CANARY}
PLANTED |= dict.fromkeys(("UN", "OB", "OW", "OF", "OD", "OL", "OV"), NAME.encode().ljust(16, b"\0"))
"""What is planted in an element of each value representation that can hold text or any bytes."""
NEEDED = (*sorted(profile().bytes), "SOPClassUID")
"""Pixels and what they are looked up in are kept as they are; without its class a file is no image."""


def codings(text: str) -> list[bytes]:
    """`text` as its bytes may stand in a file, upper and lower case."""
    forms = {text, text.lower(), text.title()}
    return [form.encode(code) for form in forms for code in ("latin-1", "utf-16-le", "utf-16-be", "utf-32-le")]


def layers(data: bytes) -> Iterator[bytes]:
    """`data`, and what is inside where it is gzip, zip or PNG."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            for entry in opened.infolist():
                yield from layers(opened.read(entry))
    elif data[:4] == b"\x89PNG":
        position = 8
        while position + 8 <= len(data):
            length = int.from_bytes(data[position : position + 4], "big")
            chunk = data[position + 8 : position + 8 + length]
            position += 12 + length
            for start in range(min(len(chunk), 90)):
                if chunk[start : start + 1] == b"\x78":
                    try:
                        yield zlib.decompress(chunk[start:])
                    except zlib.error:
                        continue


def leaks(data: bytes, *texts: str) -> list[str]:
    """Which of `texts` (the canary and its birth date without any) stand in the bytes."""
    wanted = texts or (CANARY, BIRTH)
    found = []
    for layer in layers(data):
        found += [text for text in wanted if any(form in layer for form in codings(text))]
    return found


def leaks_below(root: Path, *texts: str) -> list[str]:
    """The same for every file and name below a folder."""
    found = []
    for path in [root, *root.rglob("*")]:
        found += [f"{path}: its name" for text in (texts or (CANARY, BIRTH)) if text.lower() in path.name.lower()]
        if path.is_file():
            found += [f"{path}: {text}" for text in leaks(path.read_bytes(), *texts)]
    return found


def planted(tag: int, vr: str) -> Any:
    """An element that holds the canary, whatever its value representation says of its form."""
    from pydicom.config import IGNORE
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.tag import Tag

    value = PLANTED[vr]
    if isinstance(value, bytes) or vr in ("DS", "IS", "TM", "DA", "DT", "AS", "UI"):
        raw = value if isinstance(value, bytes) else value.encode()
        return RawDataElement(Tag(tag), vr, len(raw), raw + b" " * (len(raw) % 2), 0, False, True)
    return DataElement(tag, vr, value, validation_mode=IGNORE)


def every_tag() -> list[tuple[int, str]]:
    """Tag and value representation of every element of pydicom's dictionary that can hold text or any bytes."""
    from pydicom.datadict import DicomDictionary

    found = []
    for tag, (vrs, _, _, _, keyword) in DicomDictionary.items():
        vr = vrs.split(" or ")[-1]
        if vr in PLANTED and keyword not in NEEDED and 0x0008 <= tag >> 16 < 0xFFFA:
            found.append((tag, vr))
    return found


def plant_everywhere(made: Any, k: int = 0) -> None:
    """Fill a data set: every tag, private ones, an unknown one, overlay and curve; the tags again in items."""
    from pydicom import Dataset

    flat = Dataset()
    for tag, vr in every_tag():
        flat.add(planted(tag, vr))
    for sequence in ("OtherPatientIDsSequence", "RadiopharmaceuticalInformationSequence", "AnatomicRegionSequence"):
        inner = Dataset()
        inner.update(flat)
        outer = Dataset()
        outer.ViewCodeSequence = [inner]
        outer.PatientName = NAME
        setattr(made, sequence, [outer, inner])
    plant_some(made, every_tag())
    _plant_groups(made)
    made.file_meta.SourceApplicationEntityTitle = CANARY
    made.file_meta.ImplementationVersionName = CANARY
    made.file_meta.PrivateInformationCreatorUID = "2.25.1"
    made.file_meta.PrivateInformation = NAME.encode() + b"\0"
    made.preamble = NAME.encode().ljust(128, b"\0")


GEOMETRY = (
    *("PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient"),
    *("NumberOfFrames", "PhotometricInterpretation", "ImageType", "Modality", "RescaleSlope", "RescaleIntercept"),
    *("InstanceNumber", "SeriesNumber", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
)
"""What a reader needs: left alone where the clean file is to be read."""


def plant_some(made: Any, tags: list[tuple[int, str]], spared: tuple[str, ...] = ()) -> None:
    """Plant the canary in these tags of a data set."""
    from pydicom.datadict import keyword_for_tag

    for tag, vr in tags:
        if keyword_for_tag(tag) not in spared:
            made.add(planted(tag, vr))


def _plant_groups(made: Any) -> None:
    from pydicom import Dataset

    made.private_block(0x0099, CANARY, create=True).add_new(1, "LO", NAME)
    nested = Dataset()
    nested.PatientName = NAME
    made.private_block(0x0099, CANARY).add_new(2, "SQ", [nested])
    made.add_new(0x60000010, "US", 8)
    made.add_new(0x60003000, "OW", NAME.encode() + b"\0")
    made.add_new(0x60004000, "LT", NAME)
    made.add_new(0x50003000, "OW", NAME.encode() + b"\0")
    made.add_new(0x00080FF0, "LO", NAME)
    made.add_new(0x00080FF2, "UN", NAME.encode() + b"\0")


def rewrite(path: Path, edit: Callable[[Any], None], trailing: bytes = b"") -> Path:
    """A DICOM file changed in place, with bytes after its end."""
    import pydicom

    made = pydicom.dcmread(path)
    edit(made)
    made.save_as(path)
    with open(path, "ab") as stream:
        stream.write(trailing)
    return path
