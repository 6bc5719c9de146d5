"""A Reading put together: what every reading has, and of the rest what is known."""

from __future__ import annotations

from typing import Any, Final

from dopascope import provenance
from dopascope.reading import parts
from dopascope.reading.choices import Choices
from dopascope.reading.route import facts_of
from dopascope.reading.schema import EvidenceMap, PassportPart, ReadAs, ReaderResult, Reading
from dopascope.volume import SliceImage, Volume

T1_PARTS: Final = ("brain", "morphometry", "pseudocolour")
DAT_PARTS: Final = ("quantification", "readers", "maps", "counterfactual")
NOT_READ: Final = "The scan was refused before this part; see the passport."
FOR_T1: Final = "This part is for T1 MRI."
FOR_DAT: Final = "This part is for DaT SPECT."


def assemble(
    image: Volume | SliceImage, choices: Choices, read_as: ReadAs, found: PassportPart, **known: Any
) -> Reading:
    """The reading of an image; what is not in `known` is null or empty, and `reasons` says why.

    Args:
        image: what was read.
        choices: age and sex.
        read_as: of `route`.
        found: its passport.
        known: fields of `Reading`; `verdict` and `verdict_reasons` at least.
    """
    t1 = read_as.modality == "t1"
    others = dict.fromkeys(DAT_PARTS, FOR_DAT) if t1 else dict.fromkeys(T1_PARTS, FOR_T1)
    filled: dict[str, Any] = {
        "scan": parts.scan(image),
        "read_as": read_as,
        "passport": found,
        "acquisition": parts.acquisition(image),
        "person": parts.person(facts_of(image), choices.age, choices.sex),
        "registration": None,
        "quantification": None,
        "readers": list[ReaderResult](),
        "disagreement": None,
        "maps": list[EvidenceMap](),
        "warnings": list[str](),
        "software": provenance.software(),
        "created": provenance.now(),
        **known,
    }
    filled["reasons"] = {**others, **filled.get("reasons", {})}
    return Reading(**filled)
