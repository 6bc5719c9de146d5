"""The database: short transactions, write locks taken at their start, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

WAIT_S: Final = 30
"""How long a writer waits for another one."""
KEPT: Final = 16
"""Connections of one process that stay open, and as many more while they are asked for; on SQLite opening one takes
longer than most queries."""
CACHED_KIB: Final = 512
"""Pages of an SQLite file that each connection keeps; the operating system keeps the rest for all of them."""
_WRITES: Final = "dopascope_writes"
_LOCK: Final = 0x646F7061
"""The lock that writers on PostgreSQL take; any number that no other program uses there."""


class Database:
    """Sessions of one database."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # A writer that waits for SQLite sleeps and looks again, some for seconds under load: threads queue here.
        self._turn: AbstractContextManager[Any] = threading.Lock() if url.startswith("sqlite") else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed when the block ends well, and undone when not.

        One writer at a time, from the start of its transaction: on SQLite one that reads first and writes later would
        fail at once beside another writer, and on PostgreSQL two of them could both find the same last line of the
        audit trail or the same free quota. Nothing slow belongs inside.
        """
        with self._turn, Session(self.engine, expire_on_commit=False) as session:
            connection = session.connection(execution_options={_WRITES: True})
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield session
            session.commit()

    def upgrade(self) -> None:
        """Bring the tables to the form that this version needs."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_migrations()))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def current(self) -> bool:
        """Whether the tables have the form that this version needs."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        with self.engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_heads()
        return set(found) == set(ScriptDirectory(str(_migrations())).get_heads())

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def _migrations() -> Traversable:
    return files("dopascope.web").joinpath("migrations")


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=KEPT, max_overflow=KEPT)
    engine = create_engine(url, connect_args={"timeout": WAIT_S}, pool_size=KEPT, max_overflow=KEPT)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for line in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            "synchronous = FULL",
            f"busy_timeout = {WAIT_S * 1000}",
            f"cache_size = -{CACHED_KIB}",
        ):
            connection.execute(f"PRAGMA {line}")

    @event.listens_for(engine, "begin")
    def _(connection: Any) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
