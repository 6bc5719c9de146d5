"""The plan of a study: everything that decides its result, as one file that is checked before anything starts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dopascope.errors import UsageError
from dopascope.study.plan_text import toml_of

FORM: Final = "dopascope.plan/1"
PRESETS: Final = ("s1", "s2", "s3", "s5", "best")
GRADED_REGIONS: Final = 4

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Part(BaseModel):
    """A block of a plan: unknown fields and NaN refused, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Labels(Part):
    """Which labels of the cohort table are what."""

    positive: Annotated[list[Text], Field(min_length=1)]
    negative: Annotated[list[Text], Field(min_length=1)]
    leave_out: list[Text] = []
    """Labels that are known and take no part, such as SWEDD."""
    first_session: bool = False
    """Only the first scan of each person, by session id."""
    classes: dict[Text, list[Text]] = {}
    """Class -> its labels, for members that tell more than two apart: the first is `positive`, the others share
    `negative`."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        every = [*self.positive, *self.negative, *self.leave_out]
        if twice := sorted({one for one in every if every.count(one) > 1}):
            raise ValueError(f"{', '.join(twice)} has two meanings")
        if self.classes:
            first, *others = self.classes.values()
            rest = sorted(label for one in others for label in one)
            if sorted(first) != sorted(self.positive) or rest != sorted(self.negative):
                raise ValueError("the first class holds the positive labels, the others each negative label once")
        return self


class Training(Part):
    """As `learn.Recipe`."""

    epochs: Count
    batch: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    optimiser: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "plateau", "step", "cosine"] = "constant"
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    every: Count = 10
    floor: Annotated[float, Field(ge=0)] = 0.0
    early_stopping: Annotated[int, Field(ge=0)] = 0
    imbalance: Literal["both", "loss", "sampler", "none"] = "none"
    positive_weight: Positive = 1.0
    grade_weight: Annotated[float, Field(ge=0)] = 0.0
    precision: Literal["32", "bf16"] = "32"
    minutes: Positive | None = None


class Extra(Part):
    """Images that a network is trained on beside the scans of its training set."""

    source: Literal["cvae", "gan", "ddpm", "rflow", "ldm", "repeated"]
    """A family of generators, fitted on the same scans; or `repeated`, the matched null: scans shown again."""
    share: Positive = 1.0
    """Extra images for each scan, in each class."""
    alone: bool = False
    """Nothing is learned from the scans themselves: train on synthetic, test on real."""
    epochs: Count = 200
    learning_rate: Positive = 1e-3
    settings: dict[Text, int | float | bool | str] = {}
    """Of the family's networks."""
    seed: int = 1


class NetworkMember(Part):
    """A network, what it sees, and how it learns."""

    kind: Literal["network"]
    name: Name
    network: Text
    weights: Text = "none"
    """`none`, `imagenet`, `medicalnet`, `simulated`, `stand-in`, or a file."""
    optional: bool = False
    """Left out, with the reason said, where its weights cannot be had."""
    beside: Name | None = None
    """The member whose matched null this is: it differs in one setting, and takes no part in the answer."""
    view: Text
    intensity: Annotated[list[Text], Field(min_length=1, max_length=2)]
    """Scales that the view is divided by; two of them are shown side by side as channels."""
    top: Positive
    """Values above so many units of the scale are cut."""
    crop: list[tuple[int, int]] = []
    """First and one past the last index of each axis; empty for the whole view."""
    colour: Literal["none", "grey", "pseudocolour"] = "none"
    """One slice as three channels: its grey value thrice, or the colour of its interval (`space.pseudocolour`)."""
    augment: list[dict[str, Any]] = []
    classes: bool = False
    """Whether `labels.classes` are learned beside the scan's label."""
    grades: list[Text] = []
    """Columns of the cohort table with the grades, 0 normal to 4 almost missing, of right and left caudate and right
    and left putamen, which are learned beside the scan's label; `n/a` where not known."""
    training: Training
    extra: Extra | None = None
    seeds: Annotated[list[int], Field(min_length=1)] = [1]


class TabularMember(Part):
    """A simple model of numbers: binding ratios and shape, or volumes of a T1; covariates."""

    kind: Literal["tabular"]
    name: Name
    model: Literal["logistic", "svm", "boosting"]
    features: Annotated[list[Literal["sbr", "shape", "volumes"]], Field(min_length=1)]
    covariates: list[Text] = []
    """Columns of the cohort table; `sex` and other words become 0 and 1, missing values the training median."""
    seeds: Annotated[list[int], Field(min_length=1)] = [1]


class Validation(Part):
    """How scans are divided. People are never divided."""

    folds: Annotated[int, Field(ge=2)] | None = None
    leave_out: Literal["camera", "site"] | None = None
    """A fold for each camera or site, instead of `folds`."""
    together: Literal["camera", "site"] | None = None
    inner: Annotated[int, Field(ge=0)] = 0
    """Folds within each training set, for stacking, calibration and limits; 0 for none."""
    watched: Share = 0.0
    """Share of the people of each training set that are watched, for schedules and early stopping, not learned from."""
    watch_test: bool = False
    """The test fold is evaluated after each epoch, as the paper's table does; nothing is chosen by it."""
    final: Literal["none", "held-out", "all"] = "none"
    """`held-out`: one more model, tested on one of `final_folds`. `all`: one on every scan, to be used."""
    final_folds: Annotated[int, Field(ge=2)] = 5
    """Of equal size, of which a held-out final model is tested on the largest: 5 for 20 % of the scans."""
    seed: int = 1

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.folds is None) == (self.leave_out is None):
            raise ValueError("give either folds or leave_out")
        if self.inner == 1:
            raise ValueError("inner must be 0, or 2 and more")
        if self.watched and self.watch_test:
            raise ValueError("watched and watch_test contradict each other")
        return self


class Answer(Part):
    """How the members' answers become one."""

    combine: Literal["mean", "stack"] = "mean"
    """`stack`: a logistic model of the members' logits, fitted on inner folds."""
    calibration: Literal["none", "temperature", "platt", "beta"] = "none"
    uncertain: Share = 0.0
    """Share of scans, of the inner folds, whose answer is "uncertain": those nearest to 0.5."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Of the conformal limits."""
    sensitive: list[Name] = []
    """Members whose training leans to "abnormal" (`positive_weight` above 1); they take no part in the probability."""
    specific: list[Name] = []
    """Members that lean to "normal". A scan on which the two groups disagree is answered "uncertain".

    Source: Budenkotte et al. 2024, EJNMMI, doi 10.1007/s00259-023-06566-w."""

    @model_validator(mode="after")
    def _one_third_answer(self) -> Self:
        if bool(self.sensitive) != bool(self.specific):
            raise ValueError("sensitive and specific members go together")
        if self.sensitive and self.uncertain:
            raise ValueError("give either uncertain or sensitive and specific members")
        if both := sorted({*self.sensitive} & {*self.specific}):
            raise ValueError(f"{', '.join(both)} cannot be both sensitive and specific")
        return self


class Paper(Part):
    """The publication that a preset follows, and what it reports."""

    citation: Text
    reported: dict[Text, Text] = {}


class Plan(Part):
    """A whole study."""

    form: Literal["dopascope.plan/1"]
    name: Name
    title: Text
    labels: Labels
    members: Annotated[list[Annotated[NetworkMember | TabularMember, Field(discriminator="kind")]], Field(min_length=1)]
    validation: Validation
    answer: Answer = Answer()
    assumed: dict[Text, Text] = {}
    """Setting -> why it was set so although nobody said it."""
    paper: Paper | None = None
    keep_weights: bool = False
    """Of every fold; those of a final model are always kept."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        names = [one.name for one in self.members]
        if twice := sorted({one for one in names if names.count(one) > 1}):
            raise ValueError(f"two members are called {', '.join(twice)}")
        leaning = {*self.answer.sensitive, *self.answer.specific}
        if strange := sorted(leaning - {*names}):
            raise ValueError(f"answer names {', '.join(strange)}, which is no member")
        if leaning >= {*names} - self.aside:
            raise ValueError("a member that is neither sensitive nor specific has to give the probability")
        fitted = self.answer.combine == "stack" or self.answer.calibration != "none" or self.answer.uncertain > 0
        if fitted and not self.validation.inner:
            raise ValueError("a stack, calibration or uncertain answers need validation.inner of 2 or more")
        for member in self.networks:
            training = member.training
            watches = self.validation.watched > 0 and not self.validation.inner
            if training.early_stopping and not watches:
                raise ValueError(f"{member.name}: early_stopping needs validation.watched (and inner = 0)")
            if len(member.grades) not in (0, GRADED_REGIONS):
                raise ValueError(f"{member.name}: grades needs {GRADED_REGIONS} columns, or none")
            if member.classes and (member.grades or not self.labels.classes):
                raise ValueError(f"{member.name}: classes needs labels.classes, and no grades beside them")
            if bool(member.grades or member.classes) != bool(training.grade_weight):
                raise ValueError(f"{member.name}: grades or classes and training.grade_weight go together")
            if member.beside is not None:
                self._check_null(member)
        return self

    def _check_null(self, member: NetworkMember) -> None:
        of = next((one for one in self.networks if one.name == member.beside and one.beside is None), None)
        if of is None:
            raise ValueError(f"{member.name}: beside names {member.beside}, which is no network of the answer")
        apart = differences(member, of)
        if len(apart) != 1:
            raise ValueError(
                f"{member.name}: a matched null differs in one setting, not in {len(apart)} ({', '.join(apart)})"
            )

    @property
    def aside(self) -> set[str]:
        """Members that are compared and take no part in the answer."""
        return {one.name for one in self.networks if one.beside is not None}

    @property
    def networks(self) -> list[NetworkMember]:
        """The members that are networks."""
        return [one for one in self.members if isinstance(one, NetworkMember)]


def differences(member: NetworkMember, other: NetworkMember) -> list[str]:
    """Names of the settings in which two networks differ, apart from what they are called and compared with."""
    one, two = (member.model_dump(exclude={"name", "beside", "optional"}) for member in (member, other))
    return [name for name in one if one[name] != two[name]]


def load(named: str) -> Plan:
    """A preset by its name, or the plan in a `.toml` file.

    Raises:
        UsageError: there is no such preset or file, or the plan cannot be meant; the error names the field.
    """
    if named in PRESETS:
        text = (files("dopascope.study") / "presets" / f"{named}.toml").read_text(encoding="utf-8")
        return parse(text, where=f"preset {named}")
    path = Path(named)
    try:
        return parse(path.read_text(encoding="utf-8"), where=path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "There is no such preset or plan.",
            where="PLAN",
            found=named,
            expected=f"{', '.join(PRESETS)}, or the path of a .toml file",
            fix="Correct the name.",
        ) from error


def parse(text: str, *, where: object) -> Plan:
    """A plan from TOML.

    Raises:
        UsageError: not TOML, an unknown field, a value that cannot be meant, or fields that contradict each other.
    """
    try:
        return Plan.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            "The plan is not TOML.", where=where, found=error, expected="TOML (toml.io)", fix="Correct this line."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"] if step not in ("network", "tabular"))
        value = first.get("input")
        raise UsageError(
            "The plan has an unknown field." if first["type"] == "extra_forbidden" else "The plan cannot be meant.",
            where=f"{where}: {field}" if field else where,
            found="a whole plan" if isinstance(value, Mapping) and len(value) > 3 else repr(value)[:120],
            expected=first["msg"].removeprefix("Value error, "),
            fix="Correct this field; docs/study.md lists them all.",
        ) from None


def changed(
    plan: Plan,
    *,
    weights: str | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    leave_out: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan with other first weights, time limit, epochs or extra images for every network, or other folds.

    What was changed stands in the plan as such.

    Raises:
        UsageError: as `parse`.
    """
    known = plan.model_dump(exclude_none=True)
    for member in known["members"]:
        if member["kind"] != "network":
            continue
        told = {"weights": weights, "training.epochs": epochs, "training.minutes": minutes}
        for field, value in told.items():
            if value is None or (field == "weights" and member.get("beside")):
                continue
            (member["training"] if "." in field else member)[field.rsplit(".", 1)[-1]] = value
            known["assumed"][f"members.{member['name']}.{field}"] = "set on the command line"
        if extra is not None:
            member["extra"] = dict(extra)
            known["assumed"][f"members.{member['name']}.extra"] = "set on the command line"
            known["assumed"].pop("synthetic images", None)
    if leave_out is not None:
        known["validation"] = {**known["validation"], "leave_out": leave_out}
        known["validation"].pop("folds", None)
        known["assumed"]["validation.leave_out"] = "set on the command line"
    return parse(toml_of(known), where="command line")


def to_toml(plan: Plan) -> str:
    """The plan as TOML that `parse` reads back; fields without a value are left out."""
    return toml_of(plan.model_dump(exclude_none=True))
