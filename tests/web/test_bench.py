"""`bench/web.py`: its peer shows the same page of the same database, and its own page follows from its record."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from web_installation import Finished, Installation

BENCH = Path(__file__).parents[2] / "bench"


def loaded(path: Path) -> ModuleType:
    """A script as a module."""
    spec = spec_from_file_location(f"bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_bare_app_lists_what_ours_lists(installation: Installation, finished: Finished) -> None:
    ada = installation.user("ada")
    installation.place(finished, ada)
    bare = loaded(BENCH / "web_parts" / "bare.py")
    page = bare.create(installation.settings.url).test_client().get("/")
    assert page.status_code == 200
    ours = installation.browser("ada").get("/").text
    for one in ("/readings/", "history.csv"):
        assert page.text.count(one) == ours.count(one) > 0


def test_the_page_of_the_bench_follows_from_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a whole run, and of one that ended after its first measurement."""
    monkeypatch.syspath_prepend(BENCH)
    table = loaded(BENCH / "web.py").table
    record = json.loads((BENCH / "results" / "web.json").read_text())
    page = (BENCH / "results" / "web.md").read_text()
    assert table(record) == page
    first = table({name: record[name] for name in ("machine", "asked", "load")})
    assert page.startswith(first.rstrip())
    assert "Records list" not in first
