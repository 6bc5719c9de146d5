"""An installation in a temporary folder, and a scan to send."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import create_engine, text

from dopascope import phantom
from dopascope.web import Settings, create_app, passwords
from web_installation import Finished, Installation


@pytest.fixture(scope="session", autouse=True)
def real_hasher() -> Iterator[PasswordHasher]:
    """The app's own; in the tests argon2id takes a thousandth of its memory, or they would do little else."""
    real = passwords._HASHER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield real


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """SQLite in the data folder, or a database of its own on the server that `DOPASCOPE_POSTGRESQL` names."""
    if request.param == "sqlite":
        yield ""
        return
    server = os.environ.get("DOPASCOPE_POSTGRESQL")
    if not server:
        if os.environ.get("CI") == "true":
            pytest.fail("DOPASCOPE_POSTGRESQL names no server; .ci/run starts one.")
        pytest.skip("DOPASCOPE_POSTGRESQL names no server to test on")
    name = f"dopascope_{uuid.uuid4().hex}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{server}/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def install(tmp_path: Path, database_url: str) -> Callable[..., Installation]:
    """Make an installation: `install(**changed_settings)`."""

    def make(**changes: Any) -> Installation:
        settings = replace(
            Settings(data=tmp_path / "web", database=database_url, models_dir=tmp_path / "models", niceness=0),
            **changes,
        )
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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, scan: bytes) -> Finished:
    """A real reading of `scan`, for tests of what is done with readings (`Installation.place`)."""
    return _finished(tmp_path_factory.mktemp("finished"), scan)


@pytest.fixture(scope="session")
def finished_healthy(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same of a healthy phantom."""
    folder = tmp_path_factory.mktemp("finished-healthy")
    phantom.write(phantom.example(seed=5, group="healthy")[0], folder / "two.dcm", format="dicom")
    return _finished(folder, (folder / "two.dcm").read_bytes())


def _finished(folder: Path, scan: bytes) -> Finished:
    settings = Settings(data=folder / "web", models_dir=folder / "models", niceness=0)
    app = create_app(settings)
    made = Installation(app, settings, app.extensions["dopascope_database"])
    made.user("ada")
    made.browser("ada").upload((scan, "one.dcm"))
    made.work()
    found = made.finished()
    made.database.close()
    return found
