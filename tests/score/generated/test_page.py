"""docs/judging.md names everything that can be called, and its defaults are those of the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from dopascope.score import generated

PAGE = (Path(__file__).parents[3] / "docs" / "judging.md").read_text()


def test_every_public_name_is_on_the_page() -> None:
    assert [name for name in generated.__all__ if f"`{name}`" not in PAGE] == []


def test_every_default_on_the_page_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 10
    for module, name, said in rows:
        value = getattr(importlib.import_module(f"dopascope.score.generated.{module}"), name)
        assert float(said) == value, f"{module}.{name}"
