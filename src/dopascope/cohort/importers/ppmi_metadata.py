"""The metadata XML that the image archive lays beside an image: who, which visit, how old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from dopascope.errors import HostileError, UnreadableError

MAX_BYTES: Final = 1 << 20
"""Such a file has about 4 kB."""


@dataclass(frozen=True)
class Record:
    """What a table or metadata file says of one image."""

    image: str
    person: str
    group: str | None
    sex: str | None
    age: float | None
    """At the scan, in years."""
    visit: str | None
    """Code or name, as it stands there."""
    day: date | None
    description: str | None = None
    """Of the image; only tables have it."""


def record_in(path: Path) -> Record | None:
    """The image that the file is about; None where it is a stub without content.

    Raises:
        HostileError: larger than `MAX_BYTES`, or with a document type, which could define entities.
        UnreadableError: no XML, or an age that is no number.
    """
    with open(path, "rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES or b"<!" in raw.replace(b"<!--", b""):
        raise HostileError(
            "This metadata file is not of the archive's making.",
            where=path,
            found=f"more than {MAX_BYTES} bytes" if len(raw) > MAX_BYTES else "a document type",
            expected="a small XML file without one",
            fix="Take it away.",
        )
    if not raw.strip():
        return None
    try:
        found = {_name(one): (one.text or "").strip() for one in ElementTree.fromstring(raw).iter()}
        age = float(found["subjectAge"]) if found.get("subjectAge") else None
    except (ElementTree.ParseError, ValueError) as error:
        raise UnreadableError(
            "This metadata file cannot be read.",
            where=path,
            found=str(error),
            expected="the XML of the image archive (idaxs)",
            fix="Download it again, or take it away.",
        ) from error
    if not found.get("subjectIdentifier") or not found.get("imageUID"):
        return None
    return Record(
        image=found["imageUID"],
        person=found["subjectIdentifier"],
        group=found.get("researchGroup") or None,
        sex=found.get("subjectSex") or None,
        age=age,
        visit=found.get("visitIdentifier") or None,
        day=None,
    )


def _name(element: ElementTree.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]
