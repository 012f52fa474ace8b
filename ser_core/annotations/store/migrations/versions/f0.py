"""F0 can be corrected by hand, as a step of the history."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table of corrections, and a column for their changes to steps."""
    recording = sa.ForeignKey("recordings.id", ondelete="CASCADE")
    op.create_table(
        "f0_corrections",
        sa.Column("recording_id", sa.Integer, recording, primary_key=True, nullable=False),
        sa.Column("f0", sa.Text, nullable=False),
    )
    op.add_column("steps", sa.Column("f0", sa.Text))
