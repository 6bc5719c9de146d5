"""What a report says, as tables of text: made once here, laid out by `html` and `pdf` alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dopascope.reading.assemble import DAT_PARTS, T1_PARTS
from dopascope.reading.counterfactual import NOT_ASKED
from dopascope.reading.schema import (
    AcquisitionPart,
    CounterfactualPart,
    Grade,
    Index,
    QuantificationPart,
    ReadAs,
    ReaderResult,
    Reading,
    Region,
    RegistrationPart,
    Scan,
)
from dopascope.report import wording
from dopascope.report.wording import NONE, NOT_STATED, number

STRUCTURES: Final = ("Striatum", "Caudate", "Putamen", "Anterior putamen", "Posterior putamen")
GRADES: Final = ("normal", "borderline", "moderately reduced", "strongly reduced", "almost missing")
AXIS_STEPS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Distances between the ticks under the bars, the first that needs no more than six."""

Facts = tuple[tuple[str, str], ...]
"""Names and values of one block."""


@dataclass(frozen=True)
class Bar:
    """A value and its interval as fractions of the axis, 0 at its left end and 1 at its right."""

    zero: float
    value: float
    low: float | None
    high: float | None
    expected: float | None


@dataclass(frozen=True)
class RegionRow:
    """One line of the binding-ratio table."""

    key: str
    """As the reading names it."""
    structure: str
    side: str
    sbr: str
    interval: str
    expected: str
    z: str
    percent: str
    reason: str | None
    bar: Bar | None


@dataclass(frozen=True)
class RatioTable:
    """The binding ratios of all regions on one axis."""

    rows: tuple[RegionRow, ...]
    ticks: tuple[tuple[str, float], ...]
    """Tick labels and their fractions of the axis."""
    level: str
    compared: bool
    """False when no region has a normal value to stand beside it."""
    notes: tuple[str, ...]
    """Why values are missing, where that holds for all regions."""


@dataclass(frozen=True)
class GradeRow:
    """A region's probability for each of the five grades."""

    region: str
    grade: str
    shares: tuple[float, ...]


@dataclass(frozen=True)
class ReaderRow:
    """One reader as text."""

    title: str
    id: str
    verdict: str
    probability: str
    interval: str
    votes: str
    calibration: str
    grades: tuple[GradeRow, ...]
    facts: Facts
    """What no other part of the report says."""
    reason: str | None


def title(reading: Reading) -> str:
    """The report's heading; what was refused is not called by the name of what it claims to be."""
    if reading.verdict == "refused":
        return "Image that was not read"
    if reading.is_t1:
        return "T1-weighted MRI of the brain"
    modality = {"NM": "Dopamine transporter SPECT"}
    return modality.get(reading.scan.modality or "", "Dopamine transporter image" if reading.scan.grid else "Picture")


def passport_reasons(reading: Reading) -> tuple[str, ...]:
    """The passport's reasons, less those that the verdict gives already."""
    return tuple(reason for reason in reading.passport.reasons if reason not in reading.verdict_reasons)


def ratio_table(numbers: QuantificationPart) -> RatioTable:
    """Regions in anatomical order, right above left, with bars on a shared axis."""
    keys = sorted(numbers.regions, key=_region_order)
    regions = [numbers.regions[key] for key in keys]
    low, high, step = _axis(regions)
    rows = tuple(_region_row(key, region, low, high) for key, region in zip(keys, regions, strict=True))
    count = round((high - low) / step)
    ticks = tuple((number(low + n * step, 2 if step < 0.5 else 1), n / count) for n in range(count + 1))
    levels = sorted({f"{100 * one.interval_level:.3g} %" for one in regions})
    compared = any(value is not None for one in regions for value in (one.expected, one.z, one.percent_expected))
    rows, shared = _shared_reason(rows)
    notes = [note for note in (numbers.normals_reason, shared) if note]
    return RatioTable(rows, ticks, ", ".join(levels), compared, tuple(dict.fromkeys(notes)))


def _shared_reason(rows: tuple[RegionRow, ...]) -> tuple[tuple[RegionRow, ...], str | None]:
    """A reason that every measured region repeats is said once, beneath the table."""
    said = {row.reason for row in rows if row.bar}
    if len(said) != 1 or None in said:
        return rows, None
    return tuple(replace(row, reason=None) if row.bar else row for row in rows), said.pop()


def _region_order(key: str) -> tuple[int, str, str]:
    structure, side = wording.sided(key)
    place = STRUCTURES.index(structure) if structure in STRUCTURES else len(STRUCTURES)
    return place, structure, {"right": "0", "left": "1"}.get(side, side)


def _axis(regions: list[Region]) -> tuple[float, float, float]:
    """Ends of the bars' axis and the distance between its ticks; zero is always a tick."""
    known = [0.0, 1.0]
    for one in regions:
        known += [value for value in (one.sbr, one.expected, *(one.interval or ())) if value is not None]
    lowest, highest = max(min(known), -20.0), min(max(known), 60.0)
    step = next((one for one in AXIS_STEPS if (highest - lowest) / one <= 6), AXIS_STEPS[-1])
    return step * (lowest // step), -step * (-highest // step), step


def _region_row(key: str, region: Region, low: float, high: float) -> RegionRow:
    def place(value: float | None) -> float | None:
        return None if value is None else min(1.0, max(0.0, (value - low) / (high - low)))

    structure, side = wording.sided(key)
    at = place(region.sbr)
    ends = region.interval or (None, None)
    zero = place(0.0) or 0.0
    bar = None if at is None else Bar(zero, at, place(ends[0]), place(ends[1]), place(region.expected))
    return RegionRow(
        key=key,
        structure=structure,
        side=side,
        sbr=number(region.sbr),
        interval=wording.interval(region.interval),
        expected=number(region.expected),
        z=number(region.z),
        percent=NONE if region.percent_expected is None else f"{number(region.percent_expected, 0)} %",
        reason=region.reason,
        bar=bar,
    )


def scale_ticks(top: float, count: int = 5) -> tuple[tuple[str, float], ...]:
    """Numbers along the colour bar and their fractions of it."""
    return tuple((wording.significant(top * n / count), n / count) for n in range(count + 1))


def index_rows(numbers: QuantificationPart) -> tuple[tuple[str, ...], ...]:
    """`plain_index_rows` of binding ratios."""
    return plain_index_rows(numbers.indices)


def plain_index_rows(indices: Mapping[str, Index]) -> tuple[tuple[str, ...], ...]:
    """Name, value with unit, interval, definition or the reason why there is no value."""
    rows = []
    for name, one in indices.items():
        digits = 1 if one.unit == "%" else 2
        value = number(one.value, digits) if one.value is None else f"{number(one.value, digits)} {one.unit}".rstrip()
        definition = one.definition if one.reason is None else f"{one.definition} ({one.reason})"
        rows.append(
            (
                wording.plain(name).capitalize().replace("Sbr", "SBR"),
                value,
                wording.interval(one.interval, digits),
                definition,
            )
        )
    return tuple(rows)


def reader_rows(reading: Reading) -> tuple[ReaderRow, ...]:
    """All readers, in the reading's order."""
    return tuple(_reader_row(one) for one in reading.readers)


def _reader_row(one: ReaderResult) -> ReaderRow:
    facts = [("Licence", one.licence)] if one.licence else []
    facts += [("Paper", paper) for paper in one.papers]
    return ReaderRow(
        title=one.title,
        id=one.id,
        verdict=one.verdict,
        probability=wording.probability(one.p_abnormal),
        interval=wording.probability_interval(one.interval),
        votes="; ".join(f"{name}: {vote}" for name, vote in one.votes.items()) or NONE,
        calibration=one.calibration,
        grades=tuple(_grade_row(key, one.grades[key]) for key in sorted(one.grades, key=_region_order)),
        facts=tuple(facts),
        reason=one.reason,
    )


def _grade_row(key: str, grade: Grade) -> GradeRow:
    structure, side = wording.sided(key)
    return GradeRow(f"{structure} {side}".strip(), grade.grade, grade.probabilities)


def passport_rows(reading: Reading) -> tuple[tuple[str, ...], ...]:
    """Check, value with unit, expected, verdict word, explanation."""
    return tuple(
        (
            wording.plain(one.name).capitalize(),
            f"{wording.significant(one.value)} {one.unit}".rstrip() if one.value is not None else NONE,
            one.expected,
            one.verdict,
            one.explanation,
        )
        for one in reading.passport.checks
    )


def registration_facts(found: RegistrationPart) -> Facts:
    """Quality, pose and its uncertainty, and what a person changed."""
    facts = [
        ("Quality", f"{number(found.quality)} of 1"),
        ("Verdict", "accepted" if found.accepted else "NOT ACCEPTED"),
        *(("Reason", reason) for reason in found.reasons),
        ("Tilt x, y, z", wording.triple(found.tilt_deg, 1, "°")),
        *([("its SD", wording.triple(found.tilt_sd_deg, 2, "°"))] if found.tilt_sd_deg else []),
        ("Scale x, y, z", wording.triple(found.scale, 3, "")),
        *([("Shift SD x, y, z", wording.triple(found.shift_sd_mm, 2, "mm"))] if found.shift_sd_mm else []),
        ("Template", found.template),
        ("Method", found.method),
    ]
    if found.manual:
        moved = wording.triple(found.manual.shift_mm, 1, "mm")
        facts.append(("Moved by hand", f"{moved}; turned {wording.triple(found.manual.rotate_deg, 1, '°')}"))
    elif found.shift_sd_mm:
        facts.append(("Moved by hand", "no"))
    return tuple(facts)


def matrix_rows(matrix: list[list[float]]) -> tuple[str, ...]:
    """A 4 x 4 matrix as four lines of numbers."""
    return tuple("  ".join(number(value, 3) for value in row) for row in matrix)


EXAMINATIONS: Final = {"dat": "dopamine transporter SPECT", "t1": "T1-weighted MRI"}
KNOWN_FROM: Final = {"argument": "as was asked for", "header": "by the header", "assumed": "assumed"}


def assumed(reading: Reading) -> tuple[str, ...]:
    """All that had to be assumed to read the scan."""
    how = reading.read_as.assumed if reading.read_as else None
    return (*reading.scan.assumed, *([how] if how else []))


def scan_facts(scan: Scan, read_as: ReadAs | None) -> Facts:
    """The input: format, files, grid, how orientation is known, and what it was read as."""
    grid = scan.grid
    facts = [("File", scan.source), ("Format", scan.format), ("Files", str(scan.files))]
    facts.append(("Modality", scan.modality or NOT_STATED))
    if read_as:
        facts.append(("Read as", f"{EXAMINATIONS[read_as.modality]}, {KNOWN_FROM[read_as.known_from]}"))
    if grid:
        facts.append(("Matrix", " × ".join(str(n) for n in grid.shape)))
        facts.append(("Voxel", " × ".join(number(s) for s in grid.spacing_mm) + " mm"))
        facts.append(("Axes as stored", grid.axis_codes))
    facts.append(("Orientation from", scan.orientation_from or NOT_STATED))
    return tuple(facts)


def person_facts(reading: Reading) -> Facts:
    """Age and sex with their origin."""
    person = reading.person
    age = (
        NOT_STATED
        if person.age_years is None
        else f"{wording.significant(person.age_years)} years, from {person.age_from}"
    )
    return (("Age", age), ("Sex", f"{person.sex}, from {person.sex_from}" if person.sex else NOT_STATED))


def acquisition_facts(made: AcquisitionPart, *, t1: bool = False) -> Facts:
    """Everything the header may say; what it does not say is `not stated`. Of a T1 MRI without what is nuclear."""

    def measured(value: float | None, unit: str) -> str:
        return NOT_STATED if value is None else f"{wording.significant(value)} {unit}"

    machine = " ".join(filter(None, (made.manufacturer, made.model))) or NOT_STATED
    kind = ("Image type", ", ".join(made.image_type) or NOT_STATED)
    if t1:
        return (kind, ("Scanner", machine))
    return (
        kind,
        ("Camera", machine),
        ("Radiopharmaceutical", made.radiopharmaceutical or NOT_STATED),
        ("Radionuclide", made.radionuclide or NOT_STATED),
        ("Activity", measured(made.activity_mbq, "MBq")),
        ("After injection", measured(made.hours_after_injection, "h")),
        ("Collimator", made.collimator or NOT_STATED),
        ("Frame duration", measured(made.frame_duration_s, "s")),
        ("Reconstruction", made.reconstruction or NOT_STATED),
        ("Filter", made.filter or NOT_STATED),
        ("Attenuation corrected", wording.answer(made.attenuation_corrected)),
        ("Scatter corrected", wording.answer(made.scatter_corrected)),
        ("Corrections", ", ".join(made.corrections) or NOT_STATED),
        ("Units", made.units or NOT_STATED),
    )


def changed_rows(part: CounterfactualPart) -> tuple[tuple[str, str, str, str, str], ...]:
    """Region; ratio in the slab, asked, read off the simulation; normal mean."""
    return tuple(
        (
            wording.plain(name).capitalize(),
            number(one.present),
            number(one.wanted) + (" (held)" if name in part.held else ""),
            number(one.found),
            number(one.normal),
        )
        for name, one in part.ratios.items()
    )


def hashes(reading: Reading) -> Iterator[tuple[str, str]]:
    """What was read and with what, by SHA-256."""
    yield "Scan", reading.scan.sha256 or "none: the image was given in memory"
    if reading.brain:
        yield reading.brain.model, reading.brain.model_sha256
    if reading.counterfactual:
        yield reading.counterfactual.model, reading.counterfactual.model_sha256
    for one in reading.readers:
        if one.model_sha256:
            yield one.id, one.model_sha256


def short_hash(digest: str) -> str:
    """The first twelve digits of a SHA-256."""
    return digest[:12] or "in memory"


def missing_parts(reading: Reading) -> Facts:
    """The parts that do not apply, those with the same reason together; not those of the other examination."""
    parts: dict[str, list[str]] = {}
    others = (*DAT_PARTS, "verdict") if reading.is_t1 else T1_PARTS
    for name, why in reading.reasons.items():
        if name not in others and why != NOT_ASKED:
            parts.setdefault(why, []).append(wording.plain(name))
    return tuple((", ".join(names).capitalize(), why) for why, names in parts.items())
