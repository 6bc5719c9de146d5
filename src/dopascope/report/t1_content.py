"""What the report of a T1 MRI says, as tables of text: made once here, laid out by `html` and `pdf` alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dopascope.reading.schema import BrainPart, MorphometryPart, PseudocolourPart, Reading
from dopascope.report import content, wording
from dopascope.report.content import Bar, Facts
from dopascope.report.figures import Strip
from dopascope.report.pseudocolour_pictures import caption, range_words
from dopascope.report.t1_figures import OUTLINES, Rgb, T1Figures
from dopascope.report.wording import number
from dopascope.space.pseudocolour import GreyRange

ORDER: Final = ("Caudate", "Putamen", "Midbrain", "Pons")
AXIS_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
ONE_SCALE: Final = (
    "The error of a brain mask of one scan is not known, so the whole brain has no interval; look at its outline."
)
NO_NORMALS: Final = (
    "No normal values are shown: volumes by this method have not been measured in healthy people of known age and sex."
)


@dataclass(frozen=True)
class VolumeRow:
    """One line of the table of volumes."""

    structure: str
    side: str
    ml: str
    interval: str
    bar: Bar | None


@dataclass(frozen=True)
class T1Content:
    """All that is said of a T1 MRI whose brain was found."""

    outlined: Strip
    structures: Strip | None
    coloured: Strip | None
    legend: tuple[tuple[str, Rgb], ...]
    mask: Facts
    volumes: tuple[VolumeRow, ...]
    level: str
    ticks: tuple[tuple[str, float], ...]
    indices: tuple[tuple[str, ...], ...]
    why_not: str | None
    """Why nothing was measured."""
    notes: tuple[str, ...]
    colour_notes: tuple[str, ...]


def of(reading: Reading, drawn: T1Figures | None) -> T1Content | None:
    """The tables of a reading; None where no brain was found."""
    if reading.brain is None or drawn is None:
        return None
    measured = reading.morphometry
    names = ("brain", *OUTLINES) if drawn.structures else ("brain",)
    return T1Content(
        outlined=Strip("The brain's outline", drawn.brain),
        structures=Strip("The template's structures", drawn.structures) if drawn.structures else None,
        coloured=Strip("49 intervals of grey, one colour each", drawn.colours) if drawn.colours else None,
        legend=tuple((name, OUTLINES[name]) for name in dict.fromkeys(names)),
        mask=mask_facts(reading.brain),
        volumes=rows(measured),
        level="95 %",
        ticks=_ticks(_top(measured)),
        indices=content.plain_index_rows(measured.indices) if measured else (),
        why_not=None if measured else reading.reasons.get("morphometry"),
        notes=notes(measured),
        colour_notes=_colour_notes(reading.pseudocolour) or (reading.reasons.get("pseudocolour", ""),),
    )


def mask_facts(brain: BrainPart) -> Facts:
    """Volume of the brain and what its mask was judged by."""
    checks = "; ".join(f"{one.name} {number(one.value)} ({one.expected})" for one in brain.checks)
    return (
        ("Whole brain", f"{number(brain.volume_ml, 0)} ml" + ("" if brain.whole else ", cut by the field of view")),
        ("What is brain", brain.definition),
        ("Found by", f"{brain.model}, on {', '.join(brain.planes)} slices"),
        ("Checks of the mask", checks),
        ("File", brain.file),
    )


def notes(measured: MorphometryPart | None) -> tuple[str, ...]:
    """Method, errors, and what is not known."""
    if measured is None:
        return (ONE_SCALE,)
    return (
        f"Method {measured.method_id}. Intervals: {measured.interval_means}.",
        f"Errors measured on: {measured.measured_on}.",
        ONE_SCALE,
        NO_NORMALS,
    )


def _colour_notes(cut: PseudocolourPart | None) -> tuple[str, ...]:
    if cut is None:
        return ()
    return (caption(cut.intervals), range_words(GreyRange(cut.low, cut.high, cut.voxels), of_scan=True))


def _top(measured: MorphometryPart | None) -> float:
    largest = max((one.interval[1] for one in measured.volumes.values()), default=1.0) if measured else 1.0
    step = next((one for one in AXIS_STEPS if largest / one <= 6), AXIS_STEPS[-1])
    return float(step * -(-largest // step))


def _ticks(top: float) -> tuple[tuple[str, float], ...]:
    return content.scale_ticks(top)


def rows(measured: MorphometryPart | None) -> tuple[VolumeRow, ...]:
    """Structures in anatomical order, right above left, with bars on one axis."""
    if measured is None:
        return ()
    top = _top(measured)

    def place(value: float) -> float:
        return min(1.0, max(0.0, value / top))

    made = []
    for key in sorted(measured.volumes, key=_order):
        one = measured.volumes[key]
        structure, side = wording.sided(key)
        both = not side and structure in ("Caudate", "Putamen")
        low, high = one.interval
        bar = Bar(0.0, place(one.ml), place(low), place(high), None)
        made.append(VolumeRow(structure, "both" if both else side, number(one.ml), wording.interval(one.interval), bar))
    return tuple(made)


def _order(key: str) -> tuple[int, str]:
    structure, side = wording.sided(key)
    place = ORDER.index(structure) if structure in ORDER else len(ORDER)
    return place, {"right": "0", "left": "1"}.get(side, "2")
