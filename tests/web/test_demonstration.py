"""`dopascope serve --demo`: scans to look at, and one account whose password is another one each time."""

from __future__ import annotations

from pathlib import Path

from dopascope.web.demonstration import fill
from web_installation import Installation


def test_the_demo_has_readings_and_a_new_password_each_time(
    installation: Installation, scan: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(scan)
    first = fill(installation.app, [path])
    browser = installation.browser("demo", first)
    assert "one.dcm" in browser.get("/").text
    second = fill(installation.app, [path])
    assert first != second
    assert browser.get("/").status_code == 302  # the session of the password before
    assert len(installation.jobs()) == 1
    assert "one.dcm" in installation.browser("demo", second).get("/").text
