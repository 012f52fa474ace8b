"""Recordings store who speaks in them, where that is known."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("recordings", sa.Column("speaker", sa.Text))
    op.create_index("recordings_by_speaker", "recordings", ["project_id", "speaker"])
