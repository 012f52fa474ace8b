"""Projects have members with roles, and recordings are assigned to annotators and can be sent back to them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


#: Columns that hold names of annotators.
NAMED = {
    "marks": ("annotator", "changed_by"),
    "steps": ("annotator",),
    "projects": ("owner", "deleted_by"),
    "recordings": ("added_by",),
}


def upgrade() -> None:
    """Add both tables; from now on, the name `gold` is reserved."""
    for name in op.get_bind().scalars(sa.text("SELECT name FROM annotators")).all():
        if name.casefold() == "gold":
            _rename(name, f"{name} (a person)")
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


def _rename(name: str, new: str) -> None:
    """Give an annotator another name, in the history too."""
    connection, names = op.get_bind(), {"name": name, "new": new}
    connection.execute(sa.text("INSERT INTO annotators VALUES (:new) ON CONFLICT DO NOTHING"), {"new": new})
    for table, columns in NAMED.items():
        for column in columns:
            connection.execute(sa.text(f"UPDATE {table} SET {column} = :new WHERE {column} = :name"), names)
    in_history = {key: f'"annotator": "{value}"' for key, value in names.items()}
    connection.execute(sa.text("UPDATE steps SET changes = replace(changes, :name, :new)"), in_history)
    connection.execute(sa.text("DELETE FROM annotators WHERE name = :name"), {"name": name})
