"""`dopascope doctor` on an installation of the web app."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dopascope.cli import doctor
from dopascope.cli.app import app
from web_installation import Installation


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run doctor without what it does apart from the web app."""
    for name in ("_core_packages", "_atlas", "_reads_a_scan"):
        monkeypatch.setattr(doctor, name, lambda *_: doctor.Finding("left out", "ok", ""))

    def run(*words: object) -> Any:
        given = ["doctor", *(str(one) for one in words)]
        monkeypatch.setattr(sys, "argv", ["dopascope", *given])
        return CliRunner().invoke(app, given)

    return run


def finding(told: Any) -> dict[str, str]:
    return next(one for one in json.loads(told.stdout) if one["check"] == "web app")


def test_an_installation_as_it_was_made_is_whole(installation: Installation, ask: Callable[..., Any]) -> None:
    installation.settings.secret("cookies")
    told = ask("--data", installation.settings.data, "--json")
    assert told.exit_code == 0
    assert finding(told)["status"] == "ok"
    assert "this account's alone" in finding(told)["detail"]
    assert "other addresses are refused without TLS" in finding(told)["detail"]


@pytest.mark.parametrize(
    ("name", "mode", "fix"),
    [("", 0o755, "chmod 700"), ("readings", 0o750, "chmod 700"), ("secrets.json", 0o640, "chmod 600")],
)
def test_what_others_can_open_is_said_with_the_remedy(
    name: str, mode: int, fix: str, installation: Installation, ask: Callable[..., Any]
) -> None:
    installation.settings.secret("cookies")
    path = installation.settings.data / name
    path.chmod(mode)
    told = ask("--data", installation.settings.data, "--json")
    assert told.exit_code == 1
    assert finding(told)["status"] == "failed"
    assert f"{path} has mode {mode:04o}" in finding(told)["detail"]
    assert finding(told)["fix"] == f"{fix} {path}"


def test_without_an_installation_nothing_is_made(ask: Callable[..., Any], tmp_path: Path) -> None:
    told = ask("--data", tmp_path / "none", "--json")
    assert told.exit_code == 0
    assert "no data in" in finding(told)["detail"]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--host", "0.0.0.0"], "without encryption"),
        (["--host", "192.0.2.7", "--trusted-host", "x.example"], "without encryption"),
        (["--behind-proxy"], "does not know the name"),
    ],
)
def test_settings_that_serve_refuses_end_with_the_reason(
    words: list[str], reason: str, ask: Callable[..., Any], tmp_path: Path
) -> None:
    told = ask("--data", tmp_path, *words)
    assert told.exit_code == 2
    assert reason in told.output


def test_behind_a_proxy_the_names_are_said(ask: Callable[..., Any], tmp_path: Path) -> None:
    told = ask(
        "--data", tmp_path, "--host", "0.0.0.0", "--behind-proxy", "--trusted-host", "scans.example.org", "--json"
    )
    assert told.exit_code == 0
    assert "to a proxy with TLS, as scans.example.org" in finding(told)["detail"]


def test_without_the_packages_only_questions_about_it_fail(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("no_such_package",))
    monkeypatch.setattr("dopascope.cli.serve.PACKAGES", ("no_such_package",))
    assert finding(ask("--json"))["detail"].startswith("not installed")
    assert ask("--host", "0.0.0.0").exit_code == 2
