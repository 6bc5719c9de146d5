"""`dopascope selftest`: exit codes, what is written, interruption; and that its page of the documentation is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dopascope.cli import app as program
from dopascope.reading.selftest import TOLERANCES, Selftest
from interruptible import started
from selftest_evidence import result, some_failed

DOCS = Path(__file__).parent.parent / "docs" / "selftest.md"


def table_of_docs() -> list[str]:
    rows = []
    for one in TOLERANCES.values():
        figures = "; ".join(f"{limit.what}: {limit.text}" for limit in one.limits)
        rows.append(f"| {one.title} | {one.asks} | {figures} | {one.reason} | {one.failure} |")
    return rows


def test_the_documented_tolerances_are_the_codes(request: pytest.FixtureRequest) -> None:
    begin, end = "<!-- tolerances: begin -->\n", "<!-- tolerances: end -->\n"
    text = DOCS.read_text()
    before, rest = text.split(begin)
    inside, after = rest.split(end)
    heads = [
        "| Line | What is asked | Figures and tolerances | Why | What a failure would mean |",
        "|---|---|---|---|---|",
    ]
    wanted = "\n".join([*heads, *table_of_docs()]) + "\n"
    if request.config.getoption("--regenerate"):
        DOCS.write_text(before + begin + wanted + end + after)
        inside = wanted
    assert inside == wanted


def call(monkeypatch: pytest.MonkeyPatch, *words: str):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "argv", ["dopascope", *words])
    return CliRunner().invoke(program.app, list(words))


@pytest.mark.parametrize(("option", "value", "word"), [("--seed", "-1", "--seed"), ("--site", "nowhere", "lehr-osem")])
def test_what_cannot_be_meant_is_refused(
    option: str, value: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(monkeypatch, "selftest", "--out", str(tmp_path / "out"), option, value)
    assert done.exit_code == 2
    assert word in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def test_exit_code_1_where_a_line_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command alone: its run is replaced by one that ended before."""

    def ended(progress: Callable[[int, int], None], **_: object) -> Selftest:
        for done in range(1, 13):
            progress(done, 12)
        return some_failed()

    monkeypatch.setattr("dopascope.reading.selftest.run", ended)
    done = call(monkeypatch, "selftest", "--out", str(tmp_path), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == json.loads((tmp_path / "selftest.json").read_text())
    assert "did not pass" in done.stderr
    assert [line.strip() for line in done.stderr.splitlines() if "/12" in line] == ["10/12", "12/12"]
    monkeypatch.setattr("dopascope.reading.selftest.run", lambda **_: result())
    done = call(monkeypatch, "selftest", "--out", str(tmp_path))
    assert done.exit_code == 0
    assert "Not a medical device" in done.stdout


def test_ctrl_c_ends_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(**_: object) -> Selftest:
        raise KeyboardInterrupt

    monkeypatch.setattr("dopascope.reading.selftest.run", pressed)
    done = call(monkeypatch, "selftest", "--out", str(tmp_path))
    assert done.exit_code == 130
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def begun(folder: Path) -> subprocess.Popen[str]:
    """The command, at work in `folder` with its workers."""
    command = [sys.executable, "-m", "dopascope", "selftest", "--out", str(folder / "out")]
    running = started(command, stdout=None, env={**os.environ, "TMPDIR": str(folder)})
    deadline = time.monotonic() + 60
    while not list(folder.glob("dopascope-selftest-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    return running


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    running = begun(tmp_path)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "begins anew" in said
    assert "Traceback" not in said
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_it_takes_its_workers_along(tmp_path: Path) -> None:
    """The workers hold stderr open: it ends when the last of them has."""
    running = begun(tmp_path)
    running.kill()
    running.communicate(timeout=60)


@pytest.mark.slow
def test_this_installation_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dopascope", "selftest", "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"]
