"""Dependencies with known weaknesses are found; where nobody can be asked, that is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TOLD = {
    "dependencies": [
        {"name": "pydicom", "version": "3.0.1", "vulns": [{"id": "CVE-2026-32711", "fix_versions": ["3.0.2"]}]},
        {"name": "flask", "version": "3.1.3", "vulns": []},
        {"name": "ours", "skip_reason": "editable"},
        {"name": "arrow", "version": "1.0", "vulns": [{"id": "B"}, {"id": "A", "fix_versions": []}]},
    ]
}


@pytest.fixture(scope="module")
def script():  # type: ignore[no-untyped-def]
    """The script, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "release"))
    try:
        import audit_dependencies

        yield audit_dependencies
    finally:
        sys.path.remove(str(ROOT / "release"))


def test_each_weakness_is_a_line_with_the_version_that_mends_it(script: Any) -> None:
    assert [str(one) for one in script.weaknesses(TOLD)] == [
        "arrow 1.0: A, mended in no version yet",
        "arrow 1.0: B, mended in no version yet",
        "pydicom 3.0.1: CVE-2026-32711, mended in 3.0.2",
    ]


def test_no_answer_is_not_taken_for_no_weakness(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "find_spec", lambda _: object())

    def late(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("pip-audit", 1)

    for run in (lambda *_, **__: SimpleNamespace(stdout="", returncode=1), late):
        with pytest.raises(script.NotAskedError, match="no answer"):
            script.audit(run)
    assert len(script.audit(lambda *_, **__: SimpleNamespace(stdout=json.dumps(TOLD), returncode=1))) == 3
    monkeypatch.setattr(script, "find_spec", lambda _: None)
    with pytest.raises(script.NotAskedError, match="not installed"):
        script.audit()
    assert script.main() == 3


@pytest.mark.promise(
    "A dependency with a published weakness fails CI, where the service that knows them can be asked",
    asvs="15.2.1",
    threats="T31",
)
@pytest.mark.slow
def test_no_installed_package_has_a_known_weakness(script: Any) -> None:
    try:
        found = script.audit()
    except script.NotAskedError as error:
        pytest.skip(str(error))
    assert [str(one) for one in found] == []
