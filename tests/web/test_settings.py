"""Settings that are changed while the app runs, and what is removed by age."""

from __future__ import annotations

import html
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from dopascope.web import audit, changes
from dopascope.web.retention import remove_old
from dopascope.web.tables import AuditEntry, Identity, Job, Note, ReadingRow, Upload
from dopascope.web.worker import Worker
from web_installation import Browser, Installation


@pytest.fixture
def root(installation: Installation) -> Browser:
    installation.user("root", "administrator")
    return installation.browser("root")


def given(installation: Installation, **changed: object) -> dict[str, object]:
    """What the page sends, with some values changed."""
    held = changes.current(installation.settings)
    return {one.name: one.shown(held) for one in changes.CHANGEABLE} | changed


def test_a_change_counts_from_the_next_request_on_and_is_recorded(installation: Installation, root: Browser) -> None:
    assert installation.browser().get("/register").status_code == 404
    assert root.submit("/settings", **given(installation, registration="open", quota=0.5)).status_code == 302
    assert installation.browser().get("/register").status_code == 200
    held = changes.current(installation.settings)
    assert (held.quota, held.registration) == (1 << 29, "open")
    with installation.database.read() as session:
        line = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc())).first()
    assert line.action == "settings changed"
    assert "idle_minutes" not in line.detail  # what stayed as it was
    assert "Nothing was changed" in root.get(root.submit("/settings", **given(installation)).headers["Location"]).text


def test_shorter_sessions_end_those_that_are_open(installation: Installation, root: Browser) -> None:
    from dopascope.web.tables import WebSession

    installation.user("ada")
    ada = installation.browser("ada")
    root.submit("/settings", **given(installation, idle_minutes=5))
    assert ada.get("/account").status_code == 200
    with installation.database.write() as session:
        session.execute(update(WebSession).values(seen=time.time() - 301))
    assert ada.get("/account").status_code == 302


@pytest.mark.parametrize(
    "wrong", [{"idle_minutes": 0}, {"keep_days": -1}, {"quota": "nan"}, {"quota": "inf"}, {"registration": "anybody"}]
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_changed(
    installation: Installation, root: Browser, wrong: dict[str, object]
) -> None:
    told = root.submit("/settings", **given(installation, **wrong))
    assert told.status_code == 200
    assert 'class="wrong"' in told.text
    assert changes.current(installation.settings) == installation.settings


@pytest.mark.promise("No page shows a secret of the installation", asvs="14.2.1", threats="T22")
def test_no_password_of_the_database_is_shown(installation: Installation, root: Browser) -> None:
    from dataclasses import replace

    told = changes.fixed(replace(installation.settings, database="postgresql+psycopg://ada:secret@host/name"))
    assert "secret" not in str(told)
    page = html.unescape(root.get("/settings").text)
    assert [word for _, _, word in told if word not in page] == []


@pytest.mark.promise(
    "What is older than an installation keeps is removed with all that was made of it", asvs="14.2.7", threats="T22"
)
def test_what_is_old_is_removed_with_all_that_was_made_of_it(install: Callable[..., Installation], scan: bytes) -> None:
    installation = install(keep_days=30)
    installation.user("ada")
    browser = installation.browser("ada")
    browser.upload((scan, "old.dcm"))
    browser.upload((b"no scan either", "young.dcm"))
    browser.upload((b"no scan at all", "waits.dcm"))
    worker = Worker(installation.settings, installation.database)
    assert worker.step()
    assert worker.step()
    old, young, waits = installation.jobs()
    page = f"/readings/{old.id}"
    browser.submit(f"{page}/notes", page=page, text="Seen.")
    with installation.database.write() as session:
        session.execute(update(Upload).where(Upload.id != young.upload_id).values(created=time.time() - 31 * 86400))
    assert remove_old(installation.database, installation.settings) == 1
    with installation.database.read() as session:
        assert {one.id for one in session.scalars(select(Upload)).unique()} == {young.upload_id, waits.upload_id}
        assert set(session.scalars(select(Job.id))) == {young.id, waits.id}
        for table in (ReadingRow, Identity, Note):
            column = table.id if table is ReadingRow else table.reading_id
            assert old.id not in set(session.scalars(select(column)))
        assert audit.verify(session, installation.settings.secret("audit")).broken is None
        line = session.scalars(select(AuditEntry).where(AuditEntry.action == "removed by age")).one()
    assert line.target == old.upload_id
    for folder, name in ((installation.settings.uploads, old.upload_id), (installation.settings.readings, old.id)):
        assert not (folder / name).exists()
    assert (installation.settings.uploads / young.upload_id).is_dir()
    assert browser.get(page).status_code == 404
    assert remove_old(installation.database, installation.settings) == 0


def test_a_worker_removes_by_the_changed_setting(installation: Installation, root: Browser) -> None:
    installation.user("ada")
    installation.browser("ada").upload((b"no scan at all", "old.dcm"))
    installation.work()
    with installation.database.write() as session:
        session.execute(update(Upload).values(created=time.time() - 3 * 86400))
    worker = Worker(installation.settings, installation.database)
    worker.tidy()
    assert len(installation.jobs()) == 1  # by default everything is kept
    root.submit("/settings", **given(installation, keep_days=2))
    Worker(installation.settings, installation.database).tidy()
    assert installation.jobs() == []
