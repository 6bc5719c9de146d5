"""Each element of a DICOM data set judged by the profile's table, and where no row names it by what it can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dopascope.formats.deidentify_person import Key, Person
from dopascope.formats.deidentify_report import Removed
from dopascope.formats.deidentify_terms import SCHEMES, is_code, is_direction, profile, technical

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

OLDEST: Final = 90
"""Years: `090Y` stands for this age and all above, since few people are so old."""
_BINARY: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "UV", "SV", "AT"})
_BYTES: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_DATES: Final = frozenset({"DA", "TM", "DT"})
_NUMBER: Final = re.compile(r"[+-]?(\d{1,16}\.?\d{0,16}|\.\d{1,16})([eE][+-]?\d{1,3})?")
_AGE: Final = re.compile(r"\d{3}[DWMY]")
_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_DATE_TIME: Final = re.compile(r"(\d{8})((?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)(?:[+-]\d{4})?")
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_DUMMIES: Final = {
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "000Y",
    "UI": "2.25.0",
    "DS": "0",
    "IS": "0",
}
_REMOVED: Final = "REMOVED"
_EMPTIED: Final = ("Z", "X/Z", "Z/D")
_DUMMY: Final = ("D", "X/D", "X/Z/D")
_SETS: Final = ("CorrectedImage", "ScanOptions", "SequenceVariant")
"""Code strings whose order means nothing: unknown values are left out, the others stay."""
_TERMS: Final = ("ImageType",)
"""Code strings whose unknown values are replaced one for one, since readers go by their places."""


@dataclass(frozen=True)
class Cleaning:
    """One file on its way: `data_set` gives what may be kept of it, and `removed` is told the rest."""

    key: Key
    person: Person
    removed: Removed

    def data_set(self, source: Dataset) -> Dataset:
        """What may be kept of a data set or an item; `source` stays as it is."""
        from pydicom import Dataset

        made = Dataset()
        for tag in sorted(source.keys()):
            kept = self._element(source, tag)
            if kept is not None:
                made.add(kept)
        return made

    def _element(self, source: Dataset, tag: Any) -> DataElement | None:
        from pydicom.datadict import dictionary_VR, keyword_for_tag

        kind = _repeating(tag.group, tag.element)
        keyword = keyword_for_tag(tag)
        if kind is not None or not keyword:
            self.removed.note(kind or "unknown", "removed")
            return None
        known = dictionary_VR(tag).split(" or ")
        vr = source.get_item(tag).VR or " or ".join(known)
        if vr == "UN" and known[0] not in ("SQ", "UN", *_BYTES) and len(known) == 1:
            vr = known[0]  # a known attribute written by a program that did not know it (PS3.5 6.2.2)
        if vr not in known and vr != " or ".join(known):
            return self._gone(keyword)  # other UN too: its bytes could be anything
        return self._judged(source, tag, keyword, vr)

    def _judged(self, source: Dataset, tag: Any, keyword: str, vr: str) -> DataElement | None:
        profiled = profile()
        action = profiled.actions.get(keyword, "")
        if keyword in profiled.shifted:
            return self._shifted(source, tag, keyword, vr)
        if keyword in profiled.retained or action in ("", "X/Z/U*"):
            return self._by_kind(source, tag, keyword, vr)
        if action == "U":
            return self._new_uid(source, tag, keyword)
        if action in _EMPTIED:
            return self._emptied(source, tag, keyword, vr)
        if action in _DUMMY and vr not in ("SQ", "UN", *_BYTES, *_BINARY):
            return self._dummy(tag, keyword, vr)
        return self._gone(keyword)

    def _dummy(self, tag: Any, keyword: str, vr: str) -> DataElement:
        """A value that says nothing, where a value must be there."""
        self.removed.note(keyword, "replaced")
        return _made(tag, vr, _DUMMIES.get(vr, _REMOVED))

    def _by_kind(self, source: Dataset, tag: Any, keyword: str, vr: str) -> DataElement | None:
        """An attribute that no row takes out: kept where its value cannot hold a name."""
        if vr == "SQ":
            return self._sequence(source, tag, keyword)
        if vr == "UI":
            return self._uid(source, tag, keyword)
        if vr in _BYTES or "OW" in vr:
            return _whole(source, tag) if keyword in profile().bytes else self._gone(keyword)
        if vr in _BINARY or " or " in vr:
            return _whole(source, tag)
        if keyword in profile().emptied:
            return self._emptied(source, tag, keyword, vr)
        values = _values(source, tag)
        if not any(values):
            return _made(tag, vr, "")
        if vr in ("DS", "IS") and all(not one or _NUMBER.fullmatch(one) for one in values):
            return _made(tag, vr, values)
        if vr == "AS" and len(values) == 1 and _AGE.fullmatch(values[0]):
            return self._age(tag, keyword, values[0])
        if vr == "CS" and keyword != "SpecificCharacterSet":
            return self._terms(source, tag, keyword, values)
        if keyword in profile().texts:
            safe = all(_safe(keyword, one) for one in values)
            return _made(tag, vr, values) if safe else self._emptied(source, tag, keyword, vr)
        return self._dummy(tag, keyword, vr) if keyword in profile().dummied else self._gone(keyword)

    def _terms(self, source: Dataset, tag: Any, keyword: str, values: list[str]) -> DataElement:
        """Code strings: the standard's terms are kept, others emptied, since many must be there."""
        known = [technical(one) or (keyword == "PatientOrientation" and is_direction(one)) for one in values]
        if all(known):
            return _made(tag, "CS", values)
        if keyword in _SETS:
            self.removed.note(keyword, "cleaned")
            return _made(tag, "CS", [one for one, ok in zip(values, known, strict=True) if ok] or "")
        if keyword not in _TERMS:
            return self._emptied(source, tag, keyword, "CS")
        self.removed.note(keyword, "replaced")
        return _made(tag, "CS", [one if ok else self.key.term(one) for one, ok in zip(values, known, strict=True)])

    def _age(self, tag: Any, keyword: str, age: str) -> DataElement:
        if age[3] == "Y" and int(age[:3]) > OLDEST:
            self.removed.note(keyword, "replaced")
            age = f"{OLDEST:03d}Y"
        return _made(tag, "AS", age)

    def _shifted(self, source: Dataset, tag: Any, keyword: str, vr: str) -> DataElement | None:
        """Dates and times of the examination: dates moved, times of day as they are; what is neither is emptied."""
        values = _values(source, tag)
        if not any(values):
            return _made(tag, vr, "")
        moved = [self._moment(vr, one) for one in values]
        if any(one is None for one in moved):
            return self._emptied(source, tag, keyword, vr)
        if vr != "TM":
            self.removed.note(keyword, "shifted")
        return _made(tag, vr, moved)

    def _moment(self, vr: str, text: str) -> str | None:
        if vr == "DA":
            return self.person.shifted(text.replace(".", ""))
        if vr == "TM":
            return text if _TIME.fullmatch(text.replace(":", "")) else None
        parts = _DATE_TIME.fullmatch(text)
        day = self.person.shifted(parts[1]) if parts else None
        return day + parts[2] if parts and day else None

    def _sequence(self, source: Dataset, tag: Any, keyword: str) -> DataElement | None:
        items = source[tag].value
        kept = [item for item in map(self._item, items) if item is not None]
        if len(items) and not kept:
            return self._gone(keyword)
        return _made(tag, "SQ", kept)

    def _item(self, source: Dataset) -> Dataset | None:
        """An item; None for one that has nothing left, or whose code nobody could look up any more."""
        item = self.data_set(source)
        if "CodeValue" in source or "CodeMeaning" in source:
            if not item.get("CodeValue") or not item.get("CodingSchemeDesignator"):
                return None
            if not item.get("CodeMeaning"):
                item.CodeMeaning = _REMOVED
        return None if len(source) and not len(item) else item

    def _uid(self, source: Dataset, tag: Any, keyword: str) -> DataElement:
        """A UID that no row of the table names: those of the standard's registry stay, all others are replaced."""
        from pydicom.uid import UID

        values = _values(source, tag)
        if all(not one or UID(one).name != one for one in values):
            return _made(tag, "UI", values)
        return self._new_uid(source, tag, keyword)

    def _new_uid(self, source: Dataset, tag: Any, keyword: str) -> DataElement:
        values = _values(source, tag)
        if any(values):
            self.removed.note(keyword, "replaced")
        return _made(tag, "UI", [self.key.uid(one) if one else "" for one in values])

    def _emptied(self, source: Dataset, tag: Any, keyword: str, vr: str) -> DataElement:
        if vr == "SQ":
            self.removed.note(keyword, "emptied")
            return _made(tag, vr, [])
        if any(_values(source, tag)):
            self.removed.note(keyword, "emptied")
        return _made(tag, vr, "")

    def _gone(self, keyword: str) -> DataElement | None:
        self.removed.note(keyword, "removed")
        return None


def _repeating(group: int, element: int) -> str | None:
    """The kinds of attributes that go whatever they are called."""
    if group % 2:
        return "private"
    if 0x5000 <= group <= 0x50FF:
        return "curve"
    if 0x6000 <= group <= 0x60FF:
        return "overlay"
    return "unknown" if group <= 0x0006 or group >= 0xFFF0 or element == 0 else None


def _values(source: Dataset, tag: Any) -> list[str]:
    """Values of a text element as they stand in the file, without padding."""
    held = source.get_item(tag).value
    if held is None:
        return [""]
    if isinstance(held, bytes):
        held = held.decode("latin-1")
    if not isinstance(held, str):
        held = "\\".join(map(str, held)) if isinstance(held, list | tuple) or hasattr(held, "__iter__") else str(held)
    return [one.strip(" \0") for one in held.split("\\")]


def _safe(keyword: str, text: str) -> bool:
    if keyword == "CodingSchemeDesignator":
        return text in SCHEMES
    return is_code(text) if keyword == "CodeValue" else technical(text)


def _whole(source: Dataset, tag: Any) -> DataElement:
    """The element as it is: numbers and pixels."""
    element: DataElement = source[tag]
    return element


def _made(tag: Any, vr: str, value: Any) -> DataElement:
    from pydicom import DataElement
    from pydicom.config import IGNORE

    if isinstance(value, list) and vr != "SQ":
        value = value[0] if len(value) == 1 else value
    return DataElement(tag, vr, value, validation_mode=IGNORE)
