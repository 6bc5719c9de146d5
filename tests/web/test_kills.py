"""Server and workers are killed at random moments while people upload: nothing is lost, and every reading ends once."""

from __future__ import annotations

import http.cookiejar
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from dopascope.web import Settings, audit, create_app
from dopascope.web.database import Database
from dopascope.web.queue import LEASE_S
from dopascope.web.tables import FINAL_STATES, Job, ReadingRow, Upload
from web_installation import PASSWORD, Installation

START_S = 60.0


class Server:
    """A real `dopascope serve`, which can be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        words = ["serve", "--data", str(self.settings.data), "--port", str(self.port)]
        words += ["--models-dir", str(self.settings.models_dir)]
        words += ["--database", self.settings.database] if self.settings.database else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dopascope", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self, draw: random.Random) -> None:
        """Kill the server or a process beneath it, and see that it answers again."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        if below and draw.random() < 0.8:
            try:
                draw.choice(below).send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                return
        else:
            self.process.kill()
            self.process.wait()
            self.start()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()


class Person(threading.Thread):
    """Uploads again and again, whatever the server does; notes what was acknowledged."""

    def __init__(self, port: int, scan: bytes, pause: float) -> None:
        super().__init__(daemon=True)
        self.url, self.scan, self.pause = f"http://127.0.0.1:{port}", scan, pause
        self.acknowledged: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.once()
            except (OSError, AssertionError, urllib.error.HTTPError):
                time.sleep(0.2)

    def once(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(jar)
        token = self._token(browser, "/login")
        self._post(browser, "/login", token, {"name": b"ada", "password": PASSWORD.encode()})
        for number in range(8):
            if self.ending.is_set():
                return
            token = self._token(browser, "/upload")
            real = number == 0
            data = self.scan + b"\0" * (2 * len(self.acknowledged)) if real else uuid.uuid4().bytes * 40
            place = self._post(browser, "/upload", token, {}, data)
            found = re.search(r"/(?:uploads|readings)/([0-9a-f]{32})", place)
            if found:
                self.acknowledged.append(found[1])
            self.ending.wait(self.pause)

    def _token(self, browser: urllib.request.OpenerDirector, page: str) -> str:
        text = browser.open(self.url + page, timeout=20).read().decode()
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
        assert found
        return found[1]

    def _post(
        self, browser: urllib.request.OpenerDirector, page: str, token: str, fields: dict[str, bytes], file: bytes = b""
    ) -> str:
        """Send a form; returns where it led."""
        edge = uuid.uuid4().hex
        parts = [(f'name="{name}"', value) for name, value in {**fields, "csrf_token": token.encode()}.items()]
        parts += [('name="files"; filename="scan.dcm"', file)] if file else []
        body = b"".join(
            f"--{edge}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
            for name, value in parts
        )
        request = urllib.request.Request(self.url + page, body + f"--{edge}--\r\n".encode())
        request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
        with browser.open(request, timeout=20) as answer:
            return str(answer.url)


@pytest.mark.parametrize(
    ("kills", "pause"), [(8, 0.3), pytest.param(200, 1.0, marks=[pytest.mark.slow, pytest.mark.timeout(1500)])]
)
def test_each_upload_ends_in_one_state_whoever_is_killed(
    kills: int, pause: float, tmp_path: Path, database_url: str, scan: bytes
) -> None:
    settings = Settings(data=tmp_path / "web", database=database_url, models_dir=tmp_path / "models")
    app = create_app(settings)
    Installation(app, settings, app.extensions["dopascope_database"]).user("ada")
    app.extensions["dopascope_database"].close()
    draw = random.Random(kills)
    server = Server(settings)
    person = Person(server.port, scan, pause)
    person.start()
    try:
        for _ in range(kills):
            time.sleep(draw.uniform(0.05, 0.8))
            server.kill(draw)
        time.sleep(1)
        person.ending.set()
        person.join(timeout=60)
        states = _all_final(settings, 6 * LEASE_S + 2.0 * len(person.acknowledged) + 120)
    finally:
        person.ending.set()
        server.end()
    assert len(person.acknowledged) >= kills / 8, "the uploads hardly came through"
    base = Database(settings.url)
    try:
        with base.read() as session:
            uploads = {one.id: one for one in session.scalars(select(Upload)).unique()}
            assert set(person.acknowledged) <= set(uploads)
            assert Counter(one.job.state for one in uploads.values()) == states
            assert {one.id for one in session.scalars(select(ReadingRow)).unique()} == {
                one.job.id for one in uploads.values() if one.job.state == "done"
            }
            assert all((settings.uploads / one).is_dir() for one in uploads)
            assert audit.verify(session, settings.secret("audit")).broken is None
    finally:
        base.close()
    assert states["refused"], "no upload came to its end"


def _all_final(settings: Settings, patience: float) -> Counter[str]:
    base = Database(settings.url)
    ends = time.monotonic() + patience
    try:
        while True:
            with base.read() as session:
                states = Counter(session.scalars(select(Job.state)))
            if set(states) <= set(FINAL_STATES):
                return states
            assert time.monotonic() < ends, states
            time.sleep(0.5)
    finally:
        base.close()
