"""What lists of very many readings choose, sort and draw by, in columns of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dopascope.web.tables import urgency, worse_putamen

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, filled for the readings that are there, and their indexes."""
    op.add_column("reading", sa.Column("worse_putamen", sa.Float(), nullable=True))
    op.add_column("reading", sa.Column("urgency", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("reading", sa.Column("owner_id", sa.String(32), nullable=False, server_default=""))
    op.add_column("reading", sa.Column("current", sa.Boolean(), nullable=False, server_default=sa.true()))
    _fill(op.get_bind())
    op.create_index("reading_urgency", "reading", [sa.text("urgency DESC"), "created", "id"])
    op.create_index("ix_reading_owner_id", "reading", ["owner_id"])


def _fill(connection: sa.Connection) -> None:
    names = ("id", "upload_id", "owner_id", "current", "disagreement", "verdict", "passport")
    reading = sa.table(
        "reading", *(sa.column(name) for name in (*names, "worse_putamen", "urgency")), sa.column("ratios", sa.JSON)
    )
    upload = sa.table("upload", *(sa.column(name) for name in ("id", "owner_id", "adjusts")))
    mine = sa.select(upload.c.owner_id).where(upload.c.id == reading.c.upload_id).scalar_subquery()
    connection.execute(reading.update().values(owner_id=mine))
    later = reading.alias()
    corrected = sa.select(upload.c.adjusts).join(later, later.c.upload_id == upload.c.id)
    replaced = reading.c.upload_id.in_(corrected.where(upload.c.adjusts.is_not(None)))
    connection.execute(reading.update().where(replaced).values(current=sa.false()))
    shown = sa.select(*(reading.c[name] for name in ("id", "disagreement", "verdict", "passport", "ratios")))
    for one in connection.execute(shown).fetchall():
        values = {
            "worse_putamen": worse_putamen(one.ratios),
            "urgency": urgency(bool(one.disagreement), one.verdict, one.passport),
        }
        connection.execute(reading.update().where(reading.c.id == one.id).values(**values))


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_reading_owner_id", "reading")
    op.drop_index("reading_urgency", "reading")
    for name in ("current", "owner_id", "urgency", "worse_putamen"):
        op.drop_column("reading", name)
