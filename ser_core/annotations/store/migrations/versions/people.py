"""Projects have members with roles, and recordings are assigned to annotators and can be sent back to them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "members",
        sa.Column(
            "project_id", sa.Integer, sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.CheckConstraint("role IN ('annotator', 'reviewer')", name="role_known"),
    )
    op.create_table(
        "assignments",
        sa.Column(
            "recording_id",
            sa.Integer,
            sa.ForeignKey("recordings.id", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("annotator", sa.Text, primary_key=True),
        sa.Column("drawn", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("sent_back_by", sa.Text, nullable=False),
        sa.Column("sent_back_at", sa.DateTime(timezone=True)),
    )
