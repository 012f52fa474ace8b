"""Projects, annotators, recordings, marks and steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of the first version."""
    _projects_and_people()
    _recordings()
    _marks()
    _steps()


def _projects_and_people() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table("annotators", sa.Column("name", sa.Text, primary_key=True))


def _recordings() -> None:
    ratings = ("uncertainty", "explainers_disagreement", "annotators_disagreement")
    op.create_table(
        "recordings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded_name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("duration_s", sa.Float(53), nullable=False),
        sa.Column("sample_rate_hz", sa.Integer),
        sa.Column("path", sa.Text),
        sa.Column("provenance", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(rating, sa.Float(53), nullable=False) for rating in ratings),
        sa.UniqueConstraint("project_id", "sha256", name="one_row_per_file"),
    )
    op.create_index("recordings_by_addition", "recordings", ["project_id", "id"])
    op.create_index("recordings_by_name", "recordings", ["project_id", "folded_name", "id"])
    for rating in ratings:
        op.create_index(f"recordings_by_{rating}", "recordings", ["project_id", rating, "id"])


def _marks() -> None:
    op.create_table(
        "marks",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("recording_id", sa.Integer, sa.ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("annotator", sa.Text, sa.ForeignKey("annotators.name"), nullable=False),
        sa.Column("start_s", sa.Float(53), nullable=False),
        sa.Column("end_s", sa.Float(53), nullable=False),
        sa.Column("low_hz", sa.Float(53)),
        sa.Column("high_hz", sa.Float(53)),
        sa.Column("emotion", sa.Text),
        sa.Column("intensity", sa.Integer),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float(53)),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text, sa.ForeignKey("annotators.name"), nullable=False),
        sa.CheckConstraint("start_s >= 0 AND start_s < end_s", name="a_stretch"),
        sa.CheckConstraint("intensity BETWEEN 1 AND 5", name="intensity_in_range"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_in_range"),
        sa.CheckConstraint("status IN ('open', 'done', 'verified')", name="status_known"),
    )
    op.create_index("marks_in_order_of_time", "marks", ["recording_id", "start_s"])
    op.create_index("marks_by_emotion", "marks", ["emotion", "recording_id"])
    a_standing_label = sa.text("tier = 'recording' AND NOT deleted")
    op.create_index(
        "one_label_of_the_whole_per_annotator",
        "marks",
        ["recording_id", "annotator"],
        unique=True,
        sqlite_where=a_standing_label,
        postgresql_where=a_standing_label,
    )


def _steps() -> None:
    op.create_table(
        "steps",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("recording_id", sa.Integer, sa.ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
        sa.Column("annotator", sa.Text, sa.ForeignKey("annotators.name"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("beneath_id", sa.Integer),
        sa.Column("top_id", sa.Integer),
        sa.CheckConstraint("kind IN ('edit', 'undo', 'redo')", name="kind_known"),
    )
    op.create_index("steps_of_an_annotator", "steps", ["recording_id", "annotator", "id"])
    op.create_index("steps_of_a_recording", "steps", ["recording_id", "id"])
