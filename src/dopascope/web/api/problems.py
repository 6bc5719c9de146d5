"""What the programming interface says when it refuses: problem details, RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response, request
from werkzeug.exceptions import HTTPException

from dopascope.errors import DopascopeError

PREFIX: Final = "/api"
MIMETYPE: Final = "application/problem+json"
DETAILS: Final = {
    400: "This request cannot be understood.",
    404: "There is no such thing, or it is not yours to see.",
    405: "This address is not asked like that; Allow says how.",
    409: "This is not possible as things stand.",
    413: "What was sent is too large.",
    415: "What was sent is of another kind than is taken here; see openapi.json.",
    422: "Something that was sent cannot be meant; errors says what.",
    429: "Too many requests: wait as Retry-After says.",
    507: "The server's disk is full; nothing of this was stored.",
}


class Problem(HTTPException):
    """A refusal with its reason.

    Args:
        status: of the answer.
        detail: what went wrong, for a person.
        kind: a word that programs may go by; without one, the status says all.
        headers: of the answer.
        fields: more members of the problem.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.kind, self.headers, self.fields = kind, dict(headers or {}), dict(fields or {})


def wanted() -> bool:
    """Whether a program asks, and not a browser."""
    return request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def refusal(error: DopascopeError, status: int = 422) -> Problem:
    """What a user did wrong, with all that a page would tell him."""
    return Problem(status, error.what, kind=error.code, fields={"what": error.what, **error.fields()})


def answer(error: HTTPException) -> Response:
    """The answer of a refusal, whoever refused."""
    code = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name.lower() not in ("content-type", "location")}
    if isinstance(error, Problem):
        return _answer(code, error.description or "", error.kind, headers | error.headers, error.fields)
    return _answer(code, DETAILS.get(code, HTTPStatus(code).phrase), "", headers, {})


def broken(number: str) -> Response:
    """The answer of what is our own fault: a number to tell the administrator."""
    return _answer(500, f"Something broke on our side. Tell your administrator this number: {number}.", "", {}, {})


def _answer(code: int, detail: str, kind: str, headers: dict[str, str], fields: dict[str, Any]) -> Response:
    told = {
        "type": f"urn:dopascope:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": detail,
        **fields,
    }
    return Response(json.dumps(told) + "\n", status=code, headers=headers, mimetype=MIMETYPE)
