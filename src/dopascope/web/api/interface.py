"""The programming interface put together: its resources, and the OpenAPI document that tells of them."""

from __future__ import annotations

from typing import Any, Final

import flask_smorest
from flask import Flask, Response, current_app, json

from dopascope import __version__
from dopascope.reading import Reading
from dopascope.reading.schema import DISCLAIMER
from dopascope.web.access import ANYONE
from dopascope.web.api import administration, pages, problems, readings, records, uploads
from dopascope.web.api.resource import Blueprint, FileName, Id, Pseudonym
from dopascope.web.api.schemas import Moment, ProblemDetails

EXTENSION: Final = "dopascope_interface"
description = Blueprint("description", "This document.")
RESOURCES: Final = (description, readings.blueprint, uploads.blueprint, records.blueprint, administration.blueprint)


class Interface(flask_smorest.Api):  # type: ignore[misc]
    """With problem details in place of flask-smorest's own errors."""

    ERROR_SCHEMA = ProblemDetails

    def _register_error_handlers(self) -> None:
        """None: the app answers errors of pages and programs in one place."""

    def _register_responses(self) -> None:
        told = {"description": "Refused", "content": {problems.MIMETYPE: {"schema": ProblemDetails}}}
        for name in ("DEFAULT_ERROR", "UNPROCESSABLE_ENTITY", "UNPROCESSABLE_CONTENT"):
            self.spec.components.response(name, told, lazy=True)


@description.operation("/openapi.json", "GET", ANYONE, "")
@description.response(200, {"type": "object"})
def get_openapi() -> Response:
    """All of this, for programs."""
    document = current_app.extensions[EXTENSION].spec.to_dict()
    return Response(json.dumps(document, indent=1), mimetype="application/json")


def register(app: Flask) -> None:
    """Add the programming interface to an app, and the part on tokens of the account's page."""
    app.url_map.converters |= {"id": Id, "pseudonym": Pseudonym, "file": FileName}
    app.config |= {"API_TITLE": "dopascope", "API_VERSION": __version__, "OPENAPI_VERSION": "3.1.0"}
    made = Interface(
        app,
        spec_kwargs={
            "info": {"description": f"{DISCLAIMER} Tokens are made on the account's page.", "license": LICENCE},
            "security": [{"token": []}],
        },
    )
    made.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    made.register_field(Moment, "string", "date-time")
    for converter in (Id, Pseudonym, FileName):
        made.register_converter(converter, _pattern)
    for name, part in _reading_parts().items():
        made.spec.components.schema(name, part)
    for one in RESOURCES:
        made.register_blueprint(one)
        app.extensions["csrf"].exempt(one)  # browsers do not send a token by themselves
    app.register_blueprint(pages.blueprint)
    app.extensions[EXTENSION] = made


LICENCE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def _pattern(converter: Any) -> dict[str, str]:
    return {"type": "string", "pattern": f"^(?:{converter.regex})$"}


def _reading_parts() -> dict[str, dict[str, Any]]:
    """The whole reading's schema, each part under a name of its own."""
    whole = Reading.model_json_schema(
        by_alias=True, mode="serialization", ref_template="#/components/schemas/Reading.{model}"
    )
    parts = {f"Reading.{name}": part for name, part in whole.pop("$defs").items()}
    return {"Reading": whole} | parts
