"""Recordings store the tier of labels on which the disagreement of their annotators was rated."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; existing ratings are of the marks of emotions."""
    op.add_column("recordings", sa.Column("disagreement_tier", sa.Text))
