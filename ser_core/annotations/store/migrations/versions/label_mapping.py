"""A tier of labels maps emotions to its labels."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column, with empty mappings."""
    op.add_column("tiers", sa.Column("mapping", sa.Text, nullable=False, server_default="[]"))
