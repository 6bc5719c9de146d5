"""A real server: whose address counts, with a proxy in front and without one."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from dopascope.web import Settings, create_app
from dopascope.web.tables import Throttle
from web_installation import Installation

BROWSER = "203.0.113.9"
START_S = 60.0


@pytest.mark.parametrize(
    ("words", "counted"),
    [([], "127.0.0.1"), (["--behind-proxy", "--trusted-host", "scans.example.org"], BROWSER)],
    ids=["alone", "behind a proxy"],
)
def test_a_wrong_password_counts_for_the_browser_that_sent_it(words: list[str], counted: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "web")
    base = create_app(settings).extensions["dopascope_database"]
    Installation(create_app(settings), settings, base).user("ada")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["serve", "--data", str(settings.data), "--port", str(port), "--workers", "0", *words]
    server = subprocess.Popen([sys.executable, "-m", "dopascope", *command], stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        _wrong_password(port)
    finally:
        server.terminate()
        server.wait(timeout=30)
    with base.read() as session:
        keys = set(session.scalars(select(Throttle.key)))
    base.close()
    assert keys == {"account:ada", f"address:{counted}"}


def _wait(port: int) -> None:
    ends = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < ends, "the server does not answer"
            time.sleep(0.1)


def _wrong_password(port: int) -> None:
    """As a proxy passes it on: the last entry is what the proxy saw, those before are what the browser claims."""
    said = {
        "X-Forwarded-For": f"198.51.100.1, {BROWSER}",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "localhost",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/login", headers=said)
    page = connection.getresponse()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.read().decode())
    assert token
    cookies = "; ".join(one.partition(";")[0] for one in page.headers.get_all("Set-Cookie", []))
    form = urlencode({"name": "ada", "password": "not this one", "csrf_token": token[1]})
    kind = "application/x-www-form-urlencoded"
    connection.request("POST", "/login", form, {**said, "Cookie": cookies, "Content-Type": kind})
    assert connection.getresponse().status == 401
    connection.close()
