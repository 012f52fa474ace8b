"""A tier of labels says which of them stands for which emotion."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; nothing is chosen yet."""
    op.add_column("tiers", sa.Column("mapping", sa.Text, nullable=False, server_default="[]"))
