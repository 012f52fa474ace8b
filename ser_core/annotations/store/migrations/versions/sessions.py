"""Recordings store the session in which they were recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column and its index, without values."""
    op.add_column("recordings", sa.Column("session", sa.Text))
    op.create_index("recordings_by_session", "recordings", ["project_id", "session"])
