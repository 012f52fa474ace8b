"""Projects have owners, recordings store who added them, and deletions go through a trash."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and the journal of deletions, and compose the names of projects as `valid_name` does."""
    for column in ("owner", "deleted_by", "deleted_name"):
        op.add_column("projects", sa.Column(column, sa.Text))
    op.add_column("projects", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.add_column("projects", sa.Column("of_project", sa.Integer))
    op.add_column("recordings", sa.Column("added_by", sa.Text))
    op.create_table(
        "unfinished_deletions",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    )
    deleted = sa.text("deleted")
    op.create_index("marks_deleted", "marks", ["changed_at"], sqlite_where=deleted, postgresql_where=deleted)
    _compose_names()


def _compose_names() -> None:
    connection = op.get_bind()
    names = {row.id: row.name for row in connection.execute(sa.text("SELECT id, name FROM projects ORDER BY id"))}
    for id_, name in names.items():
        composed, count = unicodedata.normalize("NFC", name), 1
        wanted = composed
        while wanted != name and wanted in names.values():
            count += 1
            wanted = f"{composed} ({count})"
        if wanted != name:
            connection.execute(sa.text("UPDATE projects SET name = :name WHERE id = :id"), {"name": wanted, "id": id_})
            names[id_] = wanted
