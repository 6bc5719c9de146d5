"""What the programming interface takes and answers, field by field; the OpenAPI document is made from it."""

from __future__ import annotations

import time
from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from dopascope.reading.choices import MODALITIES
from dopascope.reading.counterfactual import NORMAL
from dopascope.web.api.resource import Paged
from dopascope.web.changes import FURTHEST
from dopascope.web.summary import VERDICTS
from dopascope.web.tables import JOB_STATES, LABELS, ROLES

TEXT: Final = r"^\s*[^\s\x00][^\x00]*$"
"""Something besides blanks, and no NUL, which PostgreSQL does not store."""
KEY: Final = r"^[!-~]{1,200}$"
"""An Idempotency-Key: printable ASCII without blanks."""


class Moment(fields.Float):
    """Seconds since 1970 as a date and time, UTC."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return None if value is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))


class Answer(Schema):
    """Base of all answers: every field is there, and in this order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for one in self.fields.values():
            one.required = True


def links() -> fields.Dict:
    """Addresses of what belongs to it."""
    return fields.Dict(keys=fields.String(), values=fields.String())


def ratios() -> fields.Dict:
    """Region to binding ratio."""
    return fields.Dict(keys=fields.String(), values=fields.Float())


class ProblemDetails(Answer):
    """RFC 9457; beside these what, where, found, expected and fix, or errors: a list of where and what."""

    class Meta:
        """Members that are not named here."""

        unknown = INCLUDE

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()


class Looked(Paged):
    """What is looked for in a list of readings."""

    find = fields.String(
        validate=validate.Length(max=80),
        metadata={"description": "part of the pseudonym, the file's name or the camera"},
    )
    verdict = fields.String(validate=validate.OneOf(VERDICTS))


class ReadingLine(Answer):
    """A reading as lists show it."""

    id = fields.String()
    upload_id = fields.String()
    file = fields.String(metadata={"description": "name of what was uploaded"})
    owner = fields.String(metadata={"description": "user name of who uploaded it"})
    pseudonym = fields.String()
    created = Moment()
    verdict = fields.String(validate=validate.OneOf(VERDICTS))
    passport = fields.String()
    p_abnormal = fields.Float(allow_none=True)
    disagreement = fields.Boolean()
    camera = fields.String()
    ratios = ratios()
    sha256 = fields.String(metadata={"description": "of the scan"})
    signed_by = fields.String(allow_none=True)
    links = links()


class Remark(Answer):
    """A comment, the signature, or an addendum."""

    id = fields.String()
    kind = fields.String(validate=validate.OneOf(("comment", "signature", "addendum")))
    text = fields.String()
    created = Moment()
    by = fields.String(metadata={"description": "user name"})
    label = fields.String(allow_none=True, validate=validate.OneOf(LABELS), metadata={"description": "of a signature"})
    confidence = fields.Integer(allow_none=True, metadata={"description": "of a signature: 1 (a guess) to 5 (certain)"})


def _whole(text: str) -> None:
    """Refuse halves of characters, which no database stores; no pattern says so in every language."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("Not a text of whole characters.") from error


def _three(meaning: str) -> Any:
    number = fields.Float(validate=validate.Range(-FURTHEST, FURTHEST))
    return fields.List(number, required=True, validate=validate.Length(equal=3), metadata={"description": meaning})


class NewRemark(Schema):
    """A comment; after the signature it becomes an addendum."""

    text = fields.String(required=True, validate=[validate.Length(1, 4000), validate.Regexp(TEXT), _whole])


class Correction(Schema):
    """How a scan, seen on the template, is moved and turned about the middle of the striatum."""

    shift_mm = _three("right, forward, up; millimetres")
    rotate_deg = _three("about the x, y and z axis, right-handed; degrees")


class Simulation(Schema):
    """What a simulation as an age-matched normal needs."""

    age = fields.Float(
        validate=validate.Range(0, 120),
        allow_nan=False,
        metadata={"description": "years, where the reading knows none"},
    )


class ReadingDetail(ReadingLine):
    """One reading; whom it shows is null for those who may not see it or where the scan does not say."""

    notes = fields.List(fields.Nested(Remark))
    signature = fields.Nested(Remark, allow_none=True)
    identity = fields.Dict(keys=fields.String(), allow_none=True)
    files = links()


class SettingLine(Answer):
    """A setting of the installation."""

    name = fields.String()
    value = fields.Raw()
    changeable = fields.Boolean(metadata={"description": "on the settings page; else on the command line"})
    help = fields.String()


class JobState(Answer):
    """How far the reading of an upload is."""

    id = fields.String()
    upload_id = fields.String()
    state = fields.String(validate=validate.OneOf(JOB_STATES))
    progress = fields.String()
    attempts = fields.Integer()
    created = Moment()
    finished = Moment(allow_none=True)
    error = fields.Dict(keys=fields.String(), values=fields.String(), allow_none=True)
    links = links()


class UploadDetail(Answer):
    """Files that came in together, and how far their reading is."""

    id = fields.String()
    file = fields.String(metadata={"description": "name of the file or folder as it was sent"})
    owner = fields.String()
    files = fields.Integer()
    size = fields.Integer(metadata={"description": "bytes"})
    sha256 = fields.String()
    choices = fields.Dict(keys=fields.String())
    replaces = fields.String(
        allow_none=True,
        metadata={"description": "id of the upload that was read again by this one, corrected or with a simulation"},
    )
    created = Moment()
    job = fields.Nested(JobState)
    links = links()


class Accepted(Answer):
    """An upload that was taken in: the same each time that it is sent."""

    upload_id = fields.String()
    job_id = fields.String()
    links = links()


class Said(Schema):
    """What an uploader says of the person and the examination."""

    age = fields.Float(validate=validate.Range(0, 120), allow_nan=False)
    sex = fields.String(validate=validate.OneOf(("F", "M")))
    modality = fields.String(validate=validate.OneOf(MODALITIES))
    counterfactual = fields.String(
        validate=validate.OneOf((NORMAL,)),
        metadata={"description": "simulate the slab of a DaT SPECT as an age-matched normal; no evidence"},
    )


class VisitLine(Answer):
    """One reading of a person."""

    reading_id = fields.String()
    day = fields.String()
    day_from = fields.String(validate=validate.OneOf(("scan", "read")))
    verdict = fields.String(validate=validate.OneOf(VERDICTS))
    camera = fields.String()
    method = fields.String()
    ratios = ratios()


class ChangeLine(Answer):
    """A region over the visits, with its change since the first one."""

    region = fields.String()
    ratios = fields.List(fields.Float(allow_none=True))
    percents = fields.List(fields.Float(allow_none=True))


class PersonVisits(Answer):
    """One person's visits side by side, oldest first."""

    pseudonym = fields.String()
    visits = fields.List(fields.Nested(VisitLine))
    changes = fields.List(fields.Nested(ChangeLine))
    doubts = fields.List(fields.String(), metadata={"description": "why the visits may not be comparable"})
    retest_percent = fields.Float()


class MonthLine(Answer):
    """Readings of one month."""

    name = fields.String()
    total = fields.Integer()
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    unusual = fields.Integer()


class DistributionLine(Answer):
    """The worse putamen's binding ratio of one camera's scans."""

    camera = fields.String()
    count = fields.Integer()
    quartiles = fields.List(fields.Float())
    values = fields.List(
        fields.Float(), metadata={"description": "in order; of more than 300 as many, spread evenly over their ranks"}
    )


class Dashboard(Answer):
    """Counts over all that one may see."""

    total = fields.Integer()
    people = fields.Integer()
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    disagreements = fields.Integer()
    months = fields.List(fields.Nested(MonthLine))
    distributions = fields.List(fields.Nested(DistributionLine))


class ModelLine(Answer):
    """An installed reader of scans."""

    id = fields.String()
    kind = fields.String()
    title = fields.String()
    licence = fields.String()
    modality = fields.String()
    trained_on = fields.String()
    model_sha256 = fields.String()
    reads_each_scan = fields.Boolean()


class UserLine(Answer):
    """An account."""

    id = fields.String()
    name = fields.String()
    role = fields.String(validate=validate.OneOf(ROLES))
    disabled = fields.Boolean()
    created = Moment()


class TrailLine(Answer):
    """A line of the audit trail."""

    number = fields.Integer()
    at = Moment()
    actor = fields.String(metadata={"description": "id of a user, - for nobody, or system"})
    action = fields.String()
    target = fields.String()
    detail = fields.Dict(keys=fields.String())
    digest = fields.String()


class Verification(Answer):
    """What came of following the whole trail."""

    lines = fields.Integer()
    broken = fields.Integer(allow_none=True, metadata={"description": "first line that was changed"})
    head = fields.String()


class Trail(Answer):
    """A page of the audit trail, newest line first."""

    lines = fields.List(fields.Nested(TrailLine))
    verified = fields.Nested(Verification)


class DeadJob(Answer):
    """A reading that was given up."""

    id = fields.String()
    upload_id = fields.String()
    created = Moment()
    finished = Moment(allow_none=True)
    what = fields.String()
    found = fields.String()
    links = links()


class QueueState(Answer):
    """How many uploads are in each state, and what was given up."""

    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    dead = fields.List(fields.Nested(DeadJob))
