"""The same against the real server, over the network: sizes that lie, forged headers, settings, what is printed."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope.web import Settings, create_app
from dopascope.web.limiter import FREE
from dopascope.web.settings import MIB
from dopascope.web.tables import AuditEntry, Throttle, Upload
from web_installation import PASSWORD, Installation
from web_server import Server, Visitor, dropped_files, words_of

CANARY = "ZZCANARY"


def installed(folder: Path, **changes: Any) -> Installation:
    """An installation in a folder, with one reader, whose real server is still to be started."""
    settings = replace(Settings(data=folder / "web", models_dir=folder / "models", niceness=0), **changes)
    app = create_app(settings)
    made = Installation(app, settings, app.extensions["dopascope_database"])
    made.user("ada")
    return made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Server]]:
    """A server of uploads up to 2 MiB."""
    made = installed(tmp_path_factory.mktemp("served"), largest_upload=2 * MIB)
    server = Server(made.settings)
    yield made, server
    server.end()
    made.database.close()


def sent(port: int, head: str, pieces: list[bytes]) -> bytes:
    """What a server answers to bytes; empty where it just hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        got = b""
        try:
            connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65536):
                got += block
        except OSError:
            pass  # it stopped to listen; what it said before may be lost
        return got


def chunks(size: int) -> list[bytes]:
    """A body without a length, in pieces of 64 KiB."""
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    return [piece] * (size // 0x10000) + [b"0\r\n\r\n"]


HEAD = "POST /upload HTTP/1.1\nHost: 127.0.0.1\nContent-Type: multipart/form-data; boundary=x\nConnection: close"
LYING: dict[str, tuple[str, Callable[[], list[bytes]], set[bytes]]] = {
    "one byte too long": (f"{HEAD}\nContent-Length: {2 * MIB + 1}", lambda: [bytes(2 * MIB + 1)], {b"413"}),
    "a claim of a terabyte": (f"{HEAD}\nContent-Length: {1 << 40}", list, {b"413"}),
    "a claim, and nothing": (f"{HEAD}\nContent-Length: {MIB}", lambda: [bytes(1000)], {b""}),
    "more than was claimed": (f"{HEAD}\nContent-Length: 10", lambda: [bytes(3 * MIB)], {b"400", b"302", b""}),
    "chunks without end": (f"{HEAD}\nTransfer-Encoding: chunked", lambda: chunks(8 * MIB), {b"413", b""}),
    "chunks behind a small claim": (
        f"{HEAD}\nContent-Length: 10\nTransfer-Encoding: chunked",
        lambda: chunks(8 * MIB),
        {b"413", b"400", b""},
    ),
    "a negative length": (f"{HEAD}\nContent-Length: -1", list, {b"400"}),
    "two lengths": (f"{HEAD}\nContent-Length: 10\nContent-Length: 9999", list, {b"400"}),
}


@pytest.mark.promise(
    "Uploads are bounded in size and number per user, and leave nothing when refused",
    asvs="5.2.1",
    threats="T1",
)
@pytest.mark.parametrize("name", LYING)
def test_a_size_that_lies_leaves_nothing_on_the_disk(served: tuple[Installation, Server], name: str) -> None:
    made, server = served
    head, body, codes = LYING[name]
    told = sent(server.port, head, body())
    found = re.match(rb"HTTP/1\.[01] (\d{3})", told)
    assert (found[1] if found else b"") in codes, told[:200]
    _nothing_left(made, server)


@pytest.mark.promise(
    "Uploads are bounded in size and number per user, and leave nothing when refused",
    asvs="5.2.1",
    threats="T1",
)
def test_a_user_who_sends_too_much_is_told_and_leaves_nothing(served: tuple[Installation, Server]) -> None:
    made, server = served
    visitor = Visitor(server.url)
    visitor.submit("/login", name="ada", password=PASSWORD)
    told = visitor.submit("/upload", file=bytes(2 * MIB + 1))
    assert told.code == 413
    assert "too large" in told.text
    _nothing_left(made, server)


def _nothing_left(made: Installation, server: Server) -> None:
    ends = time.monotonic() + 10
    while (held := dropped_files(server.process.pid)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert [one for one in held if str(made.settings.data) in one] == [], "a file without a name keeps its room"
    assert list(made.settings.incoming.iterdir()) == []
    assert list(made.settings.uploads.iterdir()) == []
    with made.database.read() as session:
        assert session.scalars(select(Upload)).all() == []


@pytest.mark.promise(
    "Headers that only a proxy may set are believed from the proxy alone, and an unknown host is refused",
    asvs="4.1.3",
    threats="T27",
)
def test_a_forged_address_does_not_outrun_the_limiter(served: tuple[Installation, Server]) -> None:
    made, server = served
    codes = []
    for number in range(FREE["account"] + 3):
        forged = f"10.9.9.{number}"
        visitor = Visitor(server.url, **{"X-Forwarded-For": forged, "X-Real-IP": forged, "Forwarded": f"for={forged}"})
        codes.append(visitor.submit("/login", name=f"user{number}", password="wrong password").code)
    assert set(codes) <= {401, 429}
    with made.database.read() as session:
        keys = {one.key for one in session.scalars(select(Throttle)) if one.key.startswith("address:")}
    assert keys == {"address:127.0.0.1"}
    assert Visitor(server.url, Host="evil.example").get("/login").code == 400
    told = Visitor(server.url, **{"X-Forwarded-Host": "evil.example"}).get("/upload")
    assert "evil.example" not in told.url + told.text


@pytest.mark.promise(
    "Headers that only a proxy may set are believed from the proxy alone, and an unknown host is refused",
    asvs="4.1.3",
    threats="T18, T27",
)
def test_behind_a_proxy_each_visitor_is_counted_by_the_address_that_the_proxy_saw(tmp_path: Path) -> None:
    made = installed(tmp_path, behind_proxy=True, trusted_hosts=("scans.example.org",))
    server = Server(made.settings)
    try:
        asked = {"Host": "scans.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "scans.example.org"}
        for seen in ("203.0.113.7", "203.0.113.8"):
            # What a visitor claims stands before what the proxy adds.
            visitor = _Secure(server.url, **asked, **{"X-Forwarded-For": f"198.51.100.1, {seen}"})
            assert visitor.submit("/login", name="nobody", password="wrong password").code == 401
        forged = Visitor(server.url, **(asked | {"X-Forwarded-Host": "evil.example"}))
        assert forged.get("/login").code == 400
    finally:
        server.end()
    with made.database.read() as session:
        keys = {one.key for one in session.scalars(select(Throttle)) if one.key.startswith("address:")}
    assert keys == {"address:203.0.113.7", "address:203.0.113.8"}
    made.database.close()


class _Secure(Visitor):
    """A visitor behind a proxy with TLS: cookies that only TLS may carry are carried by hand."""

    def __init__(self, url: str, **headers: str) -> None:
        super().__init__(url, **headers)
        self._plain = self._open
        self._open = self._carrying  # type: ignore[assignment]

    def _carrying(self, request: Any, timeout: float) -> Any:
        answer = self._plain(request, timeout=timeout)
        cookies = [one.split(";")[0] for one in answer.headers.get_all("Set-Cookie", [])]
        if cookies:
            self.headers["Cookie"] = "; ".join(cookies)
        return answer


@pytest.mark.promise("Nobody writes a line of the log or of the trail by what he sends", asvs="16.4.1", threats="T28")
@pytest.mark.promise(
    "A patient's name is in no list, table, report, trail or stored reading", asvs="16.2.5", threats="T22"
)
def test_what_the_server_prints_is_its_own(served: tuple[Installation, Server]) -> None:
    made, server = served
    forged = f"{CANARY}\\r\\nroot logged in\x1b[2J"
    path = "%0d%0aroot%20logged%20in%1b[2J"
    for line in (
        f"GET /readings/{CANARY}{path} HTTP/1.1\nHost: 127.0.0.1\nUser-Agent: {forged}\nConnection: close",
        f"GET /{CANARY}{path}?{CANARY}{path} HTTP/1.1\nHost: 127.0.0.1\nReferer: {forged}\nConnection: close",
        f"GET / HTTP/1.1\nHost: 127.0.0.1\nX-{CANARY}: x\x0by\nConnection: close",
        f"{CANARY} / HTTP/9.9\nHost: {CANARY}\nConnection: close",
        f"GET / HTTP/1.1\nHost: 127.0.0.1\nCookie: dopascope={CANARY}; dopascope-form={CANARY}\nConnection: close",
    ):
        sent(server.port, line, [])
    visitor = Visitor(server.url)
    visitor.submit("/login", name=f"{CANARY}\r\nroot logged in", password=f"{CANARY}\x1b[2J")
    printed = server.printed.read_text()
    assert printed, "nothing was printed at all"
    assert CANARY not in printed
    assert "logged in" not in printed
    assert all(line.isprintable() for line in printed.splitlines())
    with made.database.read() as session:
        for one in session.scalars(select(AuditEntry)):
            assert CANARY not in f"{one.action}{one.target}{one.detail}"


UNSAFE: dict[str, tuple[list[str], str]] = {
    "every address": (["--host", "0.0.0.0"], "without encryption"),
    "every address of version 6": (["--host", "::"], "without encryption"),
    "an address of the network": (["--host", "192.168.1.4"], "without encryption"),
    "a name": (["--host", "scans.example.org"], "without encryption"),
    "a name of this machine with another address": (["--host", "127.0.0.1.example.org"], "without encryption"),
    "a proxy and no name": (["--behind-proxy"], "does not know the name"),
    "a proxy and any name": (["--behind-proxy", "--trusted-host", "*"], "cannot be a host"),
    "a proxy and an empty name": (["--behind-proxy", "--trusted-host", ""], "cannot be a host"),
    "a proxy and all names below one": (["--behind-proxy", "--trusted-host", ".org"], "cannot be a host"),
    "an unknown policy": (["--registration", "anybody"], "no such policy"),
    "fewer workers than none": (["--workers", "-1"], "workers"),
    "uploads of nothing": (["--largest-upload", "0"], "largest-upload"),
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command, where nothing can begin to serve."""

    def serves(*_: object, **__: object) -> None:
        raise AssertionError("it serves")

    def go(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["dopascope", *words])
        return CliRunner().invoke(program.app, list(words))

    monkeypatch.setattr("waitress.create_server", serves)
    return go


@pytest.mark.promise(
    "Settings that would open the app to strangers end with exit code 2 and the reason", asvs="13.4.2", threats="T26"
)
@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_setting_ends_with_the_reason(run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    words, reason = UNSAFE[name]
    told = run("serve", "--data", str(tmp_path / "web"), *words)
    assert told.exit_code == 2, (told.output, told.exception)
    assert reason in told.stderr
    assert not (tmp_path / "web").exists()
    # Without the unsafe words it would serve.
    assert isinstance(run("serve", "--data", str(tmp_path / "safe")).exception, AssertionError)


@pytest.mark.promise(
    "Settings that would open the app to strangers end with exit code 2 and the reason", asvs="13.4.2", threats="T26"
)
def test_pages_for_developers_are_refused_by_the_command(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "web", models_dir=tmp_path / "models", niceness=0)
    done = subprocess.run(
        [sys.executable, "-m", "dopascope", *words_of(settings, 8000)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "FLASK_DEBUG": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 2, done.stderr
    assert "FLASK_DEBUG" in done.stderr
    assert not settings.data.exists()


@pytest.mark.promise(
    "Settings that would open the app to strangers end with exit code 2 and the reason", asvs="13.4.2", threats="T26"
)
def test_the_secrets_of_a_new_installation_are_its_own(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        made = installed(tmp_path / name)
        path = made.settings.data / "secrets.json"
        made.settings.secret("audit")
        assert path.stat().st_mode & 0o777 == 0o600
        found += json.loads(path.read_text()).values()
        assert made.app.debug is False
        made.database.close()
    assert len(set(found)) == len(found)
    assert all(len(one) == 64 for one in found)
