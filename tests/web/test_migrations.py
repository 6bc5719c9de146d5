"""An installation of an earlier version is brought up to date with all that it holds."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, select, text

from dopascope.web.database import Database, _migrations
from dopascope.web.tables import Base, Note, ReadingRow


def upgrade(base: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_migrations()))
    with base.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


ROWS = (
    'INSERT INTO "user" (id, name, key, password_hash, role, created, disabled) '
    "VALUES ('u', 'ada', 'ada', 'x', 'reader', 0, false)",
    "INSERT INTO upload (id, owner_id, created, original_name, files, size, sha256, choices, adjusts) "
    "VALUES ('a', 'u', 1, 'a', 1, 1, 'x', '{}', NULL), ('b', 'u', 2, 'b', 1, 0, 'x', '{}', 'a')",
    "INSERT INTO reading (id, upload_id, pseudonym, created, verdict, passport, disagreement, camera, ratios, sha256) "
    "VALUES ('ra', 'a', 'P', 1, 'uncertain', 'unusual', true, '', "
    '\'{"putamen_left": 1.5, "putamen_right": 1.25, "caudate_left": 0.5}\', \'x\'), '
    "('rb', 'b', 'P', 2, 'normal', 'in-distribution', false, '', '{}', 'x')",
    "INSERT INTO note (id, reading_id, user_id, created, kind, text) VALUES ('n', 'ra', 'u', 1, 'comment', 'Seen.')",
)


def test_columns_that_follow_from_others_are_filled_and_nothing_is_lost(database_url: str, tmp_path: object) -> None:
    base = Database(database_url or f"sqlite:///{tmp_path}/old.sqlite")
    try:
        upgrade(base, "0006")
        with base.engine.begin() as connection:
            for one in ROWS:
                connection.execute(text(one.replace(":", "\\:")))
        upgrade(base, "head")
        assert base.current()
        with base.read() as session:
            first, second = session.scalars(select(ReadingRow).order_by(ReadingRow.id))
            assert (first.owner_id, first.current, first.worse_putamen, first.urgency) == ("u", False, 1.25, 7)
            assert (second.owner_id, second.current, second.worse_putamen, second.urgency) == ("u", True, None, 0)
            assert session.get_one(Note, "n").text == "Seen."
        found = inspect(base.engine)
        for table in Base.metadata.sorted_tables:
            assert {one["name"] for one in found.get_columns(table.name)} == set(table.columns.keys()), table.name
            indexes = {one["name"] for one in found.get_indexes(table.name)}
            assert {str(one.name) for one in table.indexes} <= indexes, table.name
    finally:
        base.close()
