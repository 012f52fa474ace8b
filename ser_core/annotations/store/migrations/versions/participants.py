"""Recordings say who speaks in the marks of which tier, and marks which channel they are about."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add both columns; nothing is known yet."""
    op.add_column("recordings", sa.Column("participants", sa.Text, nullable=False, server_default="{}"))
    op.add_column("marks", sa.Column("channel", sa.Integer))
