"""What hostile people, files and programs try against the web app; one test for each threat of the model."""

from __future__ import annotations

import csv
import io
import itertools
import logging
import math
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from sqlalchemy import select

from canaries import GEOMETRY, every_tag, leaks_below
from dopascope.web import Settings, audit, create_app, limiter, passwords
from dopascope.web.limiter import FREE
from dopascope.web.tables import AuditEntry, Base, Identity, Note, ReadingRow, Upload, User, WebSession
from dopascope.web.worker import Worker
from web_installation import PASSWORD, Browser, Installation, guess

CANARY = "ZZCANARY"
HOSTILE = "\"'><img src=x onerror=alert(1)><zzxss a=1></script>{{7*7}}"
FILE = f"{HOSTILE}.dcm".replace('"', "%22").replace("/", "")  # as browsers send it; what stands before / is dropped
FORMULA = "=cmd|' /C calc'!A0"
IDENTITY = ("PN", "PatientID", "OtherPatientIDs", "AccessionNumber", "PatientAddress", "PatientComments")


def named(scan: bytes, tmp_path: Path) -> bytes:
    """The scan with the canary in what names a person, and hostile text in every other text."""
    import pydicom
    from pydicom.config import IGNORE
    from pydicom.datadict import keyword_for_tag
    from pydicom.dataelem import DataElement

    (tmp_path / "scan.dcm").write_bytes(scan)
    made = pydicom.dcmread(tmp_path / "scan.dcm")
    for tag, vr in every_tag():
        keyword = keyword_for_tag(tag)
        if vr in ("LO", "SH", "ST", "LT", "UT", "UC", "PN") and keyword not in GEOMETRY:
            own = vr in IDENTITY or keyword in IDENTITY
            text = f"{CANARY}^PAT{HOSTILE}" if own else HOSTILE
            made.add(DataElement(tag, vr, text, validation_mode=IGNORE))
    made.add(DataElement(0x00080070, "LO", f"{FORMULA}{HOSTILE}", validation_mode=IGNORE))
    made.save_as(tmp_path / "scan.dcm")
    return (tmp_path / "scan.dcm").read_bytes()


@dataclass
class World:
    """An installation that has seen hostile things: one reading, one refusal, and one upload whose child died."""

    installation: Installation
    browsers: dict[str, Browser]
    reading_id: str
    upload_id: str
    logged: list[str] = field(default_factory=list)


class Kept(logging.Handler):
    """Keeps every line of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, scan: bytes) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("threats")
    settings = Settings(data=folder / "web", models_dir=folder / "models", niceness=0)
    app = create_app(settings)
    made = Installation(app, settings, app.extensions["dopascope_database"])
    for name, role in (("ada", "reader"), ("eve", "reader"), ("rea", "reviewer"), ("root", "administrator")):
        made.user(name, role)
    browsers = {name: made.browser(name) for name in ("ada", "eve", "rea", "root")}
    with made.database.write() as session:  # from before names were limited to harmless letters
        session.scalars(select(User).where(User.key == "ada")).one().name = f"ada{HOSTILE}"
    kept = Kept()
    logging.getLogger().addHandler(kept)
    try:
        _used(made, browsers["ada"], named(scan, folder))
    finally:
        logging.getLogger().removeHandler(kept)
    job = next(one for one in made.jobs() if one.state == "done")
    yield World(made, browsers, job.id, job.upload_id, kept.lines)
    made.database.close()


def _used(made: Installation, ada: Browser, scan: bytes) -> None:
    assert ada.upload((scan, FILE)).status_code == 302
    assert ada.upload((f"{CANARY}^PAT {HOSTILE}".encode(), FILE)).status_code == 302
    made.work()
    assert ada.upload((scan + b"\0\0", "crash.dcm")).status_code == 302
    watched = Worker._watched

    def felled(worker: Worker, child: subprocess.Popen[bytes], claim: Any) -> int | None:
        os.kill(child.pid, signal.SIGSEGV)
        return watched(worker, child, claim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "_watched", felled)
        patch.setattr("dopascope.web.queue.RETRY_S", 0.0)
        made.work()
    done = next(one for one in made.jobs() if one.state == "done")
    page = f"/readings/{done.id}"
    ada.submit(f"{page}/notes", page=page, text=HOSTILE)
    ada.sign(page, HOSTILE)


class Obeyed(HTMLParser):
    """Finds text that became markup, and every address of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.links: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        bad = tag == "zzxss" or given.get("src") == "x" or (tag == "script" and not given.get("src"))
        if bad or any(name.startswith(("on", "zzxss")) for name in given):
            self.wrong.append(f"<{tag} {given}>")
        for name in ("href", "src", "action", "data-events"):
            address = given.get(name) or ""
            if re.match(r"\s*(javascript|data|vbscript):", address, re.I) and tag != "img":
                self.wrong.append(address)
            if name != "action":
                self.links.add(address)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def crawled(browser: Browser) -> dict[str, Any]:
    """Every page that is reached from the first one, by its address."""
    found: dict[str, Any] = {}
    waiting = {"/"}
    while waiting:
        url = waiting.pop()
        found[url] = told = browser.get(url)
        told.get_data()  # to the end, also of a stream
        if told.mimetype == "text/html":
            waiting |= {one for one in Obeyed(told.text).links if one.startswith("/") and "/logout" not in one}
        elif told.status_code == 302:
            waiting.add(urlsplit(told.headers["Location"]).path)
        waiting -= found.keys()
    return found


@pytest.mark.promise(
    "Text of files, names and comments is shown on every page, and obeyed on none", asvs="1.2.1, 1.2.3", threats="T14"
)
@pytest.mark.parametrize("name", ["ada", "rea", "root"])
def test_one_hostile_string_everywhere_is_obeyed_on_no_page(world: World, name: str) -> None:
    pages = crawled(world.browsers[name])
    assert {url: told.status_code for url, told in pages.items() if told.status_code not in (200, 302)} == {}
    shown = 0
    for url, told in pages.items():
        if told.mimetype == "text/html":
            found = Obeyed(told.text)
            assert found.wrong == [], url
            shown += "<zzxss a=1>" in "".join(found.words)
    assert shown >= (1 if name == "root" else 3), "the hostile text was hardly shown"
    if name != "root":
        assert any(url.endswith("report.html") for url in pages)
        assert f"/people/{pseudonym(world)}" in pages


def pseudonym(world: World) -> str:
    with world.installation.database.read() as session:
        return session.get_one(ReadingRow, world.reading_id).pseudonym


@pytest.mark.promise("Exported cells are no formulas", asvs="1.2.10", threats="T14, T15")
def test_the_table_holds_hostile_cameras_as_text(world: World) -> None:
    (row,) = csv.DictReader(io.StringIO(world.browsers["ada"].get("/history.csv").text))
    assert row["camera"].startswith("'=cmd"), row
    assert row["signed_by"].startswith("ada")
    assert all(not str(cell).startswith(("=", "+", "@", "\t")) for cell in row.values())


@pytest.mark.promise(
    "Text of files, names and comments is shown on every page, and obeyed on none", asvs="1.2.1", threats="T14, T22"
)
def test_the_pdf_is_text_and_names_nobody(world: World, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    told = world.browsers["ada"].get(f"/readings/{world.reading_id}/report.pdf?save=1")
    assert "attachment" in told.headers["Content-Disposition"]
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    for word in (b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile"):
        assert word not in told.data
    (tmp_path / "report.pdf").write_bytes(told.data)
    text = subprocess.run(["pdftotext", tmp_path / "report.pdf", "-"], capture_output=True, check=True).stdout.decode()
    assert "zzxss" in text, "what the file says of its camera is shown as text"
    assert CANARY not in text


@pytest.mark.promise(
    "A patient's name is in no list, table, report, trail or stored reading", asvs="14.2.1, 16.2.5", threats="T22"
)
def test_the_canary_stays_where_it_may_be_also_when_the_child_dies(world: World) -> None:
    data = world.installation.settings.data
    assert {one.state for one in world.installation.jobs()} == {"done", "refused", "dead"}
    assert not [line for line in world.logged if CANARY in line]
    assert list(world.installation.settings.incoming.iterdir()) == []
    assert leaks_below(world.installation.settings.readings, CANARY) == []
    with world.installation.database.read() as session:
        assert CANARY in str(session.get_one(Identity, world.reading_id).fields)
        for table in Base.metadata.sorted_tables:
            if table.name != "identity":
                assert CANARY not in str(session.execute(select(table)).all()), table.name
    for folder in (data, *data.iterdir()):
        assert folder.is_file() or folder.stat().st_mode & 0o777 == 0o700, folder
    for name, allowed in (("ada", True), ("rea", True), ("eve", False), ("root", False)):
        pages = crawled(world.browsers[name])
        assert not [url for url in pages if CANARY in url]
        named = {url for url, told in pages.items() if CANARY.encode() in told.data}
        assert named == ({f"/readings/{world.reading_id}"} if allowed else set()), name
        kept = {url for url, told in pages.items() if told.headers["Cache-Control"] != "no-store"}
        assert all(url.startswith("/static/") for url in kept), kept


@pytest.mark.promise(
    "What a killed process leaves behind is readable by the server's account alone, and swept while the app works",
    asvs="14.2.4",
    threats="T22",
)
def test_what_a_killed_worker_left_is_swept_by_the_others(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dopascope.web.worker.TIDY_S", 0.0)
    worker = Worker(installation.settings, installation.database)
    incoming = installation.settings.incoming
    left: list[Path] = []

    def idle() -> None:
        if len(left) == 2:
            return worker.stop()
        folder = incoming / f"job-{len(left)}"
        folder.mkdir(mode=0o700)
        (folder / "identity.json").write_text(f"{CANARY}^PAT")
        if not left:
            os.utime(folder, (1.0, 1.0))  # of long ago; the other one may be under way
        left.append(folder)
        return None

    worker.run(idle=idle)
    assert [one.name for one in incoming.iterdir()] == ["job-1"]


TRAVERSALS = (
    *("..", ".", "../..", "../../secrets.json", "../secrets.json", "....//....//secrets.json", "~root"),
    *("..%2f..%2fsecrets.json", "%2e%2e%2fsecrets.json", "..%5c..%5csecrets.json", "..%252fsecrets.json"),
    *("%2fetc%2fpasswd", "//etc/passwd", "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "file:%2f%2f%2fetc%2fpasswd"),
    *("secrets.json%00.html", "reading.json%00", "%c0%ae%c0%ae%2fsecrets.json", "C:%5cWindows%5cwin.ini", "x" * 5000),
)


@pytest.mark.promise("An address with a path in it leads nowhere, on every route", asvs="5.3.2", threats="T13")
def test_no_id_and_no_name_of_any_route_is_a_path(world: World) -> None:
    app, data = world.installation.app, world.installation.settings.data
    known = {
        "upload_id": world.upload_id,
        "reading_id": world.reading_id,
        "job_id": world.reading_id,
        "name": "reading.json",
        "filename": "app.css",
        "change": "disable",
    }
    secret = world.installation.settings.secret("cookies")
    before = sorted(data.rglob("*"))
    tried, wrong = 0, []
    app.config["WTF_CSRF_ENABLED"] = False
    try:
        for rule, argument in ((one, name) for one in app.url_map.iter_rules() for name in sorted(one.arguments)):
            for bad, method in itertools.product(TRAVERSALS, sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})):
                url = filled(rule.rule, known | {argument: bad})
                for browser in (world.browsers["rea"], world.browsers["root"]):  # who together may ask for everything
                    told = browser.client.open(url, method=method)
                    tried += 1
                    if _tells(told, secret) or told.status_code not in (301, 302, 308, 400, 401, 404, 405):
                        wrong.append((method, url, told.status_code))
    finally:
        app.config["WTF_CSRF_ENABLED"] = True
    assert wrong == []
    assert tried > 500
    assert sorted(data.rglob("*")) == before


def filled(rule: str, values: dict[str, str]) -> str:
    """The address of a route, with ids of nothing where no value is given."""
    return re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda one: values.get(one[1], "0" * 32), rule)


def _tells(told: Any, secret: str) -> bool:
    return secret in told.text or "root:x:0" in told.text


@pytest.mark.promise(
    "A form without its token, or sent by another site's page, is refused", asvs="3.5.1", threats="T16"
)
def test_every_route_that_changes_something_needs_the_token(world: World) -> None:
    known = {
        "upload_id": world.upload_id,
        "reading_id": world.reading_id,
        "job_id": world.reading_id,
        "change": "disable",
    }
    with world.installation.database.read() as session:
        before = session.scalars(select(AuditEntry.number)).all()
    tried = 0
    for rule in world.installation.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
            url = filled(rule.rule, known)
            for browser in world.browsers.values():
                told = browser.client.open(url, method=method, data={"text": "x", "name": "ada", "password": PASSWORD})
                assert told.status_code in (400, 401), (rule.endpoint, method, told.status_code)
                tried += 1
    assert tried >= 40
    with world.installation.database.read() as session:
        assert session.scalars(select(AuditEntry.number)).all() == before


EXTRA = {
    "role": "administrator",
    "is_active": "1",
    "disabled": "0",
    "is_admin": "1",
    "id": "1",
    "user_id": "1",
    "owner_id": "1",
    "owner": "1",
    "kind": "signature",
    "state": "done",
    "verdict": "normal",
    "created": "1",
    "password_hash": "x",
    "key": "root",
    "sha256": "x",
    "original_name": "x",
    "quota": "1",
}
"""Names of columns, sent along with every form."""


@pytest.mark.promise("Nobody gives himself a role", asvs="15.3.3", threats="T20")
def test_fields_that_no_form_has_change_nothing(install: Callable[..., Installation]) -> None:
    installation = install(registration="open")
    root = installation.user("root", "administrator")
    guest = installation.browser()
    # The form of a new account has a name and a password of its own; all the rest is what nobody asked for.
    assert guest.submit("/register", name="bob", password=PASSWORD, **EXTRA).status_code == 302
    bob = installation.browser("bob")
    assert bob.submit("/account", old=PASSWORD, new="another phrase of mine", **EXTRA).status_code == 302
    assert bob.submit("/account/sessions/end", page="/account", **EXTRA).status_code == 302
    assert bob.upload((b"something", "scan.dcm"), **EXTRA).status_code == 302
    with installation.database.read() as session:
        mine = session.scalars(select(User).where(User.key == "bob")).one()
        upload = session.scalars(select(Upload)).one()
        assert (mine.role, mine.disabled, mine.name) == ("reader", False, "bob")
        assert mine.id not in ("1", root)
        assert mine.password_hash.startswith("$argon2id$")
        assert mine.created > 1
        assert (upload.owner_id, upload.original_name) == (mine.id, "scan.dcm")
        assert upload.choices == {}
        assert upload.job.state == "queued"
    for url in ("/users", "/users/invite", f"/users/{root}/disable", f"/users/{mine.id}/administrator"):
        assert bob.client.get(url).status_code in (404, 405)
    told = bob.submit(f"/users/{mine.id}/administrator", page="/account", role="administrator")
    assert told.status_code == 404


@pytest.mark.promise("Nobody gives himself a role", asvs="15.3.3", threats="T20")
def test_a_comment_is_a_comment_of_whoever_wrote_it(world: World) -> None:
    page = f"/readings/{world.reading_id}"
    told = world.browsers["rea"].submit(f"{page}/notes", page=page, text="Seen by Rea.", **EXTRA)
    assert told.status_code == 302
    with world.installation.database.read() as session:
        made = session.scalars(select(Note).where(Note.text == "Seen by Rea.")).one()
        assert made.user.key == "rea"
        assert made.kind == "addendum"  # it was signed before
        assert session.get_one(ReadingRow, world.reading_id).verdict in ("normal", "reduced", "uncertain", "refused")
        assert made.created > 1


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.2.4",
    threats="T17",
)
def test_a_session_that_somebody_else_chose_is_not_taken_over(installation: Installation) -> None:
    installation.user("ada")
    browser = installation.browser()
    browser.client.set_cookie("dopascope", "chosen-by-the-attacker")
    browser.submit("/login", name="ada", password=PASSWORD)
    assert browser.client.get_cookie("dopascope").value != "chosen-by-the-attacker"
    attacker = installation.browser()
    attacker.client.set_cookie("dopascope", "chosen-by-the-attacker")
    assert attacker.get("/").headers["Location"].startswith("/login")
    before = browser.client.get_cookie("dopascope").value
    browser.submit("/login", name="ada", password=PASSWORD)  # again, in the same browser
    assert browser.client.get_cookie("dopascope").value != before
    attacker.client.set_cookie("dopascope", before)
    assert attacker.get("/").status_code == 302, "the session before is over"


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.4.2",
    threats="T17",
)
def test_another_role_ends_all_sessions(installation: Installation) -> None:
    installation.user("root", "administrator")
    ada = installation.user("ada", "reviewer")
    browser, root = installation.browser("ada"), installation.browser("root")
    root.submit(f"/users/{ada}/reader", page="/users")
    assert browser.get("/").headers["Location"].startswith("/login")
    with installation.database.read() as session:
        assert session.scalars(select(WebSession).where(WebSession.user_id == ada)).all() == []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Passwords that were compared, which takes no time here."""
    seen: list[str] = []

    def matches(stored: str | None, password: str) -> bool:
        seen.append(password)
        return stored is not None and password == PASSWORD

    monkeypatch.setattr(passwords, "matches", matches)
    return seen


def most(kind: str, seconds: float) -> float:
    """How many passwords may be compared in so many seconds: the free ones, and one for each wait that doubled."""
    return FREE[kind] + 1 + math.log2(seconds + 1)


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.1",
    threats="T18, T27",
)
@pytest.mark.parametrize("kind", ["account", "address"])
def test_a_thousand_guesses_are_hardly_any(installation: Installation, counted: list[str], kind: str) -> None:
    """One account from a thousand addresses that a header claims; hundreds of accounts from one address."""
    installation.user("ada")
    installation.app.config["WTF_CSRF_ENABLED"] = False
    client = installation.app.test_client()
    started = time.monotonic()
    for number in range(1000):
        name = "ada" if kind == "account" else f"user{number}"
        headers = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}", "Forwarded": f"for=10.1.1.{number % 250}"}
        told = client.post("/login", data={"name": name, "password": f"guess {number}"}, headers=headers)
        assert told.status_code in (401, 429)
    assert FREE[kind] <= len(counted) <= most(kind, time.monotonic() - started)
    told = client.post("/login", data={"name": "ada", "password": PASSWORD})
    assert told.status_code == 429, "the right one after a thousand guesses is not even looked at"


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.1",
    threats="T18",
)
def test_guesses_of_several_processes_are_counted_together_and_after_a_restart(installation: Installation) -> None:
    installation.user("ada")
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        compared = sum(pool.starmap(guess, [(installation.settings, "ada", 8)] * 2))
    assert FREE["account"] <= compared <= most("account", time.monotonic() - started)
    with installation.database.write() as session:
        for _ in range(6):
            limiter.failed(session, ["account:ada"])
    again = Installation(create_app(installation.settings), installation.settings, installation.database)
    assert again.browser().submit("/login", name="ada", password=PASSWORD).status_code == 429


@pytest.mark.promise(
    "Passwords are hashed with argon2id, count whole, and frequent ones are refused", asvs="6.2.8", threats="T18"
)
def test_the_73rd_character_counts_at_the_log_in(installation: Installation) -> None:
    long = "correct horse battery staple, and a quiet walk by the sea in the autumn " + "x" * 40
    installation.user("ada", password=long)
    wrong = long[:72] + "y" + long[73:]
    assert installation.browser().submit("/login", name="ada", password=wrong).status_code == 401
    assert installation.browser().submit("/login", name="ada", password=long[:72]).status_code == 401
    assert installation.browser("ada", long).get("/").status_code == 200


@pytest.mark.promise("A stored DICOM file begins with zeros, so that it is no program too", threats="T10")
@pytest.mark.parametrize(
    "head", [b"MZ\x90\0" + b"\xcc" * 124, b"#!/bin/sh\necho x\nexit\n".ljust(128), b"II*\0" + bytes(124)]
)
def test_the_preamble_of_a_stored_file_is_zeros(installation: Installation, scan: bytes, head: bytes) -> None:
    import hashlib

    installation.user("ada")
    browser = installation.browser("ada")
    first = browser.upload((head + scan[128:], "setup.exe"))
    (path,) = (one for one in installation.settings.uploads.rglob("*") if one.is_file())
    stored = path.read_bytes()
    assert stored[:128] == bytes(128)
    assert stored[128:] == scan[128:]
    assert path.name == "000001"
    assert path.stat().st_mode & 0o111 == 0
    with installation.database.read() as session:
        assert session.scalars(select(Upload)).one().sha256 == hashlib.sha256(stored).hexdigest()
    again = browser.upload((b"another".ljust(128, b"\1") + scan[128:], "two.dcm"))
    assert again.headers["Location"] == first.headers["Location"], "it is the same scan"
    other = head + b"no DICOM"
    browser.upload((other, "other.bin"))
    assert other in [one.read_bytes() for one in installation.settings.uploads.rglob("*") if one.is_file()]


CONFINED = """
import os, socket, subprocess, sys, resource
from dopascope.web.child import confine
confine(1 << 30, 20, 1 << 20, 0)
def tried(what):
    try:
        what()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
def write():
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(sys.argv[1], "wb") as stream:
        stream.write(bytes(2 << 20)); stream.flush()
def fill():
    held = [open(os.devnull) for _ in range(300)]
print(tried(lambda: socket.create_connection(("127.0.0.1", 9), 1)))
print(tried(lambda: socket.getaddrinfo("localhost", 9)))
print(tried(lambda: subprocess.run(["true"])))
print(tried(lambda: os.system("true")))
print(tried(write))
print(tried(fill))
print(tried(lambda: bytearray(2 << 30)))
print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])
"""


@pytest.mark.promise(
    "Uploads are opened by a process of their own, which can die without harm", asvs="15.2.5", threats="T9"
)
def test_the_child_has_no_network_no_program_and_little_of_everything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, tmp_path / "file"], capture_output=True, text=True, check=True, timeout=60
    )
    told = done.stdout.split()
    assert told[:4] == ["PermissionError"] * 4, done.stdout
    assert told[4:7] == ["OSError", "OSError", "MemoryError"], done.stdout
    assert told[7:] == ["0", "20"]


@pytest.mark.promise(
    "Uploads are opened by a process of their own, which can die without harm", asvs="15.2.5", threats="T9"
)
def test_a_child_that_is_felled_is_given_up_and_the_worker_lives(world: World) -> None:
    (dead,) = (one for one in world.installation.jobs() if one.state == "dead")
    assert dead.attempts == 3
    assert dead.error is not None
    assert dead.error["found"] == "signal SIGSEGV"
    assert "SIGSEGV" in world.browsers["root"].get("/queue").text


@pytest.mark.promise("A changed, removed or reordered line of the audit trail is found", asvs="16.4.2", threats="T25")
def test_every_way_to_tamper_with_the_trail_is_found(
    installation: Installation, install: Callable[..., Installation]
) -> None:
    installation.user("ada")
    for _ in range(4):
        installation.browser("ada")
    key = installation.settings.secret("audit")
    columns = "at, actor, action, target, detail, digest"
    swap = [
        "UPDATE audit SET number = 100 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 100",
    ]
    tampered = {
        "edited": ["UPDATE audit SET detail = '{}' || ' ' WHERE number = 2"],
        "another time": ["UPDATE audit SET at = at - 60 WHERE number = 2"],
        "deleted": ["DELETE FROM audit WHERE number = 2"],
        "deleted and closed up": [
            "DELETE FROM audit WHERE number = 2",
            "UPDATE audit SET number = number - 1 WHERE number > 2",
        ],
        "reordered": swap,
        "doubled": [f"INSERT INTO audit (number, {columns}) SELECT 5, {columns} FROM audit WHERE number = 2"],
        "added without the key": [
            f"INSERT INTO audit (number, {columns}) VALUES (5, 1.0, 'x', 'log in', '', '{{}}', '{'0' * 64}')"
        ],
    }
    with installation.database.engine.connect() as connection:
        whole = _verified(connection, key, None)
        assert whole == (None, True)
        head = connection.exec_driver_sql("SELECT digest FROM audit ORDER BY number DESC LIMIT 1").scalar_one()
        connection.rollback()
        for name, lines in tampered.items():
            _unlock(connection)
            for line in lines:
                connection.exec_driver_sql(line)
            assert _verified(connection, key, None)[0] is not None, name
            connection.rollback()
        _unlock(connection)
        connection.exec_driver_sql("DELETE FROM audit WHERE number = 4")
        assert _verified(connection, key, head) == (None, False), "only the head of elsewhere shows lines that were cut"
        connection.rollback()


def _unlock(connection: Any) -> None:
    """As somebody can who owns the database."""
    lines = {
        "sqlite": ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"],
        "postgresql": ["DROP TRIGGER audit_append_only ON audit"],
    }
    for line in lines[connection.dialect.name]:
        connection.exec_driver_sql(line)


def _verified(connection: Any, key: str, head: str | None) -> tuple[int | None, bool]:
    from sqlalchemy.orm import Session

    found = audit.verify(Session(bind=connection), key, head=head)
    return found.broken, found.head_seen


FORGED = "\r\n2026-01-01 root logged in\n\x1b[2J\x1b]0;x\x07\u2028\x85"


@pytest.mark.promise("Nobody writes a line of the log or of the trail by what he sends", asvs="16.4.1", threats="T28")
def test_no_line_of_the_log_is_forged(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    kept = Kept()
    logging.getLogger().addHandler(kept)

    def broken(*_: object, **__: object) -> None:
        raise ValueError(FORGED)

    try:
        browser.submit("/login", name=f"ada{FORGED}", password=FORGED)
        browser.upload((FORGED.encode(), f"{FORGED.replace(chr(13) + chr(10), '%0D%0A')}.dcm"))
        installation.work()
        browser.client.get("/readings/x%0d%0aroot%20logged%20in%1b[2J", headers={"User-Agent": "x\x1b[2J"})
        monkeypatch.setattr("dopascope.web.history.chosen", broken)
        assert browser.get("/?find=%0d%0aroot%1b[2J").status_code == 500
    finally:
        logging.getLogger().removeHandler(kept)
    ours = [line for line in kept.lines if "failure" in line]
    assert len(ours) == 1
    for line in kept.lines:
        assert line.isprintable(), line
        assert "logged in" not in line
    with installation.database.read() as session:
        for one in session.scalars(select(AuditEntry)):
            assert f"{one.action}{one.target}{one.detail}".isprintable()
            assert "logged in" not in one.detail


class Bird:
    """Unpickling it makes a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.place),)


@pytest.mark.promise(
    "A file with code in it is refused by the app, whatever it is called, and its code never runs",
    asvs="1.5.2",
    threats="T12",
)
def test_no_pickle_that_is_uploaded_or_lies_among_the_models_runs(installation: Installation, tmp_path: Path) -> None:
    import pickle
    import tarfile
    import zipfile

    from dopascope import formats
    from dopascope.bundle import store
    from dopascope.errors import DopascopeError

    place = tmp_path / "sings"
    bird = pickle.dumps(Bird(place))
    files = dict.fromkeys(("model.pt", "model.pth", "model.pkl", "model.joblib", "model.onnx", "scan.dcm"), bird)
    for form, names in (("zip", ("archive/data.pkl", "data.pkl")), ("tar", ("pickle", "storages"))):
        stream = io.BytesIO()
        if form == "zip":
            with zipfile.ZipFile(stream, "w") as archive:
                for name in names:
                    archive.writestr(name, bird)
        else:
            with tarfile.open(fileobj=stream, mode="w") as tar:
                for name in names:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(bird)
                    tar.addfile(entry, io.BytesIO(bird))
        files |= {f"zipped.{form}": stream.getvalue(), f"weights-{form}.pt": stream.getvalue()}
    stream = io.BytesIO()
    np.save(stream, np.array([Bird(place)], dtype=object), allow_pickle=True)
    files["array.npy"] = stream.getvalue()
    installation.user("ada")
    browser = installation.browser("ada")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DopascopeError):
            formats.load(tmp_path / name)
        with pytest.raises(DopascopeError):
            store.add(str(tmp_path / name), models_dir=installation.settings.models_dir)
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "bundle.json").write_bytes(content)
        (folder / "model.onnx").write_bytes(content)
    browser.get("/models")
    assert not place.exists()
    pickle.loads(bird)
    assert place.exists(), "the bird can sing"


@pytest.mark.promise("All of this holds on SQLite and on a PostgreSQL server", threats="T23")
def test_an_installation_is_on_the_database_that_its_address_names(
    installation: Installation, database_url: str
) -> None:
    wanted = "postgresql" if database_url else "sqlite"
    assert installation.database.engine.dialect.name == wanted
    installation.user("ada")
    assert (installation.settings.data / "dopascope.sqlite").exists() == (not database_url)
