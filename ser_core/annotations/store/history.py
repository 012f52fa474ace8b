"""The history of a recording: who changed which marks and F0, and what can be undone; of deleted marks for 30 days.

Each annotator has a stack of edits in each recording. Steps are only ever added, and the stack follows from them: an
edit stores which edit lies beneath it (`beneath_id`); undo and redo are steps too, and store which edit is on top
afterwards (`top_id`). Redo takes the newest edit that lies on the top one. A new edit also lies there and is newer, so
it hides the edits that were undone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, case, delete, func, insert, select, update

from ser_core.annotations.annotation import Annotation
from ser_core.annotations.f0.corrections import CorrectedF0, F0Change
from ser_core.annotations.formats.fields import f0_fields, f0_of
from ser_core.annotations.store.marks import (
    Change,
    StoredMark,
    annotation_of,
    change_to,
    content_of,
    mark_row,
    refuse_second_label,
    write_marks,
)
from ser_core.annotations.store.tables import as_utc, steps
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused

#: Which edit is on top of the stack after a step.
TOP = case((steps.c.kind == "edit", steps.c.id), else_=steps.c.top_id)


@dataclass(frozen=True)
class Step:
    """One action of one person.

    Attributes
    ----------
    id : int
        Later steps have higher ones.
    annotator : str
        Who did it.
    at : datetime
        When, in UTC.
    kind : {"edit", "undo", "redo"}
    changes : tuple of Change
        Each mark before and after.
    beneath_id : int or None
        The edit beneath it in the annotator's stack.
    f0 : F0Change or None
        The change of F0.
    """

    id: int
    annotator: str
    at: datetime
    kind: str
    changes: tuple[Change, ...]
    beneath_id: int | None
    f0: F0Change | None = None

    @property
    def keys(self) -> list[str]:
        return [change.key for change in self.changes]

    @property
    def marks(self) -> tuple[Annotation, ...]:
        """The marks that were added or changed, as they are afterwards."""
        return tuple(change.after for change in self.changes if change.after is not None)


def top_of_stack(recording_id: int, annotator: str) -> ScalarSelect:
    """Return the query for the id of the edit that can be undone."""
    return (
        select(TOP).where(*_own_steps(recording_id, annotator)).order_by(steps.c.id.desc()).limit(1).scalar_subquery()
    )


def next_to_redo(recording_id: int, annotator: str) -> ScalarSelect:
    """Return the query for the id of the edit that can be redone."""
    lies_on_top = steps.c.beneath_id.is_not_distinct_from(top_of_stack(recording_id, annotator))
    edits = select(func.max(steps.c.id)).where(
        *_own_steps(recording_id, annotator), steps.c.kind == "edit", lies_on_top
    )
    return edits.scalar_subquery()


def edit_at(connection: Connection, found: ScalarSelect) -> Step | None:
    """Return the edit that one of the queries finds."""
    row = connection.execute(select(steps).where(steps.c.id == found)).one_or_none()
    return None if row is None else step_of(row)


def record_step(
    connection: Connection,
    recording_id: int,
    annotator: str,
    stored: Mapping[str, StoredMark],
    changes: Sequence[Change],
    at: datetime,
    kind: str,
    f0: F0Change | None = None,
    **stack: Any,
) -> Step:
    """Write changes of marks, and a step with them and with a change of F0 that was written before.

    Raises
    ------
    AnnotationsRefused
        If nothing is changed, a mark is changed twice, or an annotator would have two labels of the whole recording.
    """
    if not (changes or f0) or len({change.key for change in changes}) < len(changes):
        raise AnnotationsRefused("A step has to change at least one mark, and none of them twice.")
    refuse_second_label(stored, changes)
    write_marks(connection, [mark_row(recording_id, change, annotator, at) for change in changes])
    row = step_row(recording_id, annotator, changes, at, kind, f0, **stack)
    added = insert(steps).values(row).returning(steps.c.id, steps.c.beneath_id)
    step_id, beneath_id = connection.execute(added).one()
    return Step(step_id, annotator, at, kind, tuple(changes), beneath_id, f0)


def step_row(
    recording_id: int,
    annotator: str,
    changes: Sequence[Change],
    at: datetime,
    kind: str,
    f0: F0Change | None = None,
    **stack: Any,
) -> dict[str, Any]:
    """Return the row of a step; `stack` is the `beneath_id` of an edit, or the `top_id` of an undo or redo."""
    rows = [[_stored(change.before), _stored(change.after)] for change in changes]
    own = {"recording_id": recording_id, "annotator": annotator, "at": at, "kind": kind, "changes": rows}
    return own | {"f0": f0 and [f0_fields(CorrectedF0(frames)) for frames in (f0.before, f0.after)]} | stack


def add_steps(
    connection: Connection,
    additions: Mapping[int, Sequence[Change]],
    annotator: str,
    at: datetime,
    f0_changes: Mapping[int, F0Change] | None = None,
) -> None:
    """Add one step per recording, given by its id, on top of the annotator's earlier steps there.

    `f0_changes` are changes of F0 that were written before.
    """
    f0_changes = f0_changes or {}
    recording_ids = list(dict.fromkeys([*additions, *f0_changes]))
    own_steps = steps.c.recording_id.in_(recording_ids), steps.c.annotator == annotator
    newest = select(func.max(steps.c.id)).where(*own_steps).group_by(steps.c.recording_id)
    tops = dict(connection.execute(select(steps.c.recording_id, TOP).where(steps.c.id.in_(newest))).all())
    rows = [
        step_row(
            recording_id,
            annotator,
            additions.get(recording_id, ()),
            at,
            "edit",
            f0_changes.get(recording_id),
            beneath_id=tops.get(recording_id),
        )
        for recording_id in recording_ids
    ]
    if rows:
        connection.execute(insert(steps), rows)


def step_of(row: Row) -> Step:
    """Return the step of a row."""
    changes = tuple(Change(_mark(before), _mark(after)) for before, after in row.changes)
    f0 = row.f0 and F0Change(*(f0_of(fields).frames for fields in row.f0))
    return Step(row.id, row.annotator, row.at, row.kind, changes, row.beneath_id, f0)


def reversed_changes(step: Step, stored: dict[str, StoredMark], at: datetime) -> list[Change]:
    """Return the changes that undo a step.

    Raises
    ------
    AnnotationsOutdated
        If somebody else has changed one of its marks since then.
    """
    return [_replay(stored[change.key], change.after, change.before, at, "undone") for change in reversed(step.changes)]


def repeated_changes(step: Step, stored: dict[str, StoredMark], at: datetime) -> list[Change]:
    """Return the changes that redo a step; raises what `reversed_changes` raises."""
    return [_replay(stored[change.key], change.before, change.after, at, "redone") for change in step.changes]


def _replay(
    stored: StoredMark, expected: Annotation | None, wanted: Annotation | None, at: datetime, action: str
) -> Change:
    now = None if stored.deleted else stored.annotation
    if _content(now) != _content(expected):
        raise AnnotationsOutdated(f"{_who_and_when(stored)}, after your step. It was not {action}, so nothing is lost.")
    return change_to(stored, wanted, at)


def contents_at(connection: Connection, recording_id: int, revisions: Mapping[str, int]) -> dict[str, Annotation]:
    """Return marks as they were at revisions, by key, where the history of their recording has them."""
    found: dict[str, Annotation] = {}
    if revisions:
        rows = connection.execute(select(steps).where(steps.c.recording_id == recording_id))
        for change in (change for row in rows for change in step_of(row).changes):
            if change.after is not None and revisions.get(change.key) == change.after.revision:
                found[change.key] = change.after
    return found


def changes_in(connection: Connection, recording_id: int) -> list[tuple[Change, ...]]:
    """Return the changes of each step in a recording, the oldest first, without edits that are undone."""
    rows = connection.execute(select(steps).where(steps.c.recording_id == recording_id).order_by(steps.c.id)).all()
    tops: dict[str, int | None] = {}
    edits: dict[int, int | None] = {}  # the edit that each step makes, undoes or redoes
    undone: set[int | None] = set()
    for row in rows:
        before = tops.get(row.annotator)
        tops[row.annotator] = row.id if row.kind == "edit" else row.top_id
        if row.kind == "undo":
            edits[row.id] = before
            undone.add(before)
        else:
            edits[row.id] = tops[row.annotator]
            undone.discard(edits[row.id])
    return [step_of(row).changes for row in rows if edits[row.id] not in undone]


def forget_marks(connection: Connection, recording_id: int, keys: Collection[str]) -> None:
    """Remove marks from the history of a recording, and from their stacks the steps that changed nothing else.

    An edit is removed together with every undo and redo of it, because they change the same marks.
    """
    rows = connection.execute(select(steps).where(steps.c.recording_id == recording_id).order_by(steps.c.id)).all()
    beneath: dict[int, int | None] = {}  # for each removed edit, the one beneath it that stays
    for row in rows:
        remaining = [change for change in row.changes if not {mark["key"] for mark in change if mark} & set(keys)]
        links = {name: row._mapping[name] for name in ("beneath_id", "top_id")}
        new_links = {name: beneath.get(edit_id, edit_id) for name, edit_id in links.items()}
        is_row = steps.c.id == row.id
        if row.changes and not remaining and row.f0 is None:
            beneath[row.id] = new_links["beneath_id"]
            connection.execute(delete(steps).where(is_row))
        elif len(remaining) < len(row.changes) or new_links != links:
            connection.execute(update(steps).where(is_row).values(changes=remaining, **new_links))


def require_current(stored: Mapping[str, StoredMark], mark: Annotation) -> StoredMark:
    """Return the stored mark that a change was made to.

    Raises
    ------
    AnnotationsOutdated
        If it was changed or deleted since then.
    AnnotationsRefused
        If it is not in the recording.
    """
    existing = stored.get(mark.key)
    if existing is None:
        raise AnnotationsRefused("This mark is not in this recording; load the recording again.")
    if existing.deleted or existing.annotation.revision != mark.revision:
        raise AnnotationsOutdated(
            f"{_who_and_when(existing)}, after you had opened it. Nothing was overwritten: load the recording again "
            "and repeat your change if you still want it."
        )
    return existing


def _who_and_when(stored: StoredMark) -> str:
    """Return the beginning of a sentence: who changed or deleted a mark, and when."""
    who, at = stored.changed_by, stored.annotation.changed_at
    day, time = f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}"
    if stored.deleted:
        return f"{who} deleted this mark on {day} at {time} UTC"
    return f"{who} changed this mark on {day} at {time} UTC"


def _content(mark: Annotation | None) -> dict[str, Any] | None:
    return None if mark is None else content_of(mark)


def _own_steps(recording_id: int, annotator: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return steps.c.recording_id == recording_id, steps.c.annotator == annotator


def _stored(mark: Annotation | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return content_of(mark) | {"key": mark.key, "revision": mark.revision, "changed_at": mark.changed_at.isoformat()}


def _mark(stored: dict[str, Any] | None) -> Annotation | None:
    if stored is None:
        return None
    return annotation_of(stored | {"changed_at": as_utc(datetime.fromisoformat(stored["changed_at"]))})
