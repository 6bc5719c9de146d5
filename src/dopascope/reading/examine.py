"""One scan through the floors: passport, registration, binding ratios, readers, evidence, verdict."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dopascope import formats, passport, quant, space
from dopascope.bundle.editor import editor
from dopascope.errors import GeometryError, UnsuitableError, UsageError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.reading import counterfactual, parts, readers
from dopascope.reading.assemble import DAT_PARTS, NOT_READ, T1_PARTS, assemble
from dopascope.reading.choices import Choices
from dopascope.reading.images import ChangedSlab, Examination, Images
from dopascope.reading.route import NOT_NUCLEAR, facts_of, route
from dopascope.reading.schema import Person, QuantificationPart, ReadAs, Reading
from dopascope.reading.t1 import examine_t1
from dopascope.reading.verdict import combine
from dopascope.volume import MNI_2MM, Grid, SliceImage, Source, Volume

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

PLAIN: Final = Choices()


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


def examine(image: Volume | SliceImage, choices: Choices = PLAIN) -> Examination:
    """Read an image and keep the pixels that the report draws.

    A scan that the passport refuses gives a Reading with verdict `refused` and no numbers.
    """
    read_as = route(image, choices.modality)
    choices.check(facts_of(image), read_as.modality)
    if isinstance(image, SliceImage):
        return _examine_picture(image, choices, read_as)
    if read_as.modality == "t1":
        return examine_t1(image, choices, read_as)
    return _examine_dat(image, choices, read_as)


def _examine_dat(image: Volume, choices: Choices, read_as: ReadAs) -> Examination:
    first = passport.inspect(image)
    if first.verdict == "refused":
        return _refused(image, choices, read_as, first)
    try:
        registration = space.register(image, manual=choices.manual)
    except UnsuitableError as error:
        return _refused(image, choices, read_as, first, f"Registration is impossible: {error.what}")
    second = passport.inspect(image, registration)
    if second.verdict == "refused":
        return _refused(image, choices, read_as, second)
    return _examine_registered(image, choices, read_as, registration, second)


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
    image: Volume, choices: Choices, read_as: ReadAs, registration: space.Registration, found: passport.Passport
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
    changed, why_not = _changed(choices, person, registration, mni, numbers)
    reading = assemble(
        image,
        choices,
        read_as,
        passport_part,
        registration=parts.registration(registration),
        quantification=QuantificationPart.model_validate(numbers.as_dict()),
        readers=results,
        verdict=verdict,
        verdict_reasons=why,
        disagreement=disagreement,
        maps=maps,
        counterfactual=None if changed is None else changed.part,
        reasons=(_evidence_reason(choices, bool(bundles)) if not maps else {}) | why_not,
        warnings=[*numbers.warnings, *parts.contradictions(image.acquisition, person)],
    )
    images = Images(
        scan=image,
        mni=parts.in_reference_units(mni, numbers.reference_mean),
        template=parts.template_in_reference_units(),
        evidence={one: made.volume for one, made in evidence.items()},
        changed=changed,
    )
    return Examination(reading, images)


def _changed(
    choices: Choices, person: Person, registration: space.Registration, mni: Volume, numbers: quant.Quantification
) -> tuple[ChangedSlab | None, dict[str, str]]:
    """The slab with other ratios, or why there is none."""
    if choices.counterfactual is None:
        return None, {"counterfactual": counterfactual.NOT_ASKED}
    bundle = editor(models_dir=choices.models_dir)
    why = counterfactual.why_not(person, registration, bundle)
    if why is not None or person.age_years is None:
        return None, {"counterfactual": why or counterfactual.NO_AGE}
    return counterfactual.change(bundle, mni, numbers, person.age_years, choices.counterfactual), {}


def _evidence_reason(choices: Choices, networks: bool) -> dict[str, str]:
    if not choices.evidence:
        return {"maps": "No evidence map was asked for (--no-evidence)."}
    if not networks:
        return {"maps": "Evidence maps are made for networks, and none is installed (dopascope models add)."}
    return {"maps": "No installed network can be mapped."}


PICTURE = "A picture of one slice has no position, spacing or side; this part needs the scan itself (DICOM or NIfTI)."


def _refused(
    image: Volume, choices: Choices, read_as: ReadAs, found: passport.Passport, why: str | None = None
) -> Examination:
    part = parts.passport_part(found)
    reasons = [why] if why else list(part.reasons)
    if read_as.known_from == "assumed" and passport.inspect_t1(image).verdict != "refused":
        reasons.append(NOT_NUCLEAR)
    reading = assemble(
        image,
        choices,
        read_as,
        part,
        verdict="refused",
        verdict_reasons=reasons,
        reasons=dict.fromkeys(("registration", *DAT_PARTS), NOT_READ),
    )
    return Examination(reading, Images(scan=image, mni=None, template=None))


def _examine_picture(image: SliceImage, choices: Choices, read_as: ReadAs) -> Examination:
    part = parts.passport_part(passport.inspect(image))
    refused = part.verdict == "refused"
    reading = assemble(
        image,
        choices,
        read_as,
        part,
        verdict="refused" if refused else "uncertain",
        verdict_reasons=list(part.reasons)
        if refused
        else ["No installed reader takes a picture of one slice.", PICTURE],
        reasons=dict.fromkeys(("registration", *(T1_PARTS if read_as.modality == "t1" else DAT_PARTS)), PICTURE),
    )
    return Examination(reading, image)
