"""Index recordings by content over all projects, to delete a recording and everything stored about it."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.create_index("recordings_by_content", "recordings", ["sha256"])
