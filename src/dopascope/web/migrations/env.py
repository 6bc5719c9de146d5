"""How Alembic reaches the database: by the connection that `Database.upgrade` holds."""

from __future__ import annotations

from alembic import context

from dopascope.web.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
