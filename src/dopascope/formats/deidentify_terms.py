"""What the profile says of each DICOM attribute, and of which words a kept text may consist."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

_WORD: Final = re.compile(r"[A-Za-z]+")
_NUMBER: Final = re.compile(r"\d+")
_LONGEST_NUMBER: Final = 4
"""Digits: a hospital's number for a person and a full date are longer."""
_DATE: Final = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}|\d{4} \d{1,2} \d{1,2}|\d{1,2} \d{1,2} \d{4}|\d{1,2}[-/]\d{4}|\d{4}[-/]\d{1,2}"
)
"""What somebody may read as a date, in any order and with any marks."""
_MOST_SINGLE: Final = 3
"""Letters that stand alone, as in `2i10s`; a name may not be spelt out with them."""
_CODE: Final = re.compile(r"(?:[A-Z]{1,2}-)?[0-9A-F]{5}|\d{6,18}")
"""A code value of SNOMED (`R-00317`, `C-111A1`, `429296007`) or of DICOM (`113100`)."""
_PLAIN: Final = re.compile(r"[ -~]*")
_DIRECTION: Final = re.compile(r"[APLRHF]{1,3}")
"""A value of Patient Orientation (C.7.6.1.1.1)."""
_STANDARD: Final = re.compile(r"ISO_\d{5}_\d")
"""A way of compression (C.7.6.1.1.5)."""
SCHEMES: Final = frozenset({"SCT", "SRT", "SNM3", "99SDM", "DCM", "UCUM", "LN", "UMLS", "RADLEX", "FMA", "NCIT", "MDC"})


@dataclass(frozen=True)
class Profile:
    """The tables of `deidentify_profile.toml`."""

    edition: str
    actions: dict[str, str]
    """Keyword -> action code of the basic profile."""
    retained: frozenset[str]
    shifted: frozenset[str]
    texts: frozenset[str]
    bytes: frozenset[str]
    emptied: frozenset[str]
    dummied: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=1)
def profile() -> Profile:
    """The profile that is shipped, `deidentify_profile.toml`."""
    said = tomllib.loads(files("dopascope.formats").joinpath("deidentify_profile.toml").read_text(encoding="utf-8"))
    options, kept = said["options"], said["kept"]
    return Profile(
        edition=said["edition"],
        actions={keyword: action for action, keywords in said["basic"].items() for keyword in keywords.split()},
        retained=frozenset(options["K"].split()),
        shifted=frozenset(options["shifted"].split()),
        texts=frozenset(kept["text"].split()),
        bytes=frozenset(kept["bytes"].split()),
        emptied=frozenset(kept["emptied"].split()),
        dummied=frozenset(kept["dummied"].split()),
        words=frozenset(word for words in said["words"].values() for word in words.split()),
    )


def technical(text: str) -> bool:
    """True where every word is a known technical one, no number is as long as a person's, and none reads as a date."""
    text = _STANDARD.sub("", text)
    if (
        not _PLAIN.fullmatch(text)
        or _DATE.search(text)
        or any(len(number) > _LONGEST_NUMBER for number in _NUMBER.findall(text))
    ):
        return False
    words = [word.casefold() for word in _WORD.findall(text)]
    if sum(len(word) == 1 for word in words) > _MOST_SINGLE:
        return False
    known = profile().words
    return all(len(word) == 1 or word in known for word in words)


def is_code(text: str) -> bool:
    """True for a code value of a public scheme, or one made of technical words (UCUM, DICOM's own)."""
    return bool(_CODE.fullmatch(text)) or technical(text)


def is_direction(text: str) -> bool:
    """True for a direction of the body, such as `L` or `AF`."""
    return bool(_DIRECTION.fullmatch(text))
