"""The tables of the annotation database, and what their columns can hold.

A change here needs a migration in `migrations/versions` that makes it in existing databases. A test compares the tables
that the migrations make with those defined here.
"""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

from ser_core.annotations.annotation import HALF_CHARACTER
from ser_core.errors import AnnotationsRefused

#: Longer names do not fit into an index of PostgreSQL, and no file system has them.
MAX_NAME_LENGTH = 255


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC, with its zone; SQLite stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_utc(value)


class Json(TypeDecorator[Any]):
    """JSON as plain text: PostgreSQL's own type refuses the NUL and NaN that files from elsewhere may hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:
        return None if value is None else json.loads(value)


class Rating(TypeDecorator[float]):
    """A number of at least 0, or None, stored as -1: databases differ in where they sort NULL."""

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float:
        return -1.0 if value is None else float(value)

    def process_result_value(self, value: float, dialect: Dialect) -> float | None:
        return None if value < 0 else value


def as_utc(time: datetime) -> datetime:
    """Return a time in UTC; a time without a zone is taken to be in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def valid_text(value: str, what: str) -> str:
    """Return a text that every database can store, or refuse it.

    Raises
    ------
    AnnotationsRefused
        If it holds NUL or half of a surrogate pair, as broken file names do.
    """
    if "\0" in value or HALF_CHARACTER.search(value):
        raise AnnotationsRefused(f"The {what} {value[:80]!r} holds characters that are not text; write it again.")
    return value


def valid_name(value: str, what: str) -> str:
    """Return a name without spaces around it, in the composed form that most keyboards produce.

    Raises
    ------
    AnnotationsRefused
        If nothing is left, or it is too long or not text.
    """
    name = composed(valid_text(value, what))
    if not name:
        raise AnnotationsRefused(f"The {what} is empty; give one.")
    if len(name) > MAX_NAME_LENGTH:
        raise AnnotationsRefused(
            f"The {what} '{name[:40]}…' has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed."
        )
    return name


def composed(name: str) -> str:
    """Return a name without spaces around it, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name).strip()


def folded(name: str) -> str:
    """Return a name in the form that is searched and sorted; the databases themselves fold case differently."""
    return unicodedata.normalize("NFC", name).casefold()


#: Labels of a whole recording. As text: databases use the index below only if a query has the same literal condition.
RECORDING_LABEL = text("tier = 'recording' AND NOT deleted")

#: Marks in the trash, as text for the same reason.
DELETED_MARK = text("deleted")

metadata = MetaData()

# The items of the trash are projects too, which no list shows; `trash.py` explains the columns.
projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("owner", Text),
    Column("deleted_at", UtcTime),
    Column("deleted_by", Text),
    Column("deleted_name", Text),
    Column("of_project", Integer),
)

annotators = Table("annotators", metadata, Column("name", Text, primary_key=True))

recordings = Table(
    "recordings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Bytewise order in both databases, whatever the server's locale.
    Column("folded_name", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("duration_s", Float(53), nullable=False),
    Column("sample_rate_hz", Integer),
    Column("path", Text),
    Column("provenance", Json, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("added_by", Text),
    Column("speaker", Text),
    Column("session", Text),
    # By key of a tier: who speaks in its marks.
    Column("participants", Json, nullable=False, server_default="{}"),
    Column("uncertainty", Rating, nullable=False),
    Column("explainers_disagreement", Rating, nullable=False),
    Column("annotators_disagreement", Rating, nullable=False),
    Column("disagreement_tier", Text),
    UniqueConstraint("project_id", "sha256", name="one_row_per_file"),
    Index("recordings_by_addition", "project_id", "id"),
    Index("recordings_by_content", "sha256"),
    Index("recordings_by_name", "project_id", "folded_name", "id"),
    Index("recordings_by_uncertainty", "project_id", "uncertainty", "id"),
    Index("recordings_by_explainers_disagreement", "project_id", "explainers_disagreement", "id"),
    Index("recordings_by_annotators_disagreement", "project_id", "annotators_disagreement", "id"),
    Index("recordings_by_speaker", "project_id", "speaker"),
    Index("recordings_by_session", "project_id", "session"),
)

# Roles of people; the owner is in `projects`. `people.py` explains both tables.
members = Table(
    "members",
    metadata,
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("person", Text, primary_key=True),
    Column("role", Text, nullable=False),
    CheckConstraint("role IN ('annotator', 'reviewer')", name="role_known"),
)

assignments = Table(
    "assignments",
    metadata,
    Column("recording_id", ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("drawn", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sent_back_by", Text, nullable=False),
    Column("sent_back_at", UtcTime),
)

# A deleted tier stays as a row: it can come back, and its key is never given to another one.
tiers = Table(
    "tiers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("parent", Text),
    Column("colour", Text),
    Column("shown", Boolean, nullable=False),
    Column("mapping", Json, nullable=False, server_default="[]"),
    Column("deleted_at", UtcTime),
    UniqueConstraint("project_id", "key", name="one_tier_per_key"),
)

# A deleted mark stays as a row for 30 days, so that a late change to it can be answered with who deleted it, and when.
marks = Table(
    "marks",
    metadata,
    Column("key", Text, primary_key=True),
    Column("recording_id", ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    Column("tier", Text, nullable=False),
    Column("annotator", ForeignKey("annotators.name"), nullable=False),
    Column("start_s", Float(53), nullable=False),
    Column("end_s", Float(53), nullable=False),
    Column("low_hz", Float(53)),
    Column("high_hz", Float(53)),
    Column("emotion", Text),
    Column("intensity", Integer),
    Column("note", Text, nullable=False),
    Column("confidence", Float(53)),
    Column("status", Text, nullable=False),
    Column("channel", Integer),
    Column("revision", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("changed_by", ForeignKey("annotators.name"), nullable=False),
    CheckConstraint("start_s >= 0 AND start_s <= end_s", name="a_stretch"),
    CheckConstraint("intensity BETWEEN 1 AND 5", name="intensity_in_range"),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_in_range"),
    CheckConstraint("status IN ('open', 'done', 'verified')", name="status_known"),
    Index("marks_in_order_of_time", "recording_id", "start_s"),
    Index("marks_by_emotion", "emotion", "recording_id"),
    Index("marks_deleted", "changed_at", sqlite_where=DELETED_MARK, postgresql_where=DELETED_MARK),
    Index(
        "one_label_of_the_whole_per_annotator",
        "recording_id",
        "annotator",
        unique=True,
        sqlite_where=RECORDING_LABEL,
        postgresql_where=RECORDING_LABEL,
    ),
)

# The corrected frames, as `f0_fields` returns them; recordings without any have no row.
f0_corrections = Table(
    "f0_corrections",
    metadata,
    Column("recording_id", ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("f0", Json, nullable=False),
)

# Rows are only ever added; `history.py` explains the columns.
steps = Table(
    "steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recording_id", ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    Column("annotator", ForeignKey("annotators.name"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("changes", Json, nullable=False),
    Column("beneath_id", Integer),
    Column("top_id", Integer),
    Column("f0", Json),
    CheckConstraint("kind IN ('edit', 'undo', 'redo')", name="kind_known"),
    Index("steps_of_an_annotator", "recording_id", "annotator", "id"),
    Index("steps_of_a_recording", "recording_id", "id"),
)

# Permanent deletions that are not finished: of a recording's sound or, with an empty SHA-256, of the deleted rows that
# SQLite's file still holds.
unfinished_deletions = Table(
    "unfinished_deletions",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("due_at", UtcTime, nullable=False),
)
