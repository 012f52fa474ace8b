"""Recordings store who speaks in the marks of each tier, and marks the channel that they are about."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add both columns, without values."""
    op.add_column("recordings", sa.Column("participants", sa.Text, nullable=False, server_default="{}"))
    op.add_column("marks", sa.Column("channel", sa.Integer))
