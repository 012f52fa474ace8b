"""Recordings are found by their content in every project, to delete them and what is kept of them."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.create_index("recordings_by_content", "recordings", ["sha256"])
