"""Readings, their files and their notes."""

from __future__ import annotations

from typing import Any

from flask import url_for
from sqlalchemy import Select
from sqlalchemy.orm import selectinload
from werkzeug.wrappers import Response as AnyResponse

from dopascope.reading import SCHEMA
from dopascope.web import history, readings, storage
from dopascope.web.access import CLINICAL, database, visible_readings, who
from dopascope.web.api.resource import PAGES, Blueprint, page_of
from dopascope.web.api.schemas import Looked, NewRemark, ReadingDetail, ReadingLine, Remark
from dopascope.web.tables import Note, ReadingRow, Upload

blueprint = Blueprint("readings", "What was read, and what was said of it.")


@blueprint.operation("/readings", "GET", CLINICAL, "read")
@blueprint.arguments(Looked, location="query")
@blueprint.response(200, ReadingLine(many=True), headers=PAGES)
def list_readings(asked: dict[str, Any]) -> Any:
    """Finished readings that one may see, newest first."""
    wanted = visible_readings(who()).join(ReadingRow.upload).where(*history.conditions(*_words(asked)))
    return lines(wanted.order_by(Upload.created.desc(), Upload.id), asked)


def looked_for(asked: dict[str, Any]) -> Select[Upload]:
    """What one may see of what is looked for, read or not."""
    return history.chosen(*_words(asked))


def _words(asked: dict[str, Any]) -> tuple[str, str]:
    return storage.printable(asked.get("find", "")), asked.get("verdict", "")


def lines(wanted: Select[ReadingRow], asked: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A page of chosen `ReadingRow`s, and its headers."""
    with database().read() as session:
        rows, headers = page_of(session, wanted.options(selectinload(ReadingRow.upload)), asked)
        signed = history.signatures(session, [row.id for row in rows])
    return [line(row, row.upload, signed.get(row.id)) for row in rows], headers


def line(row: ReadingRow, upload: Upload, signed: history.Signature | None) -> dict[str, Any]:
    """A reading as lists show it."""
    columns = ("id", "upload_id", "pseudonym", "created", "verdict", "passport", "p_abnormal", "disagreement")
    more = ("camera", "ratios", "sha256")
    return {name: getattr(row, name) for name in (*columns, *more)} | {
        "file": upload.original_name,
        "owner": upload.owner.name,
        "signed_by": signed.by if signed else None,
        "links": {
            "self": url_for("api_readings.get_reading", reading_id=row.id),
            "whole": url_for("api_readings.get_whole_reading", reading_id=row.id),
            "notes": url_for("api_readings.list_notes", reading_id=row.id),
            "upload": url_for("api_uploads.get_upload", upload_id=row.upload_id),
            "person": url_for("api_records.get_person", pseudonym=row.pseudonym),
        },
    }


@blueprint.operation("/readings/<id:reading_id>", "GET", CLINICAL, "read")
@blueprint.response(200, ReadingDetail)
def get_reading(reading_id: str) -> Any:
    """One reading with its notes, its signature and, for those who may see it, whom it shows."""
    readings.see(reading_id)
    with database().read() as session:
        row, upload = readings.row_of(session, reading_id)
        notes = [_remark(one) for one in readings.notes_of(session, reading_id)]
        identity = readings.identity_of(session, row, upload)
    signature = next((one for one in notes if one["kind"] == "signature"), None)
    files = {
        name: url_for("api_readings.get_reading_file", reading_id=row.id, name=name)
        for name in readings.files_of(row.id)
    }
    more = {"notes": notes, "signature": signature, "identity": identity, "files": files}
    signed = history.Signature(signature["by"]) if signature else None
    return line(row, upload, signed) | more


@blueprint.operation("/readings/<id:reading_id>/reading", "GET", CLINICAL, "read")
@blueprint.response(200, "Reading", description=SCHEMA)
def get_whole_reading(reading_id: str) -> AnyResponse:
    """The whole reading, as it was sealed."""
    readings.see(reading_id)
    return readings.send(reading_id, "reading.json", saved=False)


@blueprint.operation("/readings/<id:reading_id>/files/<file:name>", "GET", CLINICAL, "read")
@blueprint.doc(
    responses={
        "200": {
            "description": "The file.",
            "content": {kind: {"schema": {}} for kind in dict.fromkeys(readings.FILES.values())},
        }
    }
)
def get_reading_file(reading_id: str, name: str) -> AnyResponse:
    """The report as a page or PDF, the data, the seal, or a volume of the viewer."""
    return readings.send(reading_id, name, saved=True)


@blueprint.operation("/readings/<id:reading_id>/notes", "GET", CLINICAL, "read")
@blueprint.response(200, Remark(many=True))
def list_notes(reading_id: str) -> Any:
    """Comments, signature and addenda, in order of time."""
    with database().read() as session:
        readings.row_of(session, reading_id)
        return [_remark(one) for one in readings.notes_of(session, reading_id)]


@blueprint.operation("/readings/<id:reading_id>/notes", "POST", CLINICAL, "annotate")
@blueprint.arguments(NewRemark)
@blueprint.response(201, Remark)
def add_note(given: dict[str, str], reading_id: str) -> Any:
    """Add a comment; after the signature, an addendum. Signing is done on the page, with the password."""
    made = readings.comment(reading_id, given["text"])
    with database().read() as session:
        return _remark(session.get_one(Note, made.id))


def _remark(note: Note) -> dict[str, Any]:
    names = ("id", "kind", "text", "created", "label", "confidence")
    return {name: getattr(note, name) for name in names} | {"by": note.user.name}
