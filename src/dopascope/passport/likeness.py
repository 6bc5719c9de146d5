"""Does this look like a DaT SPECT of one head? Checks on the head's size, sharpness, uptake and truncation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dopascope.errors import UnsuitableError
from dopascope.passport.head import INF, MeasuredHead, measure, sharpness_mm, uptake
from dopascope.passport.result import Check, within
from dopascope.volume import Volume

USUAL_WIDTH_MM: Final = (110.0, 200.0)
POSSIBLE_WIDTH_MM: Final = (95.0, 235.0)
USUAL_LENGTH_MM: Final = (135.0, 225.0)
POSSIBLE_LENGTH_MM: Final = (115.0, 260.0)
USUAL_HEIGHT_MM: Final = (85.0, 250.0)
POSSIBLE_HEIGHT_MM: Final = (60.0, 320.0)
"""Right to left, back to front, and what is seen from bottom to top. The MNI brain measures 144 x 178 x 154 mm
and exceeds an adult's by some 10 % (atlas geometry); heads are at most about 170 x 220 mm, and scatter that is not
corrected makes them look up to 25 mm wider. Uptake may end at the brain or at the scalp, the field at the skull base
or at the neck. Of 300 simulated scans seven without corrections measured 208 to 216 mm across or 248 mm along, so the
limits for possible heads lie beyond; a Jaszczak phantom of 216 mm is unusual by its width. Our measurement."""

USUAL_VOLUME_ML: Final = (1100.0, 5500.0)
POSSIBLE_VOLUME_ML: Final = (850.0, 7500.0)
"""From an adult's brain alone, 1100 to 1700 ml, to a large head with its neck. Our assumption."""

USUAL_SLENDERNESS: Final = (0.65, 0.99)
POSSIBLE_SLENDERNESS: Final = (0.55, 1.2)
"""Width over length: cephalic indices of adults run from 0.68 to 0.95; cylinders and balls have 1. Our assumption."""

MIN_ONE_PIECE: Final = (0.9, 0.6)
"""Usual and possible least share of all that is bright that is one piece. Our assumption."""

MAX_CUT: Final = 0.15
"""Usual largest area of the head on a face of the field other than the bottom, over its largest section. Our
assumption."""

USUAL_FWHM_MM: Final = (3.0, 20.0)
POSSIBLE_FWHM_MM: Final = (2.5, 30.0)
"""Reconstructed DaT SPECT has 7 (brain cameras) to 16 mm (common collimators); noise of few counts brings the
measured figure down to 2.6. MRI from 1 to 2.5 mm voxels measured 1.0 to 2.7, simulated DaT scans 2.6 to 12.4: between
2.5 and 3 a scan is unusual. Our measurement."""

MIN_PEAK: Final = (1.25, 1.1)
"""Usual and possible least peak of the middle over its median. Simulated scans with a tenth of their binding left
measured 1.31 and more, with and without attenuation correction; an even cylinder 1.04. Our measurement."""

MIN_SURROUND: Final = (0.9, 0.5)
"""Usual and possible least peak of the middle over the brain around it. A tenth of the binding and no attenuation
correction gave 0.99; two kidneys gave 0.16. Our measurement."""

MAX_HOT_ML: Final = (50.0, 120.0)
"""Usual and possible most volume in the middle hotter than halfway from its median to its peak. Striata measured 17
to 40 ml down to a tenth of their binding; FDG-like brains 65, T1 MRI 43 to 90. Our measurement."""

MAX_NOISE: Final = (0.25, 0.6)
"""Usual and possible scatter of neighbouring voxels over the head's level; 0.05 at 2 million counts, 0.15 at a
quarter of that in small voxels. Our measurement."""


def likeness_checks(volume: Volume) -> Iterator[Check]:
    """Checks of a finite, non-constant scan; only the first where there is no head."""
    try:
        measured = measure(volume)
    except UnsuitableError as error:
        yield Check("head", "not found", "", "refused", error.expected, f"{error.what} There is: {error.found}.")
        return
    yield _piece(measured)
    yield from _size(measured)
    yield _truncation(measured)
    yield within(
        "resolution",
        sharpness_mm(measured),
        "mm",
        usual=USUAL_FWHM_MM,
        possible=POSSIBLE_FWHM_MM,
        explanation="Width of the finest detail. SPECT is blurred; MRI, CT and label maps are sharp.",
    )
    yield from _uptake(measured)


def _piece(measured: MeasuredHead) -> Check:
    usual, possible = MIN_ONE_PIECE
    return within(
        "head",
        100 * measured.one_piece,
        "%",
        usual=(100 * usual, INF),
        possible=(100 * possible, INF),
        explanation="Share of all that is bright that is one piece: one head, nothing beside it.",
    )


def _size(measured: MeasuredHead) -> Iterator[Check]:
    yield within(
        "head_volume",
        measured.head.volume_ml,
        "ml",
        usual=USUAL_VOLUME_ML,
        possible=POSSIBLE_VOLUME_ML,
        explanation="Volume of the bright region. A wrong size means another object or wrong voxel spacing.",
    )
    width, length, height = measured.extent_mm
    for name, value, usual, possible, along in (
        ("head_width", width, USUAL_WIDTH_MM, POSSIBLE_WIDTH_MM, "right to left"),
        ("head_length", length, USUAL_LENGTH_MM, POSSIBLE_LENGTH_MM, "back to front"),
        ("head_height", height, USUAL_HEIGHT_MM, POSSIBLE_HEIGHT_MM, "bottom to top, neck included"),
    ):
        yield within(
            name,
            value,
            "mm",
            usual=usual,
            possible=possible,
            explanation=f"Bright region, {along}. A wrong size means another object or wrong voxel spacing.",
        )
    yield within(
        "head_slenderness",
        width / length,
        "",
        usual=USUAL_SLENDERNESS,
        possible=POSSIBLE_SLENDERNESS,
        explanation="Width over length: heads are longer than wide.",
    )


def _truncation(measured: MeasuredHead) -> Check:
    faces = {face: share for face, share in measured.cut.items() if face != "bottom"}
    worst = max(faces, key=lambda face: faces[face])
    touched = [face for face, share in faces.items() if share > MAX_CUT]
    named = (
        f"The head goes on beyond the {', '.join(touched)} of the field." if touched else "The neck may go on below."
    )
    return within(
        "truncation",
        100 * faces[worst],
        "%",
        usual=(0.0, 100 * MAX_CUT),
        possible=(0.0, 100.0),
        explanation=f"Area of the head on the worst face over its largest section. {named}",
    )


def _uptake(measured: MeasuredHead) -> Iterator[Check]:
    found = uptake(measured)
    for name, value, (usual, possible), explanation in (
        ("central_uptake", found.peak, MIN_PEAK, "Peak over median in the middle of the head: the striata stand out."),
        (
            "peak_over_surround",
            found.surround,
            MIN_SURROUND,
            "Peak of the middle of the head over the brain around it.",
        ),
    ):
        yield within(name, value, "", usual=(usual, INF), possible=(possible, INF), explanation=explanation)
    usual, possible = MAX_HOT_ML
    yield within(
        "hot_volume",
        found.hot_ml,
        "ml",
        usual=(0.0, usual),
        possible=(0.0, possible),
        explanation="Volume in the middle above half of the peak's height: striata are small, brain tissue is not.",
    )
    usual, possible = MAX_NOISE
    yield within(
        "noise",
        100 * found.roughness,
        "%",
        usual=(0.0, 100 * usual),
        possible=(0.0, 100 * possible),
        explanation="Scatter of voxels about their neighbours' mean: the fewer the counts, the larger.",
    )
