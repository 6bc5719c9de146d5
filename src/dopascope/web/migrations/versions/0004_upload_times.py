"""Uploads by time: the records list reads the page that it shows, not everything before it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("upload_created", "upload", ["created"])
    op.create_index("upload_owner_created", "upload", ["owner_id", "created"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("upload_owner_created", "upload")
    op.drop_index("upload_created", "upload")
