"""Import of annotated recordings into a project, all or nothing, and export from it in batches."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, func, insert, select

from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording, Annotation, valid_mark
from ser_core.annotations.formats.gate import at as refused_at
from ser_core.annotations.formats.gate import shown
from ser_core.annotations.store import trash
from ser_core.annotations.store.history import TOP, step_row
from ser_core.annotations.store.marks import (
    IN_ORDER_OF_TIME,
    Change,
    annotation_of,
    change_to,
    content_of,
    insert_into,
    mark_row,
    write_marks,
)
from ser_core.annotations.store.recordings import RecordingFile, recording_row
from ser_core.annotations.store.tables import marks, recordings, steps
from ser_core.errors import AnnotationsRefused
from ser_core.work.progress import Work

RECORDINGS_AT_ONCE = 200
MARKS_AT_ONCE = 500


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    recordings : int
        Documents, for new or known recordings.
    added : int
        Marks.
    known : int
        Marks that were there already, with the same content.
    left_out : int
        Labels of a whole recording whose annotator had given it another label here, which stays.
    """

    recordings: int
    added: int = 0
    known: int = 0
    left_out: int = 0


def import_documents(
    connection: Connection,
    project: int,
    documents: Collection[AnnotatedRecording],
    annotator: str,
    at: datetime,
    work: Work,
) -> Imported:
    """Add the recordings and marks that are missing; see `Store.import_recordings`."""
    total = sum(len(document.annotations) for document in documents)
    counts: Counter[str] = Counter()
    waiting = iter(documents)
    while batch := list(islice(waiting, RECORDINGS_AT_ONCE)):
        wanted: dict[int, list[Annotation]] = {}
        lengths = _recordings(connection, project, batch, annotator, at)
        for (recording_id, duration_s), document in zip(lengths, batch, strict=True):
            wanted.setdefault(recording_id, []).extend(_valid_marks(document, duration_s))
        additions = _additions(connection, wanted, at, counts)
        rows = [mark_row(of, change, annotator, at) for of, changes in additions.items() for change in changes]
        for start in range(0, max(len(rows), 1), MARKS_AT_ONCE):
            work.check("The import was stopped; nothing was imported.")
            write_marks(connection, rows[start : start + MARKS_AT_ONCE])
            counts["added"] += len(rows[start : start + MARKS_AT_ONCE])
            done = counts.total()
            work.report(done / total if total else 1.0, f"{done} of {total} marks")
        _add_steps(connection, additions, annotator, at)
    return Imported(len(documents), **counts)


def documents_after(
    connection: Connection, project: int, last_id: int, annotator: str | None
) -> tuple[list[AnnotatedRecording], int]:
    """Return the next recordings of a project after an id, with their marks, and the id of the last of them."""
    chosen = recordings.c.project_id == project, recordings.c.id > last_id
    found = connection.execute(
        select(recordings).where(*chosen).order_by(recordings.c.id).limit(RECORDINGS_AT_ONCE)
    ).all()
    whose = [] if annotator is None else [marks.c.annotator == annotator]
    of_found = marks.c.recording_id.in_([row.id for row in found]), ~marks.c.deleted
    by_recording: dict[int, list[Annotation]] = {row.id: [] for row in found}
    for mark in connection.execute(select(marks).where(*of_found, *whose).order_by(*IN_ORDER_OF_TIME)):
        by_recording[mark.recording_id].append(annotation_of(mark._mapping))
    documents = [
        AnnotatedRecording(
            row.name, row.sha256, row.duration_s, row.sample_rate_hz, tuple(by_recording[row.id]), row.provenance
        )
        for row in found
    ]
    return documents, found[-1].id if found else last_id


def _recordings(
    connection: Connection, project: int, documents: Sequence[AnnotatedRecording], annotator: str, at: datetime
) -> list[tuple[int, float]]:
    """Return ids and lengths of the documents' recordings; missing ones are added, and all are locked."""
    rows = [
        recording_row(project, RecordingFile(d.sha256, d.name, d.duration_s, d.sample_rate_hz), at)
        | {"provenance": dict(d.provenance), "added_by": annotator}
        for d in documents
        if d.sha256 is not None
    ]
    if rows:
        statement = insert_into(connection, recordings)
        excluded = statement.excluded.provenance
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["project_id", "sha256"], set_={"provenance": excluded}, where=excluded != {}
            ),
            rows,
        )
        trash.forget_unfinished(connection, {row["sha256"] for row in rows})
    names = [document.name for document in documents if document.sha256 is None]
    wanted = recordings.c.sha256.in_([row["sha256"] for row in rows]) | recordings.c.name.in_(names)
    columns = select(recordings.c.id, recordings.c.sha256, recordings.c.name, recordings.c.duration_s)
    locked = columns.where(recordings.c.project_id == project, wanted).order_by(recordings.c.id)
    found = connection.execute(locked.with_for_update(key_share=True)).all()
    by_sha256 = {row.sha256: (row.id, row.duration_s) for row in found}
    by_name: dict[str, list[tuple[int, float]]] = {}
    for row in found:
        by_name.setdefault(row.name, []).append((row.id, row.duration_s))
    return [by_sha256[d.sha256] if d.sha256 is not None else _only(by_name, d.name) for d in documents]


def _valid_marks(document: AnnotatedRecording, duration_s: float) -> list[Annotation]:
    found = []
    for number, mark in enumerate(document.annotations, start=1):
        with refused_at(f"{shown(document.name)}, mark {number}"):
            found.append(valid_mark(mark, duration_s))
    return found


def _only(by_name: Mapping[str, Sequence[tuple[int, float]]], name: str) -> tuple[int, float]:
    found = by_name.get(name, ())
    if len(found) != 1:
        raise AnnotationsRefused(
            f"The file does not say by SHA-256 which recording '{name}' is, and the project has "
            f"{len(found) or 'none'} of that name; add the right one, or give distinct names."
        )
    return found[0]


def _additions(
    connection: Connection, wanted: Mapping[int, Sequence[Annotation]], at: datetime, counts: Counter[str]
) -> dict[int, list[Change]]:
    """Return the marks that recordings do not have yet as changes, and count the others."""
    standing = connection.execute(select(marks).where(marks.c.recording_id.in_(wanted), ~marks.c.deleted))
    there = [(row.recording_id, annotation_of(row._mapping)) for row in standing]
    said = {_identity(of, mark) for of, mark in there}
    labelled = {(of, mark.annotator) for of, mark in there if mark.tier == RECORDING_TIER}
    additions: dict[int, list[Change]] = {}
    for of, annotations in wanted.items():
        for mark in annotations:
            if _identity(of, mark) in said:
                counts["known"] += 1
            elif mark.tier == RECORDING_TIER and (of, mark.annotator) in labelled:
                counts["left_out"] += 1
            else:
                said.add(_identity(of, mark))
                if mark.tier == RECORDING_TIER:
                    labelled.add((of, mark.annotator))
                additions.setdefault(of, []).append(change_to(None, mark, mark.changed_at or at))
    return additions


def _identity(recording_id: int, mark: Annotation) -> tuple[object, ...]:
    return recording_id, *content_of(mark).values()


def _add_steps(connection: Connection, additions: Mapping[int, Sequence[Change]], annotator: str, at: datetime) -> None:
    """Add one step per recording, on top of the importer's earlier steps there."""
    theirs = steps.c.recording_id.in_(additions), steps.c.annotator == annotator
    newest = select(func.max(steps.c.id)).where(*theirs).group_by(steps.c.recording_id)
    tops = dict(connection.execute(select(steps.c.recording_id, TOP).where(steps.c.id.in_(newest))).all())
    rows = [step_row(of, annotator, changes, at, "edit", beneath_id=tops.get(of)) for of, changes in additions.items()]
    if rows:
        connection.execute(insert(steps), rows)
