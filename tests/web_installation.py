"""A whole installation for tests of the web app: app, database, worker, and browsers that keep cookies."""

from __future__ import annotations

import io
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, select

from dopascope.web import Settings, passwords
from dopascope.web.api import tokens
from dopascope.web.database import Database
from dopascope.web.tables import Identity, Job, ReadingRow, Throttle, Upload, User, new_id
from dopascope.web.worker import Worker, pseudonym_of

PASSWORD = "a quiet walk by the sea"


@dataclass(frozen=True)
class Finished:
    """An upload that was read: its files, the reading's, and their rows."""

    files: Path
    reading: Path
    upload: dict[str, Any]
    row: dict[str, Any]
    identity: dict[str, Any]


def _values(row: Upload | ReadingRow) -> dict[str, Any]:
    return {one.key: getattr(row, one.key) for one in inspect(type(row)).column_attrs}


@dataclass
class Installation:
    """What a test works with."""

    app: Flask
    settings: Settings
    database: Database
    programs: dict[str, Program] = field(default_factory=dict)
    """Of the users whom a test has made tokens for."""

    def user(self, name: str, role: str = "reader", password: str = PASSWORD) -> str:
        """Make an account; returns its id."""
        with self.database.write() as session:
            made = User(name=name, key=name.lower(), password_hash=passwords.hashed(password), role=role)
            session.add(made)
            session.flush()
            return made.id

    def browser(self, name: str | None = None, password: str = PASSWORD) -> Browser:
        """A browser, logged in where a name is given."""
        made = Browser(self.app.test_client())
        if name is not None:
            told = made.submit("/login", name=name, password=password)
            assert told.status_code == 302, told.text
        return made

    def token(self, name: str, *scopes: str, days: int = 30) -> str:
        """A token of a user, with all scopes of its role where none is named."""
        with self.database.write() as session:
            user = session.scalars(select(User).where(User.key == name.lower())).one()
            return tokens.make(session, user, "a test", scopes or tokens.SCOPES[user.role], days)

    def program(self, token: str = "") -> Program:
        """A program, with its token where one is given."""
        return Program(self.app.test_client(), token)

    def work(self, **changes: Any) -> None:
        """Do everything that waits, by a worker with changed settings."""
        Worker(replace(self.settings, **changes), self.database).run(once=True)

    def finished(self) -> Finished:
        """The first upload and what was made of it, to be placed in other installations."""
        with self.database.read() as session:
            job = session.scalars(select(Job).order_by(Job.created)).unique().first()
            row, identity = session.get_one(ReadingRow, job.id), session.get_one(Identity, job.id)
            upload = session.get_one(Upload, job.upload_id)
        files, reading = self.settings.uploads / upload.id, self.settings.readings / job.id
        return Finished(files, reading, _values(upload), _values(row), identity.fields)

    def place(self, finished: Finished, owner_id: str, name: str = "one.dcm") -> str:
        """Give a user an upload that was really read elsewhere, with its reading; returns the reading's id."""
        upload_id, reading_id = new_id(), new_id()
        shutil.copytree(finished.files, self.settings.uploads / upload_id)
        shutil.copytree(finished.reading, self.settings.readings / reading_id)
        with self.database.write() as session:
            mine = {"id": upload_id, "owner_id": owner_id, "original_name": name, "created": time.time()}
            upload = Upload(**finished.upload | mine)
            session.add(upload)
            session.flush()
            session.add(Job(id=reading_id, upload_id=upload_id, state="done", progress="done", finished=time.time()))
            session.flush()
            known = pseudonym_of(finished.identity, self.settings.secret("audit"), upload)
            mine = {"id": reading_id, "upload_id": upload_id, "pseudonym": known, "created": time.time()}
            session.add(ReadingRow(**finished.row | mine | {"owner_id": owner_id}))
            session.flush()
            session.add(Identity(reading_id=reading_id, fields=finished.identity))
        return reading_id

    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        with self.database.read() as session:
            return list(session.scalars(select(Job).order_by(Job.created)))


@dataclass
class Program:
    """A client of the programming interface."""

    client: FlaskClient
    token: str

    def open(self, url: str, *, method: str = "GET", headers: dict[str, str] | None = None, **kinds: Any) -> Any:
        """Ask; addresses are below `/api/v1` where they do not begin so."""
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        at = url if url.startswith("/api") else f"/api/v1{url}"
        return self.client.open(at, method=method, headers=given | (headers or {}), **kinds)

    def get(self, url: str, **kinds: Any) -> Any:
        """Ask for something."""
        return self.open(url, **kinds)

    def post(self, url: str, **kinds: Any) -> Any:
        """Send something."""
        return self.open(url, method="POST", **kinds)

    def upload(self, *files: tuple[bytes, str], key: str | None = None, **fields: Any) -> Any:
        """Send files."""
        given = {**fields, "files": [(io.BytesIO(data), name) for data, name in files]}
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.post("/uploads", data=given, headers=headers, content_type="multipart/form-data")


@dataclass
class Browser:
    """A client that fills forms as a browser does: with the token of the page."""

    client: FlaskClient

    def get(self, url: str, **kinds: Any) -> Any:
        """A page."""
        return self.client.get(url, **kinds)

    def submit(self, url: str, *, page: str | None = None, **fields: Any) -> Any:
        """Load a page and send its form."""
        shown = self.client.get(page or url)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown.text)
        assert token, shown.text
        kinds = {"content_type": "multipart/form-data"} if "files" in fields else {}
        return self.client.post(url, data={**fields, "csrf_token": token[1]}, **kinds)

    def sign(self, page: str, conclusion: str, password: str = PASSWORD, label: str = "reduced") -> Any:
        """Sign the reading of a page."""
        said = {"label": label, "confidence": "4", "conclusion": conclusion, "password": password}
        return self.submit(f"{page}/sign", page=page, **said)

    def upload(self, *files: tuple[bytes, str], **fields: Any) -> Any:
        """Send files."""
        given = [(io.BytesIO(data), name) for data, name in files]
        return self.submit("/upload", files=given, **fields)


def count_up(url: str, times: int) -> None:
    """In a process of its own: read a number and write it one higher, again and again."""
    database = Database(url)
    for _ in range(times):
        with database.write() as session:
            session.get_one(Throttle, "account:x").failures += 1
    database.close()


def guess(settings: Settings, name: str, times: int) -> int:
    """In a process of its own: guess a password again and again; how often it was compared."""
    from dopascope.web import create_app

    app = create_app(settings)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    codes = [client.post("/login", data={"name": name, "password": f"guess {k}"}).status_code for k in range(times)]
    app.extensions["dopascope_database"].close()
    return codes.count(401)
