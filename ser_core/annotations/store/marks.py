"""Marks as rows of the database: checked before they are written, and read with who changed or deleted them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, and_, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite

from ser_core.annotations.annotation import GOLD, RECORDING_TIER, Annotation, is_gold_name, region_or_point, valid_mark
from ser_core.annotations.store.tables import marks, recordings, valid_name, valid_text
from ser_core.errors import AnnotationsRefused

#: The fields of a mark and of its region. Two marks that agree in all of them are the same.
CONTENT = ("tier", "annotator", "emotion", "intensity", "note", "confidence", "status", "channel")
BOUNDS = ("start_s", "end_s", "low_hz", "high_hz")

IN_ORDER_OF_TIME = (marks.c.start_s, marks.c.end_s, marks.c.key)

#: With more keys than this all marks of the recording are read: databases limit the parameters of a statement.
MAX_KEYS = 5_000


@dataclass(frozen=True)
class StoredMark:
    """A mark as the database has it, or had it when it was deleted."""

    annotation: Annotation
    deleted: bool
    changed_by: str


@dataclass(frozen=True)
class Change:
    """What a step did to one mark: `before` is None if it added the mark, `after` if it deleted it."""

    before: Annotation | None
    after: Annotation | None

    @property
    def key(self) -> str:
        return (self.after or self.before).key


def insert_into(connection: Connection, table: Any) -> Any:
    """Return an INSERT of this database's dialect, which can have ON CONFLICT."""
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    return dialect.insert(table)


def content_of(annotation: Annotation) -> dict[str, Any]:
    """Return the fields of a mark and of its region, without key, revision and time."""
    region = annotation.region
    return {name: getattr(annotation, name) for name in CONTENT} | {name: getattr(region, name) for name in BOUNDS}


def annotation_of(values: Mapping[str, Any]) -> Annotation:
    """Return the mark of a row or of a step's dict, which have the same names."""
    # Steps of earlier versions have no channel.
    content = {name: values.get(name) for name in (*CONTENT, "key", "revision", "changed_at")}
    return Annotation(region_or_point(*(values[name] for name in BOUNDS)), **content)


def storable(annotation: Annotation, annotator: str) -> Annotation:
    """Return a mark as the database stores it, with the given annotator if it has none; "" leaves it without one.

    Numbers become plain, names composed, and other spellings of the gold layer's name become `GOLD`. The mark is not
    compared with the length of its recording.

    Raises
    ------
    AnnotationsRefused
        If the mark is not valid, or a name or text cannot be stored.
    """
    name = annotation.annotator.strip() or annotator
    name = GOLD if is_gold_name(name) else name
    numbers = [None if value is None else float(value) for value in (getattr(annotation.region, n) for n in BOUNDS)]
    mark = valid_mark(replace(annotation, region=region_or_point(*numbers)), None)
    return replace(
        mark,
        tier=valid_name(mark.tier, "name of the tier"),
        annotator=valid_name(name, "name of the annotator") if name else "",
        emotion=None if mark.emotion is None else valid_name(mark.emotion, "emotion"),
        intensity=None if mark.intensity is None else int(mark.intensity),
        note=valid_text(mark.note, "note"),
        confidence=None if mark.confidence is None else float(mark.confidence),
    )


def marks_of(
    connection: Connection, of_recording: Collection[Any], annotator: str | None = None
) -> tuple[Annotation, ...]:
    """Return the marks in a recording, found by conditions, of one annotator or of all, in order of time."""
    conditions = (*of_recording, ~marks.c.deleted)
    if annotator is not None:
        conditions = (*conditions, marks.c.annotator == annotator)
    statement = select(marks).join(recordings).where(*conditions).order_by(*IN_ORDER_OF_TIME)
    return tuple(annotation_of(row._mapping) for row in connection.execute(statement))


def deleted_marks_of(connection: Connection, of_recording: Collection[Any], deleted: Any) -> list[StoredMark]:
    """Return the deleted marks of a recording, the newest first."""
    conditions = (*of_recording, deleted)
    statement = select(marks).join(recordings).where(*conditions).order_by(marks.c.changed_at.desc())
    return [StoredMark(annotation_of(row._mapping), True, row.changed_by) for row in connection.execute(statement)]


def without_gold_marks(stored: Iterable[StoredMark]) -> list[StoredMark]:
    """Return the marks of people, without those of the gold layer."""
    return [mark for mark in stored if mark.annotation.annotator != GOLD]


def change_to(stored: StoredMark | None, content: Annotation | None, at: datetime) -> Change:
    """Return the change of a mark (None: a new one) to a content (None: deleted)."""
    before = None if stored is None or stored.deleted else stored.annotation
    if content is None:
        return Change(before, None)
    key, revision = (uuid4().hex, 0) if stored is None else (stored.annotation.key, stored.annotation.revision)
    return Change(before, replace(content, key=key, revision=revision + 1, changed_at=at))


def change_of(stored: StoredMark, mark: Annotation, at: datetime) -> Change:
    """Return the change of a mark by anybody; its annotator stays.

    A verified mark that gets another region, emotion or intensity becomes done, unless its status changes too.
    """
    before = stored.annotation
    same = (mark.region, mark.emotion, mark.intensity) == (before.region, before.emotion, before.intensity)
    status = "done" if before.status == mark.status == "verified" and not same else mark.status
    return change_to(stored, replace(mark, annotator=before.annotator, status=status), at)


def stored_marks(connection: Connection, recording_id: int, keys: Collection[str | None]) -> dict[str, StoredMark]:
    """Return the marks with these keys, deleted or not, and every label of the whole recording that is not deleted."""
    known = [valid_text(key, "key of a mark") for key in keys if key is not None]
    is_wanted = marks.c.key.in_(known) if len(known) <= MAX_KEYS else true()
    is_label = and_(marks.c.tier == RECORDING_TIER, ~marks.c.deleted)
    rows = connection.execute(select(marks).where(marks.c.recording_id == recording_id, or_(is_wanted, is_label)))
    return {row.key: StoredMark(annotation_of(row._mapping), row.deleted, row.changed_by) for row in rows}


def refuse_second_label(stored: Mapping[str, StoredMark], changes: Iterable[Change]) -> None:
    """Refuse changes that would leave an annotator with two labels of one whole recording."""
    after = {key: None if mark.deleted else mark.annotation for key, mark in stored.items()}
    after |= {change.key: change.after for change in changes}
    annotators = [mark.annotator for mark in after.values() if mark is not None and mark.tier == RECORDING_TIER]
    for name in annotators:
        if annotators.count(name) > 1:
            raise AnnotationsRefused(
                f"{name} has already labelled this recording as a whole; load it again and change that label."
            )


def write_marks(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `mark_row` in one statement; existing marks are overwritten."""
    if not rows:
        return
    statement = insert_into(connection, marks)
    columns = [column.name for column in marks.c if column.name not in ("key", "recording_id")]
    new = {name: statement.excluded[name] for name in columns}
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=new), rows)


def mark_row(recording_id: int, change: Change, changed_by: str, at: datetime) -> dict[str, Any]:
    """Return the row of a mark after a change."""
    deleted = change.after is None
    mark = change.before if deleted else change.after
    return content_of(mark) | {
        "key": mark.key,
        "recording_id": recording_id,
        "revision": mark.revision + deleted,
        "deleted": deleted,
        "changed_at": at if deleted else mark.changed_at,
        "changed_by": changed_by,
    }
