"""`dopascope worker`: a worker that no server has started, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from dopascope.cli.app import app
from dopascope.errors import UsageError
from dopascope.web import Settings
from dopascope.web.serve import start_workers
from dopascope.web.tables import ReadingRow
from web_installation import Installation

PATIENCE_S = 180.0


def command(settings: Settings) -> list[str]:
    words = ["worker", "--data", str(settings.data), "--models-dir", str(settings.models_dir)]
    return [*words, "--database", settings.database] if settings.database else words


def test_a_worker_of_its_own_does_what_the_server_queued(install: Callable[..., Installation], scan: bytes) -> None:
    installation = install(workers=0)
    installation.user("ada")
    installation.browser("ada").upload((scan, "one.dcm"))
    worker = subprocess.Popen(
        [sys.executable, "-m", "dopascope", *command(installation.settings)], stderr=subprocess.PIPE, text=True
    )
    try:
        ends = time.monotonic() + PATIENCE_S
        while (state := installation.jobs()[0].state) != "done":
            assert state in ("queued", "running")
            assert worker.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=30)
    finally:
        worker.kill()
    assert worker.returncode == 0
    assert f"Waits for jobs of {installation.settings.data}" in said
    with installation.database.read() as session:
        row = session.get_one(ReadingRow, installation.jobs()[0].id)
    assert (installation.settings.readings / row.id / "seal.json").is_file()


def test_a_server_may_leave_the_work_to_others(tmp_path: Path) -> None:
    none = Settings(data=tmp_path, workers=0)
    none.check()
    assert start_workers(none) == []
    with pytest.raises(UsageError, match="0 or more"):
        replace(none, workers=-1).check()


def refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "argv", ["dopascope", *command(settings)])
    return CliRunner().invoke(app, command(settings))


def test_a_folder_without_an_installation_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = refused(Settings(data=tmp_path / "none"), monkeypatch)
    assert told.exit_code == 2
    assert "There is no installation here" in told.output
    assert not (tmp_path / "none").exists()


def test_a_database_of_another_version_is_not_touched(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installation.database.current()
    with installation.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    told = refused(installation.settings, monkeypatch)
    assert told.exit_code == 2
    assert "tables of another version" in told.output
