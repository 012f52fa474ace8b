"""Recordings say which tier of labels the disagreement of their annotators is of."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; what is rated already is of the marks of emotions."""
    op.add_column("recordings", sa.Column("disagreement_tier", sa.Text))
