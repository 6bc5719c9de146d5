"""The JSON Schema that ships is the one the classes make. To write it anew: pytest --regenerate."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from dopascope.reading import schema

SHIPPED = Path(str(files("dopascope.reading"))) / "reading.schema.json"


def test_the_shipped_schema_is_current(request: pytest.FixtureRequest) -> None:
    made = json.dumps(schema.json_schema(), indent=2) + "\n"
    if request.config.getoption("--regenerate"):
        SHIPPED.write_text(made)
    assert SHIPPED.read_text() == made, "run: pytest tests/reading/test_schema.py --regenerate"


def test_the_schema_is_a_schema_and_forbids_strangers() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())
    assert schema.json_schema()["additionalProperties"] is False
    assert "name" not in schema.Person.model_fields
