"""Binding ratios beside each reading, for lists and the dashboard; earlier readings have none there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("reading", sa.Column("ratios", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("reading", "ratios")
