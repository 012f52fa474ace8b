"""Labels of many whole recordings, changed together: one step in the history of each recording, all or none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select

from ser_core.analysis import Region
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, Annotation, valid_mark
from ser_core.annotations.store import people
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.history import TOP, reversed_changes, step_of, step_row
from ser_core.annotations.store.marks import (
    StoredMark,
    annotation_of,
    change_of,
    change_to,
    mark_row,
    storable,
    write_marks,
)
from ser_core.annotations.store.recordings import RecordingFile, files_of
from ser_core.annotations.store.tables import RECORDING_LABEL, marks, recordings, steps, valid_text
from ser_core.annotations.store.transactions.people import Annotators
from ser_core.annotations.store.work_queue import OF_RECORDING
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused

#: Databases limit the parameters of a statement.
MAX_RECORDINGS = 10_000


@dataclass(frozen=True)
class LabelledRecording:
    """A recording of a project, and each annotator's label of the whole recording, without the gold layer's.

    Attributes
    ----------
    in_tier : mapping of str to str, or None
        Each annotator's label in a tier: the one that lasts longest, or of points the most frequent; None without a
        tier.
    """

    file: RecordingFile
    labels: Mapping[str, Annotation] = field(default_factory=dict)
    in_tier: Mapping[str, str] | None = None

    @property
    def main_labels(self) -> Mapping[str, str]:
        """Each annotator's main label in the tier or, without a tier, emotion of the whole recording."""
        if self.in_tier is not None:
            return self.in_tier
        return {who: mark.emotion for who, mark in self.labels.items() if mark.emotion is not None}


@dataclass(frozen=True)
class Relabelled:
    """Recordings that were labelled together, without those that had this label already, and when."""

    sha256: tuple[str, ...]
    at: datetime


class Labels:
    """Everybody's labels of whole recordings."""

    def __init__(self, database: Database, annotators: Annotators) -> None:
        self._database = database
        self._annotators = annotators
        #: What the labels that were read last depend on, and these labels.
        self._labelled: tuple[tuple[Any, ...], tuple[LabelledRecording, ...]] = ((), ())

    def of(self, project: int, tier: str | None = None) -> tuple[LabelledRecording, ...]:
        """Return all recordings of a project with everybody's labels of the whole recordings, in order of addition.

        The labels are read again only after a step in any project, because a map needs them at every click.

        Parameters
        ----------
        tier : str, optional
            Key of a tier of labels, for `LabelledRecording.in_tier`.
        """
        # With its time: SQLite reuses the id of a step that was permanently deleted.
        last = select(func.max(steps.c.id)).scalar_subquery()
        newest = select(steps.c.id, steps.c.at).where(steps.c.id == last)
        with self._database.reading() as connection:
            step, files = connection.execute(newest).one_or_none(), files_of(connection, project)
            state = project, tier, step and tuple(step), files
            known_state, labelled = self._labelled
            if known_state != state:
                labelled = _labelled(connection, project, files, tier)
                self._labelled = state, labelled
        return labelled

    def change(
        self,
        project: int,
        seen: Mapping[str, int],
        annotator: str,
        *,
        emotion: str | None = None,
        status: str | None = None,
    ) -> Relabelled:
        """Change an annotator's labels of many recordings as a whole, all or none, each as a step of its history.

        Parameters
        ----------
        seen : mapping of str to int
            SHA-256 of the recordings, and the revision of the annotator's label that was shown; 0 without a label.
        emotion, status : str, optional
            New values of the labels; without one, the value stays.

        Raises
        ------
        AnnotationsOutdated
            If one of the labels was changed, made or deleted since it was shown.
        AnnotationsRefused
            If the label is not valid, or a recording is not there.
        """
        annotator, at = people.valid_person(annotator), datetime.now(UTC)
        self._annotators.add({annotator})
        with self._database.writing() as connection:
            return _label(connection, project, seen, annotator, at, emotion, status)

    def undo(self, project: int, done: Relabelled, annotator: str) -> None:
        """Undo what `change` did, in all recordings or in none, each as a step of its history.

        Raises
        ------
        AnnotationsOutdated
            If one of them was marked by the annotator since then.
        """
        annotator = people.valid_person(annotator)
        with self._database.writing() as connection:
            _undo(connection, project, done, annotator)


def _labelled(
    connection: Connection, project: int, files: Sequence[RecordingFile], tier: str | None = None
) -> tuple[LabelledRecording, ...]:
    """Return the files of a project with their labels and, if a tier is given, with the main labels in it."""
    columns = [recordings.c.sha256, *(column.label(f"mark_{column.name}") for column in marks.c)]
    joined = recordings.join(marks, and_(OF_RECORDING, RECORDING_LABEL, marks.c.annotator != GOLD))
    labels: dict[str, dict[str, Annotation]] = {}
    for row in connection.execute(select(*columns).select_from(joined).where(recordings.c.project_id == project)):
        labels.setdefault(row.sha256, {})[row.mark_annotator] = _mark(row)
    if tier is None:
        return tuple(LabelledRecording(file, labels.get(file.sha256, {})) for file in files)
    main_labels = _main_labels(connection, project, tier)
    return tuple(
        LabelledRecording(file, labels.get(file.sha256, {}), main_labels.get(file.sha256, {})) for file in files
    )


def _main_labels(connection: Connection, project: int, tier: str) -> dict[str, dict[str, str]]:
    """Return each annotator's label with the longest total duration in a tier, by recording.

    Of several, such as those of points, it is the most frequent one, and of these the first by name.
    """
    columns = recordings.c.sha256, marks.c.annotator, marks.c.note
    duration_s = func.sum(marks.c.end_s - marks.c.start_s).label("duration_s")
    wanted = recordings.c.project_id == project, marks.c.tier == tier, ~marks.c.deleted, marks.c.note != ""
    statement = (
        select(*columns, duration_s, func.count().label("frequency"))
        .select_from(recordings.join(marks, OF_RECORDING))
        .where(*wanted, marks.c.annotator != GOLD)
        .group_by(*columns)
    )
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(statement).all()
    for row in sorted(rows, key=lambda row: (-row.duration_s, -row.frequency, row.note)):
        found.setdefault(row.sha256, {}).setdefault(row.annotator, row.note)
    return found


def _label(
    connection: Connection,
    project: int,
    seen: Mapping[str, int],
    annotator: str,
    at: datetime,
    emotion: str | None,
    status: str | None,
) -> Relabelled:
    """Change an annotator's labels as `Labels.change` says."""
    locked = _lock(connection, project, seen)
    mine = and_(OF_RECORDING, RECORDING_LABEL, marks.c.annotator == annotator)
    of_annotator = (steps.c.recording_id == recordings.c.id, steps.c.annotator == annotator)
    top = select(TOP).where(*of_annotator).order_by(steps.c.id.desc()).limit(1).scalar_subquery().label("top")
    columns = [recordings.c.id, top, *(column.label(f"mark_{column.name}") for column in marks.c)]
    found = select(*columns).select_from(recordings.outerjoin(marks, mine)).where(recordings.c.id.in_(locked))
    rows = connection.execute(found).all()
    _require_as_seen(rows, {id_: seen[row.sha256] for id_, row in locked.items()})
    mark_rows, step_rows, changed = [], [], []
    for row in rows:
        duration_s = locked[row.id].duration_s
        stored = None if row.mark_key is None else StoredMark(_mark(row), False, row.mark_changed_by)
        old = Annotation(Region(0.0, duration_s), RECORDING_TIER) if stored is None else stored.annotation
        new = replace(old, emotion=old.emotion if emotion is None else emotion, status=status or old.status)
        if stored is not None and new == old:
            continue
        new = valid_mark(storable(new, annotator), duration_s)
        change = change_to(None, new, at) if stored is None else change_of(stored, new, at)
        mark_rows.append(mark_row(row.id, change, annotator, at))
        step_rows.append(step_row(row.id, annotator, [change], at, "edit", beneath_id=row.top))
        changed.append(locked[row.id].sha256)
    _write(connection, mark_rows, step_rows)
    return Relabelled(tuple(changed), at)


def _undo(connection: Connection, project: int, done: Relabelled, annotator: str) -> None:
    """Undo a change of labels, as `Labels.undo` says."""
    locked, at = _lock(connection, project, done.sha256), datetime.now(UTC)
    own_steps = (steps.c.recording_id.in_(locked), steps.c.annotator == annotator)
    newest = select(func.max(steps.c.id)).where(*own_steps).group_by(steps.c.recording_id)
    rows = connection.execute(select(steps).where(steps.c.id.in_(newest))).all()
    edits = {row.recording_id: step_of(row) for row in rows if row.kind == "edit" and row.at == done.at}
    if len(edits) < len(locked):
        raise AnnotationsOutdated(
            f"{len(locked) - len(edits)} of these recordings were marked again since. Nothing was undone: undo there, "
            "one by one, on the view Mark."
        )
    keys = [change.key for edit in edits.values() for change in edit.changes]
    rows = connection.execute(select(marks).where(marks.c.key.in_(keys)))
    stored = {row.key: StoredMark(annotation_of(row._mapping), row.deleted, row.changed_by) for row in rows}
    mark_rows, step_rows = [], []
    for id_, edit in edits.items():
        changes = reversed_changes(edit, stored, at)
        mark_rows += [mark_row(id_, change, annotator, at) for change in changes]
        step_rows.append(step_row(id_, annotator, changes, at, "undo", top_id=edit.beneath_id))
    _write(connection, mark_rows, step_rows)


def _lock(connection: Connection, project: int, sha256: Collection[str]) -> dict[int, Row]:
    """Return the recordings by id, and lock their marks until the transaction ends; refuse missing recordings."""
    if len(sha256) > MAX_RECORDINGS:
        raise AnnotationsRefused(
            f"{len(sha256)} recordings were chosen; at most {MAX_RECORDINGS} can be labelled in one go. Choose fewer."
        )
    columns = (recordings.c.id, recordings.c.sha256, recordings.c.duration_s)
    wanted = (
        recordings.c.project_id == project,
        recordings.c.sha256.in_([valid_text(one, "SHA-256") for one in sha256]),
    )
    # In one order, so that two people who label the same recordings do not wait for each other.
    found = select(*columns).where(*wanted).order_by(recordings.c.id).with_for_update(key_share=True)
    locked = {row.id: row for row in connection.execute(found)}
    if len(locked) < len(sha256):
        raise AnnotationsRefused(
            f"{len(sha256) - len(locked)} of the chosen recordings are no longer in this project; load the page again."
        )
    return locked


def _require_as_seen(rows: Sequence[Row], seen: Mapping[int, int]) -> None:
    outdated = [row for row in rows if (row.mark_revision or 0) != seen[row.id]]
    if outdated:
        raise AnnotationsOutdated(
            f"Your labels of {len(outdated)} of these recordings were changed after you had opened them. Nothing was "
            "overwritten: look at them again, and repeat your change if you still want it."
        )


def _write(connection: Connection, mark_rows: list[dict[str, Any]], step_rows: list[dict[str, Any]]) -> None:
    write_marks(connection, mark_rows)
    if step_rows:
        connection.execute(insert(steps), step_rows)


def _mark(row: Row) -> Annotation:
    return annotation_of({column.name: row._mapping[f"mark_{column.name}"] for column in marks.c})
