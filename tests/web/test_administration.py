"""Queue, audit trail, models and figures."""

from __future__ import annotations

import re

import pytest

from dopascope.web.tables import Job
from web_installation import Browser, Installation


@pytest.fixture
def root(installation: Installation) -> Browser:
    """An administrator's browser."""
    installation.user("root", "administrator")
    return installation.browser("root")


def test_what_was_given_up_is_queued_again_by_the_administrator(installation: Installation, root: Browser) -> None:
    installation.user("ada")
    installation.browser("ada").upload((b"no scan, and its name is private", "ZZCANARY.dcm"))
    job = installation.jobs()[0].id
    assert "Nothing was given up" in root.get("/queue").text
    with installation.database.write() as session:
        row = session.get_one(Job, job)
        row.state, row.finished, row.error = "dead", 1.0, {"what": "It died.", "found": "signal SIGKILL"}
    shown = root.get("/queue").text
    assert "signal SIGKILL" in shown
    assert "ZZCANARY" not in shown
    root.submit(f"/queue/{job}/again", page="/queue")
    assert installation.jobs()[0].state == "queued"
    installation.work()
    assert installation.jobs()[0].state == "refused"
    root.submit(f"/queue/{job}/again", page="/queue")
    assert installation.jobs()[0].state == "refused", "what has its answer is not read again"


def test_the_trail_is_shown_with_its_head(root: Browser) -> None:
    shown = root.get("/audit").text
    assert "log in" in shown
    assert re.search(r"[0-9a-f]{64}", shown)
    assert "follow from one another" in shown
    assert root.get("/audit?page=9").status_code == 200


def test_the_models_are_named_with_their_licence(root: Browser) -> None:
    shown = root.get("/models").text
    assert "dopascope-dat" in shown
    assert "Apache-2.0" in shown


def test_a_damaged_model_is_named_where_models_are_shown(installation: Installation, root: Browser) -> None:
    folder = installation.settings.models_dir / "broken-one"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text("{}", encoding="utf-8")
    shown = root.get("/models")
    assert shown.status_code == 200
    assert "dopascope models remove broken-one" in shown.text
    program = installation.program(installation.token("root"))
    told = program.get("/models")
    assert told.status_code == 503
    assert "broken-one" in told.json["fix"]
    assert str(installation.settings.models_dir) not in told.text


@pytest.mark.promise("Figures for monitoring are not there without their token", asvs="13.4.5")
def test_figures_need_their_token(installation: Installation, root: Browser) -> None:
    token = installation.settings.secret("metrics")
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {token}x"}, {"Authorization": token}):
        assert root.get("/metrics", headers=headers).status_code == 404
    installation.user("ada")
    installation.browser("ada").upload((b"no scan", "scan.dcm"))
    told = installation.browser().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert told.mimetype == "text/plain"
    found = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if not line.startswith("#"))
    assert found['dopascope_jobs{state="queued"}'] == "1"
    assert found["dopascope_uploads_bytes"] == "7"
    assert float(found["dopascope_oldest_waiting_seconds"]) >= 0
    for line in told.text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) dopascope_\w+ .+|dopascope_\w+(\{\w+="\w+"\})? [0-9.]+', line), line
