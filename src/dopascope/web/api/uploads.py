"""Uploads and the jobs that read them."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import request, url_for
from marshmallow import ValidationError
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound, UnsupportedMediaType

from dopascope.errors import UsageError
from dopascope.reading.choices import MODALITIES
from dopascope.web import readings, uploads
from dopascope.web.access import CLINICAL, SIGNED_IN, database, upload_of, visible, who
from dopascope.web.api.problems import Problem, refusal
from dopascope.web.api.readings import looked_for
from dopascope.web.api.resource import PAGES, Blueprint, invalid, page_of
from dopascope.web.api.schemas import KEY, Accepted, Correction, JobState, Looked, Said, Simulation, UploadDetail
from dopascope.web.tables import Job, Upload

blueprint = Blueprint("uploads", "Files that come in, and how far their reading is.")
FORM: Final = {
    "type": "object",
    "required": ["files"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1},
            "description": "a DICOM or NIfTI file, all files of a series, or a zip",
        },
        "age": {"type": "number", "minimum": 0, "maximum": 120, "description": "years"},
        "sex": {"type": "string", "enum": ["F", "M"]},
        "modality": {"type": "string", "enum": list(MODALITIES), "description": "where the file does not say it"},
    },
}
BODY: Final = {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}
HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": KEY},
    "description": "The same upload under the same key is taken once within 24 hours.",
}
TAKEN: Final = {"Location": {"description": "of the job", "schema": {"type": "string"}}}


@blueprint.operation("/uploads", "GET", CLINICAL, "read")
@blueprint.arguments(Looked, location="query")
@blueprint.response(200, UploadDetail(many=True), headers=PAGES)
def list_uploads(asked: dict[str, Any]) -> Any:
    """Uploads that one may see, read or not, newest first."""
    with database().read() as session:
        found, headers = page_of(session, looked_for(asked), asked)
    return [_upload(one) for one in found], headers


@blueprint.operation("/uploads", "POST", CLINICAL, "upload")
@blueprint.doc(parameters=[HEADER], requestBody=BODY)
@blueprint.response(202, Accepted, headers=TAKEN)
def add_upload() -> Any:
    """Take files in and queue their reading; the job says when it is done."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(KEY, key):
        raise Problem(422, "An Idempotency-Key has 1 to 200 printable ASCII characters without blanks.", kind="invalid")
    try:
        said = Said().load(request.form.to_dict())
        names = ("age", "sex", "modality", "counterfactual")
        choices = uploads.choices_of(*(said.get(name) for name in names))
        found = uploads.take(request.files.getlist("files"), choices, key or "")
    except ValidationError as error:
        raise invalid(error) from error
    except UsageError as error:
        raise refusal(error) from error
    return accepted(found)


@blueprint.operation("/readings/<id:reading_id>/corrections", "POST", CLINICAL, "upload")
@blueprint.arguments(Correction)
@blueprint.response(202, Accepted, headers=TAKEN)
def correct_registration(given: dict[str, Any], reading_id: str) -> Any:
    """Queue a scan to be read with its registration corrected by hand; 409 where signed or corrected before."""
    made = readings.correct(reading_id, tuple(given["shift_mm"]), tuple(given["rotate_deg"]))
    if isinstance(made, readings.Closed):
        raise Problem(409, made.told, kind=made.kind)
    return accepted(made)


@blueprint.operation("/readings/<id:reading_id>/simulations", "POST", CLINICAL, "upload")
@blueprint.arguments(Simulation)
@blueprint.response(202, Accepted, headers=TAKEN)
def simulate_reading(given: dict[str, Any], reading_id: str) -> Any:
    """Queue a scan to be read with a simulation as an age-matched normal; 409 where there can be none any more."""
    made = readings.with_simulation(reading_id, given.get("age"))
    if isinstance(made, readings.Closed):
        raise Problem(409, made.told, kind=made.kind)
    return accepted(made)


def accepted(upload_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What is said of an upload that was queued, and the headers that say it."""
    with database().read() as session:
        job = upload_of(session, upload_id).job
    at = url_for("api_uploads.get_job", job_id=job.id)
    links = {"upload": url_for("api_uploads.get_upload", upload_id=upload_id), "job": at}
    return {"upload_id": upload_id, "job_id": job.id, "links": links}, {"Location": at}


@blueprint.operation("/uploads/<id:upload_id>", "GET", CLINICAL, "read")
@blueprint.response(200, UploadDetail)
def get_upload(upload_id: str) -> Any:
    """An upload, and how far its reading is."""
    with database().read() as session:
        return _upload(upload_of(session, upload_id))


@blueprint.operation("/jobs/<id:job_id>", "GET", CLINICAL, "read")
@blueprint.response(200, JobState)
def get_job(job_id: str) -> Any:
    """How far a reading is; when it is done, links lead to it."""
    with database().read() as session:
        return job_state(_job_of(session, job_id))


@blueprint.operation("/jobs/<id:job_id>/restart", "POST", SIGNED_IN, "upload", administrator="admin")
@blueprint.response(202, JobState, headers=TAKEN)
def restart_job(job_id: str) -> Any:
    """Queue a reading again that was given up; 409 for any other."""
    with database().write() as session:
        job = session.get(Job, job_id) if who().role == "administrator" else _job_of(session, job_id)
        if job is None:
            raise NotFound
        if not uploads.queue_again(session, job):
            raise Problem(409, "This reading was not given up.", kind="not-dead", fields={"state": job.state})
        return job_state(job), {"Location": url_for("api_uploads.get_job", job_id=job_id)}


def _job_of(session: Session, job_id: str) -> Job:
    """The job of an upload that the user of this request may see; else 404."""
    found = session.scalars(visible(who()).join(Job).where(Job.id == job_id)).unique().first()
    if found is None:
        raise NotFound
    return found.job


def job_state(job: Job) -> dict[str, Any]:
    """A job as programs see it."""
    links = {
        "self": url_for("api_uploads.get_job", job_id=job.id),
        "upload": url_for("api_uploads.get_upload", upload_id=job.upload_id),
    }
    if job.state == "done":
        links["reading"] = url_for("api_readings.get_reading", reading_id=job.id)
    if job.state == "dead":
        links["restart"] = url_for("api_uploads.restart_job", job_id=job.id)
    columns = ("id", "upload_id", "state", "progress", "attempts", "created", "finished", "error")
    return {name: getattr(job, name) for name in columns} | {"links": links}


def _upload(upload: Upload) -> dict[str, Any]:
    columns = ("id", "files", "size", "sha256", "choices", "created", "replaces")
    return {name: getattr(upload, name) for name in columns} | {
        "file": upload.original_name,
        "owner": upload.owner.name,
        "job": job_state(upload.job),
        "links": {
            "self": url_for("api_uploads.get_upload", upload_id=upload.id),
            "job": url_for("api_uploads.get_job", job_id=upload.job.id),
        },
    }
