"""What all resources share: routes with their roles and scopes, arguments, pages of lists, and entity tags."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import flask_smorest
from flask import Request, Response, request, url_for
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from sqlalchemy import Select, func
from sqlalchemy.orm import Session
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.routing import BaseConverter

from dopascope.web.access import ANYONE, allow
from dopascope.web.api.bearer import scoped
from dopascope.web.api.problems import DETAILS, PREFIX, Problem
from dopascope.web.history import LAST_PAGE
from dopascope.web.readings import EVIDENCE, FILES
from dopascope.web.tables import Role

View = TypeVar("View", bound=Callable[..., object])
ROOT: Final = f"{PREFIX}/v1"
LARGEST_JSON: Final = 64 * 1024
"""Bytes of a JSON body."""
PAGE: Final = 25
LARGEST_PAGE: Final = 200


class Id(BaseConverter):
    """An id as the app makes them; what cannot be one asks no database."""

    regex = "[0-9a-f]{32}"


class Pseudonym(BaseConverter):
    """A pseudonym."""

    regex = "[A-Za-z0-9-]{1,32}"


class FileName(BaseConverter):
    """A name that a file of a reading may have."""

    regex = "|".join((*map(re.escape, FILES), EVIDENCE.pattern))


class Paged(Schema):
    """Which part of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))
    page_size = fields.Integer(load_default=PAGE, validate=validate.Range(1, LARGEST_PAGE))


class Parser(FlaskParser):
    """Arguments; what is wrong with them is a problem that names each, what is unknown among it."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE}

    def _raw_load_json(self, req: Request) -> Any:
        req.max_content_length = LARGEST_JSON
        if not core.is_json(req.mimetype):
            raise UnsupportedMediaType
        try:
            return core.parse_json(req.get_data(cache=True))
        except (ValueError, RecursionError) as error:
            raise BadRequest from error

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> Any:
        """Refuse."""
        raise invalid(error)


def invalid(error: ValidationError) -> Problem:
    """What is wrong with the arguments of a request."""
    return Problem(422, DETAILS[422], kind="invalid", fields={"errors": list(_named("", error.messages))})


def _named(where: str, told: Any) -> Any:
    if isinstance(told, dict):
        for name, inner in told.items():
            yield from _named(f"{where}.{name}" if where else str(name), inner)
    else:
        yield from ({"where": where, "what": str(one)} for one in told)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """Resources of one noun."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, noun: str, description: str) -> None:
        super().__init__(f"api_{noun}", __name__, url_prefix=ROOT, description=description)
        self.after_request(_tagged)

    def operation(
        self, rule: str, method: str, roles: tuple[Role, ...] | str, scope: str, **by_role: str
    ) -> Callable[[View], View]:
        """Decorator of a view: its address, who may ask for it, and the scope that a token needs.

        Args:
            rule: address below `ROOT`.
            method: GET or POST.
            roles: as `access.allow` takes them.
            scope: as `bearer.scoped` takes it; empty where anyone may ask.
            by_role: scopes of single roles.
        """

        def place(view: View) -> View:
            told: dict[str, Any] = {"operationId": view.__name__}
            if roles == ANYONE:
                told["security"] = []
            else:
                told["x-scopes"] = sorted({scope, *by_role.values()})
            documented = self.doc(**told)(scoped(scope, **by_role)(allow(roles)(view)))
            self.add_url_rule(rule, view.__name__, documented, methods=[method])
            return view

        return place


def _tagged(answer: Response) -> Response:
    """A strong entity tag on what was asked for; 304 for whoever has it."""
    if request.method in ("GET", "HEAD") and answer.status_code == 200 and not answer.is_streamed:
        answer.add_etag()
        answer.make_conditional(request)
    return answer


def page_of(session: Session, wanted: Select[Any], asked: dict[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """A page of a list, and the headers that tell of the others."""
    page, size = asked["page"], asked["page_size"]
    counted = wanted.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    total = session.scalar(counted) or 0
    last = max(1, -(-total // size))
    rows = list(session.scalars(wanted.offset((page - 1) * size).limit(size)).unique())
    links = {"first": 1, "last": last} | ({"prev": min(page - 1, last)} if page > 1 else {})
    if page < last:
        links["next"] = page + 1
    told = [f'<{_at(asked, number)}>; rel="{name}"' for name, number in links.items()]
    pages = {"total": total, "page": page, "page_size": size, "pages": last}
    return rows, {"Link": ", ".join(told), "X-Pagination": json.dumps(pages)}


def _at(asked: dict[str, Any], page: int) -> str:
    given = {name: value for name, value in asked.items() if value not in ("", None)} | {"page": page}
    return url_for(str(request.endpoint), **(request.view_args or {}), **given)


PAGES: Final = {
    "Link": {"description": "first, prev, next and last page (RFC 8288)", "schema": {"type": "string"}},
    "X-Pagination": {"description": "total, page, page_size and pages as JSON", "schema": {"type": "string"}},
}
"""Headers of a list, for the document."""
