"""One T1-weighted MRI through the floors: passport, brain, shading, template, volumes, colours, and no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from math import erf
from typing import Any, Final

from dopascope import passport
from dopascope.bundle import Bundle
from dopascope.bundle.brain import BrainMask
from dopascope.bundle.segmenter import brain_of, segmenter
from dopascope.errors import InputError, UnsuitableError
from dopascope.quant import morphometry, sides
from dopascope.reading import parts, schema
from dopascope.reading.assemble import NOT_READ, T1_PARTS, assemble
from dopascope.reading.choices import Choices
from dopascope.reading.images import Examination, Images
from dopascope.space.bias import correct_bias
from dopascope.space.brain_registration import BrainRegistration, register_brain
from dopascope.volume import LabelMap, Volume

MASK_FILE: Final = "brain-mask.nii.gz"

COARSER: Final = 1.5
"""Voxels so many times longer than those that errors were measured with are warned of."""

ENIGMA_D: Final = 0.16
ENIGMA_AUC: Final = (1 + erf(ENIGMA_D / 2)) / 2
"""Area under the curve of two normal distributions of equal spread that lie d apart: Phi(d / sqrt 2)."""

NO_ANSWER: Final = (
    "No verdict is given: a structural T1-weighted MRI does not tell Parkinson's disease from health or from essential "
    "tremor in one person.",
    "In 2,357 people with Parkinson's disease the putamen was smaller than in controls by d = -0.16 (ENIGMA; Laansma "
    f"et al. 2021): by its volume one person would be told from another with an area under the curve of "
    f"{ENIGMA_AUC:.2f}, where .5 is chance.",
    "Whether dopamine transporters are lost is shown by a DaT SPECT, which this program reads.",
)
"""Why a scan that was measured has no verdict."""


def examine_t1(image: Volume, choices: Choices, read_as: schema.ReadAs) -> Examination:
    """Read a T1-weighted MRI. One that the passport refuses gives verdict `refused` and no numbers."""
    first = passport.inspect_t1(image)
    if first.verdict == "refused":
        return _refused(image, choices, read_as, first)
    bundle = segmenter(choices.segmenter, choices.models_dir)
    try:
        mask = brain_of(image, bundle)
        even, _ = correct_bias(image, mask.mask)
    except UnsuitableError as error:
        return _refused(image, choices, read_as, first, _told(error))
    placed, why = _placed(even, mask.mask)
    second = passport.inspect_t1(image, passport.BrainFound(mask.mask, mask.whole, even, placed))
    if second.verdict == "refused":
        return _refused(image, choices, read_as, second)
    return _measured(image, choices, read_as, second, (bundle, mask), even, (placed, why))


def _placed(even: Volume, mask: LabelMap) -> tuple[BrainRegistration | None, str | None]:
    """Where the template lies, or why it could not be placed."""
    try:
        return register_brain(even, mask), None
    except UnsuitableError as error:
        return None, _told(error)


def _measured(
    image: Volume,
    choices: Choices,
    read_as: schema.ReadAs,
    found: passport.Passport,
    brain: tuple[Bundle, BrainMask],
    even: Volume,
    placed: tuple[BrainRegistration | None, str | None],
) -> Examination:
    bundle, mask = brain
    registration, why = placed
    known: dict[str, Any] = {"brain": _brain(bundle, mask)}
    reasons: dict[str, str] = {"verdict": NO_ANSWER[0]}
    if registration is None:
        reasons["registration"] = reasons["morphometry"] = why or ""
    else:
        known["registration"] = _registration(registration)
        try:
            known["morphometry"] = _morphometry(morphometry.morphometry(even, mask.mask, registration))
        except InputError as error:
            reasons["morphometry"] = _told(error)
    try:
        known["pseudocolour"] = parts.pseudocolour(image, mask.mask)
    except InputError as error:
        reasons["pseudocolour"] = _told(error)
    reading = assemble(
        image,
        choices,
        read_as,
        parts.passport_part(found),
        verdict=None,
        verdict_reasons=list(NO_ANSWER),
        reasons=reasons,
        warnings=[
            *parts.contradictions(image.acquisition, parts.person(image.acquisition, choices.age, choices.sex)),
            *(too_coarse(image, morphometry.measured_error()) if "morphometry" in known else ()),
        ],
        **known,
    )
    return Examination(reading, Images(scan=image, mni=None, template=None, brain=mask.mask))


def too_coarse(image: Volume, error: Mapping[str, Any]) -> list[str]:
    """A warning where voxels are longer than those that the errors were measured with."""
    measured, longest = error["people"]["spacing_mm"], max(image.grid.spacing_mm)
    if not measured or longest <= COARSER * measured:
        return []
    return [
        f"The errors of volumes were measured with voxels of {measured:g} mm; these are up to {longest:.2g} mm, so the "
        "intervals are too narrow."
    ]


def _refused(
    image: Volume, choices: Choices, read_as: schema.ReadAs, found: passport.Passport, why: str | None = None
) -> Examination:
    part = parts.passport_part(found)
    reading = assemble(
        image,
        choices,
        read_as,
        part,
        verdict="refused",
        verdict_reasons=[why] if why else list(part.reasons),
        reasons=dict.fromkeys(("registration", *T1_PARTS), NOT_READ),
    )
    return Examination(reading, Images(scan=image, mni=None, template=None))


def _told(error: InputError) -> str:
    where = f" ({error.where})" if error.where else ""
    return f"{error.what} Found{where}: {error.found}; expected: {error.expected}."


def _brain(bundle: Bundle, mask: BrainMask) -> schema.BrainPart:
    return schema.BrainPart(model=bundle.id, model_sha256=bundle.model_sha256, file=MASK_FILE, **mask.as_dict())


def _registration(found: BrainRegistration) -> schema.RegistrationPart:
    known = found.as_dict()
    kept = ("template", "method", "mni_to_scan", "quality", "accepted", "reasons", "tilt_deg", "scale")
    return schema.RegistrationPart(
        **{name: known[name] for name in kept}, shift_sd_mm=None, tilt_sd_deg=None, manual=None
    )


def _morphometry(found: morphometry.Morphometry) -> schema.MorphometryPart:
    said = found.as_dict()
    volumes = {name: schema.Size(ml=one.value, interval=(one.low, one.high)) for name, one in found.volumes_ml.items()}
    return schema.MorphometryPart(
        method_id=found.method,
        volumes=volumes,
        indices=_indices(found),
        interval_means=said["intervals"],
        measured_on=_on_whom(found.error),
    )


def _indices(found: morphometry.Morphometry) -> dict[str, schema.Index]:
    made = {}
    for name in morphometry.SUMS:
        left, right = (found.volumes_ml[f"{name}_{side}"] for side in ("left", "right"))
        one = sides.asymmetry(left, right)
        made[f"asymmetry_{name}"] = schema.Index(
            value=one.value, interval=(one.low, one.high), unit="%", definition=sides.DEFINITION
        )
    ratio = found.ratio
    made[morphometry.RATIO] = schema.Index(
        value=ratio.value,
        interval=(ratio.low, ratio.high),
        unit="",
        definition="volume of the midbrain / volume of the pons; published ratios are of areas on one slice",
    )
    return made


def _on_whom(error: Mapping[str, Any]) -> str:
    people = error["people"]
    voxels = f"voxels of {people['spacing_mm']:g} mm" if people["spacing_mm"] else "each site's own voxels"
    brains = 1 + len(people["label_maps"]["names"])
    made_of = f"{brains} brains" if brains > 1 else "one brain"
    return f"{people['measured']} simulated people made of {made_of}, {len(people['sites'])} sites, {voxels}"
