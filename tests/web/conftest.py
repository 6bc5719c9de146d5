"""An installation in a temporary folder, and a scan to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dopascope import phantom
from dopascope.web import Settings, create_app
from web_installation import Installation


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Installation]:
    """Make an installation: `install(**changed_settings)`."""

    def make(**changes: Any) -> Installation:
        settings = replace(Settings(data=tmp_path / "web", models_dir=tmp_path / "models"), **changes)
        app = create_app(settings)
        return Installation(app, settings, app.extensions["dopascope_database"])

    return make


@pytest.fixture
def installation(install: Callable[..., Installation]) -> Installation:
    """One as it is by default."""
    return install()


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A phantom of Parkinson's as a camera's DICOM."""
    path = tmp_path_factory.mktemp("web-scan") / "one.dcm"
    phantom.write(phantom.example(seed=2, group="pd")[0], path, format="dicom")
    return path.read_bytes()
