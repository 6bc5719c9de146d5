"""Checks of what the header and the grid say, before any voxel is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dopascope import geometry
from dopascope.passport.result import Check, CheckVerdict, within
from dopascope.volume import Acquisition, Grid, Source

USUAL_SPACING_MM: Final = (0.95, 5.0)
"""Pixels of a third to a half of the resolution, 3.5 to 4.5 mm, are recommended (EANM/SNMMI guideline 2020,
doi 10.1007/s00259-020-04817-8); scans of ten hospitals lay between 1.4 and 4.4 mm; MNI-normalised ones have 2 mm."""

POSSIBLE_SPACING_MM: Final = (0.8, 7.0)
"""Our assumption: beyond these the image is no tomogram of a head by a gamma camera."""

USUAL_FIELD_MM: Final = (140.0, 700.0)
"""Our assumption: from a tightly cut head to the full field of a 128 x 128 matrix of 4.8 mm."""

POSSIBLE_FIELD_MM: Final = (90.0, 900.0)

MAX_ANISOTROPY: Final = 3.0
"""Our assumption: reconstructed SPECT has nearly cubic voxels."""

MAX_SHEAR: Final = 0.02
"""Largest |cosine| between voxel axes; converted scans have rounding only. Our assumption."""

FOREIGN_TRACERS: Final = (
    "fdg",
    "fluorodeoxyglucose",
    "flumazenil",
    "amyloid",
    "florbet",
    "tau",
    "hmpao",
    "exametazime",
    "ecd",
    "bicisate",
    "mibg",
    "iobenguane",
    "dtpa",
    "mdp",
    "mag3",
    "dmsa",
    "sestamibi",
    "tetrofosmin",
    "dotatate",
    "psma",
    "iodide",
    "pertechnetate",
    "ibzm",
    "fluoride",
)
"""Words in the radiopharmaceutical's name that mean another examination than a dopamine transporter scan."""

DAT_TRACERS: Final = (
    "ioflupane",
    "fp-cit",
    "fpcit",
    "fp cit",
    "datscan",
    "b-cit",
    "beta-cit",
    "trodat",
    "pe2i",
    "altropane",
)
"""Words that mean a dopamine transporter tracer."""


def header_checks(source: Source | None, acquisition: Acquisition) -> Iterator[Check]:
    """Orientation and how it is known, modality, image type, tracer, corrections and filter."""
    yield orientation_check(source)
    yield _modality(acquisition)
    yield _image_type(acquisition)
    yield _tracer(acquisition)
    yield _radionuclide(acquisition)
    for name, value in (
        ("attenuation_correction", acquisition.attenuation_corrected),
        ("scatter_correction", acquisition.scatter_corrected),
    ):
        said = None if value is None else "yes" if value else "no"
        yield _stated(name, said, "Binding ratios depend on it: compare only with values made in the same way.")
    yield _stated("filter", acquisition.filter, "Smoothing lowers binding ratios.")
    yield _stated("reconstruction", acquisition.reconstruction, "Reconstruction changes binding ratios.")


def _radionuclide(acquisition: Acquisition) -> Check:
    said = acquisition.radionuclide
    verdict: CheckVerdict = "not stated"
    if said is not None:
        # The tracers above carry iodine 123, TRODAT technetium 99m.
        known = any(number in said for number in ("123", "99")) or "iod" in said.lower()
        technetium = "99" in said and "trodat" not in (acquisition.radiopharmaceutical or "").lower()
        verdict = "unusual" if technetium or not known else "in-distribution"
    return Check("radionuclide", said, "", verdict, "iodine 123", "Dopamine transporter SPECT is made with iodine 123.")


def grid_checks(grid: Grid) -> Iterator[Check]:
    """Spacing, its anisotropy, field of view and shear."""
    low, high = min(grid.spacing_mm), max(grid.spacing_mm)
    worst = low if low < USUAL_SPACING_MM[0] else high
    yield within(
        "spacing",
        worst,
        "mm",
        usual=USUAL_SPACING_MM,
        possible=POSSIBLE_SPACING_MM,
        explanation=f"Voxels measure {' x '.join(f'{s:.2f}' for s in grid.spacing_mm)} mm.",
    )
    yield within(
        "anisotropy",
        high / low,
        "",
        usual=(0.0, MAX_ANISOTROPY),
        possible=(0.0, 2 * MAX_ANISOTROPY),
        explanation="Longest voxel edge over the shortest.",
    )
    short, long = min(grid.extent_mm), max(grid.extent_mm)
    yield within(
        "field_of_view",
        short if short < USUAL_FIELD_MM[0] else long,
        "mm",
        usual=USUAL_FIELD_MM,
        possible=POSSIBLE_FIELD_MM,
        explanation=f"The field measures {' x '.join(f'{s:.0f}' for s in grid.extent_mm)} mm; a head needs about 140.",
    )
    yield shear_check(grid)


def shear_check(grid: Grid) -> Check:
    """Are the voxel axes perpendicular?"""
    return within(
        "shear",
        geometry.shear(grid.affine),
        "",
        usual=(0.0, MAX_SHEAR),
        possible=(0.0, 10 * MAX_SHEAR),
        explanation="Voxel axes that are not perpendicular come from a wrong conversion.",
    )


def orientation_check(source: Source | None) -> Check:
    """Is it known which way the head lies, and how?"""
    known = source.orientation_from if source else ""
    guessed = known in ("assumed", "none")
    verdict: CheckVerdict = "refused" if known == "none" else "unusual" if guessed else "in-distribution"
    return Check(
        "orientation",
        known or "given with the array",
        "",
        verdict,
        "stated by the file",
        "Left and right are not known." if guessed else "How it is known which way the head lies.",
    )


def _modality(acquisition: Acquisition) -> Check:
    said = acquisition.modality
    verdicts: dict[str | None, CheckVerdict] = {
        None: "not stated",
        "NM": "in-distribution",
        "ST": "in-distribution",
        "PT": "unusual",
    }
    return Check(
        "modality",
        said,
        "",
        verdicts.get(said, "refused"),
        "NM",
        "Only SPECT is read here; a PET scan of the transporter looks alike but has other values.",
    )


def _image_type(acquisition: Acquisition) -> Check:
    kinds = tuple(one.upper() for one in acquisition.image_type)
    if acquisition.modality != "NM" or not kinds:
        return Check(
            "image_type", "\\".join(kinds) or None, "", "not stated", "RECON TOMO", "Only nuclear medicine states it."
        )
    tomogram = any("RECON" in one for one in kinds)
    return Check(
        "image_type",
        "\\".join(kinds),
        "",
        "in-distribution" if tomogram else "refused",
        "RECON TOMO",
        "A reconstructed tomogram is needed (DICOM PS3.3 C.8.4.9.1.1).",
    )


def _tracer(acquisition: Acquisition) -> Check:
    said = acquisition.radiopharmaceutical
    verdict: CheckVerdict = "not stated"
    if said:
        word = said.lower()
        known, foreign = any(one in word for one in DAT_TRACERS), any(one in word for one in FOREIGN_TRACERS)
        verdict = "in-distribution" if known else "refused" if foreign else "unusual"
    return Check("tracer", said, "", verdict, "a dopamine transporter tracer", "Another tracer shows something else.")


def _stated(name: str, value: str | None, explanation: str) -> Check:
    return Check(
        name, value, "", "not stated" if value is None else "in-distribution", "stated by the header", explanation
    )
