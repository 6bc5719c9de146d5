"""Server and workers are killed at random moments while people upload: nothing is lost, and every reading ends once."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from dopascope.web import Settings, audit, create_app, queue, seal
from dopascope.web.database import Database
from dopascope.web.queue import LEASE_S
from dopascope.web.tables import FINAL_STATES, Job, ReadingRow, Upload
from web_installation import PASSWORD, Installation
from web_server import Server, Visitor

STANDSTILL_S = 6 * LEASE_S + 120
"""Longer than a lease, its tries and a slow reading: so long no job stays as it is."""


def kill(server: Server, draw: random.Random) -> None:
    """Kill the server or a process beneath it, and see that it answers again."""
    below = psutil.Process(server.process.pid).children(recursive=True)
    if below and draw.random() < 0.8:
        try:
            draw.choice(below).send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
    else:
        server.process.kill()
        server.process.wait()
        server.start()


class Person(threading.Thread):
    """Uploads again and again, whatever the server does; notes what was acknowledged."""

    def __init__(self, url: str, scan: bytes, pause: float) -> None:
        super().__init__(daemon=True)
        self.url, self.scan, self.pause = url, scan, pause
        self.acknowledged: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.once()
            except (OSError, AssertionError, http.client.HTTPException):
                time.sleep(0.2)

    def once(self) -> None:
        visitor = Visitor(self.url)
        visitor.submit("/login", name="ada", password=PASSWORD)
        for _ in range(8):
            if self.ending.is_set():
                return
            real = len(self.acknowledged) % 8 == 0
            data = self.scan + b"\0" * (2 * len(self.acknowledged)) if real else uuid.uuid4().bytes * 40
            found = re.search(r"/(?:uploads|readings)/([0-9a-f]{32})", visitor.submit("/upload", file=data).url)
            if not found:  # a server that was killed, or a login that a clock has ended: come again
                return
            self.acknowledged.append(found[1])
            self.ending.wait(self.pause)


@pytest.mark.promise(
    "Whenever server or workers are killed, no acknowledged upload is lost, each reading ends "
    "once, and the audit trail is whole; on SQLite and PostgreSQL",
    asvs="2.3.3",
    threats="T24",
)
@pytest.mark.parametrize(
    ("kills", "pause"), [(5, 0.3), pytest.param(200, 2.0, marks=[pytest.mark.slow, pytest.mark.timeout(1500)])]
)
def test_each_upload_ends_in_one_state_whoever_is_killed(
    kills: int, pause: float, tmp_path: Path, database_url: str, scan: bytes
) -> None:
    settings = _installed(
        Settings(data=tmp_path / "web", database=database_url, models_dir=tmp_path / "models", niceness=0)
    )
    draw = random.Random(kills)
    server = Server(settings)
    person = Person(server.url, scan, pause)
    person.start()
    try:
        for _ in range(kills):
            time.sleep(draw.uniform(0.05, 0.8))
            kill(server, draw)
        time.sleep(1)
        person.ending.set()
        person.join(timeout=60)
        states = _all_final(settings)
    finally:
        person.ending.set()
        server.end()
    assert len(person.acknowledged) >= kills / 8, f"the uploads hardly came through: {len(person.acknowledged)}"
    _whole(settings, person.acknowledged, states)
    assert states["refused"] + states["done"], f"no upload came to its end: {states}"


JUMPS = 30
OWN_CLOCK = """
import pathlib, time
_real, _file = time.time, pathlib.Path(__file__).with_name("ahead")
time.time = lambda: _real() + float(_file.read_text())
"""


@pytest.mark.promise(
    "A clock that is set forward or back loses no acknowledged upload and holds no reading up",
    asvs="2.3.3",
    threats="T24",
)
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, database_url: str, scan: bytes) -> None:
    """The server's and the workers' clock is this machine's and what a file says: nothing else here is disturbed."""
    settings = _installed(
        Settings(data=tmp_path / "web", database=database_url, models_dir=tmp_path / "models", niceness=0)
    )
    own = tmp_path / "clock"
    own.mkdir()
    (own / "sitecustomize.py").write_text(OWN_CLOCK, encoding="utf-8")
    _set_clock(own, 0)
    draw = random.Random(JUMPS)
    server = Server(settings, PYTHONPATH=os.pathsep.join([str(own), *filter(None, [os.environ.get("PYTHONPATH")])]))
    person = Person(server.url, scan, pause=1.0)
    person.start()
    ahead = [0.0]
    try:
        for number in range(JUMPS):
            time.sleep(draw.uniform(1.0, 4.0))
            span = draw.choice((60.0, 3600.0, 86_400.0, 40 * 86_400.0))
            ahead.append(ahead[-1] + span * (-1 if number % 2 else 1) * draw.uniform(0.5, 1.5))
            _set_clock(own, ahead[-1])
            if draw.random() < 0.3:
                kill(server, draw)
        time.sleep(1)
        person.ending.set()
        person.join(timeout=60)
        states = _all_final(settings)
    finally:
        person.ending.set()
        server.end()
    assert len(person.acknowledged) >= JUMPS / 4, f"the uploads hardly came through: {len(person.acknowledged)}"
    _whole(settings, person.acknowledged, states)
    assert states["refused"] + states["done"], f"no upload came to its end: {states}"
    base = Database(settings.url)
    with base.read() as session:
        spread = [one.created for one in session.scalars(select(Upload)).unique()]
    base.close()
    assert max(spread) - min(spread) > 20, "the server did not go by its own clock"


def _set_clock(folder: Path, ahead: float) -> None:
    (folder / "new").write_text(str(ahead), encoding="utf-8")
    (folder / "new").replace(folder / "ahead")


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.promise(
    "A full disk loses no acknowledged upload and is told as what it is; what was given up on it can be read again",
    asvs="2.3.3",
    threats="T24",
)
def test_a_full_disk_loses_nothing(small_disk: Path, database_url: str, scan: bytes, tmp_path: Path) -> None:
    settings = Settings(
        data=small_disk / "web", database=database_url, models_dir=tmp_path / "models", workers=2, niceness=0
    )
    settings = _installed(settings)
    server = Server(settings)
    visitor = Visitor(server.url)
    visitor.submit("/login", name="ada", password=PASSWORD)
    acknowledged, told = [], Counter[int]()
    try:
        for number in range(60):
            answer = visitor.submit("/upload", file=scan + b"\0" * (2 * number))
            told[answer.code] += 1
            found = re.search(r"/(?:uploads|readings)/([0-9a-f]{32})", answer.url)
            if found:
                acknowledged.append(found[1])
            elif told[507] >= 3:
                break
        assert told[507] >= 3, told
        assert acknowledged
        states = _all_final(settings)
        (small_disk / "ballast").unlink()
        base = Database(settings.url)
        with base.write() as session:
            for job in session.scalars(select(Job).where(Job.state == "dead")):
                assert queue.restart(session, job.id)
        base.close()
        states = _all_final(settings)
    finally:
        server.end()
    _whole(settings, acknowledged, states)
    assert set(states) == {"done"}, states
    assert list(settings.incoming.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, nearly full of a file that can be removed."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this account may not mount a small disk")
    (place / "ballast").write_bytes(bytes(168 << 20))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _installed(settings: Settings) -> Settings:
    """An installation with an account."""
    app = create_app(settings)
    Installation(app, settings, app.extensions["dopascope_database"]).user("ada")
    app.extensions["dopascope_database"].close()
    return settings


def _whole(settings: Settings, acknowledged: list[str], states: Counter[str]) -> None:
    """What was acknowledged is there, has ended once, and the audit trail is whole."""
    base = Database(settings.url)
    try:
        with base.read() as session:
            uploads = {one.id: one for one in session.scalars(select(Upload)).unique()}
            assert set(acknowledged) <= set(uploads)
            assert Counter(one.job.state for one in uploads.values()) == states
            assert {one.id for one in session.scalars(select(ReadingRow)).unique()} == {
                one.job.id for one in uploads.values() if one.job.state == "done"
            }
            assert all(any((settings.uploads / one).iterdir()) for one in uploads)
            for one in (one.job.id for one in uploads.values() if one.job.state == "done"):
                folder = settings.readings / one
                found = seal.load(folder / seal.SEAL)
                seal.verify(found, seal.public_key(settings.secret("seal")), [folder / name for name in found.files])
            assert audit.verify(session, settings.secret("audit")).broken is None
    finally:
        base.close()


def _all_final(settings: Settings) -> Counter[str]:
    """The states of all jobs once each has ended; on a busy machine that takes long, but one ends now and then."""
    base = Database(settings.url)
    before, ends = Counter[str](), time.monotonic()
    try:
        while True:
            with base.read() as session:
                states = Counter(session.scalars(select(Job.state)))
            if set(states) <= set(FINAL_STATES):
                return states
            if states != before:
                before, ends = states, time.monotonic() + STANDSTILL_S
            assert time.monotonic() < ends, states
            time.sleep(0.5)
    finally:
        base.close()
