"""Dependencies with known weaknesses are found; where nobody can be asked, that is said."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest

import audit_dependencies

TOLD = {
    "dependencies": [
        {"name": "pydicom", "version": "3.0.1", "vulns": [{"id": "CVE-2026-32711", "fix_versions": ["3.0.2"]}]},
        {"name": "flask", "version": "3.1.3", "vulns": []},
        {"name": "ours", "skip_reason": "editable"},
        {"name": "arrow", "version": "1.0", "vulns": [{"id": "B"}, {"id": "A", "fix_versions": []}]},
    ]
}


def test_each_weakness_is_a_line_with_the_version_that_mends_it() -> None:
    assert [str(one) for one in audit_dependencies.weaknesses(TOLD)] == [
        "arrow 1.0: A, mended in no version yet",
        "arrow 1.0: B, mended in no version yet",
        "pydicom 3.0.1: CVE-2026-32711, mended in 3.0.2",
    ]


def test_no_answer_is_not_taken_for_no_weakness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_dependencies, "find_spec", lambda _: object())

    def late(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("pip-audit", 1)

    for run in (lambda *_, **__: SimpleNamespace(stdout="", returncode=1), late):
        with pytest.raises(audit_dependencies.NotAskedError, match="no answer"):
            audit_dependencies.audit(run)
    assert len(audit_dependencies.audit(lambda *_, **__: SimpleNamespace(stdout=json.dumps(TOLD), returncode=1))) == 3
    monkeypatch.setattr(audit_dependencies, "find_spec", lambda _: None)
    with pytest.raises(audit_dependencies.NotAskedError, match="not installed"):
        audit_dependencies.audit()
    assert audit_dependencies.main() == 3


@pytest.mark.promise(
    "A dependency with a published weakness fails CI, where the service that knows them can be asked",
    asvs="15.2.1",
    threats="T31",
)
@pytest.mark.slow
def test_no_installed_package_has_a_known_weakness() -> None:
    try:
        found = audit_dependencies.audit()
    except audit_dependencies.NotAskedError as error:
        pytest.skip(str(error))
    assert [str(one) for one in found] == []
