"""bundle.json: what a saved predictor wants to see, what it answers, and where it comes from.

The format is a contract (docs/models.md). Everything is data: numbers, names and sentences. Unknown fields are
refused, so that a bundle made for a later version is never half understood.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dopascope.errors import BundleError

SCHEMA: Final = "dopascope.bundle/1"
SPEC_FILE: Final = "bundle.json"
MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "MODEL_CARD.md"
LICENCE_FILE: Final = "LICENSE"

MAX_SPEC_BYTES: Final = 256 * 1024
MAX_MODEL_BYTES: Final = 512 * 1024 * 1024

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A plain name: no folder, no drive, no leading dot."""
BundleId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=4000)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A block of bundle.json: unknown fields and NaN refused, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class InputSpec(Part):
    """How the model's input is made from a scan on the MNI grid, in this order: intensity, view, flip, crop,
    clip, then `(value - mean) / sd`. All of it happens outside `model.onnx`.
    """

    name: Name
    view: Name
    """Which picture of the scan, such as `slab_12mm`."""
    intensity: Name
    """Which intensity method the scan is divided by first, such as `p75_nonstriatal`."""
    flip_x: bool
    """True where the model expects x from the subject's right to left; our arrays run from left to right."""
    crop: list[tuple[int, int]]
    """First and one past the last index of each axis of the view, after the flip."""
    clip: tuple[float, float] | None
    mean: float
    sd: Annotated[float, Field(gt=0)]
    axes: Sentence
    """The axis order in words."""
    shape: list[Annotated[int, Field(ge=1, le=4096)]]
    """Of one image as the model takes it, channels first."""

    @model_validator(mode="after")
    def _crop_makes_the_shape(self) -> Self:
        if any(not 0 <= start < stop for start, stop in self.crop):
            raise ValueError("crop: each pair must be 0 <= first < last + 1")
        if [stop - start for start, stop in self.crop] != self.shape[1:]:
            raise ValueError("crop and shape contradict each other")
        return self


class OutputSpec(Part):
    """One output of the model: the answers of `members` networks."""

    role: Literal["probability", "logit", "grade_logit", "difference"]
    """Probabilities or logits of "reduced" `(B, members)`, grade logits `(B, members, regions, grades)`, or of an
    editor what is to be added to its input `(B, 1, I, J)`."""
    shape: list[Annotated[int, Field(ge=1, le=4096)]]
    """Of one image's answer; the first axis is the networks, of a difference the channels."""
    meaning: Sentence


class Group(Part):
    """When a group of networks says "reduced": at least `votes_needed` of them above `threshold`."""

    threshold: Probability
    votes_needed: Annotated[int, Field(ge=1)]


class VoteRule(Part):
    """How the votes of the groups become a verdict."""

    groups: dict[Name, Group]
    """By output name."""
    decides: Name
    """The group whose vote is the verdict."""
    agree: list[Name] = []
    """Groups that must vote alike; where they do not, the verdict is "uncertain"."""
    probability: Name
    """The group whose mean probability is shown, and whose evidence is mapped."""
    mean: Literal["probability", "logit"] = "probability"
    """What of this group's networks is averaged."""
    uncertain_between: tuple[Probability, Probability] | None = None
    """Where given, the verdict follows the shown probability, not the votes: "normal" below the first, "reduced" from
    the second on, "uncertain" between them."""
    source: Sentence

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.uncertain_between is not None:
            low, high = self.uncertain_between
            if low > high:
                raise ValueError("uncertain_between: the first must not be above the second")
            if self.agree:
                raise ValueError("agree and uncertain_between contradict each other")
        return self


class GradeRule(Part):
    """What a regional answer means."""

    output: Name
    regions: list[Name]
    grades: list[Sentence]
    """From normal to worst."""
    reduced_from: Sentence
    """Without a vote rule, the verdict is "reduced" when any region has this grade or a worse one."""
    source: Sentence


class Normal(Part):
    """What healthy people have of a value: a straight line over age, and their spread about it."""

    at_reference_age: float
    per_decade: float
    sd: Annotated[float, Field(gt=0)]


class EditedValue(Part):
    """One value that an editor can change."""

    name: Name
    low: float
    high: float
    """What is asked for is held between these: the 1st and 99th percentile of what was learned from."""
    normal: Normal


class EditRule(Part):
    """What an editor is told: the values that a picture has, and those that it shall have."""

    present: Name
    wanted: Name
    """Inputs `(B, values)` beside the picture."""
    output: Name
    measure: Literal["slab_ratios"]
    """How the values are read off a picture (`space.slab_ratios`)."""
    values: list[EditedValue]
    reference_age: float
    ages: tuple[float, float]
    """Youngest and oldest of the healthy people."""
    people: Annotated[int, Field(ge=2)]
    """Healthy people that the normal values are of."""
    source: Sentence


class Calibration(Part):
    """Logistic recalibration `sigmoid(slope * logit(p) + intercept)` and the data it was fitted on."""

    method: Literal["logistic"]
    slope: float
    intercept: float
    scans: Annotated[int, Field(ge=1)]
    data: Sentence


class Training(Part):
    """What the networks were trained on, as far as is known."""

    summary: Sentence
    """In one line, shown beside every answer."""
    details: str = ""


class Licence(Part):
    """Under which terms the weights may be used."""

    spdx: Sentence
    holder: Sentence
    file: FileName | None = None


class Paper(Part):
    """A publication that describes the networks."""

    citation: Sentence
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")]


class BundleSpec(Part):
    """All of bundle.json."""

    # `schema` would hide a method of BaseModel, so the attribute has its own name and the JSON the contract's.
    schema_id: Literal["dopascope.bundle/1"] = Field(alias="schema")
    id: BundleId
    kind: Literal["classifier", "segmenter", "editor"]
    title: Sentence
    modality: Literal["dat", "t1"]
    input: InputSpec
    outputs: dict[Name, OutputSpec]
    vote: VoteRule | None = None
    grades: GradeRule | None = None
    edit: EditRule | None = None
    calibration: Calibration | None = None
    calibration_reason: Sentence | None = None
    """Why there is no calibration."""
    opset: Annotated[int, Field(ge=7, le=200)]
    training: Training
    licence: Licence
    papers: list[Paper]
    laterality: Sentence
    limits: list[Sentence]
    files: dict[FileName, Sha256]
    """SHA-256 of every file of the bundle but bundle.json itself."""
    sources: dict[FileName, Sha256] = {}
    """SHA-256 of the files that the model was made from."""
    made_by: dict[str, str]
    """Versions of the software that made it."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if (self.calibration is None) == (self.calibration_reason is None):
            raise ValueError("give either a calibration or the reason why there is none")
        if self.kind == "classifier" and self.vote is None and self.grades is None:
            raise ValueError("a classifier has a vote rule, a grade rule, or both")
        if (self.kind == "editor") != (self.edit is not None):
            raise ValueError("an editor, and nothing else, has an edit rule")
        if missing := {MODEL_FILE, CARD_FILE} - self.files.keys():
            raise ValueError(f"files: {', '.join(sorted(missing))} not listed")
        if self.licence.file is not None and self.licence.file not in self.files:
            raise ValueError("licence: its file is not listed under files")
        if self.vote is not None:
            self._check_vote(self.vote)
        if self.grades is not None:
            self._check_grades(self.grades)
        if self.edit is not None:
            self._check_edit(self.edit)
        return self

    def _check_edit(self, rule: EditRule) -> None:
        output = self.outputs.get(rule.output)
        if output is None or output.role != "difference" or output.shape != self.input.shape:
            raise ValueError("edit: its output is not there or is not a difference of the input's shape")
        if len({self.input.name, rule.present, rule.wanted}) != 3:
            raise ValueError("edit: its inputs need names of their own")
        if not rule.values or any(one.low >= one.high for one in rule.values):
            raise ValueError("edit: there must be values, each with low below high")

    def _check_vote(self, rule: VoteRule) -> None:
        named = {rule.decides, rule.probability, *rule.agree}
        if not named <= rule.groups.keys() or not rule.groups.keys() <= self.outputs.keys():
            raise ValueError("vote: it names a group or output that is not there")
        for name, group in rule.groups.items():
            output = self.outputs[name]
            if output.role == "grade_logit" or len(output.shape) != 1 or group.votes_needed > output.shape[0]:
                raise ValueError(f"vote: output {name} cannot give {group.votes_needed} votes")

    def _check_grades(self, rule: GradeRule) -> None:
        output = self.outputs.get(rule.output)
        if output is None or output.role != "grade_logit":
            raise ValueError("grades: its output is not there or is not a grade_logit")
        if output.shape[1:] != [len(rule.regions), len(rule.grades)]:
            raise ValueError("grades: regions and grades do not fit the output's shape")
        if rule.reduced_from not in rule.grades:
            raise ValueError("grades: reduced_from is not one of the grades")

    def to_json(self) -> str:
        """bundle.json as text, fields in the order of the contract."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def parse(text: bytes, *, where: object = SPEC_FILE) -> BundleSpec:
    """A checked specification from the bytes of bundle.json.

    Raises:
        BundleError: not JSON, too large, an unknown or missing field, or parts that contradict each other.
    """
    if len(text) > MAX_SPEC_BYTES:
        raise BundleError(
            "bundle.json is too large.", where=where, found=f"{len(text)} bytes", expected=f"<= {MAX_SPEC_BYTES} bytes"
        )
    try:
        return BundleSpec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise BundleError(
            "bundle.json does not follow the format of a bundle.",
            where=f"{where}: {field}" if field else where,
            found=_shown(first.get("input")),
            expected=first["msg"],
            fix="Get the bundle again from where it came from, or a dopascope that knows its version.",
        ) from None


def read(folder: Path) -> BundleSpec:
    """The specification of the bundle in `folder`; files are not opened.

    Raises:
        BundleError: no bundle.json, or it does not follow the format.
    """
    path = folder / SPEC_FILE
    if not path.is_file() or path.is_symlink():
        raise BundleError(
            "This folder is not a bundle.",
            where=folder,
            found=f"no {SPEC_FILE}",
            expected=f"a folder with {SPEC_FILE}, {MODEL_FILE} and {CARD_FILE}",
            fix="Name a bundle's folder, or an installed model (dopascope models list).",
        )
    with open(path, "rb") as stream:
        return parse(stream.read(MAX_SPEC_BYTES + 1), where=path)


def _shown(value: object) -> str:
    return re.sub(r"\s+", " ", repr(value))[:120]
