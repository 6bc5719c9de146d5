"""One scan through the floors: passport, registration, binding ratios, readers, evidence, verdict."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dopascope import formats, passport, provenance, quant, space
from dopascope.errors import GeometryError, UnsuitableError, UsageError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.reading import parts, readers, schema
from dopascope.reading.images import Examination, Images
from dopascope.reading.schema import EvidenceMap, PassportPart, QuantificationPart, ReaderResult, Reading
from dopascope.reading.verdict import combine
from dopascope.volume import MNI_2MM, Acquisition, Grid, SliceImage, Source, Volume

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage


@dataclass(frozen=True)
class Choices:
    """What the person who reads may choose. Every default is the documented one."""

    age: float | None = None
    sex: str | None = None
    models: tuple[str, ...] | None = None
    """Model names in order; None for all that are installed; ("none",) for the rule alone."""
    method: str = "anatomical"
    reference: str = "whole_brain"
    normals: Path | None = None
    shift_mm: tuple[float, float, float] | None = None
    rotate_deg: tuple[float, float, float] | None = None
    evidence: bool = True
    models_dir: Path | None = None

    def __post_init__(self) -> None:
        for name in ("normals", "models_dir"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        if isinstance(self.models, str):
            object.__setattr__(self, "models", (self.models,))

    def check(self, facts: Acquisition) -> schema.Person:
        """Find at once what cannot be meant, before any long work; returns the person.

        Raises:
            UsageError: an age, sex, method, reference, model or normals file that cannot be meant.
            BundleError: an installed model is damaged or was changed.
        """
        quant.check_method(self.method, self.reference)
        if self.normals is not None:
            quant.load_normals(self.normals)
        readers.chosen(self.models, self.models_dir)
        return parts.person(facts, self.age, self.sex)

    @property
    def manual(self) -> space.Manual | None:
        """The manual adjustment, if any was asked for."""
        if self.shift_mm is None and self.rotate_deg is None:
            return None
        return space.Manual(self.shift_mm or (0.0, 0.0, 0.0), self.rotate_deg or (0.0, 0.0, 0.0))


def read(
    source: str | Path | Volume | SliceImage | SpatialImage,
    *,
    series: str | None = None,
    frame: int | None = None,
    strictness: Strictness = Strictness.RAISE,
    limits: Limits | None = None,
    **choices: Any,
) -> Reading:
    """Read one scan: a path, a Volume, a SliceImage or a nibabel image.

    Args:
        source: what to read.
        series: which series of a folder or zip.
        frame: which volume of a 4-D file, from 0.
        strictness: what to do about measurable flaws of geometry.
        limits: bounds on the read.
        choices: fields of `Choices`, such as `age=67, sex="F", evidence=False`.

    Raises:
        InputError: the file cannot be read; see `dopascope.errors` for its kinds.
        UsageError: a choice that cannot be meant.
    """
    if isinstance(source, str | Path):
        image = formats.load(source, series=series, frame=frame, strictness=strictness, limits=limits or Limits())
    else:
        image = _in_memory(source)
    unknown = sorted(set(choices) - {one.name for one in fields(Choices)})
    if unknown:
        raise UsageError(
            "There is no such choice.",
            where="read",
            found=", ".join(unknown),
            expected=", ".join(one.name for one in fields(Choices)),
            fix="Correct the name.",
        )
    return examine(image, Choices(**choices)).reading


def _in_memory(source: Any) -> Volume | SliceImage:
    if isinstance(source, Volume | SliceImage):
        return source
    if not (hasattr(source, "dataobj") and hasattr(source, "affine")):
        raise UsageError(
            "This is not an image that can be read.",
            where="source",
            found=type(source).__name__,
            expected="a path, a dopascope Volume or SliceImage, or a nibabel image",
            fix="Build Volume(array, Grid(array.shape, affine)).",
        )
    if source.affine is None or len(source.shape) != 3:
        raise GeometryError(
            "The image in memory has no affine or is not 3-D.",
            found=f"shape {source.shape}, affine {'none' if source.affine is None else 'present'}",
            expected="shape (I, J, K) and a 4 x 4 affine",
            fix="Take one volume of it and give it the affine of its file.",
        )
    where = Source("in memory", "nibabel", "", orientation_from="the image's affine")
    return Volume(np.asanyarray(source.dataobj), Grid(source.shape, source.affine), source=where)


def examine(image: Volume | SliceImage, choices: Choices = Choices()) -> Examination:
    """Read an image and keep the pixels that the report draws.

    A scan that the passport refuses gives a Reading with verdict `refused` and no numbers.
    """
    choices.check(image.acquisition if isinstance(image, Volume) else Acquisition())
    if isinstance(image, SliceImage):
        return _examine_picture(image, choices)
    first = passport.inspect(image)
    if first.verdict == "refused":
        return _refused(image, choices, first)
    try:
        registration = space.register(image, manual=choices.manual)
    except UnsuitableError as error:
        return _refused(image, choices, first, f"Registration is impossible: {error.what}")
    second = passport.inspect(image, registration)
    if second.verdict == "refused":
        return _refused(image, choices, second)
    return _examine_registered(image, choices, registration, second)


def reopen(image: Volume | SliceImage, reading: Reading) -> Examination:
    """The pixels of an earlier reading of `image`, by its recorded registration; evidence is not made again.

    Raises:
        UsageError: the reading is of another image.
    """
    if parts.scan(image) != reading.scan:
        raise UsageError(
            "This reading is of another scan.",
            where=reading.scan.source,
            found=parts.scan(image).sha256,
            expected=reading.scan.sha256,
            fix="Read the scan anew.",
        )
    if isinstance(image, SliceImage):
        return Examination(reading, image)
    if reading.registration is None or reading.quantification is None:
        return Examination(reading, Images(scan=image, mni=None, template=None))
    mni = space.resample(image, MNI_2MM, to_image=np.array(reading.registration.mni_to_scan))
    return Examination(
        reading,
        Images(
            scan=image,
            mni=parts.in_reference_units(mni, reading.quantification.reference_mean),
            template=parts.template_in_reference_units(),
        ),
    )


def _examine_registered(
    image: Volume, choices: Choices, registration: space.Registration, found: passport.Passport
) -> Examination:
    person = parts.person(image.acquisition, choices.age, choices.sex)
    numbers = quant.quantify(
        image,
        registration,
        method=choices.method,
        reference=choices.reference,
        normals=quant.load_normals(choices.normals) if choices.normals else None,
        age=person.age_years,
        sex=person.sex,
    )
    mni = space.normalise(image, registration)
    bundles = readers.chosen(choices.models, choices.models_dir)
    results = [*readers.ask(bundles, mni), readers.rule_says(numbers)]
    evidence = readers.evidence(bundles, mni) if choices.evidence else {}
    passport_part = parts.passport_part(found)
    verdict, why, disagreement = combine(results, passport_part, registration.accepted)
    maps = [made.part for made in evidence.values()]
    reading = _reading(
        image,
        choices,
        passport_part,
        registration=parts.registration(registration),
        quantification=QuantificationPart.model_validate(numbers.as_dict()),
        readers=results,
        verdict=verdict,
        verdict_reasons=why,
        disagreement=disagreement,
        maps=maps,
        reasons=_evidence_reason(choices, bool(bundles)) if not maps else {},
        warnings=[*numbers.warnings, *parts.contradictions(image.acquisition, person)],
    )
    images = Images(
        scan=image,
        mni=parts.in_reference_units(mni, numbers.reference_mean),
        template=parts.template_in_reference_units(),
        evidence={one: made.volume for one, made in evidence.items()},
    )
    return Examination(reading, images)


def _evidence_reason(choices: Choices, networks: bool) -> dict[str, str]:
    if not choices.evidence:
        return {"maps": "No evidence map was asked for (--no-evidence)."}
    if not networks:
        return {"maps": "Evidence maps are made for networks, and none is installed (dopascope models add)."}
    return {"maps": "No installed network can be mapped."}


NOT_READ = "The scan was refused before this part; see the passport."
PICTURE = "A picture of one slice has no position, spacing or side; this part needs the scan itself (DICOM or NIfTI)."


def _refused(image: Volume, choices: Choices, found: passport.Passport, why: str | None = None) -> Examination:
    part = parts.passport_part(found)
    reasons = [why] if why else list(part.reasons)
    reading = _reading(
        image,
        choices,
        part,
        verdict="refused",
        verdict_reasons=reasons,
        reasons=dict.fromkeys(("registration", "quantification", "readers", "maps"), NOT_READ),
    )
    return Examination(reading, Images(scan=image, mni=None, template=None))


def _examine_picture(image: SliceImage, choices: Choices) -> Examination:
    part = parts.passport_part(passport.inspect(image))
    refused = part.verdict == "refused"
    reading = _reading(
        image,
        choices,
        part,
        verdict="refused" if refused else "uncertain",
        verdict_reasons=list(part.reasons)
        if refused
        else ["No installed reader takes a picture of one slice.", PICTURE],
        reasons=dict.fromkeys(("registration", "quantification", "readers", "maps"), PICTURE),
    )
    return Examination(reading, image)


def _reading(image: Volume | SliceImage, choices: Choices, found: PassportPart, **known: Any) -> Reading:
    facts = image.acquisition if isinstance(image, Volume) else Acquisition()
    filled: dict[str, Any] = {
        "scan": parts.scan(image),
        "passport": found,
        "acquisition": parts.acquisition(image),
        "person": parts.person(facts, choices.age, choices.sex),
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
    filled["reasons"] = {"morphometry": "Morphometry is for T1 MRI.", **filled["reasons"]}
    return Reading(**filled)
