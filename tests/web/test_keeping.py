"""Backup, restore, and the audit trail on the terminal."""

from __future__ import annotations

import json
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope.errors import HostileError, UnreadableError, UsageError
from dopascope.web import Settings, changes, create_app
from dopascope.web.keeping import backup, restore
from web_installation import Finished, Installation


@pytest.fixture
def database_url() -> str:
    """Backups are of SQLite; PostgreSQL has its own."""
    return ""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def go(*arguments: object) -> Any:
        words = [str(one) for one in arguments]
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, words)

    return go


@pytest.mark.promise(
    "A backup that was made while the app worked is whole, and a changed one is refused", threats="T32"
)
def test_a_backup_made_while_people_write_comes_back_whole(
    installation: Installation, finished: Finished, run: Callable[..., Any], tmp_path: Path
) -> None:
    installation.place(finished, installation.user("ada"))
    held = {one.name: one.shown(installation.settings) for one in changes.CHANGEABLE}
    changes.change(installation.settings, held | {"idle_minutes": 7})
    for _ in range(3):
        installation.browser("ada")
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            installation.browser("ada")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = run("backup", tmp_path / "today.zip", "--data", installation.settings.data)
    finally:
        ended.set()
        writer.join()
    assert told.exit_code == 0, told.stderr
    assert (tmp_path / "today.zip").stat().st_mode & 0o777 == 0o600
    told = run("restore", tmp_path / "today.zip", "--data", tmp_path / "restored")
    assert told.exit_code == 0, told.stderr
    told = run("audit", "verify", "--data", tmp_path / "restored", "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["lines"] >= 3
    settings = Settings(data=tmp_path / "restored", models_dir=tmp_path / "models")
    app = create_app(settings)
    again = Installation(app, settings, app.extensions["dopascope_database"])
    job = installation.jobs()[0].id
    assert again.browser("ada").get(f"/readings/{job}").status_code == 200
    assert (settings.data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert changes.current(settings).idle_minutes == 7


@pytest.mark.promise(
    "Lines that were cut off the trail's end, or an older copy of it, are found by a head that was kept elsewhere",
    asvs="16.4.2",
    threats="T25",
)
def test_an_older_copy_is_found_by_the_head_of_a_newer_one(
    installation: Installation, run: Callable[..., Any], tmp_path: Path
) -> None:
    installation.user("ada")
    installation.browser("ada")
    data = installation.settings.data
    backup(installation.settings, tmp_path / "old.zip")
    early = json.loads(run("audit", "verify", "--data", data, "--json").stdout)["head"]
    installation.browser("ada")
    late = json.loads(run("audit", "verify", "--data", data, "--json").stdout)["head"]
    assert run("audit", "verify", "--data", data, "--head", early).exit_code == 0
    restore(tmp_path / "old.zip", tmp_path / "back")
    assert run("audit", "verify", "--data", tmp_path / "back", "--head", early).exit_code == 0
    told = run("audit", "verify", "--data", tmp_path / "back", "--head", late)
    assert told.exit_code == 4
    assert "cut off" in told.stderr
    with installation.database.engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit SET actor = 'x' WHERE number = 1")
        connection.commit()
    told = run("audit", "verify", "--data", data)
    assert told.exit_code == 4
    assert "line 1" in told.stderr
    assert run("audit", "verify", "--data", tmp_path / "nothing").exit_code == 2


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


def escaping(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        told = json.loads(files["manifest.json"])
        told["files"][name] = "0" * 64
        files["manifest.json"] = json.dumps(told).encode()
        files[name] = b"x"

    return change


@pytest.mark.promise(
    "A backup that was made while the app worked is whole, and a changed one is refused", asvs="5.3.2", threats="T32"
)
@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "uploads/../../outside", "uploads\\..\\x", "other/x"])
def test_a_backup_that_leads_outside_is_refused(installation: Installation, tmp_path: Path, name: str) -> None:
    whole = backup(installation.settings, tmp_path / "whole.zip")
    with pytest.raises(HostileError, match="outside"):
        restore(rewritten(whole, tmp_path / "bad.zip", escaping(name)), tmp_path / "new" / "data")
    assert not (tmp_path / "new").exists()


@pytest.mark.promise(
    "A backup that was made while the app worked is whole, and a changed one is refused", threats="T32"
)
def test_damaged_and_strange_backups_are_refused(installation: Installation, tmp_path: Path) -> None:
    whole = backup(installation.settings, tmp_path / "whole.zip")
    new = tmp_path / "data"

    def changed(files: dict[str, bytes]) -> None:
        files["secrets.json"] = b"{}"

    with pytest.raises(UnreadableError, match="was changed"):
        restore(rewritten(whole, tmp_path / "changed.zip", changed), new)
    with pytest.raises(UnreadableError, match="not a backup"):
        restore(rewritten(whole, tmp_path / "other.zip", lambda files: files.pop("manifest.json")), new)  # type: ignore[arg-type,return-value]
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UnreadableError, match="cannot be read"):
        restore(tmp_path / "text.zip", new)
    assert not new.exists()
    with pytest.raises(UsageError, match="exists already"):
        backup(installation.settings, whole)
    with pytest.raises(UsageError, match="not empty"):
        restore(whole, tmp_path)
    with pytest.raises(UsageError, match="no database"):
        backup(Settings(data=tmp_path / "none"), tmp_path / "x.zip")
