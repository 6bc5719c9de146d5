"""Fitted values as small JSON files: their common ground, provenance, and reading them with clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dopascope.errors import UnreadableError

MAX_BYTES: Final = 1 << 20
"""Such a file is a few kilobytes; anything beyond this is something else."""


class Stored(BaseModel):
    """Immutable data; unknown fields and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


StoredKind = TypeVar("StoredKind", bound=Stored)


class Provenance(Stored):
    """Where fitted values came from, so that they can be made again."""

    how: str
    seeds: str | None = None
    scans: tuple[str, ...] = Field(default=(), description="sha256 of each scan")
    software: dict[str, str] = Field(default_factory=dict)
    created: str | None = None


def read_stored(
    path: Path,
    kind: type[StoredKind],
    *,
    what: str,
    expected: str,
    fix: str,
    renew: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> StoredKind:
    """Read `path` as `kind`; `renew` turns the content of an older form into the present one.

    Raises:
        UnreadableError: it cannot be opened, is larger than `MAX_BYTES`, is not JSON or lacks a field. `what`,
            `expected` and `fix` are the error's; `found` names the first faulty field.
    """

    def refused(found: str) -> UnreadableError:
        return UnreadableError(what, where=path, found=found, expected=expected, fix=fix)

    try:
        with open(path, "rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise refused(error.strerror or "not readable") from error
    if len(text) > MAX_BYTES:
        raise refused(f"more than {MAX_BYTES} bytes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"not JSON: {error}") from error
    if renew is not None and isinstance(content, dict):
        content = renew(content)
    try:
        # Through JSON and not as Python values, so that the strict rules of JSON hold (a list is a tuple).
        return kind.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise refused(f"{error.error_count()} faults, the first: {field} {first['msg']}".strip()) from error
