"""A real `dopascope serve` in a process of its own, and visitors that come by the network."""

from __future__ import annotations

import http.cookiejar
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

from dopascope.web import Settings
from dopascope.web.settings import MIB

START_S: Final = 60.0


def words_of(settings: Settings, port: int) -> list[str]:
    """The command that serves an installation."""
    words = ["serve", "--data", str(settings.data), "--host", settings.host, "--port", str(port)]
    words += ["--models-dir", str(settings.models_dir), "--registration", settings.registration]
    words += ["--workers", str(settings.workers), "--largest-upload", str(settings.largest_upload // MIB)]
    words += ["--niceness", str(settings.niceness)]
    words += ["--database", settings.database] if settings.database else []
    words += ["--behind-proxy"] if settings.behind_proxy else []
    return words + [word for name in settings.trusted_hosts for word in ("--trusted-host", name)]


class Server:
    """The server of an installation, which can be killed and started again; what it prints is kept."""

    def __init__(self, settings: Settings, **environment: str) -> None:
        self.settings, self.environment = settings, environment
        self.printed = settings.data / "printed.txt"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with open(self.printed, "ab") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dopascope", *words_of(self.settings, self.port)],
                stdout=printed,
                stderr=printed,
                env={**os.environ, **self.environment},
            )
        ends = time.monotonic() + START_S
        name = self.settings.trusted_hosts[0] if self.settings.trusted_hosts else "127.0.0.1"
        asked = urllib.request.Request(f"{self.url}/readyz", headers={"Host": name})
        while time.monotonic() < ends:
            assert self.process.poll() is None, self.printed.read_text()
            try:
                urllib.request.urlopen(asked, timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def end(self) -> None:
        """Tell it to end."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()


@dataclass
class Answer:
    """Where a request led, and what came."""

    code: int
    url: str
    text: str


class Visitor:
    """A browser that keeps cookies and fills forms."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url, self.headers = url, headers
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())).open

    def get(self, page: str) -> Answer:
        """A page."""
        return self._ask(urllib.request.Request(self.url + page))

    def submit(
        self, page: str, *, shown: str | None = None, file: bytes = b"", called: str = "scan.dcm", **fields: str
    ) -> Answer:
        """Load a page (`shown` where the form stands on another one) and send its form, with a file."""
        text = self.get(shown or page).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
        assert token, text
        edge = uuid.uuid4().hex
        parts = [(f'name="{key}"', value.encode()) for key, value in {**fields, "csrf_token": token[1]}.items()]
        parts += [(f'name="files"; filename="{called}"', file)] if file else []
        body = b"".join(
            f"--{edge}\r\nContent-Disposition: form-data; {key}\r\n\r\n".encode() + value + b"\r\n"
            for key, value in parts
        )
        request = urllib.request.Request(self.url + page, body + f"--{edge}--\r\n".encode())
        request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
        return self._ask(request)

    def _ask(self, request: urllib.request.Request) -> Answer:
        for name, value in self.headers.items():
            request.add_header(name, value)
        try:
            with self._open(request, timeout=20) as answer:
                return Answer(answer.status, answer.url, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.url, error.read().decode())


def missing(what: str) -> NoReturn:
    """Skip where a program is not here; continuous integration has it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing; .ci/run installs it.")
    pytest.skip(f"{what} is not here")


def dropped_files(process: int) -> list[str]:
    """Files that a process holds although they have no name any more; on Linux."""
    found = []
    for one in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(one.readlink())
        except OSError:
            continue
        if target.endswith(" (deleted)"):
            found.append(target)
    return found
