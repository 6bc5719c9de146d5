"""Which upload another one corrects the registration of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("upload", sa.Column("adjusts", sa.String(32), nullable=True))
    op.create_index("ix_upload_adjusts", "upload", ["adjusts"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_upload_adjusts", "upload")
    op.drop_column("upload", "adjusts")
