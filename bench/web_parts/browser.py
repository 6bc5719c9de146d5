"""A browser for load: one kept connection, cookies, forms, and how long each answer took."""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

PATIENCE_S = 130.0
"""A little more than the longest answer, the events of a job."""


class RefusedError(Exception):
    """An answer that nobody should get."""


@dataclass
class Answer:
    """Status, the place a redirect leads to, how long it may be kept, the body, and the seconds until its last byte."""

    status: int
    place: str
    caching: str
    body: bytes
    seconds: float


@dataclass
class Browser:
    """What one person looks through, and the token of his programs."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    """Sent instead of the cookies to the programming interface."""
    connection: http.client.HTTPConnection | None = None

    def tab(self) -> Browser:
        """Another connection of the same person."""
        return Browser(self.port, dict(self.cookies))

    def ask(self, path: str, *, body: bytes | None = None, kind: str = "", accept: tuple[int, ...] = (200,)) -> Answer:
        """Ask for a page; what is not among the accepted answers is an error.

        Raises:
            RefusedError: another status, or a page of log-in.
        """
        if path.startswith("/api/"):
            headers = {"Authorization": f"Bearer {self.token}"}
        else:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= {"Content-Type": kind} if kind else {}
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        start = time.perf_counter()
        try:
            self.connection.request("GET" if body is None else "POST", path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise RefusedError(f"{path.partition('?')[0]}: {type(error).__name__}") from error
        seconds = time.perf_counter() - start
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        place = answer.headers.get("Location", "")
        if answer.status not in accept or place.startswith("/login"):
            raise RefusedError(f"{path.partition('?')[0]}: {answer.status} {place}")
        return Answer(answer.status, place, answer.headers.get("Cache-Control", ""), content, seconds)

    def send(self, path: str, fields: dict[str, str], file: bytes = b"") -> Answer:
        """Load a page, fill its form and send it; a redirect is not followed."""
        token = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', self.ask(path).body)
        if token is None:
            raise RefusedError(f"{path}: no form")
        edge = uuid.uuid4().hex
        parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
        parts += [('name="csrf_token"', token[1])]
        parts += [('name="files"; filename="scan.dcm"', file)] if file else []
        body = b"".join(
            f"--{edge}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
            for name, value in parts
        )
        whole = body + f"--{edge}--\r\n".encode()
        return self.ask(path, body=whole, kind=f"multipart/form-data; boundary={edge}", accept=(302,))

    def log_in(self, name: str, password: str) -> Answer:
        """Log in by the form."""
        return self.send("/login", {"name": name, "password": password})

    def upload(self, scan: bytes) -> tuple[Answer, float]:
        """Send a scan and watch its job as the page does; returns the answer to the form and the seconds until done.

        Raises:
            RefusedError: the job did not end in a reading.
        """
        start = time.perf_counter()
        answer = self.send("/upload", {}, scan)
        state = ""
        while state in ("", "queued", "running"):
            told = self.ask(f"{answer.place}/events").body.decode().strip().split("\n\n")
            state = json.loads(told[-1].removeprefix("data: "))["state"]
        if state != "done":
            raise RefusedError(f"an upload ended as {state}")
        self.ask(answer.place, accept=(302,))
        return answer, time.perf_counter() - start
