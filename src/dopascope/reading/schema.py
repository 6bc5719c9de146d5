"""The Reading: what one scan gave, as data. `reading.json` follows `dopascope.reading/2`; those of /1 can be read too.

A part that does not apply is null and `reasons` says why under its name. The JSON Schema that ships with the
package is made from these classes; change one only together with the schema's number, its reader and
docs/reading.md.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = "dopascope.reading/2"
"""/1 knew DaT alone: no null verdict, and neither `read_as` nor `brain`, `morphometry` and `pseudocolour`."""

DISCLAIMER = "For research and education. Not a medical device."

Verdict = Literal["normal", "reduced", "uncertain", "refused"]
NO_VERDICT: Final = "no verdict"
"""How pages and lists call a null verdict."""
Interval = tuple[float, float]
Modality = Literal["dat", "t1"]


class Part(BaseModel):
    """Base of every part: immutable, and unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GridInfo(Part):
    """The stored voxel grid."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    axis_codes: str
    affine: list[list[float]] = Field(description="4 x 4, voxel index to RAS mm")


class Scan(Part):
    """The input and how it was understood."""

    source: str = Field(description="the path as the user gave it, without folders")
    format: str
    files: int
    sha256: str
    modality: str | None
    grid: GridInfo | None = Field(description="null for a picture, which has no geometry")
    orientation_from: str
    assumed: list[str] = Field(description="everything the reader had to assume")


class ReadAs(Part):
    """Which examination the input was read as, and how that is known."""

    modality: Modality
    known_from: Literal["argument", "header", "assumed"]
    assumed: str | None = Field(default=None, description="what was assumed, in words; null where nothing was")


class PassportCheck(Part):
    """One test of the scan's fitness."""

    name: str
    value: float | str | None
    unit: str
    verdict: Literal["in-distribution", "unusual", "refused", "not stated"]
    expected: str
    explanation: str


class PassportPart(Part):
    """Whether this scan is fit to be read, with every check."""

    verdict: Literal["in-distribution", "unusual", "refused"]
    reasons: list[str]
    checks: list[PassportCheck]


class AcquisitionPart(Part):
    """What the header says of how the scan was made; null is 'the header does not say'."""

    modality: str | None = None
    image_type: list[str] = []
    manufacturer: str | None = None
    model: str | None = None
    radiopharmaceutical: str | None = None
    radionuclide: str | None = None
    collimator: str | None = None
    reconstruction: str | None = None
    filter: str | None = None
    attenuation_corrected: bool | None = None
    scatter_corrected: bool | None = None
    corrections: list[str] = []
    activity_mbq: float | None = None
    hours_after_injection: float | None = None
    frame_duration_s: float | None = None
    units: str | None = None


class Person(Part):
    """Age and sex, which reference values need, and where they come from. Never a name."""

    age_years: float | None
    sex: Literal["F", "M"] | None
    age_from: Literal["argument", "header"] | None
    sex_from: Literal["argument", "header"] | None


class ManualAdjustment(Part):
    """What a person changed after the automatic registration."""

    shift_mm: tuple[float, float, float]
    rotate_deg: tuple[float, float, float]


class RegistrationPart(Part):
    """Where the scan lies in MNI space, and how far to trust that."""

    template: str
    method: str
    mni_to_scan: list[list[float]] = Field(description="4 x 4, MNI mm to scan mm, both RAS")
    quality: float
    accepted: bool
    reasons: list[str]
    tilt_deg: tuple[float, float, float]
    scale: tuple[float, float, float]
    shift_sd_mm: tuple[float, float, float] | None = Field(description="null where the method gives none (T1)")
    tilt_sd_deg: tuple[float, float, float] | None
    manual: ManualAdjustment | None


class Region(Part):
    """A binding ratio with its interval, and its place among normal values where there are any."""

    sbr: float | None
    interval: Interval | None
    interval_level: float
    expected: float | None = None
    z: float | None = None
    percent_expected: float | None = None
    reason: str | None = Field(default=None, description="why a null above is null")


class Index(Part):
    """A number derived from two regions."""

    value: float | None
    interval: Interval | None = None
    unit: str
    definition: str
    reason: str | None = None


class QuantificationPart(Part):
    """Binding ratios; they mean something only together with `method_id`."""

    method_id: str
    reference_region: str
    reference_mean: float
    regions: dict[str, Region]
    indices: dict[str, Index]
    interval_means: str
    normals: str | None
    normals_reason: str | None
    warnings: list[str] = []


class Grade(Part):
    """A five-grade regional verdict."""

    grade: Literal["normal", "borderline", "moderately reduced", "strongly reduced", "almost missing"]
    probabilities: tuple[float, float, float, float, float]


class ReaderResult(Part):
    """What one reader says: the SBR rule, a network, or an ensemble of networks."""

    id: str
    kind: Literal["rule", "network", "ensemble"]
    title: str
    model_sha256: str | None
    p_abnormal: float | None
    interval: Interval | None
    interval_means: str | None
    verdict: Verdict
    votes: dict[str, str] = Field(default={}, description="how the verdict came about, such as acc: 5 of 5")
    grades: dict[str, Grade] = {}
    trained_on: str
    calibration: str = Field(description="what p_abnormal has been calibrated on, or that it has not")
    licence: str | None = None
    papers: list[str] = []
    reason: str | None = None


class EvidenceMap(Part):
    """A map of where in the scan a reader's answer came from."""

    reader: str
    kind: Literal["occlusion"]
    file: str | None
    share_inside_striatum: float
    area_inside_striatum: float = Field(description="the share that an even map would have")
    meaning: str


class MaskCheck(Part):
    """One condition that a brain mask fulfilled."""

    name: str
    value: float
    expected: str
    passed: bool


class BrainPart(Part):
    """The brain that a segmenter found, on the scan's own grid."""

    model: str
    model_sha256: str
    definition: str
    volume_ml: float
    whole: bool = Field(description="whether the field of view holds the whole brain")
    planes: list[str] = Field(description="planes whose slices were asked")
    checks: list[MaskCheck]
    file: str


class Size(Part):
    """A volume with its interval."""

    ml: float
    interval: Interval
    interval_level: float = 0.95


class MorphometryPart(Part):
    """Volumes by the template's labels; they mean something only together with `method_id`."""

    method_id: str
    volumes: dict[str, Size]
    indices: dict[str, Index]
    interval_means: str
    measured_on: str = Field(description="on whom the errors behind the intervals were measured")


class PseudocolourPart(Part):
    """How the brain's grey range was cut into colours; they add no information."""

    intervals: int
    low: float
    high: float
    voxels: int
    meaning: str


class ChangedRatio(Part):
    """A region's ratio as the slab shows it, which is no binding ratio."""

    present: float = Field(description="read off the slab of the scan")
    wanted: float = Field(description="as the editor was asked")
    found: float = Field(description="read off the changed slab")
    normal: float = Field(description="mean of healthy people of the age, see `normal_from`")


class CounterfactualPart(Part):
    """The slab as it would be with other ratios: a simulation, which no reader sees."""

    asked: Literal["normal"] | float = Field(description="normal, or the ratio of the lower putamen")
    model: str
    model_sha256: str
    trained_on: str
    age_years: float
    normal_from: str = Field(description="whose the normal ratios are")
    ratios: dict[str, ChangedRatio]
    held: list[str] = Field(description="regions whose ratio was held at an end of what the editor has learned")
    file: str
    meaning: str


class Reading(Part):
    """One scan read: everything the report shows, and nothing it does not."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="dopascope reading")

    # `schema` would hide BaseModel.schema, so the field has its own name and the JSON the contract's.
    schema_id: Literal["dopascope.reading/1", "dopascope.reading/2"] = Field(default=SCHEMA, alias="schema")
    disclaimer: str = DISCLAIMER
    scan: Scan
    read_as: ReadAs | None = Field(default=None, description="null in readings of /1, which are of DaT")
    passport: PassportPart
    acquisition: AcquisitionPart
    person: Person
    registration: RegistrationPart | None
    quantification: QuantificationPart | None
    readers: list[ReaderResult]
    verdict: Verdict | None = Field(description="null where the examination cannot answer the question (T1 MRI)")
    verdict_reasons: list[str]
    disagreement: str | None = Field(description="null when all readers with an answer agree")
    maps: list[EvidenceMap]
    counterfactual: CounterfactualPart | None = Field(default=None, description="DaT SPECT, where asked for")
    brain: BrainPart | None = Field(default=None, description="T1 MRI only")
    morphometry: MorphometryPart | None = Field(default=None, description="T1 MRI only")
    pseudocolour: PseudocolourPart | None = Field(default=None, description="T1 MRI only")
    reasons: dict[str, str] = Field(description="for every part above that is null or empty: why")
    warnings: list[str]
    software: dict[str, str]
    created: str

    @property
    def word(self) -> str:
        """The verdict as one word or two, for pages and lists."""
        return self.verdict or NO_VERDICT

    @property
    def is_t1(self) -> bool:
        """Whether it was read as a T1-weighted MRI."""
        return self.read_as is not None and self.read_as.modality == "t1"

    def to_json(self) -> str:
        """The reading as indented JSON text, field names as in the contract."""
        return self.model_dump_json(by_alias=True, indent=2)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `reading.json`, draft 2020-12, made from these classes."""
    made = Reading.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **made}
