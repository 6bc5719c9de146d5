"""The parts of a Reading, each made from the value of the floor below that knows it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, passport, space
from dopascope.errors import UsageError
from dopascope.reading import schema
from dopascope.space import Registration
from dopascope.space.pseudocolour import INTERVALS, grey_range
from dopascope.volume import Acquisition, LabelMap, SliceImage, Source, Step, Volume

COLOURS_SAY_NOTHING: Final = "Colours follow from grey values alone: they add no information."


def source_of(image: Volume | SliceImage) -> Source:
    """Where the image came from; an image passed as a value is known by the digest of its array and affine."""
    if image.source is not None and image.source.sha256:
        return image.source
    digest = hashlib.sha256(np.ascontiguousarray(image.data).tobytes())
    known = "nothing: a picture has none"
    if isinstance(image, Volume):
        digest.update(image.grid.affine.tobytes())
        known = "the caller's affine"
    return Source(path="in memory", format="in memory", sha256=digest.hexdigest(), orientation_from=known)


def scan(image: Volume | SliceImage) -> schema.Scan:
    """Where the image came from and how it was understood. Only the last part of the path is kept."""
    source = source_of(image)
    grid = None
    modality = None
    if isinstance(image, Volume):
        modality = image.acquisition.modality
        grid = schema.GridInfo(
            shape=image.grid.shape,
            spacing_mm=image.grid.spacing_mm,
            axis_codes=image.grid.axis_codes,
            affine=image.grid.affine.tolist(),
        )
    return schema.Scan(
        # A file name need not be text; what is no character is spelled out, so that the reading stays valid JSON.
        source=(PurePath(source.path).name or source.path).encode("utf-8", "backslashreplace").decode(),
        format=source.format,
        files=source.files,
        sha256=source.sha256,
        modality=modality,
        grid=grid,
        orientation_from=source.orientation_from,
        assumed=list(source.assumed),
    )


def passport_part(found: passport.Passport) -> schema.PassportPart:
    """The passport as data."""
    checks = [schema.PassportCheck.model_validate(asdict(check)) for check in found.checks]
    return schema.PassportPart(verdict=found.verdict, reasons=list(found.reasons), checks=checks)


def acquisition(image: Volume | SliceImage) -> schema.AcquisitionPart:
    """What the header says; age and sex go to `person`."""
    if isinstance(image, SliceImage):
        return schema.AcquisitionPart()
    facts = asdict(image.acquisition)
    return schema.AcquisitionPart.model_validate(
        {name: value for name, value in facts.items() if name not in ("age_years", "sex")}
    )


def person(facts: Acquisition, age: float | None, sex: str | None) -> schema.Person:
    """Age and sex, the caller's word before the header's.

    Raises:
        UsageError: an age outside 0 to 120, or a sex other than F or M.
    """
    if age is not None and not 0 <= age <= 120:
        raise UsageError(
            "This age cannot be meant.", where="age", found=age, expected="0 to 120 years", fix="Correct it."
        )
    if sex is not None and sex not in ("F", "M"):
        raise UsageError(
            "Sex is given by one letter.",
            where="sex",
            found=sex,
            expected="F or M, as reference values use it",
            fix="Correct it.",
        )
    age_found = age if age is not None else facts.age_years
    sex_found = sex or (facts.sex if facts.sex in ("F", "M") else None)
    return schema.Person(
        age_years=age_found,
        sex=_letter(sex_found),
        age_from=_origin(age is not None, age_found is not None),
        sex_from=_origin(sex is not None, sex_found is not None),
    )


def _letter(sex: str | None) -> Literal["F", "M"] | None:
    return {"F": "F", "M": "M"}.get(sex or "")  # type: ignore[return-value]


def _origin(given: bool, known: bool) -> Literal["argument", "header"] | None:
    if given:
        return "argument"
    return "header" if known else None


def registration(found: Registration) -> schema.RegistrationPart:
    """The registration as data; the pose's uncertainty as standard deviations."""
    deviations = np.sqrt(np.diag(np.asarray(found.pose_covariance)))
    manual = found.manual
    return schema.RegistrationPart(
        template=found.as_dict()["template"],
        method=found.method,
        mni_to_scan=np.asarray(found.mni_to_scan).tolist(),
        quality=found.quality,
        accepted=found.accepted,
        reasons=list(found.reasons),
        tilt_deg=_three(found.tilt_deg),
        scale=_three(found.scale),
        shift_sd_mm=_three(deviations[:3]),
        tilt_sd_deg=_three(deviations[3:]),
        manual=None
        if manual is None
        else schema.ManualAdjustment(shift_mm=_three(manual.shift_mm), rotate_deg=_three(manual.rotate_deg)),
    )


def _three(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def pseudocolour(image: Volume, mask: LabelMap) -> schema.PseudocolourPart:
    """The grey range of the brain, cut into the paper's number of intervals.

    Raises:
        UnsuitableError: the brain has one grey value only.
    """
    span = grey_range(image.data, mask.data > 0, where="the scan")
    return schema.PseudocolourPart(
        intervals=INTERVALS, low=span.low, high=span.high, voxels=span.voxels, meaning=COLOURS_SAY_NOTHING
    )


def in_reference_units(mni: Volume, reference_mean: float) -> Volume:
    """The scan divided by its reference region's mean, so that 1 is the reference and SBR + 1 the striatum."""
    return mni.with_data(mni.data / reference_mean, Step("in_reference_units", {"reference_mean": reference_mean}))


def template_in_reference_units() -> Volume:
    """The template normal in the same units as the scan beside it."""
    template = space.dat_template()
    reference = template.data[atlas.reference_mask("whole_brain")].mean()
    return in_reference_units(template, float(reference))


def contradictions(facts: Acquisition, who: schema.Person) -> list[str]:
    """Where the caller's age or sex is not the header's."""
    found = []
    if who.age_from == "argument" and facts.age_years is not None and abs(facts.age_years - (who.age_years or 0)) > 1:
        found.append(f"The age given is {who.age_years:g}; the header says {facts.age_years:g}.")
    if who.sex_from == "argument" and facts.sex in ("F", "M") and facts.sex != who.sex:
        found.append(f"The sex given is {who.sex}; the header says {facts.sex}.")
    return found
