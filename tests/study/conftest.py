"""A small simulated cohort and a run on it, made once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope.phantom import SITES
from dopascope.simulate import Plan, parse_mix, run
from small_plan import PEOPLE

SITE_NAMES = tuple(sorted(SITES))[:2]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort.tsv` of `PEOPLE` people, half of them with Parkinson's, at two sites."""
    folder = tmp_path_factory.mktemp("study") / "cohort"
    plan = Plan(subjects=PEOPLE, seed=31, sites=SITE_NAMES, mix=parse_mix("healthy=.5,pd=.5"), ideal=False)
    return run(plan, folder, processes=1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs here keep their registered scans."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`dopascope study` with these words."""

    def go(*arguments: object) -> Any:
        words = ["study", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go
