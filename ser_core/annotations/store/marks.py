"""Marks as rows: checked before they are written, and read with what only the database knows of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, and_, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite

from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER, Annotation, fitted
from ser_core.annotations.store.tables import kept_name, kept_text, marks
from ser_core.errors import AnnotationsRefused

#: What a person says with a mark; two marks that agree in it are the same to them.
CONTENT = ("tier", "annotator", "emotion", "intensity", "note", "confidence", "status")
PLACE = ("start_s", "end_s", "low_hz", "high_hz")

IN_ORDER_OF_TIME = (marks.c.start_s, marks.c.end_s, marks.c.key)

#: With more keys than this all marks of the recording are read: databases limit the parameters of a statement.
MOST_KEYS = 5_000


@dataclass(frozen=True)
class Standing:
    """A mark as it stands, or stood when it was deleted."""

    annotation: Annotation
    deleted: bool
    changed_by: str


@dataclass(frozen=True)
class Change:
    """What a step did to one mark: `before` is None where it made it, `after` where it deleted it."""

    before: Annotation | None
    after: Annotation | None

    @property
    def key(self) -> str:
        return (self.after or self.before).key


def insert_into(connection: Connection, table: Any) -> Any:
    """Return the INSERT that knows ON CONFLICT, which both databases write alike."""
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    return dialect.insert(table)


def content_of(annotation: Annotation) -> dict[str, Any]:
    """Return what a mark says and where, without identity, revision and time."""
    region = annotation.region
    return {name: getattr(annotation, name) for name in CONTENT} | {name: getattr(region, name) for name in PLACE}


def annotation_of(values: Mapping[str, Any]) -> Annotation:
    """Return the mark of a row or of a kept dict, which have the same names."""
    content = {name: values[name] for name in (*CONTENT, "key", "revision", "changed_at")}
    return Annotation(Region(*(values[name] for name in PLACE)), **content)


def checked(annotation: Annotation, annotator: str) -> Annotation:
    """Return a mark as databases can keep it; one that says no annotator becomes that of the given one.

    Whether it fits into its recording, `fitted` tells when that is known.

    Raises
    ------
    AnnotationsRefused
        If a text, a time or a frequency is none, or the intensity is not a whole number.
    """
    numbers = [None if value is None else float(value) for value in (getattr(annotation.region, n) for n in PLACE)]
    intensity = annotation.intensity
    if intensity is not None and intensity != int(intensity):
        raise AnnotationsRefused(f"An intensity of {intensity} is not possible; choose a whole number.")
    possible = fitted(replace(annotation, region=Region(*numbers)), None)
    return replace(
        possible,
        tier=kept_name(annotation.tier, "name of the tier"),
        annotator=kept_name(annotation.annotator.strip() or annotator, "name of the annotator"),
        emotion=None if annotation.emotion is None else kept_name(annotation.emotion, "emotion"),
        intensity=None if intensity is None else int(intensity),
        note=kept_text(annotation.note, "note"),
        confidence=None if annotation.confidence is None else float(annotation.confidence),
    )


def change_to(standing: Standing | None, content: Annotation | None, at: datetime) -> Change:
    """Return the change of a mark, None for one that is new, to a content, None for none."""
    before = None if standing is None or standing.deleted else standing.annotation
    if content is None:
        return Change(before, None)
    key, revision = (uuid4().hex, 0) if standing is None else (standing.annotation.key, standing.annotation.revision)
    return Change(before, replace(content, key=key, revision=revision + 1, changed_at=at))


def standing_marks(connection: Connection, recording_id: int, keys: Collection[str | None]) -> dict[str, Standing]:
    """Return the marks of these keys, deleted or not, and every label of the whole recording that is not deleted."""
    known = [kept_text(key, "key of a mark") for key in keys if key is not None]
    asked = marks.c.key.in_(known) if len(known) <= MOST_KEYS else true()
    label = and_(marks.c.tier == RECORDING_TIER, ~marks.c.deleted)
    rows = connection.execute(select(marks).where(marks.c.recording_id == recording_id, or_(asked, label)))
    return {row.key: Standing(annotation_of(row._mapping), row.deleted, row.changed_by) for row in rows}


def refuse_second_label(standing: Mapping[str, Standing], changes: Iterable[Change]) -> None:
    """Refuse changes that would leave an annotator with two labels of one whole recording."""
    after = {key: None if mark.deleted else mark.annotation for key, mark in standing.items()}
    after |= {change.key: change.after for change in changes}
    whose = [mark.annotator for mark in after.values() if mark is not None and mark.tier == RECORDING_TIER]
    for name in whose:
        if whose.count(name) > 1:
            raise AnnotationsRefused(
                f"{name} has labelled this recording as a whole already; load it anew and change that label."
            )


def write_marks(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `mark_row`, all in one statement; a mark that is there becomes what its row says."""
    if not rows:
        return
    statement = insert_into(connection, marks)
    replaced = [column.name for column in marks.c if column.name not in ("key", "recording_id")]
    new = {name: statement.excluded[name] for name in replaced}
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=new), rows)


def mark_row(recording_id: int, change: Change, changed_by: str, at: datetime) -> dict[str, Any]:
    """Return the row that a change leaves."""
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
