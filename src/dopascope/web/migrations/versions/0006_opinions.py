"""What the author of a signature reads, and how sure he is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; earlier signatures have none."""
    op.add_column("note", sa.Column("label", sa.String(16), nullable=True))
    op.add_column("note", sa.Column("confidence", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("note", "confidence")
    op.drop_column("note", "label")
