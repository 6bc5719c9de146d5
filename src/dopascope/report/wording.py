"""Words and numbers of the report. Text from files is shown, never obeyed: what cannot be seen is spelt out."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from dopascope.reading.schema import DISCLAIMER, NO_VERDICT, CounterfactualPart, EvidenceMap, Reading

LONGEST: Final = 700
"""Characters of one text that are printed; `reading.json` has the rest."""

NOT_STATED: Final = "not stated"
NONE: Final = "–"

HEADLINES: Final = {
    "normal": "Dopamine transporter binding reads as normal.",
    "reduced": "Dopamine transporter binding reads as reduced.",
    "uncertain": "No firm answer: look at the scan and at the reasons.",
    "refused": "This input was not read. No number and no verdict is given.",
    NO_VERDICT: "The scan was measured. What it measures does not answer the question, so nothing is answered.",
}

T1_LIMITS: Final = (
    "MRI can show other causes of such symptoms (stroke, tumour, wide ventricles), which this program does not look "
    "for, and late signs of atypical parkinsonism, such as a thin midbrain in progressive supranuclear palsy.",
    "The midbrain-to-pons ratio of the literature is of areas on the middle slice, and the near-perfect separation of "
    "single centres did not hold elsewhere (87.6 % of 123 people, doi 10.1002/mds.23351); this one is of volumes and "
    "has no threshold.",
    "Networks tested on people they had not seen reached areas under the curve of .67 and .74 (Dhinagar et al.); where "
    "slices of the same people stand on both sides of a test, figures are too high by half (Yagis et al. 2021).",
    "Volumes of other methods differ by their definition of each structure and cannot be compared with these.",
    "Errors were measured on simulated people: disease of the vessels, lesions and movement are not in them.",
)
"""What a T1 MRI can and cannot tell."""

SYMBOLS: Final = {
    "normal": "○",
    "reduced": "●",
    "uncertain": "◐",
    "refused": "✕",
    NO_VERDICT: "–",
    "in-distribution": "✓",
    "unusual": "!",
    "not stated": "–",
}
"""A sign beside each verdict word, so that colour is never the only carrier."""

BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, with characters that would hide or turn it written as `[U+202E]`, and cut at `longest`."""
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text
    shown = "".join(_spelt(one) for one in text[:longest])
    return shown if len(text) <= longest else f"{shown} … ({len(text) - longest} more characters in reading.json)"


def _spelt(character: str) -> str:
    if character.isascii():
        if character.isprintable():
            return character
        return " " if character.isspace() else f"[U+{ord(character):04X}]"
    hidden = character in BIDI or unicodedata.category(character) in INVISIBLE
    return f"[U+{ord(character):04X}]" if hidden else character


def number(value: float | None, digits: int = 2) -> str:
    """`value` with `digits` decimals and a true minus sign; a dash where there is none."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def significant(value: float | str | None) -> str:
    """A measured value of unknown size: whole from a thousand on, else four significant digits."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return text.replace("-", "−")


def interval(pair: tuple[float, float] | None, digits: int = 2) -> str:
    """`low to high`, or a dash."""
    return NONE if pair is None else f"{number(pair[0], digits)} to {number(pair[1], digits)}"


def probability_interval(pair: tuple[float, float] | None) -> str:
    """`low to high` of a probability, or a dash."""
    return NONE if pair is None else f"{probability(pair[0])} to {probability(pair[1])}"


def moment(created: str) -> str:
    """An ISO 8601 time in UTC as a person writes it."""
    return created.replace("T", " ").replace("+00:00", " UTC")


def triple(values: tuple[float, float, float], digits: int, unit: str) -> str:
    """Three numbers along x, y and z with their unit."""
    return f"{', '.join(number(one, digits) for one in values)} {unit}".rstrip()


def probability(value: float | None) -> str:
    """Three decimals; never rounded to 0 or 1, which no reader can know."""
    if value is None:
        return NONE
    if 0 < value < 0.0005:
        return "< 0.001"
    if 0.9995 <= value < 1:
        return "> 0.999"
    return number(value, 3)


def plain(name: str) -> str:
    """A key of the reading as words: `anterior_putamen_left` to `anterior putamen left`."""
    return name.replace("_", " ")


@lru_cache(maxsize=1024)
def sided(key: str) -> tuple[str, str]:
    """Structure and side of a region's key, whichever comes first: `putamen_left` and `left_putamen` alike."""
    words = key.split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    structure = " ".join(word for word in words if word != side)
    return structure.capitalize(), side


def answer(value: bool | None) -> str:
    """`yes`, `no`, or that the header does not say."""
    return NOT_STATED if value is None else ("yes" if value else "no")


def method_sentences(reading: Reading) -> list[str]:
    """What was done, in complete sentences, from the reading alone."""
    said = [_input_sentence(reading)]
    if reading.registration:
        found = reading.registration
        said.append(
            f"It was registered to {found.template} by {found.method}; the fit has a quality of "
            f"{number(found.quality)} on a scale of 0 to 1 and was {'accepted' if found.accepted else 'not accepted'}."
        )
        if found.manual:
            said.append(
                f"A person then moved it by {triple(found.manual.shift_mm, 1, 'mm')} and turned it by "
                f"{triple(found.manual.rotate_deg, 1, 'degrees')}."
            )
    if reading.brain:
        said += _brain_sentences(reading)
    if reading.quantification:
        said += _quantification_sentences(reading)
    said += [_reader_sentence(reading, index) for index in range(len(reading.readers))]
    said += sorted({f"Evidence map: {one.meaning.rstrip('.')}." for one in reading.maps})
    return said


def _input_sentence(reading: Reading) -> str:
    scan = reading.scan
    files = "1 file" if scan.files == 1 else f"{scan.files} files"
    origin = f"its orientation comes from {scan.orientation_from}" if scan.orientation_from else "it has no orientation"
    return f"The input of {files} was read as {scan.format}; {origin}."


def _quantification_sentences(reading: Reading) -> list[str]:
    numbers = reading.quantification
    if numbers is None:
        return []
    normals = f"Normal values come from {numbers.normals}." if numbers.normals else "No normal values were used."
    return [
        "The specific binding ratio (SBR) is (mean of the region − mean of the reference) / mean of the reference, by "
        f"method {numbers.method_id}. The reference region is {plain(numbers.reference_region)}, with a mean of "
        f"{significant(numbers.reference_mean)} in the scan's own units; pictures show multiples of that mean.",
        f"Intervals: {numbers.interval_means.rstrip('.')}.",
        normals,
    ]


def _brain_sentences(reading: Reading) -> list[str]:
    brain, measured = reading.brain, reading.morphometry
    if brain is None:
        return []
    said = [
        f"The brain was found by {brain.model} on {', '.join(brain.planes)} slices, and the coil's shading was taken "
        "out by N4 (Tustison et al. 2010)."
    ]
    if measured:
        said.append(
            f"Volumes are the template's, times the size of the affines that carry each structure to the scan, by "
            f"method {measured.method_id}; their bias was taken out. Intervals: {measured.interval_means}."
        )
    return said


def _reader_sentence(reading: Reading, index: int) -> str:
    one = reading.readers[index]
    votes = "; ".join(f"{name} {vote}" for name, vote in one.votes.items())
    how = f" Votes: {votes}." if votes else ""
    means = f" Its interval is {one.interval_means.rstrip('.')}." if one.interval_means else ""
    return f"{one.title} ({one.kind}) was made from {one.trained_on.rstrip('.')}.{how}{means}"


def evidence_sentence(found: EvidenceMap) -> str:
    """How much of the evidence lies where the disease is, and what an even map would have."""
    share, area = (number(100 * one, 0) for one in (found.share_inside_striatum, found.area_inside_striatum))
    return (
        f"{share} % of the evidence of {found.reader} ({found.kind}) lies inside the striatum; an even map would "
        f"have {area} %. {found.meaning}"
    )


def changed_sentences(part: CounterfactualPart) -> list[str]:
    """What a simulated slab is, and what its ratios are."""
    regions = ", ".join(plain(one) for one in part.held)
    held = f" Held at an end of what it has learned: {regions}." if part.held else ""
    return [
        part.meaning,
        f"{part.model} was made from {part.trained_on.rstrip('.')}. Ratios are those that the slab shows, and no "
        f"binding ratios. Normal values: {part.normal_from}.{held}",
    ]


def limits(reading: Reading) -> list[str]:
    """What this reading cannot tell, in complete sentences."""
    said = [DISCLAIMER]
    if reading.is_t1:
        return said + (list(T1_LIMITS) if reading.brain else [])
    if reading.verdict != "refused":
        said += [
            "A reduced DaT scan does not tell Parkinson's disease from multiple system atrophy or progressive "
            "supranuclear palsy, and a normal one does not exclude every disease.",
            "Drugs that bind to the transporter, such as cocaine, amphetamines, methylphenidate and bupropion, lower "
            "the binding; this report does not know what the person takes.",
        ]
    if reading.quantification:
        said.append(
            "Binding ratios from different methods, cameras or reconstructions differ by up to a factor of two and "
            "cannot be compared; these hold only together with their method id."
        )
        if reading.acquisition.attenuation_corrected is None:
            said.append("The header does not state whether attenuation was corrected, which changes every ratio.")
    for one in reading.readers:
        if one.kind == "rule":
            said.append(f"{one.title} rests on {one.trained_on.rstrip('.')}; it has not been tried on clinical scans.")
    if any(one.p_abnormal is not None for one in reading.readers):
        said.append("A reader's probability is its own score, not a person's chance of having a disease.")
    if reading.counterfactual:
        said.append(reading.counterfactual.meaning)
    if reading.maps:
        said.append("An evidence map shows where an answer depends on the image, not where a disease is.")
    return said
