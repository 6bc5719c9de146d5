"""`dopascope serve --demo`: an account, and the demo's scans in its name."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flask import Flask, g
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from dopascope.web import passwords, sessions, uploads
from dopascope.web.access import Who, database
from dopascope.web.tables import User

NAME: Final = "demo"


def fill(app: Flask, scans: Sequence[Path]) -> str:
    """Make the account `demo` where it is not there yet, and upload scans in its name; those that it has are kept.

    Returns:
        Its password, which is another one after each start.
    """
    password = secrets.token_urlsafe(9)
    with app.test_request_context():
        with database().write() as session:
            user = session.scalars(select(User).where(User.key == NAME)).first()
            if user is None:
                user = User(name=NAME, key=NAME, password_hash="", role="reviewer")
                session.add(user)
            user.password_hash = passwords.hashed(password)
            session.flush()
            sessions.end_all(session, user.id)
        g.who = Who(user.id, user.name, "reviewer", "")
        for path in scans:
            with open(path, "rb") as stream:
                uploads.take([FileStorage(stream, path.name)], {})
    return password
